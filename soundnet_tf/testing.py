"""What tests need, shipped so that users can test against us: tones, thin nets, live statistics."""

from typing import TYPE_CHECKING, Any

import numpy as np

from soundnet_tf.audio import SAMPLE_RATE, Waveform
from soundnet_tf.spec import SOUNDNET8, NetSpec, thin

if TYPE_CHECKING:
    from soundnet_tf.model import SoundNet


def tone(seconds: float, hz: float = 440.0, amplitude: float = 0.5, sample_rate: int = SAMPLE_RATE) -> Waveform:
    """A sine, `[samples]` float32."""
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    return (amplitude * np.sin(2 * np.pi * hz * times)).astype(np.float32)


def noise(seconds: float, amplitude: float = 0.1, seed: int = 0) -> Waveform:
    """White noise, `[samples]` float32, uniform within `amplitude` either way."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-amplitude, amplitude, round(seconds * SAMPLE_RATE)).astype(np.float32)


def thin_spec(spec: NetSpec = SOUNDNET8, heads: dict[str, int] | None = None, fraction: float = 1 / 16) -> NetSpec:
    """The true geometry with few filters and few classes, by default 10 objects and 4 scenes."""
    return thin(spec, fraction).with_heads({'imagenet': 10, 'places': 4} if heads is None else heads)


def enliven(net: 'SoundNet', seed: int = 0) -> 'SoundNet':
    """Give every variable a random value that keeps activations lively, batch-norm statistics included.

    A fresh net has mean 0, variance 1 and bias 0 throughout, which hides mistakes in all of them.
    """
    from soundnet_tf import model

    rng = np.random.default_rng(seed)
    kinds: dict[str, Any] = {
        'kernel': lambda shape: rng.normal(0, 1 / np.sqrt(shape[0] * shape[1]), shape),
        'bias': lambda shape: rng.normal(0, 0.3, shape),
        'gamma': lambda shape: rng.normal(1, 0.2, shape),
        'beta': lambda shape: rng.normal(0.3, 0.2, shape),
        'moving_mean': lambda shape: rng.normal(0, 0.5, shape),
        'moving_variance': lambda shape: rng.uniform(0.5, 1.5, shape),
    }
    for key, variable in model.variables_of(net).items():
        value = kinds[key.split('/')[1]](tuple(variable.shape))
        # conv1 sees samples times 256: without this its statistics would be lost beside the signal.
        variable.assign(value / 64 if key == 'conv1/kernel' else value)
    return net

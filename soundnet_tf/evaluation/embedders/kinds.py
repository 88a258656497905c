"""The interface of embedders for evaluation."""

import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import storage
from soundnet_tf.audio import SAMPLE_RATE, Waveform
from soundnet_tf.errors import ShortClip, SoundNetError, UnknownLayer

Values = NDArray[np.float32]
"""`[time, channels]`."""


class AnyEmbedder(Protocol):
    """Waveforms `[samples]` (float32, mono, 22,050 Hz, in [-1, 1]) to the values of a layer over time."""

    name: str
    """The name in tables."""
    fingerprint: str
    """Equal for two embedders only if they give the same numbers."""
    origin: Mapping[str, Any]
    """What it was trained on, as in model.json of a saved net."""

    def resolve_layer(self, layer: str | None) -> str:
        """The layer itself, or the default one for None. Raises UnknownLayer."""
        ...

    def hop_s(self, layer: str) -> float:
        """Seconds from one time step to the next."""
        ...

    def embed(self, waveforms: Sequence[Waveform], layer: str) -> list[Values]:
        """`[time, channels]` of each. Raises ShortClip if one is too short."""
        ...


def origin_of(folder: pathlib.Path) -> Mapping[str, Any]:
    """What an export or saved net was trained on, from model.json in the folder, if there is one."""
    try:
        with storage.readable(folder):
            facts = storage.read_json(folder / 'model.json')
            return dict(facts.get('net', facts).get('origin', {}))
    except SoundNetError:
        return {}


RATES = range(1000, 384_001)
"""Hz."""


def rate_of(name: str, stated: int | None, folder: pathlib.Path) -> int:
    """The sample rate of a model in `folder`: as the user or the file states it, else 22,050 Hz, as exports have.

    Logs a warning if it is neither stated nor known from an export's model.json.
    """
    if stated is not None and stated not in RATES:
        raise SoundNetError(f'{name}: invalid sample rate {stated}. Use Hz, such as {name}:16000')
    if stated is None and not (folder / 'model.json').is_file():
        from absl import logging

        assumed = f'states no sample rate, {SAMPLE_RATE:,} Hz is assumed. Append another, as in {name}:16000'
        logging.warning('%s: %s', name, assumed)
    return stated or SAMPLE_RATE


FEATURES = ('pool5', 'conv4', 'embedding', 'embeddings', 'features')
"""The default among several outputs of an unknown model: those over time before single vectors."""


def choose_output(layer: str | None, widths: Mapping[str, tuple[int, int]], name: str) -> str:
    """The output with this name; by default the first of FEATURES, or else the widest. Raises UnknownLayer.

    `widths` are numbers of axes, up to two, and of channels: an output with a single axis may be one value per time
    step, and embeddings have more channels than scores or spectra.
    """
    if layer is None:
        layer = next((own for own in FEATURES if own in widths), max(widths, key=widths.__getitem__))
    if layer not in widths:
        outputs = ', '.join(f'{output} ({channels} channels)' for output, (_, channels) in widths.items())
        raise UnknownLayer(f'{name}: no output {layer!r}. Set layer to one of {outputs}')
    return layer


HOPS = 15 * 2**16
"""Samples by which two test inputs differ, 45 s: whole hops of the usual kinds, also in ms at 16 kHz."""


def measured_hop_s(frames: Callable[[int], int], rate: int = SAMPLE_RATE) -> float:
    """The hop of an unknown model, from the additional time steps of a longer input at `rate`.

    Infinite if it gives one vector for any length: any window is that vector.
    """
    steps = frames(20 * rate + HOPS) - frames(20 * rate)
    return HOPS / steps / rate if steps else math.inf


def over_time(values: Any, name: str) -> Values:
    """The output of an unknown model for one sound as `[time, channels]`, other axes of size 1 dropped."""
    array = np.asarray(values, np.float32)
    if array.ndim:
        array = array.reshape([size for size in array.shape[:-1] if size != 1] + [array.shape[-1]])
    if array.ndim == 1:
        array = array[None]
    if array.ndim == 2 and not len(array):
        raise ShortClip(f'{name}: no time steps. Increase clip_s, or use longer clips')
    if array.ndim != 2 or not array.size:
        raise SoundNetError(
            f'{name}: shape must be [channels] or [time, channels] for one sound, got {list(np.shape(values))}. '
            'Use another output, or a model with such an output'
        )
    return array

"""The interface of embedders for evaluation."""

import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import storage
from soundnet_tf.audio import SAMPLE_RATE, Waveform
from soundnet_tf.errors import SoundNetError, UnknownLayer

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


FEATURES = ('pool5', 'conv4', 'embedding')
"""The default among several outputs of an unknown model: those over time before single vectors."""


def choose_output(layer: str | None, there: Sequence[str], name: str) -> str:
    """The output with this name; by default the only one, or the first of FEATURES. Raises UnknownLayer."""
    if layer is None:
        layer = there[0] if len(there) == 1 else next((own for own in FEATURES if own in there), '')
    if layer not in there:
        wanted = f'output {layer!r}' if layer else 'output for features'
        raise UnknownLayer(f'{name}: no {wanted}. Set layer to one of {", ".join(there)}')
    return layer


HOPS = 2**20
"""Samples (48 s) by which two test inputs differ: a whole number of hops if strides are powers of two."""


def measured_hop_s(frames: Callable[[int], int]) -> float:
    """The hop of an unknown model, from the additional time steps of a longer input.

    Infinite if it gives one vector for any length: any window is that vector.
    """
    steps = frames(20 * SAMPLE_RATE + HOPS) - frames(20 * SAMPLE_RATE)
    return HOPS / steps / SAMPLE_RATE if steps else math.inf


def over_time(values: Any, name: str) -> Values:
    """The output of an unknown model for one sound, with or without a batch axis, as `[time, channels]`."""
    array = np.asarray(values, np.float32)
    if array.ndim == 3 and len(array) == 1:
        array = array[0]
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or not array.size:
        raise SoundNetError(f'{name}: shape must be [time, channels], got {list(array.shape)}')
    return array

"""What an evaluation asks of anything that embeds."""

import json
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import SAMPLE_RATE, Waveform
from soundnet_tf.errors import SoundNetError

Values = NDArray[np.float32]
"""`[time, channels]`."""


class AnyEmbedder(Protocol):
    """Waveforms `[samples]` (float32, mono, 22,050 Hz, in [-1, 1]) to the values of a layer over time."""

    name: str
    """As a table calls it."""
    fingerprint: str
    """The same for two that give the same numbers, and another for any that may not."""
    origin: Mapping[str, Any]
    """What it has learned from, as model.json of a saved net has it."""

    def known(self, layer: str | None) -> str:
        """The layer itself, or the default one for None. Raises SoundNetError where there is none of that name."""
        ...

    def hop_s(self, layer: str) -> float:
        """Seconds from one time step to the next."""
        ...

    def embed(self, waveforms: Sequence[Waveform], layer: str) -> list[Values]:
        """`[time, channels]` of each. Raises ShortClip where one is too short."""
        ...


def origin_of(folder: pathlib.Path) -> Mapping[str, Any]:
    """What the net of an export, or of a saved folder, has learned from, by the model.json in the folder, if any."""
    try:
        facts = json.loads((folder / 'model.json').read_text(encoding='utf-8'))
        return facts.get('net', facts).get('origin', {})
    except (OSError, ValueError, AttributeError):
        return {}


FEATURES = ('pool5', 'conv4', 'embedding')
"""Which of several outputs of a black box is read where none is named: those over time before one vector."""


def chosen(layer: str | None, there: Sequence[str], name: str) -> str:
    """The output of that name; where none is named the only one, or the first of FEATURES. Raises SoundNetError."""
    if layer is None:
        layer = there[0] if len(there) == 1 else next((own for own in FEATURES if own in there), '')
    if layer not in there:
        asked = f'output {layer!r}' if layer else 'output for features'
        raise SoundNetError(f'{name} has no {asked}: name one of {", ".join(there)} (layer)')
    return layer


HOPS = 2**20
"""Samples (48 s) by which two probes differ: a whole number of hops where strides are powers of two."""


def measured_hop_s(frames: Callable[[int], int]) -> float:
    """The hop of a black box, by how many time steps more it gives for so many samples more.

    Infinite where it gives one vector whatever the length: any window then is that vector.
    """
    steps = frames(20 * SAMPLE_RATE + HOPS) - frames(20 * SAMPLE_RATE)
    return HOPS / steps / SAMPLE_RATE if steps else math.inf


def over_time(values: Any, name: str) -> Values:
    """What a black box gave for one sound, with or without a batch of one, as `[time, channels]`."""
    array = np.asarray(values, np.float32)
    if array.ndim == 3 and len(array) == 1:
        array = array[0]
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or not array.size:
        raise SoundNetError(f'{name} gives values of shape {list(array.shape)}, not [time, channels]')
    return array

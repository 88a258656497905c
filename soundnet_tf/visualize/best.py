"""Summaries of a layer's activations: a digest per sound, and the top-activating sounds per unit."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import geometry
from soundnet_tf.inference import Embedding, tags
from soundnet_tf.spec import SAMPLE_RATE, NetSpec


class Digest:
    """Running summary of a layer's activations for one sound: max, time of the max and sum, per unit.

    For a padded or repeated sound, time steps that see beyond its end are ignored, unless there are no others.
    """

    def __init__(self, spec: NetSpec, layer: str) -> None:
        self._spec, self._layer = spec, layer
        units = geometry.channels(spec, layer)
        self.best = np.full(units, -np.inf, np.float32)
        """`[units]`."""
        self.frame = np.zeros(units, np.int64)
        """`[units]`: the time step of the max (the first one if tied)."""
        self.total = np.zeros(units)
        self.steps = 0
        self.seconds = 0.0
        self._head = next((head for head in spec.heads if head.name == layer), None)
        self._pooled, self._pooled_steps = np.zeros(units), 0

    def add(self, part: Embedding) -> None:
        """Add the next time steps of the sound."""
        values, self.seconds = part.values, part.seconds
        if self._head:  # its probabilities average all time steps, including those of the padding
            self._pooled += tags.pool_inputs(self._head, values).sum(axis=0, dtype=np.float64)
            self._pooled_steps += len(values)
        if part.tiled or part.padded:
            own = geometry.final_frames(self._spec, self._layer, round(part.seconds * SAMPLE_RATE))
            values = values[: max(0, own - self.steps)] if own else values
        if not len(values):
            return
        at = values.argmax(axis=0)
        best = values.max(axis=0)
        better = best > self.best
        self.best[better], self.frame[better] = best[better], self.steps + at[better]
        self.total += values.sum(axis=0, dtype=np.float64)
        self.steps += len(values)

    @property
    def pooled_probabilities(self) -> NDArray[np.float32]:
        """`[classes]`: a head's probabilities for the whole sound, as in `soundnet-tag`."""
        assert self._head is not None
        return tags.pooled_probabilities(self._head, (self._pooled / self._pooled_steps).astype(np.float32))

    @property
    def mean(self) -> NDArray[np.float32]:
        """`[units]`: the mean over time."""
        return (self.total / self.steps).astype(np.float32)


class Best:
    """Running list of the `top` sounds that activate each unit of a layer most, in descending order.

    Of several sounds from one recording, only the one with the highest activation is kept. Sounds that do not activate
    a unit are not listed: unused entries have sound -1.
    """

    def __init__(self, units: int, top: int) -> None:
        self.values = np.full([units, top], -np.inf, np.float32)
        """`[units, top]`."""
        self.sounds = np.full([units, top], -1, np.int64)
        self.recordings = np.full([units, top], -1, np.int64)
        self.frames = np.zeros([units, top], np.int64)

    def add(self, digest: Digest, sound: int, recording: int) -> None:
        """Add a sound by its index and the index of its recording."""
        there = self.recordings == recording
        # A sound replaces the entry of its own recording, or else the last entry.
        places = np.where(there.any(axis=1), there.argmax(axis=1), -1)
        current = self.values[np.arange(len(places)), places]
        rows = np.flatnonzero((digest.best > current) & (digest.best > 0))
        mine = (self.values, self.sounds, self.recordings, self.frames)
        for kept, new in zip(mine, (digest.best[rows], sound, recording, digest.frame[rows]), strict=True):
            kept[rows, places[rows]] = new
        order = np.argsort(-self.values[rows], axis=1, kind='stable')
        for kept in mine:
            kept[rows] = np.take_along_axis(kept[rows], order, axis=1)

    _ARRAYS = ('values', 'sounds', 'recordings', 'frames')

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state as arrays, for saving."""
        return {name: getattr(self, name) for name in self._ARRAYS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> 'Best':
        """Restore from the result of `arrays`."""
        best = cls(0, 0)
        for name in cls._ARRAYS:
            setattr(best, name, arrays[name])
        return best

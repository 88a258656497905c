"""Where posteriors that were computed elsewhere are kept: what a store gives, and under which names it looks."""

import dataclasses
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import MEDIA_SUFFIXES


@dataclasses.dataclass(frozen=True)
class Rows:
    """What is kept of one video; only the rows that are taken of it are read."""

    values: Any
    """An array, a memory map or an HDF5 dataset: has `shape` and `dtype`, and is sliced."""
    place: str
    """Names them in messages."""

    def misfit(self, classes: int | None) -> str | None:
        """In words why these are no `[frames, classes]` of numbers; of so many classes, where that is known."""
        shape = list(self.values.shape or ())
        if len(shape) != 2 or 0 in shape or self.values.dtype.kind not in 'fiu':
            return f'{self.place} is {shape}, not [frames, classes] of numbers'
        if classes and shape[1] != classes:
            return f'{self.place} is {shape}, not [frames, {classes}]'
        return None

    def take(self, first: int, count: int) -> NDArray[np.float32] | str:
        """The rows `first : first + count`, finite; fewer where there are fewer; or in words why there are none."""
        try:
            with np.errstate(over='ignore'):  # infinity is found below
                values = np.asarray(self.values[first : first + count]).astype(np.float32)
        except (OSError, RuntimeError, ValueError) as error:  # as h5py calls damage
            return f'{self.place} cannot be read ({error})'
        if count and not len(values):
            return f'{self.place} holds {self.values.shape[0]} rows, but row {first} is asked for'
        if not np.isfinite(values).all():
            return f'{self.place} holds NaN or infinity in rows {first} to {first + len(values) - 1}'
        return values


class Store(Protocol):
    """Finds what is kept of a video."""

    def find(self, id: str) -> Rows | str:
        """What is kept of the video `id`, or in words why there is nothing."""
        ...


def names(id: str) -> tuple[str, ...]:
    """The names that are tried for a video, best first: its id, and the id less a file name's extension.

    Only the extensions of sounds and videos count as such: `v1.5` is not `v1`.
    """
    # A manifest's absolute path, taken as an id, must not lead out of the store.
    whole = id.lstrip('/')
    stem, _, extension = whole.rpartition('.')
    hidden = not stem or stem.endswith('/')  # a file `.mp3` has no other name
    return (whole,) if hidden or f'.{extension.lower()}' not in MEDIA_SUFFIXES else (whole, stem)


def probable(values: NDArray[np.float32], rounding: float) -> NDArray[np.bool_]:
    """Per row whether it is at least 0 and sums to 1, `rounding` more or less."""
    with np.errstate(invalid='ignore'):  # infinities of both signs
        return (values >= 0).all(axis=1) & (abs(values.sum(axis=1) - 1) <= rounding)

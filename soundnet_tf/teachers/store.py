"""Stores of posteriors that were computed elsewhere, and the names of videos in them."""

import dataclasses
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import MEDIA_SUFFIXES
from soundnet_tf.storage import reason


@dataclasses.dataclass(frozen=True)
class Rows:
    """The rows of one video; only the requested ones are read."""

    values: Any
    """An array, a memory map or an HDF5 dataset: has `shape` and `dtype`, and is sliced."""
    place: str
    """For messages."""

    def misfit(self, classes: int | None) -> str | None:
        """Why these are not `[frames, classes]` of numbers, with this number of classes if it is known."""
        shape = list(self.values.shape or ())
        if len(shape) != 2 or 0 in shape or self.values.dtype.kind not in 'fiu':
            return f'{self.place}: shape {shape}, not [frames, classes] of numbers'
        if classes and shape[1] != classes:
            return f'{self.place}: shape {shape}, not [frames, {classes}]'
        return None

    def take(self, first: int, count: int) -> NDArray[np.float32] | str:
        """The rows `first : first + count`, finite, fewer at the end; or the reason why there are none."""
        try:
            with np.errstate(over='ignore'):  # infinity is found below
                values = np.asarray(self.values[first : first + count]).astype(np.float32)
        except (OSError, RuntimeError, ValueError, MemoryError) as error:  # h5py's errors for damage
            return f'{self.place}: cannot be read ({reason(error)})'
        if count and not len(values):
            return f'{self.place}: {self.values.shape[0]} rows, but row {first} is requested'
        if not np.isfinite(values).all():
            return f'{self.place}: NaN or infinity in rows {first} to {first + len(values) - 1}'
        return values


class Store(Protocol):
    """Finds the rows of a video."""

    def find(self, id: str) -> Rows | str:
        """The rows of the video `id`, or the reason why there are none."""
        ...


def names(id: str) -> tuple[str, ...]:
    """The names to try for a video, best first: its id, and the id without a suffix.

    Only suffixes of sounds and videos count: `v1.5` is not `v1`.
    """
    # An absolute path as an id must not leave the store.
    whole = id.lstrip('/')
    stem, _, extension = whole.rpartition('.')
    hidden = not stem or stem.endswith('/')  # a file `.mp3` has no stem
    return (whole,) if hidden or f'.{extension.lower()}' not in MEDIA_SUFFIXES else (whole, stem)


def probable(values: NDArray[np.float32], rounding: float) -> NDArray[np.bool_]:
    """Per row whether it is not negative and sums to 1, within `rounding`."""
    with np.errstate(invalid='ignore'):  # infinities of both signs
        return (values >= 0).all(axis=1) & (abs(values.sum(axis=1) - 1) <= rounding)

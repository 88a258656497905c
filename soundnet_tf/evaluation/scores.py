"""Scores of labelled clips: accuracy and confusion matrix."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """Scores `values` `[clips, classes]`, whose maximum is the prediction, and the true classes, `[clips]`."""

    classes: tuple[str, ...]
    truth: NDArray[np.int64]
    values: NDArray[np.float32]

    @classmethod
    def of(cls, classes: Sequence[str], truth: ArrayLike, values: ArrayLike) -> 'Scores':
        """From anything that numpy converts."""
        return cls(tuple(classes), np.asarray(truth, np.int64), np.asarray(values, np.float32))

    @property
    def predictions(self) -> NDArray[np.int64]:
        """`[clips]`: the class with the highest score."""
        return self.values.argmax(axis=1)

    @property
    def accuracy(self) -> float:
        """The fraction of correct predictions."""
        return float((self.predictions == self.truth).mean())

    @property
    def confusion(self) -> list[list[int]]:
        """Clips by class (rows) and prediction (columns)."""
        counts = np.zeros([len(self.classes)] * 2, int)
        np.add.at(counts, (self.truth, self.predictions), 1)
        return counts.tolist()

"""What a classifier says of clips whose classes are known: accuracy, and which is taken for which."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """`values` `[clips, classes]`, of which the greatest is the answer, beside the classes in truth, `[clips]`."""

    classes: tuple[str, ...]
    truth: NDArray[np.int64]
    values: NDArray[np.float32]

    @classmethod
    def of(cls, classes: Sequence[str], truth: ArrayLike, values: ArrayLike) -> 'Scores':
        """From whatever numpy takes."""
        return cls(tuple(classes), np.asarray(truth, np.int64), np.asarray(values, np.float32))

    @property
    def answers(self) -> NDArray[np.int64]:
        """`[clips]`: the class of the greatest value."""
        return self.values.argmax(axis=1)

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return float((self.answers == self.truth).mean())

    @property
    def confusion(self) -> list[list[int]]:
        """Clips by class, a row each, and by answer, a column each."""
        counts = np.zeros([len(self.classes)] * 2, int)
        np.add.at(counts, (self.truth, self.answers), 1)
        return counts.tolist()

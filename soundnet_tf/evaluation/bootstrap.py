"""Confidence intervals by the bootstrap: the clips are drawn again, with replacement, many times."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from soundnet_tf.evaluation.datasets import LabelledClip

RESAMPLES = 10_000

LEVEL = 0.95

_AT_ONCE = 2**20
"""Units that are drawn together: bounds the memory."""


@dataclasses.dataclass(frozen=True)
class Interval:
    """The interval of LEVEL of a mean, from as many resamples as RESAMPLES."""

    low: float
    high: float
    units: int
    """Number of what was drawn."""
    over: str
    """What was drawn: whole `recordings`, if they are known, else `clips`."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dataclasses.asdict(self) | {'level': LEVEL, 'resamples': RESAMPLES}

    def text(self, signed: bool = False) -> str:
        """In percent or, of a difference, in points with their sign."""
        low, high = (f'{100 * value:{"+" if signed else ""}.1f}' for value in (self.low, self.high))
        return f'{low} to {high}'

    def about(self) -> str:
        """How it was made."""
        return f'{LEVEL:.0%} interval, bootstrap over {self.units:,} {self.over}'


def interval(
    values: ArrayLike, weights: ArrayLike, clips: Sequence[LabelledClip], resamples: int = RESAMPLES, seed: int = 0
) -> Interval | None:
    """The interval of the weighted mean of `values` `[clips]`; None if there is only one recording to draw.

    Whole recordings are drawn, since clips of one recording are not independent; a clip of an unknown recording is one
    of its own. Values of the same clips are drawn alike: the interval of a difference is a paired one.
    """
    _, unit_of = np.unique([clip.source or clip.path for clip in clips], return_inverse=True)
    units = int(unit_of.max()) + 1
    if units < 2:
        return None
    weights = np.asarray(weights, float)
    summed = np.bincount(unit_of, weights * np.asarray(values, float)), np.bincount(unit_of, weights)
    rng, means = np.random.default_rng(seed), list[Any]()
    rows = max(1, _AT_ONCE // units)
    for begin in range(0, resamples, rows):
        drawn = rng.integers(units, size=[min(rows, resamples - begin), units])
        sums, totals = (of_unit[drawn].sum(axis=1) for of_unit in summed)
        means.append(sums / totals)
    low, high = np.quantile(np.concatenate(means), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high), units, 'recordings' if any(clip.source for clip in clips) else 'clips')

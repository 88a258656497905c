"""A linear SVM of many classes on many windows: liblinear's optimum by Newton's method, with products of matrices.

For each class it minimises w.w/2 + C sum(max(0, 1 - y x.w)^2) over w, the bias included: it is the weight of a constant
feature 1, and regularised, as in liblinear. The function is quadratic as long as the same windows are within the
margin, so each step solves the normal equations of these windows, and a few steps find the optimum itself.
"""

import dataclasses
import functools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import scipy.linalg
import threadpoolctl
from numpy.typing import NDArray

Array = NDArray[Any]

TOLERANCE = 1e-3
"""How far the last step moves the decision value of a window within the margin; what is left after it is far less."""

ROUGH = 1e-1
"""The same, of weights that another fit starts with."""

MAX_STEPS = 60
GROUP_BYTES = 2**29
"""Max size of the Hessians of the classes that are fitted together."""
BLOCK = 2048
"""Windows that one thread multiplies at a time."""
SUBSET = 4
"""The first weights are those of each fourth window, where there are many more windows than features."""
MAX_FEATURES, MIN_CONDITION = 2000, 1e3
MAX_CONDITION = 1e6
"""Above this condition of the Hessian float64 is needed, and smaller values of C lead to this one."""


class NotConverged(Exception):
    """Rounding errors are too large for this precision, or the features are too many."""


def is_hard(windows: Array, c: float) -> bool:
    """Whether liblinear would need many steps: it needs few where C and the features are small."""
    return _condition(windows, c) > MIN_CONDITION


def fit(windows: Array, signs: Array, c: float) -> Array:
    """`[features + 1, classes]`, the bias last, from `[windows, features]` and `[windows, classes]` of -1 and 1.

    Raises NotConverged if the features are too badly scaled for float64, or so many that liblinear takes less time.
    """
    if windows.shape[1] > MAX_FEATURES:
        raise NotConverged
    extended = np.concatenate([windows, np.ones([len(windows), 1], windows.dtype)], axis=1)
    basis = None
    if len(extended) < extended.shape[1]:
        # The optimum is a sum of windows: an orthonormal basis of them has fewer features.
        basis, upper = np.linalg.qr(extended.T.astype(np.float64))
        extended = upper.T
    extended = extended.astype(np.float64 if _condition(extended, c) > MAX_CONDITION else np.float32)
    signs = signs.astype(extended.dtype)
    # Threads of BLAS wait for each other and lose much where other work runs: here each thread has its own classes.
    with threadpoolctl.threadpool_limits(1, 'blas'), ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [
            _Problem(extended, signs[:, own], c, pool).solve() for own in _groups(signs.shape[1], extended.shape[1])
        ]
    weights = np.concatenate(found, axis=1)
    return weights if basis is None else basis @ weights


def _condition(windows: Array, c: float) -> float:
    """At most so large is the condition of the Hessian."""
    return 1 + 2 * c * float(np.einsum('nd,nd->', windows, windows, dtype=np.float64))


def _groups(classes: int, features: int) -> Iterator[slice]:
    size = max(1, GROUP_BYTES // (4 * features**2))
    yield from (slice(begin, begin + size) for begin in range(0, classes, size))


@dataclasses.dataclass(frozen=True, eq=False)
class _Problem:
    windows: Array
    signs: Array
    c: float
    pool: ThreadPoolExecutor

    def solve(self, tolerance: float = TOLERANCE) -> Array:
        count, classes = self.signs.shape
        weights, hessian, of_all = self._start()
        scores = self._scores(weights)
        hessians = [hessian.copy() for _ in range(classes)]
        within = np.full([classes, count], of_all)
        left = np.arange(classes)
        for _ in range(MAX_STEPS):
            inside = self.signs[:, left] * scores[:, left] < 1
            gradient = weights[:, left] - 2 * self.c * self._back(inside * (self.signs[:, left] - scores[:, left]))

            def direction(own: int, inside: Array = inside, gradient: Array = gradient, left: Array = left) -> Array:
                k, now = left[own], inside[:, own]
                self._update(hessians[k], within[k], now)
                within[k] = now
                return _solve(hessians[k], -gradient[:, own])

            step = np.stack(list(self.pool.map(direction, range(len(left)))), axis=1)
            change = self._scores(step)
            falls = -(gradient * step).sum(axis=0, dtype=np.float64)
            size = self._search(left, weights, scores, step, change, falls)
            weights[:, left] += size * step
            scores[:, left] += size * change
            left = left[falls > 2 * self.c * tolerance**2]
            if not len(left):
                return weights
        raise NotConverged

    def _start(self) -> tuple[Array, Array, bool]:
        """The first weights, and the Hessian of all windows, or of none.

        These are the optimum of some of the windows, of a smaller C, or of the squared error of all windows.
        """
        count, features = self.windows.shape
        hessian = np.eye(features, dtype=self.windows.dtype)
        if count > 2 * SUBSET * features:
            own = {'windows': self.windows[::SUBSET], 'signs': self.signs[::SUBSET], 'c': SUBSET * self.c}
            try:
                return dataclasses.replace(self, **own).solve(ROUGH), hessian, False
            except NotConverged:
                pass
        if _condition(self.windows, self.c) > MAX_CONDITION:
            return dataclasses.replace(self, c=self.c / 8).solve(ROUGH), hessian, False
        self._update(hessian, np.zeros(count, bool), np.ones(count, bool))
        return _solve(hessian, 2 * self.c * self._back(self.signs)), hessian, True

    def _search(self, left: Array, weights: Array, scores: Array, step: Array, change: Array, falls: Array) -> Array:
        """How much of its step each class takes: all, or where that is far beyond the minimum, about what leads to it.

        `falls` are the slopes of the losses along the steps at their start, downwards.
        """
        size, low, high = np.ones(len(left)), np.zeros(len(left)), np.ones(len(left))
        open_ = np.arange(len(left))
        for _ in range(30):
            k, moved = left[open_], size[open_].astype(weights.dtype)
            signs, now, along = self.signs[:, k], scores[:, k] + moved * change[:, open_], change[:, open_]
            errors = np.where(signs * now < 1, signs - now, 0)
            slope = ((weights[:, k] + moved * step[:, open_]) * step[:, open_]).sum(axis=0, dtype=np.float64)
            slope -= 2 * self.c * np.einsum('nk,nk->k', errors, along)
            far = slope > 0.3 * falls[open_] + self.c * TOLERANCE**2 / 100
            short = (slope < -0.3 * falls[open_]) & (size[open_] < 1)
            high[open_[far]], low[open_[short]] = size[open_[far]], size[open_[short]]
            open_ = open_[far | short]
            if not len(open_):
                break
            size[open_] = (low + high)[open_] / 2
        return size.astype(weights.dtype)

    def _update(self, hessian: Array, before: Array, now: Array) -> None:
        """The Hessian of other windows within the margin, in place; from the start if that is less work."""
        if np.count_nonzero(before ^ now) > np.count_nonzero(now):
            hessian[:] = np.eye(len(hessian))
            before = np.zeros_like(before)
        for changed, factor in ((now & ~before, 2 * self.c), (before & ~now, -2 * self.c)):
            if changed.any():
                rows = self.windows[changed]
                product = rows.T @ rows
                product *= factor
                hessian += product

    def _scores(self, weights: Array) -> Array:
        return np.concatenate(list(self.pool.map(lambda rows: self.windows[rows] @ weights, self._blocks())))

    def _back(self, values: Array) -> Array:
        return functools.reduce(np.add, self.pool.map(lambda rows: self.windows[rows].T @ values[rows], self._blocks()))

    def _blocks(self) -> list[slice]:
        return [slice(begin, begin + BLOCK) for begin in range(0, len(self.windows), BLOCK)]


def _solve(hessian: Array, right: Array) -> Array:
    try:
        factor = scipy.linalg.cho_factor(hessian, lower=True, check_finite=False)
        return scipy.linalg.cho_solve(factor, right, check_finite=False)
    except scipy.linalg.LinAlgError:
        raise NotConverged from None

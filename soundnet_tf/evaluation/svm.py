"""Linear classifiers with one interface: windows in, one score per class out."""

import dataclasses
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.errors import MissingTool, SoundNetError

Windows = NDArray[np.float32]
Targets = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class Classifier:
    """`[windows, features]` to `[windows, classes]`, whose maximum is the prediction."""

    decide: Callable[[Windows], NDArray[np.float64]]

    def clip(self, windows: Windows) -> NDArray[np.float64]:
        """`[classes]`: the mean over the windows of one clip."""
        return self.decide(windows).mean(axis=0)


def fit(probe: str, windows: Windows, targets: Targets, classes: int, c: float, standardise: bool) -> Classifier:
    """Fit a classifier of `classes`, each of which must be among the `targets` `[windows]`.

    `probe` is a name of PROBES, `c` its C; `standardise` first scales each feature to mean 0 and standard deviation 1.
    """
    if probe not in PROBES:
        raise SoundNetError(f'probe must be {", ".join(PROBES)}, got {probe!r}')
    scaled = _scaling(windows) if standardise else lambda given: given
    own = PROBES[probe](scaled(windows), targets, c)
    if not np.array_equal(own.classes_, np.arange(classes)):
        raise SoundNetError('a class has no window in the training data')
    decide = getattr(own, 'decision_function', None) or own.predict_proba

    def of(given: Windows) -> NDArray[np.float64]:
        values = decide(scaled(given))
        # For two classes scikit-learn returns the score of the second only.
        return np.stack([-values, values], axis=1) if values.ndim == 1 else values

    return Classifier(of)


def _scaling(windows: Windows) -> Callable[[Windows], Windows]:
    """Scales each feature to mean 0 and standard deviation 1 over these windows."""
    mean, scale = windows.mean(axis=0), windows.std(axis=0)
    # Constant features must not become noise.
    scale = np.where(scale > 1e-8 * (1e-30 + abs(mean)), scale, 1)
    return lambda given: (given - mean) / scale


@dataclasses.dataclass(frozen=True, eq=False)
class LinearSvm:
    """One-vs-rest, with what `fit` uses of scikit-learn's LinearSVC; of two classes the second against the first."""

    classes_: Targets
    weights: NDArray[np.float64]
    """`[features + 1, classes]`, or `[features + 1]` of two classes; the bias last."""

    def decision_function(self, windows: Windows) -> NDArray[np.float64]:
        """`[windows, classes]`, or `[windows]` of two classes."""
        return windows @ self.weights[:-1] + self.weights[-1]


def linear_svm(windows: Windows, targets: Targets, c: float) -> Any:
    """One-vs-rest, L2-regularised squared hinge: liblinear's optimum, as in the authors' scripts.

    liblinear itself fits what it fits within seconds, and threads of it what is too wide for Newton's method.
    """
    library = _sklearn()
    from soundnet_tf.evaluation import newton

    # The seed is for liblinear's coordinate descent, used if there are more features than windows.
    machine = library.svm.LinearSVC(C=c, dual='auto', random_state=0, max_iter=10_000)
    if not newton.is_hard(windows, c):
        return machine.fit(windows, targets)
    classes = np.unique(targets)
    of_class = targets[:, None] == (classes if len(classes) > 2 else classes[1:])
    try:
        weights = newton.fit(windows, np.where(of_class, 1, -1), c)
    except newton.NotConverged:
        weights = _in_threads(machine, windows, of_class)
    return LinearSvm(classes, weights if len(classes) > 2 else weights[:, 0])


def _in_threads(machine: Any, windows: Windows, of_class: NDArray[np.bool_]) -> NDArray[np.float64]:
    """`[features + 1, classes]` from `[windows, features]` and `[windows, classes]`; threads share the classes."""
    library, exact = _sklearn(), windows.astype(np.float64)

    def one(own: NDArray[np.bool_]) -> NDArray[np.float64]:
        fitted = library.base.clone(machine).fit(exact, own)
        return np.append(fitted.coef_[0], fitted.intercept_)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.stack(list(pool.map(one, of_class.T)), axis=1)


def logistic(windows: Windows, targets: Targets, c: float, of_none: Windows | None = None) -> Any:
    """Multinomial logistic regression, L2-regularised: the usual linear probe.

    The windows `of_none` are of no class: the target of each is every class, with an equal share.
    """
    weights = np.ones(len(windows))
    if of_none is not None and len(of_none):
        classes = np.unique(targets)
        windows = np.concatenate([windows, np.repeat(of_none, len(classes), axis=0)])
        targets = np.concatenate([targets, np.tile(classes, len(of_none))])
        weights = np.append(weights, np.full(len(windows) - len(weights), 1 / len(classes)))
    return _sklearn().linear_model.LogisticRegression(C=c, max_iter=2_000).fit(windows, targets, weights)


def nearest(windows: Windows, targets: Targets, c: float) -> Any:
    """The nearest neighbour by cosine; C is ignored."""
    del c
    return _sklearn().neighbors.KNeighborsClassifier(n_neighbors=1, metric='cosine').fit(windows, targets)


PROBES: dict[str, Callable[[Windows, Targets, float], Any]] = {
    'svm': linear_svm,
    'logistic': logistic,
    'nearest': nearest,
}
"""By name: windows, targets and C to a fitted estimator, as those of scikit-learn."""


def require() -> None:
    """Raise MissingTool if scikit-learn is not installed."""
    _sklearn()


def _sklearn() -> Any:
    try:
        import sklearn.base
        import sklearn.linear_model
        import sklearn.neighbors
        import sklearn.svm
    except ImportError:
        raise MissingTool('scikit-learn', 'classification', 'transfer') from None
    return sklearn

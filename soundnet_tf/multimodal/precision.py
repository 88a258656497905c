"""Average precision by class of linear SVMs on sound, on vision, and on both together."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.errors import MissingTool
from soundnet_tf.multimodal.videos import Videos

Vectors = NDArray[np.float32]

C = 0.01
"""The authors' of their sound classification; each feature has mean 0 and deviation 1 over the training videos."""


@dataclasses.dataclass(frozen=True)
class Precision:
    """Average precision of each class, the mean over the folds."""

    senses: tuple[str, ...]
    classes: tuple[str, ...]
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """mAP: over the classes."""
        return float(np.mean(self.values))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        by_class = dict(zip(self.classes, self.values, strict=True))
        return {'senses': list(self.senses), 'mean_average_precision': self.mean, 'average_precision': by_class}


def precision(videos: Videos, vectors: Mapping[str, Vectors], senses: Sequence[str], c: float = C) -> Precision:
    """Hold out each fold in turn; for every class a linear SVM learns from `senses`, keys of `vectors`, joined."""
    try:
        from sklearn.metrics import average_precision_score
        from sklearn.svm import LinearSVC
    except ImportError:
        raise MissingTool('scikit-learn', 'average precision', 'transfer') from None
    folds, truth = videos.fold_of(), videos.truth
    found = np.zeros([len(videos.folds), len(videos.classes)])
    for row, fold in enumerate(videos.folds):
        learn, judge = folds != fold, folds == fold
        scaled = np.concatenate([_scaled(vectors[sense], learn) for sense in senses], axis=1)
        for column, about in enumerate(truth.T):
            machine = LinearSVC(C=c, dual='auto', random_state=0, max_iter=10_000).fit(scaled[learn], about[learn])
            found[row, column] = average_precision_score(about[judge], machine.decision_function(scaled[judge]))
    return Precision(tuple(senses), videos.classes, tuple(map(float, found.mean(axis=0))))


def _scaled(vectors: Vectors, learn: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Of deviation 1, and divided by the root of their number: no sense outweighs another by how many it has."""
    own = vectors.astype(np.float64)
    deviation = own[learn].std(axis=0)
    deviation[deviation < 1e-8 * (1e-30 + abs(own[learn]).max(axis=0))] = np.inf
    return (own - own[learn].mean(axis=0)) / deviation * np.sqrt(100 / vectors.shape[1])

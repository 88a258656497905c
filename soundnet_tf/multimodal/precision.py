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
"""The authors' value for sounds; features have mean 0 and standard deviation 1 over the training videos."""


@dataclasses.dataclass(frozen=True)
class Precision:
    """Average precision of each class, the mean over the folds."""

    modalities: tuple[str, ...]
    classes: tuple[str, ...]
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """mAP: over the classes."""
        return float(np.mean(self.values))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        by_class = dict(zip(self.classes, self.values, strict=True))
        return {'modalities': list(self.modalities), 'mean_average_precision': self.mean, 'average_precision': by_class}


def precision(videos: Videos, vectors: Mapping[str, Vectors], modalities: Sequence[str], c: float = C) -> Precision:
    """Hold out each fold in turn; train a linear SVM per class on the concatenated `modalities`, keys of `vectors`."""
    try:
        from sklearn.metrics import average_precision_score
        from sklearn.svm import LinearSVC
    except ImportError:
        raise MissingTool('scikit-learn', 'average precision', 'transfer') from None
    folds, truth = videos.fold_of(), videos.truth
    found = np.zeros([len(videos.folds), len(videos.classes)])
    for row, fold in enumerate(videos.folds):
        train, test = folds != fold, folds == fold
        scaled = np.concatenate([_scaled(vectors[modality], train) for modality in modalities], axis=1)
        for column, positive in enumerate(truth.T):
            classifier = LinearSVC(C=c, dual='auto', random_state=0, max_iter=10_000).fit(
                scaled[train], positive[train]
            )
            found[row, column] = average_precision_score(positive[test], classifier.decision_function(scaled[test]))
    return Precision(tuple(modalities), videos.classes, tuple(map(float, found.mean(axis=0))))


def _scaled(vectors: Vectors, train: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Standardised, and divided by the root of the number of features, so that all modalities have equal weight."""
    own = vectors.astype(np.float64)
    deviation = own[train].std(axis=0)
    deviation[deviation < 1e-8 * (1e-30 + abs(own[train]).max(axis=0))] = np.inf
    return (own - own[train].mean(axis=0)) / deviation * np.sqrt(100 / vectors.shape[1])

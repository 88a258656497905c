"""Few-shot evaluation: accuracy by the number of training clips per class."""

import collections
import dataclasses
import os
import random
from collections.abc import Sequence

import numpy as np

from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation import features
from soundnet_tf.evaluation import protocol as protocols
from soundnet_tf.evaluation.datasets import DataSet
from soundnet_tf.evaluation.embedders.kinds import AnyEmbedder
from soundnet_tf.evaluation.protocol import Protocol, train_and_score, window_all
from soundnet_tf.evaluation.splits import checked_folds, split
from soundnet_tf.evaluation.text_tables import columns


@dataclasses.dataclass(frozen=True)
class Point:
    """Accuracies with a number of training clips per class: one for each fold and draw."""

    shots: int
    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over folds and draws."""
        return float(np.mean(self.accuracies))

    @property
    def deviation(self) -> float:
        """Over folds and draws."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else 0.0


def curve(
    dataset: DataSet,
    embedder: AnyEmbedder,
    protocol: Protocol,
    shots: Sequence[int] = (1, 2, 4, 8, 16),
    *,
    test_folds: Sequence[int] | None = None,
    draws: int = 5,
    seed: int = 0,
    cache: str | os.PathLike[str] | None = None,
    decoder: str = 'auto',
) -> list[Point]:
    """For each number of `shots`, `draws` random choices of training clips per class, in each fold.

    All clips of the held-out fold are tested. Every embedder gets the same draws. Raises what `check` raises, and
    what `protocol.check` does.
    """
    c = check(dataset, protocol, shots, test_folds)
    folds, layer = protocols.check(dataset, embedder, protocol, test_folds), embedder.resolve_layer(protocol.layer)
    values = features.of_clips(dataset, embedder, layer, protocol.clip_s, protocol.gain, cache, decoder)
    windowed = window_all(dataset, values, protocol, embedder, layer)
    points = []
    for number in shots:
        found = []
        for fold in folds:
            parts = split(dataset, fold)
            for draw in range(draws):
                train = _draw(dataset, parts.train, number, random.Random(f'{seed} {fold} {number} {draw}'))
                found.append(train_and_score(dataset, windowed, train, parts.test, protocol, c).accuracy)
        points.append(Point(number, tuple(found)))
    return points


def check(dataset: DataSet, protocol: Protocol, shots: Sequence[int], test_folds: Sequence[int] | None = None) -> float:
    """The protocol's C. Raises SoundNetError if it has several, since no clips are left to choose by, and if a class
    has fewer training clips than one of `shots`."""
    if len(protocol.C) != 1:
        raise SoundNetError('shots: too few clips to choose C by cross-validation. Set one value, such as C=0.1')
    for fold in checked_folds(dataset, test_folds):
        there = collections.Counter(dataset.clips[clip].label for clip in split(dataset, fold).train)
        for number in shots:
            for label in dataset.classes:
                if not 0 < number <= there[label]:
                    raise SoundNetError(
                        f'{dataset.name}: {number} shots of {label!r} requested of {there[label]} training clips'
                    )
    return protocol.C[0]


def _draw(dataset: DataSet, train: Sequence[int], shots: int, rng: random.Random) -> list[int]:
    drawn = []
    for label in dataset.classes:
        own = [clip for clip in train if dataset.clips[clip].label == label]
        drawn += sorted(rng.sample(own, shots))
    return drawn


def table(points: Sequence[Point]) -> str:
    """As text."""
    rows = [[point.shots, f'{point.mean:.1%}', f'{point.deviation:.1%}'] for point in points]
    return columns([['clips per class', 'accuracy', 'std'], *rows])

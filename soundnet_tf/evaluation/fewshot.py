"""How many labelled clips it takes: accuracy by the number of training clips of each class."""

import dataclasses
import os
import random
from collections.abc import Sequence

import numpy as np

from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation import features, svm
from soundnet_tf.evaluation.datasets import DataSet
from soundnet_tf.evaluation.embedders.kinds import AnyEmbedder
from soundnet_tf.evaluation.protocol import Protocol, checked_folds, judge, slide
from soundnet_tf.evaluation.splits import check_unseen, split
from soundnet_tf.evaluation.text_tables import columns


@dataclasses.dataclass(frozen=True)
class Point:
    """So many clips of each class, and the accuracies: of each fold and draw one."""

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
    """For each number of `shots`, `draws` random choices of so many training clips of each class, in each fold.

    All clips of the fold that is held out judge. The same draws for every embedder. Raises SoundNetError where a class
    has fewer training clips, or where the protocol would choose C, for which there are no clips left.
    """
    svm.require()
    c = one_c(protocol)
    folds = checked_folds(dataset, test_folds)
    check_unseen(dataset, folds, embedder.origin)
    layer = embedder.known(protocol.layer)
    values = features.of_clips(dataset, embedder, layer, protocol.clip_s, protocol.gain, cache, decoder)
    slid = slide(dataset, values, protocol, embedder.hop_s(layer))
    points = []
    for number in shots:
        found = []
        for fold in folds:
            parts = split(dataset, fold)
            for draw in range(draws):
                train = _drawn(dataset, parts.train, number, random.Random(f'{seed} {fold} {number} {draw}'))
                found.append(judge(dataset, slid, train, parts.test, protocol, c).accuracy)
        points.append(Point(number, tuple(found)))
    return points


def one_c(protocol: Protocol) -> float:
    """The protocol's C. Raises SoundNetError where it would be chosen."""
    if len(protocol.C) != 1:
        raise SoundNetError('of a few clips (shots) none are left to choose C by: give one, such as C=0.1')
    return protocol.C[0]


def _drawn(dataset: DataSet, train: Sequence[int], shots: int, chance: random.Random) -> list[int]:
    drawn = []
    for label in dataset.classes:
        own = [clip for clip in train if dataset.clips[clip].label == label]
        if not 0 < shots <= len(own):
            raise SoundNetError(f'{dataset.name}: {shots} shots of {label!r} cannot be had, it has {len(own)} clips')
        drawn += sorted(chance.sample(own, shots))
    return drawn


def table(points: Sequence[Point]) -> str:
    """To print."""
    rows = [[point.shots, f'{point.mean:.1%}', f'{point.deviation:.1%}'] for point in points]
    return columns([['clips of each class', 'accuracy', 'deviation'], *rows])

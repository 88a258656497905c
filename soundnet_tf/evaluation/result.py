"""The result of an evaluation: accuracy by fold, mean and standard deviation, and the confusion matrix."""

import dataclasses
import math
import statistics
from collections.abc import Mapping
from typing import Any

import numpy as np

from soundnet_tf.evaluation.scores import Scores
from soundnet_tf.evaluation.text_tables import columns, confusion_table


@dataclasses.dataclass(frozen=True, eq=False)
class Fold:
    """A held-out fold, the C that was chosen without it, and the scores of its clips."""

    fold: int
    C: float
    scores: Scores


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """The result of one embedder on one data set, with the protocol."""

    data: str
    data_sha256: str
    embedder: Mapping[str, str]
    """Its name, its layer and its fingerprint."""
    protocol: Mapping[str, Any]
    folds: tuple[Fold, ...]

    @property
    def accuracy(self) -> float:
        """The mean over the folds."""
        return statistics.fmean(fold.scores.accuracy for fold in self.folds)

    @property
    def deviation(self) -> float:
        """The standard deviation over the folds; NaN of one."""
        return statistics.stdev(f.scores.accuracy for f in self.folds) if len(self.folds) > 1 else math.nan

    @property
    def scores(self) -> Scores:
        """Of all folds together."""
        truth, values = (np.concatenate([getattr(f.scores, name) for f in self.folds]) for name in ('truth', 'values'))
        return Scores.of(self.folds[0].scores.classes, truth, values)

    def per_class(self) -> list[tuple[str, int, float, float]]:
        """Class, clips, recall and precision, over all folds; precision is NaN for classes never predicted."""
        confusion = np.array(self.scores.confusion)
        correct, clips, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
        return [
            (label, int(n), float(r / n) if n else math.nan, float(r / a) if a else math.nan)
            for label, n, r, a in zip(self.folds[0].scores.classes, clips, correct, predicted, strict=True)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; NaN is null."""
        return {
            'data': self.data,
            'data_sha256': self.data_sha256,
            'embedder': dict(self.embedder),
            'protocol': dict(self.protocol),
            'accuracy': self.accuracy,
            'deviation': _or_none(self.deviation),
            'folds': [
                {'fold': f.fold, 'C': f.C, 'accuracy': f.scores.accuracy, 'clips': len(f.scores.truth)}
                for f in self.folds
            ],
            'classes': [
                {'label': label, 'clips': clips, 'recall': _or_none(recall), 'precision': _or_none(precision)}
                for label, clips, recall, precision in self.per_class()
            ],
            'confusion': self.scores.confusion,
        }

    def markdown(self) -> str:
        """A row: embedder, layer, mean and standard deviation of the accuracy, each fold."""
        folds = ' '.join(f'{100 * fold.scores.accuracy:.1f}' for fold in self.folds)
        return f'| {self.embedder["name"]} | {self.embedder["layer"]} | {self} | {folds} |'

    def __str__(self) -> str:
        deviation = '' if math.isnan(self.deviation) else f' ± {100 * self.deviation:.1f}'
        return f'{100 * self.accuracy:.1f}{deviation}'

    def report(self) -> str:
        """The whole result, as text."""
        folds = [[f'fold {f.fold}', f'{f.scores.accuracy:.1%}', f'C {f.C:g}'] for f in self.folds]
        each = [[label, n, _percent(recall), _percent(precision)] for label, n, recall, precision in self.per_class()]
        return '\n\n'.join(
            [
                f'{self.embedder["name"]}, {self.embedder["layer"]}, on {self.data}: accuracy {self} % '
                '(mean and standard deviation over folds)',
                'protocol: ' + ', '.join(f'{name} {_format(value)}' for name, value in self.protocol.items()),
                columns(folds),
                columns([['class', 'clips', 'recall', 'precision'], *each]),
                confusion_table(self.folds[0].scores.classes, self.scores.confusion),
            ]
        )


HEAD = '| embedder | layer | accuracy % | by fold |\n|---|---|---|---|'
"""The header of a table of `markdown` rows."""


def _format(value: Any) -> str:
    if isinstance(value, list):
        return ' or '.join(map(_format, value))
    return f'{value:g}' if isinstance(value, float) else str(value)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _percent(value: float) -> str:
    return '-' if math.isnan(value) else f'{value:.0%}'

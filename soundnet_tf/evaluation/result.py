"""The result of an evaluation: accuracy by fold, mean and standard deviation, interval, and the confusion matrix."""

import collections
import dataclasses
import functools
import math
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.evaluation import bootstrap
from soundnet_tf.evaluation.datasets import LabelledClip
from soundnet_tf.evaluation.scores import Scores
from soundnet_tf.evaluation.text_tables import columns, confusion_table
from soundnet_tf.experiments.results import format_mean_std


@dataclasses.dataclass(frozen=True, eq=False)
class Fold:
    """A held-out fold, the C that was chosen without it, its clips and their scores."""

    fold: int
    C: float
    clips: tuple[LabelledClip, ...]
    """Their paths are below the folder of the data set, so that they are the same wherever it is."""
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
    def clips(self) -> tuple[LabelledClip, ...]:
        """Of all folds together."""
        return tuple(clip for fold in self.folds for clip in fold.clips)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """`[clips]`: whether each clip's prediction is its class."""
        return self.scores.predictions == self.scores.truth

    @property
    def weights(self) -> NDArray[np.float64]:
        """`[clips]`: each fold counts the same, so that the weighted mean of `correct` is `accuracy`."""
        counts = [len(fold.clips) for fold in self.folds]
        return np.repeat([1 / (len(counts) * count) for count in counts], counts)

    @functools.cached_property
    def interval(self) -> bootstrap.Interval | None:
        """Of the accuracy, by the bootstrap over recordings or clips."""
        return bootstrap.interval(self.correct, self.weights, self.clips)

    @property
    def title(self) -> str:
        """The embedder and its layer, as text."""
        return self.titled()

    def titled(self, settings: str = '') -> str:
        """The title, with more about the embedder."""
        return f'{self.embedder["name"]}{settings} ({self.embedder["layer"]})'

    def settings(self, names: Iterable[str]) -> str:
        """Settings of the protocol, to be appended to the embedder's name: `, gain 2, C 0.1 or 1`."""
        return ''.join(f', {name} {_format(self.protocol[name])}' for name in names)

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
            'interval': self.interval.to_dict() if self.interval else None,
            'folds': [
                {'fold': f.fold, 'C': f.C, 'accuracy': f.scores.accuracy, 'clips': len(f.scores.truth)}
                for f in self.folds
            ],
            'classes': [
                {'label': label, 'clips': clips, 'recall': _or_none(recall), 'precision': _or_none(precision)}
                for label, clips, recall, precision in self.per_class()
            ],
            'confusion': self.scores.confusion,
            'clips': [
                dataclasses.asdict(clip) | {'predicted': self.folds[0].scores.classes[prediction]}
                for clip, prediction in zip(self.clips, self.scores.predictions, strict=True)
            ],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> 'Evaluation':
        """What `to_dict` wrote; the score of each clip's prediction is 1, that of other classes 0.

        Raises what `storage.readable` expects if it is anything else.
        """
        classes = [_text(row, 'label') for row in values['classes']]
        number = {label: index for index, label in enumerate(classes)}
        paths = [_text(row, 'path') for row in values['clips']]
        if twice := [path for path, count in collections.Counter(paths).items() if count > 1]:
            raise ValueError(f'{twice[0]} is listed twice')
        folds = []
        for own in values['folds']:
            rows = [row for row in values['clips'] if row['fold'] == own['fold']]
            if not rows:
                raise ValueError(f'fold {own["fold"]} has no clips')
            fold, c = int(own['fold']), float(own['C'])
            clips = tuple(
                LabelledClip(_text(row, 'path'), _text(row, 'label'), fold, _text(row, 'source')) for row in rows
            )
            predicted = np.eye(len(classes))[[number[row['predicted']] for row in rows]]
            folds.append(Fold(fold, c, clips, Scores.of(classes, [number[clip.label] for clip in clips], predicted)))
        if not folds:
            raise ValueError('it has no folds')
        if (count := sum(len(fold.clips) for fold in folds)) != len(paths):
            raise ValueError(f'{len(paths) - count} clips are in none of its folds')
        about = {name: _text(values['embedder'], name) for name in ('layer', 'name', 'fingerprint')}
        if not isinstance(values['protocol'], Mapping):
            raise ValueError('protocol must be a mapping')
        found = cls(_text(values, 'data'), _text(values, 'data_sha256'), about, values['protocol'], tuple(folds))
        if not math.isclose(found.accuracy, values['accuracy'], abs_tol=1e-6):
            raise ValueError(f'its accuracy is {values["accuracy"]:.4g}, but that of its clips {found.accuracy:.4g}')
        return found

    def markdown(self, settings: str = '') -> str:
        """A row of the table below HEAD; `settings` are appended to the embedder's name."""
        folds = ' '.join(f'{100 * fold.scores.accuracy:.1f}' for fold in self.folds)
        interval = self.interval.text() if self.interval else '-'
        return f'| {self.embedder["name"]}{settings} | {self.embedder["layer"]} | {self} | {interval} | {folds} |'

    def __str__(self) -> str:
        return format_mean_std(self.accuracy, _or_none(self.deviation))

    def report(self) -> str:
        """The whole result, as text."""
        folds = [[f'fold {f.fold}', f'{f.scores.accuracy:.1%}', f'C {f.C:g}'] for f in self.folds]
        each = [[label, n, _percent(recall), _percent(precision)] for label, n, recall, precision in self.per_class()]
        return '\n\n'.join(
            [
                f'{self.embedder["name"]}, {self.embedder["layer"]}, on {self.data}: accuracy {self} % '
                '(mean and standard deviation over folds)'
                + (f'; {self.interval.about()}: {self.interval.text()}' if self.interval else ''),
                'protocol: ' + ', '.join(f'{name} {_format(value)}' for name, value in self.protocol.items()),
                columns(folds),
                columns([['class', 'clips', 'recall', 'precision'], *each]),
                confusion_table(self.folds[0].scores.classes, self.scores.confusion),
            ]
        )


HEAD = f'| embedder | layer | accuracy % | {bootstrap.LEVEL:.0%} interval | by fold |\n|---|---|---|---|---|'
"""The header of a table of `markdown` rows."""


def _format(value: Any) -> str:
    if isinstance(value, list):
        return ' or '.join(map(_format, value))
    return f'{value:g}' if isinstance(value, float) else str(value)


def _text(values: Mapping[str, Any], key: str) -> str:
    if not isinstance(values[key], str):
        raise ValueError(f'{key} must be text, got {values[key]!r}')
    return values[key]


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _percent(value: float) -> str:
    return '-' if math.isnan(value) else f'{value:.0%}'

"""Which of two nets is better on the same clips: the difference in accuracy, its interval, and McNemar's test.

print(Table(evaluate(dataset, embedder, protocol) for embedder in embedders))
"""

import dataclasses
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

from soundnet_tf import storage
from soundnet_tf.errors import MissingTool, SoundNetError
from soundnet_tf.evaluation.bootstrap import Interval, interval
from soundnet_tf.evaluation.datasets import DataSet
from soundnet_tf.evaluation.result import HEAD, Evaluation

ALPHA = 0.05
"""A difference with a smaller p value is called unlikely to be chance."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two evaluations on the same clips, by their titles."""

    first: str
    second: str
    difference: float
    """The accuracy of the second minus that of the first."""
    interval: Interval | None
    only_first: int
    """Clips that only the first classifies correctly."""
    only_second: int
    p: float
    """Of the exact test of McNemar: how likely chance divides these clips as unevenly between two equal nets."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dataclasses.asdict(self) | {'interval': self.interval.to_dict() if self.interval else None}

    def __str__(self) -> str:
        about = f' ({self.interval.about()}: {self.interval.text(signed=True)})' if self.interval else ''
        p = f'p = {self.p:.2g}' if self.p >= 1e-4 else 'p < 0.0001'
        verdict = 'is unlikely to be chance' if self.p < ALPHA else 'may be chance'
        clips = '1 clip is' if self.only_second == 1 else f'{self.only_second} clips are'
        return (
            f'{self.second} against {self.first}: {100 * self.difference:+.1f} points{about}; {clips} '
            f'classified correctly only by {self.second}, {self.only_first} only by {self.first} '
            f"(McNemar's exact test: {p}), so the difference {verdict}"
        )


def compare(first: Evaluation, second: Evaluation) -> Comparison:
    """Compare two evaluations. Raises SoundNetError if they are not on the same clips in the same folds."""
    check_same_clips(second, first.data_sha256, [fold.fold for fold in first.folds], [c.path for c in first.clips])
    order = {clip.path: index for index, clip in enumerate(second.clips)}
    one, other = first.correct, second.correct[[order[clip.path] for clip in first.clips]]
    only_first, only_second = int((one & ~other).sum()), int((other & ~one).sum())
    return Comparison(
        first.title,
        second.title,
        second.accuracy - first.accuracy,
        interval(other.astype(float) - one, first.weights, first.clips),
        only_first,
        only_second,
        mcnemar(only_first, only_second),
    )


def check_same_clips(evaluation: Evaluation, data_sha256: str, folds: Sequence[int], clips: Iterable[str]) -> None:
    """Raise SoundNetError if an evaluation was on other data, on other folds of it, or on other clips."""
    title, same = evaluation.title, 'Compare results on the same clips'
    if evaluation.data_sha256 != data_sha256:
        raise SoundNetError(f'{title}: evaluated on other data, {evaluation.data}. {same}')
    if (tested := sorted(fold.fold for fold in evaluation.folds)) != sorted(folds):
        its, ours = (', '.join(map(str, sorted(numbers))) for numbers in (tested, folds))
        raise SoundNetError(f'{title}: tested on folds {its}, not {ours}. {same}')
    own, wanted = {clip.path for clip in evaluation.clips}, set(clips)
    if own != wanted:
        raise SoundNetError(f'{title}: {len(wanted - own)} clips are missing, {len(own - wanted)} are others. {same}')


def mcnemar(only_first: int, only_second: int) -> float:
    """The p value of McNemar's exact test: the two-sided binomial test of the clips on which two nets differ."""
    try:
        from scipy import stats
    except ImportError:
        raise MissingTool('scikit-learn', 'classification', 'transfer') from None
    differing = only_first + only_second
    return float(stats.binomtest(only_first, differing).pvalue) if differing else 1.0


class Table:
    """Evaluations on the same clips, each but the first compared with the first. `rows` are plain JSON values."""

    def __init__(self, evaluations: Iterable[Evaluation] = ()) -> None:
        self.rows: list[dict[str, Any]] = []
        self._evaluations: list[Evaluation] = []
        self._comparisons: list[Comparison] = []
        for evaluation in evaluations:
            self.add(evaluation)

    def add(self, evaluation: Evaluation) -> None:
        """Add a row. Raises SoundNetError if it is not on the same clips as the first."""
        if self._evaluations:
            self._comparisons.append(compare(self._evaluations[0], evaluation))
        self._evaluations.append(evaluation)
        self.rows.append(evaluation.to_dict())
        # What tells the rows apart may be new.
        first, *others = (own.titled(self._differing(own)) for own in self._evaluations)
        self._comparisons = [
            dataclasses.replace(comparison, first=first, second=second)
            for comparison, second in zip(self._comparisons, others, strict=True)
        ]
        for row, comparison in zip(self.rows[1:], self._comparisons, strict=True):
            row['against_first'] = comparison.to_dict()

    def _differing(self, evaluation: Evaluation) -> str:
        """Those settings of its protocol that are not the same in all rows: `, gain 2`."""
        others = [own.protocol for own in self._evaluations]
        differing = [
            name
            for name, value in evaluation.protocol.items()
            if name != 'layer' and any(own.get(name) != value for own in others)
        ]
        return evaluation.settings(differing)

    def __str__(self) -> str:
        lines = [HEAD, *(evaluation.markdown(self._differing(evaluation)) for evaluation in self._evaluations)]
        if len(self._comparisons) > 1:
            lines += ['', 'Each row against the first; p values are not corrected for the number of rows.']
        lines += [f'\nRow {row}: {comparison}.' for row, comparison in enumerate(self._comparisons, 2)]
        return '\n'.join(lines)


def earlier(paths: Iterable[str], dataset: DataSet | None = None, folds: Sequence[int] = ()) -> Table:
    """The results in files that soundnet-evaluate wrote.

    Raises SoundNetError, which names the file, if they are not on the same clips, those of `folds` of a `dataset`.
    """
    table, given = Table(), list[dict[str, Any]]()
    ours = zip(map(storage.printable, dataset.relative_paths()), dataset.clips, strict=True) if dataset else ()
    clips, sha256 = [path for path, clip in ours if clip.fold in folds], dataset.fingerprint() if dataset else ''
    for path in paths:
        for evaluation in read(path):
            if (row := evaluation.to_dict()) in given:  # a run's file has the rows of its own --earlier too
                continue
            given.append(row)
            try:
                if dataset:
                    check_same_clips(evaluation, sha256, folds, clips)
                table.add(evaluation)
            except SoundNetError as error:
                raise SoundNetError(f'{path}: {error}') from None
    return table


def read(path: str) -> list[Evaluation]:
    """The evaluations in a JSON file that soundnet-evaluate wrote. Raises SoundNetError."""
    hint = 'Use a file that --out of soundnet-evaluate of this version wrote'
    with storage.readable(path, hint):
        found = [Evaluation.from_dict(row) for row in storage.read_json(pathlib.Path(path), hint, kind=list)]
        if not found:
            raise ValueError('it has no results')
        return found

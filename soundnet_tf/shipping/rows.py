"""Every fold left out in turn, with several seeds: what a recipe is worth, and the answers that calibration needs."""

import dataclasses
import pathlib
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import keras

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation.datasets import DataSet
from soundnet_tf.evaluation.text_tables import columns
from soundnet_tf.experiments.recipes import Recipe
from soundnet_tf.finetune import fit, journal
from soundnet_tf.nets import saved
from soundnet_tf.shipping.calibration import Answers
from soundnet_tf.spec import NetSpec


@dataclasses.dataclass(frozen=True)
class CrossValidation:
    """The settings of a cross-validation: data, and a recipe on a fresh net of `spec` or on a saved one, `start`."""

    dataset: DataSet
    recipe: Recipe
    spec: NetSpec
    start: saved.Path | None = None

    def learn(self, folder: pathlib.Path, fold: int | None, seed: int) -> fit.Result:
        """Train on all clips but those of `fold`, in the run folder `folder`; a finished run is not repeated."""
        options: dict[str, Any] = {'start': self.start, 'spec': self.spec, 'test_fold': fold, 'seed': seed}
        try:
            return fit.finetune(self.dataset, self.recipe, folder, **options)
        finally:
            keras.utils.clear_session()


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """A net that never met one fold, what it says of that fold's clips, and which clips these are."""

    seed: int
    net: pathlib.Path
    clips: tuple[int, ...]
    answers: Answers

    @property
    def fold(self) -> int:
        """The one that was left out."""
        return self.answers.fold

    @property
    def accuracy(self) -> float:
        """The share of the fold's clips that it names rightly."""
        return float(self.answers.right.mean())


def run(cv: CrossValidation, seeds: int, work: pathlib.Path) -> list[Row]:
    """All rows, those that are not finished yet trained now, each in `work/rows/foldF-seedS`.

    All folds with one seed come before the next seed. `work/rows.md` tells all finished rows, after each. Several
    processes may share `work`: each takes rows that no other is at. Raises SoundNetError where the data has no two
    folds, where a row was begun differently, and at the end where rows were left to others.
    """
    if len(cv.dataset.folds) < 2:
        way_out = 'call its files fold-recording-take, or give a CSV with a column fold'
        raise SoundNetError(f'{cv.dataset.name} has no two folds, so none can be left out: {way_out}')
    rows, elsewhere = list[Row](), list[str]()
    for seed, fold in _pairs(cv.dataset, seeds):
        folder = _folder(work, seed, fold)
        is_finished = journal.read_result(folder) is not None
        claim = None if is_finished else storage.Claim.of(folder)
        if claim is None and not is_finished:
            elsewhere.append(folder.name)
            continue
        try:
            rows.append(_row(cv, fold, seed, folder))
        finally:
            if claim:
                claim.release()
        _write_table(cv, seeds, work)
        print(f'fold {fold} left out, seed {seed}: {rows[-1].accuracy:.1%} of its clips named rightly', flush=True)
    if elsewhere:
        raise SoundNetError(f'another run is at {", ".join(elsewhere)}: give the command again when it is through')
    return rows


def _write_table(cv: CrossValidation, seeds: int, work: pathlib.Path) -> None:
    """Of whoever's rows are finished."""
    folders = {pair: _folder(work, *pair) for pair in _pairs(cv.dataset, seeds)}
    rows = [_row(cv, fold, seed, own) for (seed, fold), own in folders.items() if journal.read_result(own) is not None]
    storage.write_text(work / 'rows.md', table(rows, cv.dataset.folds) + '\n')


def _folder(work: pathlib.Path, seed: int, fold: int) -> pathlib.Path:
    return work / 'rows' / f'fold{fold}-seed{seed}'


def _row(cv: CrossValidation, fold: int, seed: int, folder: pathlib.Path) -> Row:
    net = pathlib.Path(cv.learn(folder, fold, seed).net)
    said = journal.read_held_out(folder)
    answers = Answers(fold, said['test_logits'], said['test_truth'])
    return Row(seed, net, tuple(map(int, said['test_clips'])), answers)


def _pairs(dataset: DataSet, seeds: int) -> Iterator[tuple[int, int]]:
    for seed in range(seeds):
        for fold in dataset.folds:
            yield seed, fold


def of_first_seed(rows: Sequence[Row]) -> list[Row]:
    """A net for each fold: enough for what costs more than an answer."""
    first = min(row.seed for row in rows)
    return [row for row in rows if row.seed == first]


def by_seed(rows: Sequence[Row], folds: Sequence[int]) -> dict[int, float]:
    """The mean accuracy over the folds, for each seed of which all folds are there."""
    seeds = sorted({row.seed for row in rows})
    own = {seed: [row.accuracy for row in rows if row.seed == seed] for seed in seeds}
    return {seed: statistics.fmean(found) for seed, found in own.items() if len(found) == len(folds)}


def summary(rows: Sequence[Row], folds: Sequence[int]) -> dict[str, Any]:
    """Accuracy as model.json has it: the mean over folds, its mean and deviation over seeds, and each row.

    At least one seed must have all folds.
    """
    means = list(by_seed(rows, folds).values())
    return {
        'mean': statistics.fmean(means),
        'deviation_over_seeds': statistics.stdev(means) if len(means) > 1 else None,
        'seeds': len(means),
        'rows': [{'fold': row.fold, 'seed': row.seed, 'accuracy': row.accuracy} for row in rows],
    }


def format_mean_std(mean: float, deviation: float | None) -> str:
    """In percent, with the standard deviation if there is one."""
    return f'{100 * mean:.1f}' + (f' ± {100 * deviation:.1f}' if deviation is not None else '')


def table(rows: Sequence[Row], folds: Sequence[int]) -> str:
    """A line for each fold, a column for each seed; the mean over folds last, of seeds that have them all."""
    seeds = sorted({row.seed for row in rows})
    accuracy = {(row.fold, row.seed): f'{100 * row.accuracy:.1f}' for row in rows}
    lines: list[list[str]] = [['left out', *(f'seed {seed}' for seed in seeds)]]
    lines += [[f'fold {fold}', *(accuracy.get((fold, seed), '-') for seed in seeds)] for fold in folds]
    means = by_seed(rows, folds)
    lines.append(['mean', *(f'{100 * means[seed]:.1f}' if seed in means else '-' for seed in seeds)])
    if not means:
        return columns(lines)
    found = summary(rows, folds)
    spread = 'mean over folds' if found['seeds'] < 2 else 'mean over folds, its mean and deviation over seeds'
    return f'{columns(lines)}\n\n{format_mean_std(found["mean"], found["deviation_over_seeds"])} % ({spread})'

"""Leave-one-fold-out cross-validation with several seeds: accuracy, and the logits that calibration needs."""

import collections
import dataclasses
import hashlib
import json
import pathlib
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from soundnet_tf import storage
from soundnet_tf.audio import decoding
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation import bootstrap, datasets
from soundnet_tf.evaluation.datasets import DataSet
from soundnet_tf.evaluation.splits import checked_folds
from soundnet_tf.evaluation.text_tables import columns
from soundnet_tf.experiments.recipes import Recipe
from soundnet_tf.experiments.results import format_mean_std
from soundnet_tf.finetune import fit, journal
from soundnet_tf.inference import files
from soundnet_tf.nets import saved
from soundnet_tf.shipping import outputs
from soundnet_tf.shipping.calibration import Answers
from soundnet_tf.spec import NetSpec
from soundnet_tf.storage import arrays
from soundnet_tf.training.start import Start

OUTPUTS = 'outputs/'
"""Before the kind of outputs, in a row's file."""


@dataclasses.dataclass(frozen=True)
class CrossValidation:
    """The settings of a cross-validation: data, and a recipe on a fresh net of `spec` or on a saved one, `start`."""

    dataset: DataSet
    recipe: Recipe
    spec: NetSpec
    start: saved.Path | None = None
    ood_sounds: Sequence[str] = ()
    """Files, folders and globs of real sounds of none of the classes, which each row's net hears."""
    speeds: Sequence[float] = ()
    """The speeds whose mean the net is tagged by, if there are several."""

    def settings(self, fold: int, seed: int) -> dict[str, Any]:
        """What a row keeps to."""
        begun = Start.find(self.start) if self.start is not None else None
        heard = [datasets.content(file.path) for file in files.find(self.ood_sounds)] if self.ood_sounds else []
        digest = hashlib.sha256(''.join(heard).encode()).hexdigest()
        own = {'ood_sounds': digest} | ({'speeds': list(self.speeds)} if self.speeds else {})
        return fit.settings(self.dataset, self.recipe, begun, self.spec, fold, seed=seed) | own

    def learn(self, folder: pathlib.Path, fold: int | None, seed: int) -> fit.Result:
        """Train on all clips but those of `fold`, in the run folder `folder`; a finished run is not repeated."""
        options: dict[str, Any] = {'start': self.start, 'spec': self.spec, 'test_fold': fold, 'seed': seed}
        try:
            return fit.finetune(self.dataset, self.recipe, folder, **options)
        finally:
            keras.utils.clear_session()


@dataclasses.dataclass(frozen=True, eq=False)
class FoldResult:
    """A net trained without one fold, its outputs for the clips of that fold, and the indices of these clips.

    `outputs` are logits `[sounds, classes]` by kind, see `outputs.of_row`. The net itself may have been removed since.
    """

    seed: int
    net: pathlib.Path
    clips: tuple[int, ...]
    answers: Answers
    outputs: Mapping[str, NDArray[np.floating]]

    @property
    def fold(self) -> int:
        """The held-out fold."""
        return self.answers.fold

    @property
    def accuracy(self) -> float:
        """Accuracy on the held-out fold."""
        return float(self.answers.right.mean())


def run(cv: CrossValidation, seeds: int, work: pathlib.Path) -> list[FoldResult]:
    """All rows; those that are not finished are trained, each in `work/rows/foldF-seedS`.

    All folds with one seed come before the next seed. `work/rows.md` lists all finished rows and is updated after
    each. A finished row is a file `foldF-seedS.npz`; its folder, with the net, is not needed any more. Several
    processes may share `work`: each trains rows that no other process is training. Raises SoundNetError if the data has
    fewer than two folds, or one that cannot be held out, if a row was started with other settings, and at the end if
    other processes are still training rows.
    """
    if len(cv.dataset.folds) < 2:
        fix = 'Name its files FOLD-RECORDING-TAKE, or pass a CSV with a column `fold`'
        raise SoundNetError(
            f'{cv.dataset.name}: cross-validation needs at least 2 folds, got {len(cv.dataset.folds)}. {fix}'
        )
    checked_folds(cv.dataset)
    rows, elsewhere = list[FoldResult](), list[pathlib.Path]()
    for seed, fold in _pairs(cv.dataset, seeds):
        folder = _folder(work, seed, fold)
        is_finished = folder.with_suffix('.npz').exists()
        claim = None if is_finished else storage.Claim.of(folder)
        if claim is None and not is_finished:
            elsewhere.append(folder)
            continue
        try:
            rows.append(_row(cv, fold, seed, folder))
        finally:
            if claim:
                claim.release()
        _write_table(cv, seeds, work)
        print(f'fold {fold} held out, seed {seed}: accuracy {rows[-1].accuracy:.1%}', flush=True)
    if elsewhere:
        raise storage.in_use(*elsewhere)
    return rows


def _write_table(cv: CrossValidation, seeds: int, work: pathlib.Path) -> None:
    """Includes finished rows of other processes."""
    folders = {pair: _folder(work, *pair) for pair in _pairs(cv.dataset, seeds)}
    rows = [_row(cv, fold, seed, own) for (seed, fold), own in folders.items() if own.with_suffix('.npz').exists()]
    storage.write_text(work / 'rows.md', table(rows, cv.dataset.folds) + '\n')


def _folder(work: pathlib.Path, seed: int, fold: int) -> pathlib.Path:
    return work / 'rows' / f'fold{fold}-seed{seed}'


def _row(cv: CrossValidation, fold: int, seed: int, folder: pathlib.Path) -> FoldResult:
    path = folder.with_suffix('.npz')
    if not path.exists():
        net = cv.learn(folder, fold, seed).net
        held_out = journal.read_held_out(folder)
        clips = [decoding.read(cv.dataset.clips[clip].path) for clip in held_out['test_clips']]
        # One net per fold hears corrupted clips, which are many.
        heard = outputs.of_row(net, clips, cv.ood_sounds, seed == 0, cv.speeds)
        with storage.whole_file(path) as file:
            named = {f'{OUTPUTS}{kind}': logits.astype(np.float32) for kind, logits in heard.items()}
            np.savez(file, **held_out, **named, settings=json.dumps(cv.settings(fold, seed)))
    hint = f'Remove {path}, and run it again'
    kept = arrays.read_npz(path, hint)
    with storage.readable(path, hint):
        storage.check_same(path, json.loads(str(kept['settings'])), cv.settings(fold, seed), 'Use another --work')
    heard = {key.removeprefix(OUTPUTS): logits for key, logits in kept.items() if key.startswith(OUTPUTS)}
    answers = Answers(fold, kept['test_logits'], kept['test_truth'], heard.get(outputs.OOD))
    return FoldResult(seed, folder / 'net', tuple(map(int, kept['test_clips'])), answers, heard)


def _pairs(dataset: DataSet, seeds: int) -> Iterator[tuple[int, int]]:
    for seed in range(seeds):
        for fold in dataset.folds:
            yield seed, fold


def at_speeds(rows: Sequence[FoldResult]) -> list[FoldResult]:
    """The same rows, judged by the mean over the speeds."""
    heard = [dataclasses.replace(row.answers, logits=row.outputs[outputs.AT_SPEEDS]) for row in rows]
    return [dataclasses.replace(row, answers=own) for row, own in zip(rows, heard, strict=True)]


def of_first_seed(rows: Sequence[FoldResult]) -> list[FoldResult]:
    """One net per fold, for measurements that are too slow for all seeds."""
    first = min(row.seed for row in rows)
    return [row for row in rows if row.seed == first]


def by_seed(rows: Sequence[FoldResult], folds: Sequence[int]) -> dict[int, float]:
    """The mean accuracy over the folds, for each seed with all folds finished."""
    seeds = sorted({row.seed for row in rows})
    own = {seed: [row.accuracy for row in rows if row.seed == seed] for seed in seeds}
    return {seed: statistics.fmean(found) for seed, found in own.items() if len(found) == len(folds)}


def summary(rows: Sequence[FoldResult], folds: Sequence[int]) -> dict[str, Any]:
    """Accuracy in the format of model.json: the mean over folds, with mean and deviation over seeds, and each row.

    At least one seed must have all folds.
    """
    means = list(by_seed(rows, folds).values())
    return {
        'mean': statistics.fmean(means),
        'deviation_over_seeds': statistics.stdev(means) if len(means) > 1 else None,
        'seeds': len(means),
        'rows': [{'fold': row.fold, 'seed': row.seed, 'accuracy': row.accuracy} for row in rows],
    }


def interval(rows: Sequence[FoldResult], dataset: DataSet) -> bootstrap.Interval | None:
    """Of the mean accuracy over folds and seeds, by the bootstrap over recordings; None if one seed lacks a fold."""
    counts = collections.Counter(clip for row in rows for clip in row.clips)
    right = collections.Counter[int]()
    for row in rows:
        right.update(dict(zip(row.clips, map(int, row.answers.right), strict=True)))
    if len(set(counts.values())) != 1 or {row.fold for row in rows} != set(dataset.folds):
        return None
    clips = [dataset.clips[index] for index in counts]
    sizes = collections.Counter(clip.fold for clip in clips)
    shares = [right[index] / counts[index] for index in counts]
    return bootstrap.interval(shares, [1 / sizes[clip.fold] for clip in clips], clips)


def table(rows: Sequence[FoldResult], folds: Sequence[int]) -> str:
    """One line per fold, one column per seed; last, the mean over folds of the seeds with all folds finished."""
    seeds = sorted({row.seed for row in rows})
    accuracy = {(row.fold, row.seed): f'{100 * row.accuracy:.1f}' for row in rows}
    lines: list[list[str]] = [['held out', *(f'seed {seed}' for seed in seeds)]]
    lines += [[f'fold {fold}', *(accuracy.get((fold, seed), '-') for seed in seeds)] for fold in folds]
    means = by_seed(rows, folds)
    lines.append(['mean', *(f'{100 * means[seed]:.1f}' if seed in means else '-' for seed in seeds)])
    if not means:
        return columns(lines)
    found = summary(rows, folds)
    spread = 'mean over folds' if found['seeds'] < 2 else 'mean over folds; mean and standard deviation over seeds'
    return f'{columns(lines)}\n\n{format_mean_std(found["mean"], found["deviation_over_seeds"])} % ({spread})'

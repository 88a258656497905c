"""Training on labels: fine-tuning of a saved net, or training from scratch.

    from soundnet_tf.evaluation import datasets
    from soundnet_tf.finetune import fit
    from soundnet_tf.experiments.recipes import RECIPES

    esc10 = datasets.load('esc10/')
    result = fit.finetune(esc10, RECIPES['authors'], 'runs/esc10', start='runs/first/net', test_fold=4)
    print(result.accuracy['test'], result.net)

A custom loop on one device. The test fold is evaluated only and affects no choice: the last epoch is kept, or with
`keep='best'` the best one on held-out training clips.
"""

import dataclasses
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any, Literal

import keras

from soundnet_tf import storage
from soundnet_tf.config import PRECISIONS
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation import svm
from soundnet_tf.evaluation.datasets import DataSet
from soundnet_tf.evaluation.splits import check_recordings, check_unseen, split
from soundnet_tf.experiments.recipes import Recipe
from soundnet_tf.finetune import equaliser, journal, student, waveforms
from soundnet_tf.finetune.loop import BEST, CHECKPOINTS, Run
from soundnet_tf.finetune.step import make_state
from soundnet_tf.nets import precisions, saved
from soundnet_tf.spec import SOUNDNET8, NetSpec
from soundnet_tf.training.start import Start

Keep = Literal['last', 'best']


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of a run, as in `result.json`; `accuracy` and `confusion` by `validation` and `test`."""

    net: str
    """The folder of the saved net."""
    epoch: int
    """The epoch whose weights are kept; a head that was refitted is newer."""
    classes: tuple[str, ...]
    accuracy: Mapping[str, float]
    """Empty if no clip was held out."""
    confusion: Mapping[str, list[list[int]]]
    """Clips by class (rows) and prediction (columns)."""
    clips_per_s: float
    """Training crops per second, the median over the epochs."""

    def __str__(self) -> str:
        parts = [f'{name} accuracy {share:.1%}' for name, share in self.accuracy.items()]
        return f'{", ".join(parts) or "no clip was held out"} (epoch {self.epoch}); the net is in {self.net}'


def finetune(
    dataset: DataSet,
    recipe: Recipe,
    out: saved.Path,
    *,
    start: saved.Path | None = None,
    spec: NetSpec = SOUNDNET8,
    test_fold: int | None = None,
    validation: float = 0.0,
    keep: Keep = 'last',
    seed: int = 0,
    decoder: str = 'auto',
) -> Result:
    """Train on the classes of `dataset`; write `out/net`, a saved net, `history.csv`, `result.json`, `held_out.npz`.

    Args:
      start: the folder or name of a saved net to start from, without its heads; else a new net of `spec`.
      test_fold: the fold that is held out for the test. It affects no choice.
      validation: the fraction of the other clips to hold out, by class and in whole recordings.
      keep: 'last' keeps the last epoch; 'best' the first one with the best validation accuracy. Then the head is
        refitted, if the recipe says so.
      seed: for new weights, the validation clips, the order and the augmentation.

    A stopped run resumes from its last checkpoint when called again. Raises SoundNetError if `out` was started with
    other settings or if `start` was trained on clips of the test fold, ShortClip if crops are too short for the head,
    BadAudio for files that cannot be read.
    """
    if keep not in ('last', 'best'):
        raise SoundNetError(f"keep must be 'last' or 'best', got {keep!r}")
    if keep == 'best' and not validation:
        raise SoundNetError('keep=best needs validation clips. Set validation=0.2, or keep=last')
    begun = Start.find(start) if start is not None else None
    out, parts = pathlib.Path(out), split(dataset, test_fold, validation, seed)
    with storage.claimed(out):
        finished = journal.read_result(out)
        if finished is None:
            _require(recipe)
        before = begun.facts()['before'] if begun else {}
        if test_fold is not None:
            check_recordings(dataset, [test_fold])
            check_unseen(dataset, [test_fold], before)
        about = settings(dataset, recipe, begun, spec, test_fold, validation, keep, seed)
        storage.begin(out / journal.RUN, about)
        storage.sweep(out, 'net', BEST)
        if finished is not None:
            # The folder may have been moved.
            return Result(**{**finished, 'classes': tuple(finished['classes']), 'net': str(out / 'net')})
        paths = [clip.path for clip in dataset.clips]
        decoded = waveforms.read(paths, out, with_powers=recipe.mix or recipe.trim_db > 0, decoder=decoder)
        keras.utils.set_random_seed(seed)
        state = make_state(student.build(NetSpec.from_dict(about['spec']), dataset, begun), recipe)
        run = Run(dataset, recipe, out, decoded, parts, state, seed, choosing=keep == 'best')
        epoch = run.train()
        net = run.densify()
        run.refit()
        found = run.evaluate()
        arrays: dict[str, Any] = {}
        for name, scores in found.items():
            arrays[f'{name}_clips'] = parts.held_out[name]
            arrays |= {f'{name}_truth': scores.truth, f'{name}_logits': scores.values}
        journal.write_held_out(out, arrays)
        accuracy = {name: scores.accuracy for name, scores in found.items()}
        facts = {
            'epoch': epoch,
            'accuracy': accuracy,
            'started_from': str(begun.folder) if begun else None,
            # This net, and nets fine-tuned from it, must not be evaluated on these clips.
            'clips': sorted(set().union(*map(dataset.identifiers, (*parts.train, *parts.validation)))),
            'before': before,
        }
        origin = {key: value for key, value in about.items() if key != 'spec'} | facts
        folder = saved.save_net(net, out / 'net', origin=origin)
        confusion = {name: scores.confusion for name, scores in found.items()}
        result = Result(str(folder), epoch, dataset.classes, accuracy, confusion, run.clips_per_s)
        journal.write_result(out, dataclasses.asdict(result))
        # Only needed to resume.
        for name in (BEST, CHECKPOINTS):
            shutil.rmtree(out / name, ignore_errors=True)
        return result


def settings(
    dataset: DataSet,
    recipe: Recipe,
    begun: Start | None,
    spec: NetSpec,
    test_fold: int | None,
    validation: float = 0.0,
    keep: Keep = 'last',
    seed: int = 0,
) -> dict[str, Any]:
    """What a run folder keeps to, as JSON values: two runs of equal settings give the same net."""
    learned_from = {'data': dataset.name, 'clips': len(dataset.learnable), 'data_sha256': dataset.fingerprint()}
    return {
        'learned_from': learned_from,
        'start_sha256': saved.fingerprint(begun.folder) if begun else None,
        'spec': student.spec_for(saved.read_spec(begun.folder) if begun else spec, dataset, recipe).to_dict(),
        'recipe': recipe.to_dict(),
        'held_out': {'test_fold': test_fold, 'validation': validation, 'keep': keep},
        'seed': seed,
    }


def _require(recipe: Recipe) -> None:
    """Check what the recipe needs of this machine, before anything is written."""
    if recipe.refit:
        svm.require()
    if recipe.filter_db:
        equaliser.transforms()
    precisions.require(recipe.precision, PRECISIONS)

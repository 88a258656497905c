"""A net learns from labels: fine-tuning of a saved net, or training from scratch.

    from soundnet_tf.evaluation import datasets
    from soundnet_tf.finetune import fit
    from soundnet_tf.experiments.recipes import RECIPES

    esc10 = datasets.load('esc10/')
    result = fit.finetune(esc10, RECIPES['authors'], 'runs/esc10', start='runs/first/net', test_fold=4)
    print(result.accuracy['test'], result.net)

An explicit loop on one device. The test fold is looked at and never chooses: what is kept is the last epoch, or with
`keep='best'` the best one on held-out training clips.
"""

import dataclasses
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any, Literal, cast

import keras

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation import svm
from soundnet_tf.evaluation.datasets import DataSet
from soundnet_tf.evaluation.splits import check_unseen, split
from soundnet_tf.experiments.recipes import Recipe
from soundnet_tf.finetune import journal, student, waveforms
from soundnet_tf.finetune.loop import BEST, CHECKPOINTS, Run
from soundnet_tf.finetune.step import make_state
from soundnet_tf.inference.engine import checked_precision
from soundnet_tf.nets import lookup, saved
from soundnet_tf.spec import SOUNDNET8, NetSpec

Keep = Literal['last', 'best']


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run came to, as `result.json` has it; `accuracy` and `confusion` by `validation` and `test`."""

    net: str
    """The folder of the saved net."""
    epoch: int
    """Whose weights were kept, but for a head that was fitted anew."""
    classes: tuple[str, ...]
    accuracy: Mapping[str, float]
    """The share of clips that were named rightly; nothing where no clip was held out."""
    confusion: Mapping[str, list[list[int]]]
    """Clips by class, a row each, and by answer, a column each."""
    clips_per_s: float
    """Training crops a second, the median over the epochs."""

    def __str__(self) -> str:
        said = [f'{share:.1%} of the {name} clips named rightly' for name, share in self.accuracy.items()]
        return f'{" and ".join(said) or "no clip was held out"} (epoch {self.epoch}); the net is in {self.net}'


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
    """Learn the classes of `dataset`; write `out/net`, a saved net, `history.csv`, `result.json`, `held_out.npz`.

    Args:
      start: the folder or name of a saved net to begin with, its heads dropped; else a fresh net of `spec`.
      test_fold: the fold that is held out for the test. It touches no choice.
      validation: the share of the other clips that is held out too, of each class and in whole recordings.
      keep: 'last' keeps the last epoch; 'best' the one with the best validation accuracy, the first of equals. Then the
        head is fitted anew, where the recipe has it so.
      seed: of new weights, of the validation clips, of the order and of every augmentation.

    A stopped run goes on from its last checkpoint when it is called again. Raises SoundNetError where `out` was begun
    differently, and where `start` has learned from clips of the test fold, ShortClip where crops are too short for the
    head, BadAudio, naming the file, for unreadable sound.
    """
    if keep not in ('last', 'best'):
        raise SoundNetError(f"keep is 'last' or 'best', not {keep!r}")
    if keep == 'best' and not validation:
        raise SoundNetError('keep=best chooses by held-out training clips: give validation=0.2, or keep=last')
    start = None if start is None else lookup.find(start)
    out, parts = pathlib.Path(out), split(dataset, test_fold, validation, seed)
    finished = journal.read_result(out)
    if finished is None:
        _require(recipe)
    before = saved.read_facts(start).get('origin', {}) if start is not None else {}
    if test_fold is not None:
        check_unseen(dataset, [test_fold], before)
    spec = student.spec_for(saved.read_spec(start) if start is not None else spec, dataset, recipe)
    about = {
        'learned_from': {'data': dataset.name, 'clips': len(dataset.clips), 'data_sha256': dataset.fingerprint()},
        'start_sha256': saved.read_facts(start)['weights_sha256'] if start is not None else None,
        'spec': spec.to_dict(),
        'recipe': recipe.to_dict(),
        'held_out': {'test_fold': test_fold, 'validation': validation, 'keep': keep},
        'seed': seed,
    }
    storage.begin(out / journal.RUN, about)
    if finished is not None:
        # Wherever the run was begun from, and whether it was moved.
        return Result(**{**finished, 'classes': tuple(finished['classes']), 'net': str(out / 'net')})
    paths = [clip.path for clip in dataset.clips]
    decoded = waveforms.read(paths, out, with_powers=recipe.mix or recipe.trim_db > 0, decoder=decoder)
    keras.utils.set_random_seed(seed)
    state = make_state(student.build(spec, dataset, start), recipe)
    run = Run(dataset, recipe, out, decoded, parts, state, seed, choosing=keep == 'best')
    epoch = run.learn()
    run.refit()
    found = run.look()
    said: dict[str, Any] = {}
    for name, scores in found.items():
        said |= {f'{name}_clips': parts.held_out[name], f'{name}_truth': scores.truth, f'{name}_logits': scores.values}
    journal.write_held_out(out, said)
    accuracy = {name: scores.accuracy for name, scores in found.items()}
    facts = {
        'epoch': epoch,
        'accuracy': accuracy,
        'started_from': str(start) if start is not None else None,
        # What may not judge this net, nor any that begins with it.
        'clips': sorted(set().union(*map(dataset.marks, (*parts.train, *parts.validation)))),
        'before': before,
    }
    origin = {key: value for key, value in about.items() if key != 'spec'} | facts
    net = saved.save(state.kept, out / 'net', origin=origin)
    confusion = {name: scores.confusion for name, scores in found.items()}
    result = Result(str(net), epoch, dataset.classes, accuracy, confusion, run.clips_per_s)
    journal.write_result(out, dataclasses.asdict(result))
    # What was needed to go on.
    for folder in (BEST, CHECKPOINTS):
        shutil.rmtree(out / folder, ignore_errors=True)
    return result


def _require(recipe: Recipe) -> None:
    """What the recipe needs of this machine, before anything is written."""
    if recipe.refit:
        svm.require()
    checked_precision(cast(Any, recipe.precision))

"""Train a net for distribution from a labelled data set: cross-validate, calibrate, test, document.

    soundnet-ship --data=ESC-10/ --net=soundnet8 --work=runs/ship8 --out=savedmodels/soundnet8-esc10

Each fold is held out once, with several seeds; WORK/rows.md has the accuracies. The predictions for held-out clips
set a temperature, and the confidence threshold below which soundnet-tag prints "not sure": precise enough, and with
few --ood_sounds above it. Then a net is trained on all
folds and written to --out, with net.tflite, model.json and MODEL_CARD.md, and added to models.json beside it.

Without --out only the cross-validation runs: use --model to try another starting point, and --features to evaluate
inner layers with an SVM. To resume a stopped run, repeat the command: finished rows are skipped, and a started row
resumes from its last checkpoint.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from absl import flags

from soundnet_tf import cli, config
from soundnet_tf.cli import labelled
from soundnet_tf.experiments.recipes import RECIPES, Recipe

if TYPE_CHECKING:
    from soundnet_tf.evaluation.datasets import DataSet
    from soundnet_tf.spec import NetSpec

DATA = flags.DEFINE_string('data', None, 'The labelled data, with folds, as for soundnet-finetune.', required=True)
WORK = flags.DEFINE_string('work', None, 'The folder of the cross-validation runs.', required=True)
OUT = flags.DEFINE_string('out', None, "The folder of the net; its name is the net's name.")
NAME = labelled.name_flag()
TEST_ONLY = labelled.test_only_flag()
MODEL = labelled.start_flag()
RECIPE = flags.DEFINE_enum('recipe', 'from_scratch', list(RECIPES), 'The training recipe.')
EPOCHS = flags.DEFINE_integer('epochs', None, "Epochs (default: the recipe's).", lower_bound=1)
_HELP = "Of training; bfloat16 is faster on processors that support it, float16 on GPUs (default: the recipe's)."
PRECISION = flags.DEFINE_enum('precision', None, config.PRECISIONS, _HELP)
STRICT = cli.strict_folds_flag()
SEEDS = flags.DEFINE_integer('seeds', 3, 'Nets per held-out fold.', lower_bound=1)
TARGET = flags.DEFINE_float('target_precision', 0.95, 'Precision above the confidence threshold.', 0, 1)
OOD = flags.DEFINE_multi_string(
    'ood_sounds', [], 'Real sounds of none of the classes: a file, folder or glob; can be repeated.'
)
MAX_OOD = flags.DEFINE_float('max_ood', 0.1, 'Max share of --ood_sounds above the confidence threshold.', 0, 1)
_HELP = 'Have soundnet-tag take the mean over these speeds, such as 0.8,1,1.25, and measure it (default: one pass).'
SPEEDS = flags.DEFINE_list('speeds', None, _HELP)
FEATURES = flags.DEFINE_boolean('features', False, 'Also evaluate inner layers with an SVM.')
ABOUT = flags.DEFINE_string('about', None, 'The data, for the model card (default: its name, clips and folds).')
LICENCE = flags.DEFINE_string('licence', 'Apache-2.0', 'Licence of the weights.')
CREDITS = flags.DEFINE_string('credits', None, 'The URL of a page with the authors of the clips.')
DEFAULT = flags.DEFINE_boolean('default', False, 'Make it the default net of all commands.')


def main(arguments: Sequence[str]) -> None:
    """Cross-validate, then train and write the net."""
    from soundnet_tf.evaluation import datasets, splits
    from soundnet_tf.nets import lookup, saved

    cli.no_arguments(arguments)
    spec = labelled.spec()
    dataset = datasets.load(DATA.value, name=NAME.value, test_only=TEST_ONLY.value)
    values = {'epochs': EPOCHS.value, 'precision': PRECISION.value}
    own = {name: value for name, value in values.items() if value is not None}
    recipe = dataclasses.replace(RECIPES[RECIPE.value], **own)
    start = lookup.find(MODEL.value) if MODEL.value else None
    spec = saved.read_spec(start) if start else spec
    print(dataset.table(), flush=True)
    splits.check_recordings(dataset, dataset.folds, STRICT.value)
    _ship(dataset, recipe, spec, start)


def _ship(dataset: 'DataSet', recipe: Recipe, spec: 'NetSpec', start: pathlib.Path | None) -> None:
    # Loads TensorFlow, so the data is checked first.
    from soundnet_tf.inference import files, speeds
    from soundnet_tf.shipping import attribution, calibration, delivery, features, rows

    work, out = pathlib.Path(WORK.value), pathlib.Path(OUT.value) if OUT.value else None
    folds = ', '.join(map(str, dataset.folds))
    counted = f'{len(dataset.learnable)} clips of {len(dataset.classes)} classes, folds {folds}'
    terms = delivery.Terms(
        data=DATA.value,
        about=ABOUT.value or f'{dataset.name}: {counted}',
        licence=LICENCE.value,
        credits=CREDITS.value,
        default=DEFAULT.value,
    )
    several = speeds.check(SPEEDS.value) if SPEEDS.value is not None else speeds.AS_IT_IS
    several = () if several == speeds.AS_IT_IS else several
    cv = rows.CrossValidation(dataset, recipe, spec, start, OOD.value, several)
    if out:
        delivery.check(cv, out, terms)
        if not (terms.credits or attribution.of(terms.data, dataset.learnable)['attribution']):
            files.echo('no ATTRIBUTION.txt beside the data, nor --credits: the model card will not credit the authors')
    work.mkdir(parents=True, exist_ok=True)
    found = rows.run(cv, SEEDS.value, work)
    print(f'\n{rows.table(found, dataset.folds)}', flush=True)
    if interval := rows.interval(found, dataset):
        print(f'{interval.about()}: {interval.text()} %', flush=True)
    if cv.speeds:
        print(f'\nthe mean over speeds {several}:\n{rows.table(rows.at_speeds(found), dataset.folds)}', flush=True)
    if FEATURES.value:
        print(f'\n{features.run(cv, found, work)}', flush=True)
    own = calibration.calibrate([row.answers for row in found], TARGET.value, MAX_OOD.value)
    print(f'\n{own}', flush=True)
    if out:
        print(f'the net is in {delivery.deliver(cv, found, own, work, out, terms)}')


def run() -> None:
    """The command `soundnet-ship`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()

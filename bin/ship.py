"""A net that ships, from a labelled data set: measured fold by fold, calibrated, tried, described.

    soundnet-ship --data=ESC-10/ --net=soundnet8 --work=runs/ship8 --out=savedmodels/soundnet8-esc10

Each fold is left out in turn, with several seeds: what the recipe is worth is in WORK/rows.md. The answers to left-out
clips give a temperature and the confidence below which soundnet-tag says that it is not sure. Then a net learns from
all folds and is written to --out, with net.tflite, model.json and MODEL_CARD.md, and listed in models.json beside it.

Without --out it ends with the rows: with --model to see what another start is worth, with --features to put the rows'
inner layers to the test. A stopped run goes on row by row when the same command is given again, and within a row from
its last checkpoint.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from absl import flags

from soundnet_tf import cli, config
from soundnet_tf.experiments.recipes import RECIPES, Recipe

if TYPE_CHECKING:
    from soundnet_tf.evaluation.datasets import DataSet
    from soundnet_tf.spec import NetSpec

DATA = flags.DEFINE_string('data', None, 'The labelled data, with folds; as of soundnet-finetune.', required=True)
WORK = flags.DEFINE_string('work', None, 'The folder of the rows, to go on from.', required=True)
OUT = flags.DEFINE_string('out', None, 'The folder of the net; its name is what the net is called.')
NAME = flags.DEFINE_string('name', None, 'What the head is called (default: as the data).')
NET = flags.DEFINE_enum('net', 'soundnet8', list(config.NETS), 'From scratch: 8 layers or 5.')
WIDTH = flags.DEFINE_float('width', 1.0, 'From scratch: the part of the filters to keep.', 0.01, 1.0)
MODEL = flags.DEFINE_string('model', None, 'A saved net to begin each row with; without it, from scratch.')
RECIPE = flags.DEFINE_enum('recipe', 'from_scratch', list(RECIPES), 'How the nets learn.')
EPOCHS = flags.DEFINE_integer('epochs', None, "Other than the recipe's, to try things out.", lower_bound=1)
BFLOAT16 = flags.DEFINE_boolean('bfloat16', None, 'Learn in bfloat16: quicker on processors that have it.')
SEEDS = flags.DEFINE_integer('seeds', 3, 'Nets for each fold that is left out.', lower_bound=1)
RIGHT = flags.DEFINE_float('right_when_sure', 0.95, 'The share of answers that are to be right when it is sure.', 0, 1)
OTHERS = flags.DEFINE_multi_string('others', [], 'Real sounds of no class: a file, folder or glob; may be given again.')
FEATURES = flags.DEFINE_boolean('features', False, "Also put the rows' inner layers to the SVM protocol.")
ABOUT = flags.DEFINE_string('about', None, 'The data in words, for the card (default: its name, clips and folds).')
LICENCE = flags.DEFINE_string('licence', 'Apache-2.0', 'Of the weights.')
DEFAULT = flags.DEFINE_boolean('default', False, 'Make it the net that is taken where none is named.')


def main(arguments: Sequence[str]) -> None:
    """Make the rows, and the net."""
    from soundnet_tf.errors import SoundNetError
    from soundnet_tf.evaluation import datasets
    from soundnet_tf.nets import lookup, saved
    from soundnet_tf.spec import thin

    if arguments:
        raise SoundNetError(f'{arguments[0]!r} is no flag')
    if MODEL.value and (flags.FLAGS['net'].present or flags.FLAGS['width'].present):
        raise SoundNetError('--model brings its own layers: leave out --net and --width')
    dataset = datasets.load(cast(str, DATA.value), name=NAME.value)
    # What ships hears clips whole, so that is how it is judged.
    given = {'epochs': EPOCHS.value, 'precision': 'bfloat16' if BFLOAT16.value else None}
    own = {name: value for name, value in given.items() if value is not None}
    recipe = dataclasses.replace(RECIPES[cast(str, RECIPE.value)], test_crops=0, **own)
    spec = config.NETS[cast(str, NET.value)]
    spec = spec if WIDTH.value == 1 else thin(spec, cast(float, WIDTH.value))
    start = lookup.find(MODEL.value) if MODEL.value else None
    spec = saved.read_spec(start) if start else spec
    print(dataset.table(), flush=True)
    _ship(dataset, recipe, spec, start)


def _ship(dataset: 'DataSet', recipe: Recipe, spec: 'NetSpec', start: pathlib.Path | None) -> None:
    # TensorFlow is loaded here, once the data is known to be there.
    from soundnet_tf.inference import files
    from soundnet_tf.shipping import attribution, calibration, delivery, features, rows

    work, out = pathlib.Path(cast(str, WORK.value)), pathlib.Path(OUT.value) if OUT.value else None
    folds = ', '.join(map(str, dataset.folds))
    counted = f'{len(dataset.clips)} clips of {len(dataset.classes)} classes, folds {folds}'
    terms = delivery.Terms(
        data=cast(str, DATA.value),
        about=ABOUT.value or f'{dataset.name}: {counted}',
        licence=cast(str, LICENCE.value),
        others=cast(list[str], OTHERS.value),
        default=cast(bool, DEFAULT.value),
    )
    if out:
        delivery.check(dataset, out, terms)
        if not attribution.of(terms.data, [clip.path for clip in dataset.clips])['attribution']:
            files.tell('no ATTRIBUTION.txt lies beside the data: the card will not tell whose clips they are')
    work.mkdir(parents=True, exist_ok=True)
    way = rows.Way(dataset, recipe, spec, start)
    found = rows.run(way, cast(int, SEEDS.value), work)
    print(f'\n{rows.table(found, dataset.folds)}', flush=True)
    if FEATURES.value:
        print(f'\n{features.run(way, found, work)}', flush=True)
    own = calibration.calibrate([row.answers for row in found], cast(float, RIGHT.value))
    print(f'\n{own}', flush=True)
    if out:
        print(f'the net is in {delivery.deliver(way, found, own, work, out, terms)}')


def run() -> None:
    """The command `soundnet-ship`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()

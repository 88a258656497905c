"""A net learns to tell labelled sounds apart: fine-tuning of a saved net, or training from scratch.

    soundnet-finetune --data=ESC-50/ --model=runs/first/net --out=runs/esc50 --test_fold=1
    soundnet-finetune --data=sounds.csv --out=runs/mine --recipe=from_scratch --validation=0.2 --keep=best

The data is a CSV with columns path and label (and fold and source, if you like), a folder with a folder of sounds for
each class, or ESC-50 as its repository has it. A test fold is only looked at; what is kept is the last epoch, or the
best by held-out training clips. A stopped run goes on when the same command is given again. The run folder gets
history.csv, result.json, held_out.npz (the logits of held-out clips) and the saved net, which soundnet-embed and
soundnet-tag take as --model.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from absl import flags

from soundnet_tf import cli, config
from soundnet_tf.experiments.recipes import RECIPES, Recipe

DATA = flags.DEFINE_string('data', None, 'A CSV, a folder of class folders, or the folder of ESC-50.', required=True)
OUT = flags.DEFINE_string('out', None, 'The run folder.', required=True)
NAME = flags.DEFINE_string('name', None, 'What the head is called (default: as the data).')
ESC10 = flags.DEFINE_boolean('esc10', False, 'Of ESC-50, the ten classes of ESC-10 alone.')
MODEL = flags.DEFINE_string('model', None, 'The folder of a saved net to begin with; without it, from scratch.')
NET = flags.DEFINE_enum('net', 'soundnet8', list(config.NETS), 'From scratch: 8 layers or 5.')
WIDTH = flags.DEFINE_float('width', 1.0, 'From scratch: the part of the filters to keep.', 0.01, 1.0)
TEST_FOLD = flags.DEFINE_integer('test_fold', None, 'The fold that is held out for the test.')
VALIDATION = flags.DEFINE_float('validation', 0.0, 'The share of the training clips that is held out too.')
KEEP: flags.FlagHolder[Any] = flags.DEFINE_enum(
    'keep', 'last', ['last', 'best'], 'The last epoch, or the best one by --validation.'
)
SEED = flags.DEFINE_integer('seed', 0, 'Of new weights, validation clips, order and augmentation.', lower_bound=0)
DECODER = flags.DEFINE_string('decoder', 'auto', 'auto, miniaudio, soundfile, pyav or tfio.')
RECIPE = flags.DEFINE_enum('recipe', 'authors', list(RECIPES), 'Values of all flags below that are not given.')
for _field in dataclasses.fields(Recipe):
    _help = _field.metadata['help']
    _values = ', '.join(f'{name} {getattr(recipe, _field.name)}' for name, recipe in RECIPES.items())
    _help = f'{_help[0].upper()}{_help[1:]}. {_values}'
    if choices := _field.metadata.get('choices'):
        flags.DEFINE_enum(_field.name, None, choices, _help)
        continue
    _define = {bool: flags.DEFINE_boolean, int: flags.DEFINE_integer, float: flags.DEFINE_float}[type(_field.default)]
    _define(_field.name, None, _help)


def main(arguments: Sequence[str]) -> None:
    """Learn as the flags say."""
    from soundnet_tf.errors import SoundNetError
    from soundnet_tf.evaluation import datasets
    from soundnet_tf.spec import thin

    if arguments:
        raise SoundNetError(f'{arguments[0]!r} is no flag')
    if MODEL.value and (flags.FLAGS['net'].present or flags.FLAGS['width'].present):
        raise SoundNetError('--model brings its own layers: leave out --net and --width')
    given = {field.name: flags.FLAGS[field.name].value for field in dataclasses.fields(Recipe)}
    recipe = dataclasses.replace(RECIPES[RECIPE.value], **{k: v for k, v in given.items() if v is not None})
    spec = config.NETS[NET.value]
    dataset = datasets.load(DATA.value, name=NAME.value, esc10=ESC10.value)
    print(dataset.table())
    _learn(dataset, recipe, spec if WIDTH.value == 1 else thin(spec, WIDTH.value))


def _learn(dataset: Any, recipe: Recipe, spec: Any) -> None:
    # TensorFlow is loaded here, once the data is known to be there.
    from soundnet_tf.evaluation import text_tables
    from soundnet_tf.export import tflite
    from soundnet_tf.finetune import fit
    from soundnet_tf.nets import saved

    result = fit.finetune(
        dataset,
        recipe,
        OUT.value,
        start=MODEL.value,
        spec=spec,
        test_fold=TEST_FOLD.value,
        validation=VALIDATION.value,
        keep=KEEP.value,
        seed=SEED.value,
        decoder=DECODER.value,
    )
    for name, confusion in result.confusion.items():
        print(f'\n{name} clips by class and answer\n{text_tables.confusion_table(result.classes, confusion)}')
    if not (pathlib.Path(result.net) / saved.TFLITE).exists():
        tflite.add_tflite(result.net)
    print(f'\n{result}')


def run() -> None:
    """The command `soundnet-finetune`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()

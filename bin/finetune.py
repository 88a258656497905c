"""Train a net to classify labelled sounds: fine-tune a saved net, or train from scratch.

    soundnet-finetune --data=ESC-50/ --model=runs/first/net --out=runs/esc50 --test_fold=1
    soundnet-finetune --data=sounds.csv --out=runs/mine --recipe=from_scratch --validation=0.2 --keep=best

--data is a CSV file with the columns path and label (optionally fold and source), a folder with one folder of sounds
per class, or ESC-50 as its repository has it. The test fold is only evaluated, never used for a choice: the saved net
is that of the last epoch, or of the best one on held-out training clips. To resume a stopped run, repeat the command.
The run folder gets history.csv, result.json, held_out.npz (the logits of held-out clips) and the saved net, for --model
of the other commands.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from absl import flags

from soundnet_tf import cli
from soundnet_tf.cli import labelled
from soundnet_tf.experiments.recipes import RECIPES, Recipe

if TYPE_CHECKING:
    from soundnet_tf.evaluation.datasets import DataSet
    from soundnet_tf.spec import NetSpec

DATA = flags.DEFINE_string(
    'data', None, 'A CSV file, a folder with one folder per class, or the folder of ESC-50.', required=True
)
OUT = cli.out_flag('The run folder.')
NAME = labelled.name_flag()
ESC10 = flags.DEFINE_boolean('esc10', False, 'Use only the ten classes of ESC-10, of ESC-50.')
TEST_ONLY = labelled.test_only_flag()
MODEL = labelled.start_flag()
TEST_FOLD = flags.DEFINE_integer('test_fold', None, 'The fold to test on.')
STRICT = cli.strict_folds_flag()
VALIDATION = flags.DEFINE_float('validation', 0.0, 'Fraction of the training clips to hold out for validation.')
KEEP = cli.choice('keep', 'last', ('last', 'best'), 'Save the last epoch, or the best one on --validation.')
SEED = cli.seed_flag('Seed of new weights, the validation split, the order of clips and augmentation.')
DECODER = cli.decoder_flag()
RECIPE = flags.DEFINE_enum('recipe', 'authors', list(RECIPES), 'Sets the default of each flag below.')
for _field in dataclasses.fields(Recipe):
    _help = _field.metadata['help']
    _values = ', '.join(f'{name} {getattr(recipe, _field.name)}' for name, recipe in RECIPES.items())
    _help = f'{_help[0].upper()}{_help[1:]}. {_values}'
    if choices := _field.metadata.get('choices'):
        flags.DEFINE_enum(_field.name, None, choices, _help)
        continue
    _kinds = {
        bool: flags.DEFINE_boolean,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        str: flags.DEFINE_string,
    }
    _kinds[type(_field.default)](_field.name, None, _help)

# The recipe's other flags follow, below Optimiser.
GROUPS = {
    'The net':
        ('model', 'net', 'width', 'last_layer', 'last_stride', 'head_kernel', 'freeze', 'moving_statistics', 'dropout',
         'dense', 'refit', 'copies', 'noises'),
    'Sound and augmentation':
        ('decoder', 'crop_s', 'trim_db', 'pad_s', 'gain_db', 'flip', 'stretch', 'filter_db', 'mix'),
    'Evaluation': ('test_fold', 'test_only', 'strict', 'validation', 'keep', 'evaluate_every'),
}  # fmt: skip
_GROUPED = {name for names in GROUPS.values() for name in names}
GROUPS['Optimiser'] = tuple(field.name for field in dataclasses.fields(Recipe) if field.name not in _GROUPED)


def main(arguments: Sequence[str]) -> None:
    """Fine-tune or train the net."""
    from soundnet_tf.evaluation import datasets, splits

    cli.no_arguments(arguments)
    spec = labelled.spec()
    values = {field.name: flags.FLAGS[field.name].value for field in dataclasses.fields(Recipe)}
    recipe = dataclasses.replace(RECIPES[RECIPE.value], **{k: v for k, v in values.items() if v is not None})
    dataset = datasets.load(DATA.value, name=NAME.value, esc10=ESC10.value, test_only=TEST_ONLY.value)
    print(dataset.table(), flush=True)
    if TEST_FOLD.value is not None:
        splits.checked_folds(dataset, [TEST_FOLD.value], STRICT.value)
    _train(dataset, recipe, spec)


def _train(dataset: 'DataSet', recipe: Recipe, spec: 'NetSpec') -> None:
    # Loads TensorFlow, so the data is checked first.
    from soundnet_tf.evaluation import text_tables
    from soundnet_tf.export import tflite
    from soundnet_tf.finetune import fit

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
        print(f'\nConfusion matrix of the {name} clips\n{text_tables.confusion_table(result.classes, confusion)}')
    tflite.ensure_tflite(result.net)
    print(f'\n{result}')


def run() -> None:
    """The command `soundnet-finetune`."""
    cli.run(main, __name__, __doc__, GROUPS)


if __name__ == '__main__':
    run()

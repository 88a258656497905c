"""Evaluate a net's features by the accuracy of a linear classifier on them: the paper's protocol, and others.

    soundnet-evaluate --data=ESC-50/ --model=runs/first/net --out=esc50.json
    soundnet-evaluate --data=ESC-50/ --esc10 --model=runs/first/net --model=random:soundnet8 --model=mfcc
    soundnet-evaluate --data=scenes/ --protocol=dcase --model=module/ --layer=conv7
    soundnet-evaluate --data=ESC-50/ --model=yamnet.tflite:16000 --model=yamnet/:16000 --model=features/:0.5
    soundnet-evaluate --data=ESC-50/ --model=soundnet8 --layer=conv4,conv5,pool5,conv6,conv7,conv8
    soundnet-evaluate --data=sounds.csv --folds=5 --model=net.tflite --protocol=probe --C=0.1 --shots=1,2,4,8
    soundnet-evaluate --earlier=first.json --earlier=second.json

Each fold is the test set once. The feature scaling, and C if several values are given, are fitted on the other folds.
--data is a CSV file with the columns path, label and fold (and source), a folder with one folder per class, ESC-50 or
ESC-10, or a DCASE scene set. --model is a saved net, random:soundnet8 or random:soundnet5 (random weights), mfcc, the
folder or address of a hub module, a .tflite file (both with their sample rate behind a colon where it is not 22,050 Hz
or in the metadata), or precomputed features (a folder or table by file name, with its seconds per time step). A net is
not evaluated on a fold that it was trained on.

Accuracies have a 95% interval, by the bootstrap over recordings (over clips, if the data has none). Each row of the
table is compared with the first, on the same clips: the difference, its interval, and McNemar's exact test. --earlier
adds the results of earlier runs before those of --model.

Protocols: esc (clips repeated to 10 s, windows of 1 s, C 0.01), dcase (30 s, windows of 5 s), probe (logistic
regression on the mean over time), nearest (nearest neighbour).
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from absl import flags

from soundnet_tf import cli, storage

DATA = flags.DEFINE_string(
    'data', None, 'A CSV file, a folder with one folder per class, ESC-50, or a DCASE scene set.'
)
NAME = flags.DEFINE_string('name', None, 'Name of the data set (default: that of its file or folder).')
ESC10 = flags.DEFINE_boolean('esc10', False, 'Use only the ten classes of ESC-10, of ESC-50.')
FOLDS = flags.DEFINE_integer(
    'folds', None, 'Assign the clips to this many new folds; clips of one recording share a fold.'
)
TEST_FOLDS = flags.DEFINE_list('test_folds', None, 'Test on these folds only.')
STRICT = cli.strict_folds_flag()
MODEL = flags.DEFINE_multi_string('model', [], 'What computes the features; can be repeated.')
LAYER = cli.layers_flag()
EARLIER = flags.DEFINE_multi_string(
    'earlier', [], 'A JSON file that --out wrote for the same data, to compare with; can be repeated.'
)
PROTOCOL = flags.DEFINE_enum(
    'protocol', 'esc', ['esc', 'dcase', 'probe', 'nearest'], 'Sets the default of each flag of the protocol.'
)
SEED = cli.seed_flag('Seed of --folds, and of the clips that --shots draws.')
SHOTS = flags.DEFINE_list('shots', None, 'Also train on this many clips per class: --shots=1,2,4,8.')
CACHE = flags.DEFINE_string('cache', None, 'A folder that caches features.')
OUT = flags.DEFINE_string('out', None, 'A JSON file for the results, also for soundnet-visualize --evaluation.')
DECODER = cli.decoder_flag()

OWN = {
    'clip_s': flags.DEFINE_float('clip_s', None, 'Repeat clips to this length, in seconds.'),
    'window_s': flags.DEFINE_float('window_s', None, 'Window length in seconds; 0: the mean over the clip.'),
    'step_s': flags.DEFINE_float('step_s', None, 'Seconds between windows; 0: every time step.'),
    'gain': flags.DEFINE_float('gain', None, "Factor on the waveform; the authors' evaluation uses 2."),
    'probe': flags.DEFINE_string('probe', None, 'Classifier: svm, logistic or nearest.'),
    'C': flags.DEFINE_list('C', None, 'Regularisation: one value, or several to choose from.'),
    'standardise': flags.DEFINE_boolean('standardise', None, 'Scale each feature to mean 0 and standard deviation 1.'),
}
GROUPS = {'The protocol': ('layer', *OWN)}


def main(arguments: Sequence[str]) -> None:
    """Evaluate the models."""
    cli.no_arguments(arguments)
    test_folds, shots, cs = (
        _numbers(flag, kind) for flag, kind in ((TEST_FOLDS, int), (SHOTS, int), (OWN['C'], float))
    )
    from soundnet_tf.errors import SoundNetError
    from soundnet_tf.evaluation import comparison, datasets, fewshot, splits
    from soundnet_tf.evaluation.protocol import PROTOCOLS

    if not MODEL.value and not EARLIER.value:
        raise SoundNetError('--model is missing. See soundnet-evaluate --help')
    if not DATA.value and MODEL.value:
        raise SoundNetError('--data is missing. See soundnet-evaluate --help')
    if OUT.value and pathlib.Path(OUT.value).is_dir():
        raise SoundNetError(f'{OUT.value}: is a folder. Pass the path of a JSON file to --out')
    if not DATA.value:
        _report(comparison.earlier(EARLIER.value))
        return
    if '' in cli.split(LAYER.value):
        raise SoundNetError('--layer: a name is empty. Separate names by single commas')
    values = {name: flag.value for name, flag in OWN.items() if flag.value is not None}
    protocol = dataclasses.replace(PROTOCOLS[PROTOCOL.value], **values | ({'C': cs} if cs else {}))
    dataset = datasets.load(DATA.value, name=NAME.value, esc10=ESC10.value)
    if FOLDS.value is not None:
        dataset = datasets.assign_folds(dataset, FOLDS.value, SEED.value)
    print(dataset.table(), flush=True)
    folds = splits.checked_folds(dataset, test_folds, STRICT.value)
    table = comparison.earlier(EARLIER.value, dataset, folds)
    if shots:
        fewshot.check(dataset, protocol, shots, folds)
    _evaluate(dataset, protocol, folds, shots, table)


def _evaluate(dataset: Any, protocol: Any, folds: Any, shots: Any, table: Any) -> None:
    # Loads TensorFlow, so the data is checked first.
    from soundnet_tf.errors import UnknownLayer
    from soundnet_tf.evaluation import embedders, fewshot
    from soundnet_tf.evaluation.protocol import check, evaluate_layers

    if OUT.value:
        storage.make_folder(pathlib.Path(OUT.value).parent)
    models = [embedders.make(text) for text in MODEL.value]
    layers = cli.split(LAYER.value) or [protocol.layer]
    # A mistake in the last model is reported before hours of work.
    for embedder in models:
        for layer in layers:
            try:
                check(dataset, embedder, dataclasses.replace(protocol, layer=layer), folds)
            except UnknownLayer as error:
                if len(models) == 1:
                    raise
                hint = 'Evaluate this model in a run of its own, and compare with --earlier'
                raise UnknownLayer(f'{embedder.name}: no layer {layer!r}. {hint}') from error
    options = {'test_folds': folds, 'cache': CACHE.value, 'decoder': DECODER.value}
    for embedder in models:
        for result in evaluate_layers(dataset, embedder, protocol, layers, **options):
            print(f'\n{result.report()}')
            table.add(result)
            _write(table)
            if shots:
                own = dataclasses.replace(protocol, layer=result.embedder['layer'])
                points = fewshot.curve(dataset, embedder, own, shots, seed=SEED.value, **options)
                print(f'\n{fewshot.table(points)}')
                table.rows[-1]['few_shot'] = [dataclasses.asdict(point) for point in points]
                _write(table)
    print()
    _report(table)


def _report(table: Any) -> None:
    print(table)
    _write(table)


def _write(table: Any) -> None:
    if OUT.value:
        storage.write_json(OUT.value, table.rows)


def _numbers(flag: Any, kind: type) -> Any:
    """A list of numbers, or None. Raises SoundNetError for words."""
    from soundnet_tf.errors import SoundNetError

    try:
        return tuple(kind(text) for text in flag.value) if flag.value else None
    except ValueError:
        what = 'whole numbers' if kind is int else 'numbers'
        raise SoundNetError(f'--{flag.name} must be {what} separated by commas, got {",".join(flag.value)}') from None


def run() -> None:
    """The command `soundnet-evaluate`."""
    cli.run(main, __name__, __doc__, GROUPS)


if __name__ == '__main__':
    run()

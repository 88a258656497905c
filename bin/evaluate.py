"""How well sounds can be told apart by what a net makes of them: the paper's protocol, on anything that embeds.

    soundnet-evaluate --data=ESC-50/ --model=runs/first/net --out=esc50.json
    soundnet-evaluate --data=ESC-50/ --esc10 --model=runs/first/net --model=random:soundnet8 --model=mfcc
    soundnet-evaluate --data=scenes/ --protocol=dcase --model=module/ --layer=conv7
    soundnet-evaluate --data=sounds.csv --folds=5 --model=net.tflite --protocol=probe --C=0.1 --shots=1,2,4,8

Each fold of the data is held out in turn; C, where several are given, and the scale of features are chosen within the
other folds. The data is a CSV with columns path, label and fold (and source), class folders, ESC-50 or ESC-10, or a
DCASE scene set. A model is a saved net, random:soundnet8 or random:soundnet5 (random weights), mfcc, the folder or
address of a hub module, a .tflite file, or ready-made features (a folder or .npz of arrays by file name). A net that
has learned from a fold is not judged by it.

Protocols: esc (clips repeated to 10 s, windows of 1 s, C 0.01), dcase (30 s, windows of 5 s), probe (logistic
regression on the mean over time), nearest (its nearest neighbour).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from absl import flags

from soundnet_tf import cli, storage

DATA = flags.DEFINE_string(
    'data', None, 'A CSV, a folder of class folders, ESC-50, or a DCASE scene set.', required=True
)
NAME = flags.DEFINE_string('name', None, 'What the data set is called (default: as its file or folder).')
ESC10 = flags.DEFINE_boolean('esc10', False, 'Of ESC-50, the ten classes of ESC-10 alone.')
FOLDS = flags.DEFINE_integer(
    'folds', None, 'Deal the clips into so many folds, recordings whole, in place of their own.'
)
TEST_FOLDS = flags.DEFINE_list('test_folds', None, 'Hold out these folds only.')
MODEL: flags.FlagHolder[Any] = flags.DEFINE_multi_string(
    'model', None, 'What embeds; may be given again.', required=True
)
PROTOCOL = flags.DEFINE_enum(
    'protocol', 'esc', ['esc', 'dcase', 'probe', 'nearest'], 'Values of all flags from --layer to --standardise.'
)
SEED = flags.DEFINE_integer('seed', 0, 'Of the folds that are dealt, and of the draws of --shots.', lower_bound=0)
SHOTS = flags.DEFINE_list('shots', None, 'Also learn from so many clips of each class: --shots=1,2,4,8.')
CACHE = flags.DEFINE_string('cache', None, 'A folder where features stay, to be computed once.')
OUT = flags.DEFINE_string('out', None, 'A JSON file for all results.')
DECODER = flags.DEFINE_string('decoder', 'auto', 'auto, miniaudio, soundfile, pyav or tfio.')

OWN = {
    'layer': flags.DEFINE_string('layer', None, "A layer, head or output of the model (default: the model's own)."),
    'clip_s': flags.DEFINE_float('clip_s', None, 'Seconds up to which a clip is repeated.'),
    'window_s': flags.DEFINE_float('window_s', None, 'Seconds of a window; 0: the mean over the clip.'),
    'step_s': flags.DEFINE_float('step_s', None, 'Seconds from window to window; 0: every time step.'),
    'gain': flags.DEFINE_float('gain', None, "Multiplies the waveform; 2 as in the authors' evaluation."),
    'probe': flags.DEFINE_string('probe', None, 'svm, logistic or nearest.'),
    'C': flags.DEFINE_list('C', None, 'One value, or several to choose from.'),
    'standardise': flags.DEFINE_boolean('standardise', None, 'Give each feature mean 0 and deviation 1.'),
}


def main(arguments: Sequence[str]) -> None:
    """Evaluate as the flags say."""
    from soundnet_tf.errors import SoundNetError

    if arguments:
        raise SoundNetError(f'{arguments[0]!r} is no flag')
    test_folds, shots, cs = (
        _numbers(flag, kind) for flag, kind in ((TEST_FOLDS, int), (SHOTS, int), (OWN['C'], float))
    )
    from soundnet_tf.evaluation import datasets

    dataset = datasets.load(DATA.value, name=NAME.value, esc10=ESC10.value)
    if FOLDS.value is not None:
        dataset = datasets.assign_folds(dataset, FOLDS.value, SEED.value)
    print(dataset.table())
    _evaluate(dataset, test_folds, shots, cs)


def _evaluate(dataset: Any, test_folds: Any, shots: Any, cs: Any) -> None:
    # TensorFlow is loaded here, once the data is known to be there.
    import pathlib

    from soundnet_tf.evaluation import embedders, fewshot
    from soundnet_tf.evaluation.protocol import PROTOCOLS, evaluate
    from soundnet_tf.evaluation.result import HEAD

    given = {name: flag.value for name, flag in OWN.items() if flag.value is not None}
    protocol = dataclasses.replace(PROTOCOLS[PROTOCOL.value], **given | ({'C': cs} if cs else {}))
    if shots:
        fewshot.one_c(protocol)
    if OUT.value:
        pathlib.Path(OUT.value).parent.mkdir(parents=True, exist_ok=True)
    rows, results = [], []
    # All of them first: a mistake in the last costs no time.
    for embedder in [embedders.make(text) for text in MODEL.value]:
        found = evaluate(dataset, embedder, protocol, test_folds=test_folds, cache=CACHE.value, decoder=DECODER.value)
        print(f'\n{found.report()}')
        rows.append(found.markdown())
        results.append(found.to_dict())
        _write(results)
        if shots:
            points = fewshot.curve(
                dataset,
                embedder,
                protocol,
                shots,
                test_folds=test_folds,
                seed=SEED.value,
                cache=CACHE.value,
                decoder=DECODER.value,
            )
            print(f'\n{fewshot.table(points)}')
            results[-1]['few_shot'] = [dataclasses.asdict(point) for point in points]
            _write(results)
    print('\n'.join(['', HEAD, *rows]))


def _write(results: list[Any]) -> None:
    import pathlib

    if OUT.value:
        storage.write_json(pathlib.Path(OUT.value), results)


def _numbers(flag: Any, kind: type) -> Any:
    """A list of numbers, or None. Raises SoundNetError for words."""
    from soundnet_tf.errors import SoundNetError

    try:
        return tuple(kind(text) for text in flag.value) if flag.value else None
    except ValueError:
        what = 'whole numbers' if kind is int else 'numbers'
        raise SoundNetError(f'--{flag.name} is {what} between commas, not {",".join(flag.value)}') from None


def run() -> None:
    """The command `soundnet-evaluate`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()

"""What a net hears, as a page to look at and listen to: its filters, its units with the sounds that excite them, maps.

    soundnet-visualize --model=runs/first/net --sounds=recordings/ --out=report
    soundnet-visualize --model=runs/first/net --sounds='ESC-10/**/*.ogg' --out=report --layers=conv3,conv5,imagenet \\
      --run=runs/first --evaluation=runs/esc10/result.json

The folder --out opens from disk (report/index.html), without network or server, and may be copied or zipped whole.
A stopped run goes on when the same command is given again. Bad files are told, counted by reason and stop nothing:
the exit status is 1 then. Needs scikit-learn for the map: pip install 'soundnet_tf[visualize]'.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from soundnet_tf import cli

MODEL = flags.DEFINE_string('model', None, 'the folder of a saved net, or the name of a registered one')
SOUNDS = flags.DEFINE_string('sounds', None, 'a folder of sounds, at any depth, or a glob', required=True)
OUT = flags.DEFINE_string(
    'out', None, 'the folder of the report, which an older report there gives way to', required=True
)
LAYERS = flags.DEFINE_list(
    'layers', [], 'whose units are shown, heads among them; by default conv5 and conv7 (or what they are) and the heads'
)
UNITS = flags.DEFINE_integer(
    'units', 64, 'of each layer and head, the most selective; 1000 shows all classes of a head', lower_bound=1
)
TOP = flags.DEFINE_integer('top', 6, 'excerpts of each unit', lower_bound=1)
LABELS = flags.DEFINE_string(
    'labels', None, 'a CSV with the columns path and label; without it, the folders that the sounds lie in'
)
VISION = flags.DEFINE_string(
    'vision', None, 'a folder of NAME.npy [frames, channels], what vision makes of each clip, for a second map'
)
TIMELINE = flags.DEFINE_string('timeline', None, 'the sound file shown over time; by default the longest of the sounds')
RUN = flags.DEFINE_string('run', None, 'the folder of a training run, for its curves')
EVALUATION = flags.DEFINE_string(
    'evaluation', None, 'a JSON file with classes and confusion, or a folder with such a result.json'
)
SHORT: flags.FlagHolder[Any] = flags.DEFINE_enum(
    'short', 'tile', ['error', 'tile', 'pad'], 'too short a clip: error, tile (repeat it) or pad (with silence)'
)
DECODER = flags.DEFINE_string('decoder', 'auto', 'auto, or one of miniaudio, soundfile, pyav, tfio')
CHANNEL: flags.FlagHolder[Any] = flags.DEFINE_enum(
    'channel', 'first', ['first', 'mean'], 'which mono signal a recording of several channels becomes'
)
SEED = flags.DEFINE_integer('seed', 0, 'of the map, and of which clips are on it where there are many', lower_bound=0)


def main(arguments: Sequence[str]) -> int:
    """Write the report."""
    import os

    from soundnet_tf import inference
    from soundnet_tf.errors import SoundNetError
    from soundnet_tf.inference import files
    from soundnet_tf.nets import lookup
    from soundnet_tf.visualize import report

    model = MODEL.value or next(iter(arguments), None)
    if model is None:
        raise SoundNetError('name the net: soundnet-visualize --model=NET --sounds=FOLDER --out=REPORT')
    if arguments[model is not MODEL.value :]:
        raise SoundNetError(f'{arguments[-1]!r} is no flag: name the sounds with --sounds')
    sounds = files.find([SOUNDS.value])
    embedder = inference.load(model, short=SHORT.value, decoder=DECODER.value, channel=CHANNEL.value)
    wanted = report.Wanted(
        layers=tuple(LAYERS.value),
        units=UNITS.value,
        top=TOP.value,
        labels=LABELS.value,
        vision=VISION.value,
        timeline=TIMELINE.value,
        run=RUN.value,
        evaluation=EVALUATION.value,
        seed=SEED.value,
    )
    tally = report.write(embedder, lookup.find(model), sounds, OUT.value, wanted)
    print(f'{os.path.join(OUT.value, report.PAGE)}: {tally}')
    return tally.status


def run() -> None:
    """The command `soundnet-visualize`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()

"""Write an HTML report of what a net responds to: filters, units with the sounds that activate them most, maps.

    soundnet-visualize --sounds=recordings/ --out=report
    soundnet-visualize --model=runs/first/net --sounds='ESC-10/**/*.ogg' --out=report --layers=conv3,conv5,imagenet \\
      --run=runs/first --evaluation=runs/esc10/result.json

Open report/index.html in a browser; it needs no network or server, and the folder can be copied or zipped. To resume a
stopped run, repeat the command. Files that cannot be used are reported and counted by reason, and the exit status is
then 1. The map needs scikit-learn: pip install 'soundnet_tf[visualize]'.
"""

from collections.abc import Sequence

from absl import flags

from soundnet_tf import cli

MODEL = cli.model_flag()
SOUNDS = flags.DEFINE_string('sounds', None, 'A folder of sounds, searched recursively, or a glob.', required=True)
OUT = cli.out_flag('The folder of the report; an older report there is replaced.')
LAYERS = flags.DEFINE_list(
    'layers', [], 'Layers and heads to show (default: conv5, conv7, or their counterparts, and the heads).'
)
UNITS = flags.DEFINE_integer(
    'units',
    64,
    'Most selective units to show, per layer and head; 1000 shows all classes of a head.',
    lower_bound=1,
)
TOP = flags.DEFINE_integer('top', 6, 'Excerpts per unit.', lower_bound=1)
LABELS = flags.DEFINE_string(
    'labels', None, "A CSV file with the columns path and label (default: the names of the sounds' folders)."
)
VISION = flags.DEFINE_string(
    'vision', None, 'A folder of NAME.npy [frames, channels], visual features of each clip, for a second map.'
)
TIMELINE = flags.DEFINE_string('timeline', None, 'The sound file to show over time (default: the longest).')
RUN = flags.DEFINE_string('run', None, 'The folder of a training run, for its learning curves.')
EVALUATION = flags.DEFINE_string(
    'evaluation', None, 'A JSON file of soundnet-evaluate --out, or the run folder of soundnet-finetune.'
)
SHORT = cli.short_flag()
DECODER = cli.decoder_flag()
CHANNEL = cli.channel_flag()
SEED = cli.seed_flag('Seed of the map, and of the choice of its clips if there are many.')


def main(arguments: Sequence[str]) -> int:
    """Write the report."""
    import os

    from soundnet_tf import inference
    from soundnet_tf.inference import files
    from soundnet_tf.nets import lookup
    from soundnet_tf.visualize import report

    cli.no_arguments(arguments, 'Pass the sounds as --sounds')
    sounds = files.find([SOUNDS.value])
    embedder = inference.load(MODEL.value, short=SHORT.value, decoder=DECODER.value, channel=CHANNEL.value)
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
    tally = report.write(embedder, lookup.find(MODEL.value), sounds, OUT.value, wanted)
    print(f'{os.path.join(OUT.value, report.PAGE)}: {tally}')
    return tally.status


def run() -> None:
    """The command `soundnet-visualize`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()

"""A SoundNet learns from records: raw sound in, what the teachers saw out.

    soundnet-train --records=records/ --out=runs/first --steps=10000 --batch=16

The heads are the teachers that the records were made with. A stopped run goes on from its last
checkpoint when the same command is given again (with more --steps, if you like). The run folder
gets checkpoints, TensorBoard logs (`tensorboard --logdir=runs`) and, at the end, the saved net
`runs/first/net`, which soundnet-embed and soundnet-tag take as --model.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from absl import flags

from soundnet_tf import cli
from soundnet_tf.config import Training

DEFAULT = Training()
RECORDS = flags.DEFINE_string('records', None, 'The folder that soundnet-prepare wrote.', required=True)
OUT = flags.DEFINE_string('out', None, 'The run folder.', required=True)
NET = flags.DEFINE_enum('net', 'soundnet8', ['soundnet8', 'soundnet5'], 'The 8-layer or the 5-layer net.')
WIDTH = flags.DEFINE_float('width', 1.0, 'The part of the filters to keep: 0.5 is a net of half width.', 0.01, 1.0)
flags.DEFINE_integer('steps', DEFAULT.steps, 'Batches to learn from.', lower_bound=1)
flags.DEFINE_integer('batch', DEFAULT.batch, 'Clips per batch, over all devices.', lower_bound=1)
flags.DEFINE_float('clip_s', DEFAULT.clip_s, 'Seconds per clip: shorter ones are repeated, longer ones trimmed.')
flags.DEFINE_float('learning_rate', DEFAULT.learning_rate, 'Of Adam.')
flags.DEFINE_enum('loss', DEFAULT.loss, ['kl', 'l2'], 'How far the student is from its teachers.')
flags.DEFINE_string('decoder', DEFAULT.decoder, 'auto, miniaudio, soundfile, pyav or tfio.')
flags.DEFINE_enum('distribution', DEFAULT.distribution, ['none', 'mirrored'], 'One device, or all of this machine.')
flags.DEFINE_integer('seed', DEFAULT.seed, 'Of the weights and of the order of the records.', lower_bound=0)
flags.DEFINE_integer('save_every', DEFAULT.save_every, 'Steps from checkpoint to checkpoint.', lower_bound=1)


def main(arguments: Sequence[str]) -> None:
    """Train as the flags say."""
    from soundnet_tf import saved, training
    from soundnet_tf.errors import SoundNetError
    from soundnet_tf.spec import SOUNDNET5, SOUNDNET8, thin

    if arguments:
        raise SoundNetError(f'{arguments[0]!r} is no flag')
    spec = {'soundnet8': SOUNDNET8, 'soundnet5': SOUNDNET5}[NET.value]
    spec = spec if WIDTH.value == 1 else thin(spec, WIDTH.value)
    values: dict[str, Any] = {field.name: flags.FLAGS[field.name].value for field in dataclasses.fields(Training)}
    from soundnet_tf.export import tflite

    trained = training.train(RECORDS.value, spec, OUT.value, Training(**values))
    if not (trained.net / saved.TFLITE).exists():
        tflite.add_tflite(trained.net)
    print(f'the net is in {trained.net}')


def run() -> None:
    """The command `soundnet-train`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()

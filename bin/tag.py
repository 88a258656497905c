"""What a net hears in sound files: the most probable classes of each of its heads.

soundnet-tag --model=runs/first/net rain.wav
soundnet-tag --model=runs/first/net --format=json --top=3 recordings/ > tags.jsonl

A clip too short for the heads is repeated, and that is told.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from soundnet_tf import cli

MODEL = flags.DEFINE_string('model', None, 'the folder of a saved net, or the name of a registered one', required=True)
FORMAT = flags.DEFINE_enum('format', 'text', ['text', 'json'], 'text, or json: one line for each file')
TOP = flags.DEFINE_integer('top', 5, 'how many classes of each head', lower_bound=1)
SHORT: flags.FlagHolder[Any] = flags.DEFINE_enum(
    'short', 'tile', ['error', 'tile'], 'too short a clip: error, or tile (repeat it)'
)
DECODER = flags.DEFINE_string('decoder', 'auto', 'auto, or one of miniaudio, soundfile, pyav, tfio')


def main(arguments: Sequence[str]) -> int:
    """Tag the named files and folders."""
    from soundnet_tf import inference
    from soundnet_tf.inference import files, tag

    sounds = files.find(arguments)
    embedder = inference.load(MODEL.value, short=SHORT.value, decoder=DECODER.value)
    tally = tag.tag_files(embedder, sounds, FORMAT.value, TOP.value)
    if len(sounds) > 1 or tally.failed:
        files.tell(str(tally))
    return tally.status


def run() -> None:
    """The command `soundnet-tag`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()

"""What a net hears: the most probable classes of each of its heads, of a clip or of each time step.

    soundnet-tag rain.wav
    soundnet-tag --model=soundnet8-esc10 rain.wav
    soundnet-tag --model=runs/first/net --format=csv --per=step --top=3 recordings/ > tags.csv

Live, from a microphone, a line or block for each time step as soon as it is settled (docs/streaming.md says when):
    arecord -q -t raw -f S16_LE -r 22050 -c 1 | \\
      soundnet-tag --model=runs/first/net --pcm=- --sample_rate=22050 --channels=1 --dtype=int16

The original net (soundnet8) is the default: its weights are converted at the first use, once.
A clip too short for the heads is repeated, and that is reported. Where it was measured below which confidence a net is
wrong too often, as for those that ship, it says "not sure" there: docs/models.md.
"""

from collections.abc import Sequence
from typing import Any, cast

from absl import flags

from soundnet_tf import cli

MODEL = flags.DEFINE_string(
    'model', None, 'the folder or the name of a saved net: soundnet8 (the original, the default), soundnet8-esc10, ...'
)
FORMAT = flags.DEFINE_enum(
    'format', 'text', ['text', 'json', 'csv'], 'text, json (a line for each file) or csv (a line for each tag)'
)
TOP = flags.DEFINE_integer('top', 5, 'how many classes of each head', lower_bound=1)
PER = flags.DEFINE_enum('per', 'clip', ['clip', 'step'], 'clip (the mean over time) or step (each time step)')
SHORT: flags.FlagHolder[Any] = flags.DEFINE_enum(
    'short', 'tile', ['error', 'tile', 'pad'], 'too short a clip: error, tile (repeat it) or pad (with silence)'
)
PATHS_FROM = flags.DEFINE_string(
    'paths_from', None, 'a file that lists files, folders or globs, one per line; - is stdin'
)
DECODER = flags.DEFINE_string('decoder', 'auto', 'auto, or one of miniaudio, soundfile, pyav, tfio')
CHANNEL: flags.FlagHolder[Any] = flags.DEFINE_enum(
    'channel', 'first', ['first', 'mean'], 'which mono signal a recording of several channels becomes'
)
EDGES: flags.FlagHolder[Any] = flags.DEFINE_enum(
    'edges', 'drop', ['drop', 'keep'], "steps at a clip's end that the net never learned to give: drop, or keep them"
)
PCM = flags.DEFINE_string('pcm', None, 'listen live to raw samples: - is stdin, or the path of a pipe')
SAMPLE_RATE = flags.DEFINE_integer('sample_rate', 22_050, 'of --pcm, in Hz', lower_bound=1)
CHANNELS = flags.DEFINE_integer('channels', 1, 'of --pcm, interleaved', lower_bound=1, upper_bound=64)
DTYPE = flags.DEFINE_enum('dtype', 'int16', ['int16', 'int32', 'uint8', 'float32'], 'of --pcm')


def main(arguments: Sequence[str]) -> int:
    """Tag the named files and folders, or what comes through a pipe."""
    from soundnet_tf import inference
    from soundnet_tf.errors import SoundNetError
    from soundnet_tf.inference import files, pcm, printing

    def load() -> inference.Embedder:
        options = {'short': SHORT.value, 'decoder': DECODER.value, 'channel': CHANNEL.value, 'edges': EDGES.value}
        return inference.load(MODEL.value, **options)

    form, count = cast(str, FORMAT.value), cast(int, TOP.value)
    if PCM.value:
        if arguments or PATHS_FROM.value:
            raise SoundNetError('--pcm listens to a pipe: name no files with it')
        if flags.FLAGS['per'].present and PER.value == 'clip':
            raise SoundNetError('--pcm tells each time step as it comes: leave --per=clip out')
        pieces = pcm.pieces(PCM.value, cast(int, CHANNELS.value), cast(str, DTYPE.value))
        name = 'stdin' if PCM.value == '-' else PCM.value
        seconds = printing.tag_live(load(), pieces, cast(int, SAMPLE_RATE.value), name, form, count)
        files.tell(f'{seconds:.2f} s of sound')
        return 0
    sounds = files.find(arguments, files.listed(PATHS_FROM.value) if PATHS_FROM.value else [])
    tally = printing.tag_files(load(), sounds, form, count, cast(str, PER.value))
    if len(sounds) > 1 or tally.failed:
        files.tell(str(tally))
    return tally.status


def run() -> None:
    """The command `soundnet-tag`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()

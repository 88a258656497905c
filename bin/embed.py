"""Sound files to embeddings: the values of one layer of a net over time.

    soundnet-embed --out=embeddings recordings/
    soundnet-embed --out=embeddings --layer=conv8 --short=tile recordings/
    soundnet-embed --model=runs/first/net --out=embeddings.parquet --format=parquet --pool=mean 'tapes/**/*.mp3'
    find /tapes -name '*.flac' | soundnet-embed --model=runs/first/net --out=embeddings --paths_from=-

Arguments are files of any length, folders, globs; --paths_from names a file that lists more of them.
npz: a file for each sound in the folder --out, in folders as the inputs lie, rain.wav.npz. Several runs may share it;
where each has its own list of sounds, give all the same --root.
jsonl, parquet: one table, the file --out, with a row for each sound; made anew where the list of sounds is another.
A stopped run goes on when the same command is given again; what is finished is skipped. Bad files are told, counted
by reason and stop nothing: the exit status is 1 then.

On a cluster, through Apache Beam; what follows `--` goes to its runner untouched:
    soundnet-embed --model=/disk/net --out=/disk/embeddings --paths_from=list.txt --runner=FlinkRunner \\
      -- --flink_master=host:8081
"""

import sys
from collections.abc import Sequence
from typing import Any, cast

from absl import flags

from soundnet_tf import cli

MODEL = flags.DEFINE_string(
    'model', None, 'the folder or the name of a saved net: soundnet8 (the original, the default), soundnet8-esc10, ...'
)
OUT = flags.DEFINE_string('out', None, 'the folder to write npz files in, or the file of a table', required=True)
FORMAT = flags.DEFINE_enum('format', 'npz', ['npz', 'jsonl', 'parquet'], 'npz, jsonl or parquet')
LAYER = flags.DEFINE_string('layer', None, "a layer or a head of the net; the net's feature layer where none is named")
POOL = flags.DEFINE_enum('pool', 'none', ['none', 'mean', 'max'], 'none (all time steps), mean or max over time')
SHORT: flags.FlagHolder[Any] = flags.DEFINE_enum(
    'short', 'error', ['error', 'tile', 'pad'], 'too short a clip: error, tile (repeat it) or pad (with silence)'
)
PATHS_FROM = flags.DEFINE_string(
    'paths_from', None, 'a file that lists files, folders or globs, one per line; - is stdin'
)
ROOT = flags.DEFINE_string(
    'root', None, 'outputs are named by the paths below this folder (default: the one that all inputs have in common)'
)
DECODER = flags.DEFINE_string('decoder', 'auto', 'auto, or one of miniaudio, soundfile, pyav, tfio')
CHANNEL: flags.FlagHolder[Any] = flags.DEFINE_enum(
    'channel', 'first', ['first', 'mean'], 'which mono signal a recording of several channels becomes'
)
PRECISION: flags.FlagHolder[Any] = flags.DEFINE_enum(
    'precision', 'float32', ['float32', 'bfloat16'], 'bfloat16 is quicker on processors that have it (cosine 0.9999)'
)
EDGES: flags.FlagHolder[Any] = flags.DEFINE_enum(
    'edges', 'drop', ['drop', 'keep'], "steps at a clip's end that the net never learned to give: drop, or keep them"
)
RUNNER = flags.DEFINE_string('runner', None, 'run under Apache Beam: DirectRunner, FlinkRunner, DataflowRunner, ...')

OPTIONS: list[str] = []
"""What stands after `--`."""


def main(arguments: Sequence[str]) -> int:
    """Embed the named files and folders."""
    import functools

    from soundnet_tf import inference
    from soundnet_tf.errors import SoundNetError
    from soundnet_tf.inference import files

    if OPTIONS and not RUNNER.value:
        raise SoundNetError(f'{OPTIONS[0]} after -- is for a runner of Apache Beam: name one with --runner')
    sounds = files.find(arguments, files.listed(PATHS_FROM.value) if PATHS_FROM.value else [], ROOT.value)
    options = {'short': SHORT.value, 'decoder': DECODER.value, 'channel': CHANNEL.value, 'precision': PRECISION.value}
    options |= {'edges': EDGES.value}
    load = functools.partial(inference.load, MODEL.value, **options)
    out, form = cast(str, OUT.value), cast(str, FORMAT.value)
    shared = (sounds, out, form, LAYER.value, POOL.value)
    if RUNNER.value:
        from soundnet_tf.inference import beam

        tally = beam.embed_files(load, *shared, runner=RUNNER.value, options=OPTIONS)
    else:
        from soundnet_tf.inference import write

        tally = write.embed_files(load(), *shared)
    print(f'{out}: {tally}')
    return tally.status


def run() -> None:
    """The command `soundnet-embed`."""
    if '--' in sys.argv:
        at = sys.argv.index('--')
        OPTIONS[:], sys.argv[at:] = sys.argv[at + 1 :], []
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()

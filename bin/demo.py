"""The journey of sound through SoundNet, offline, on what this package can do so far.

soundnet-demo
"""

from collections.abc import Sequence

from soundnet_tf import cli


def main(arguments: Sequence[str]) -> None:
    """Run the demo."""
    from soundnet_tf.demo import journey

    journey.run()


def run() -> None:
    """The command `soundnet-demo`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()

"""The whole journey, offline, on a small made world: videos, teacher, records, student, test, report.

    soundnet-demo

A world is drawn and synthesised in which ten kinds of things are seen and heard; an eye learns from
pictures to name them; a SoundNet learns from the eye, by ear alone; then it is put to the test on
videos that it never met, and what
it hears is drawn. Under six minutes on two cores. A stopped demo goes on when started again.
"""

from collections.abc import Sequence

from absl import flags

from soundnet_tf import cli

OUT = flags.DEFINE_string('out', 'demo-run', 'The folder for the world, the net and the report.')
SEED = flags.DEFINE_integer('seed', 0, 'Of the world and of what is learned in it.', lower_bound=0)
SHUFFLED = flags.DEFINE_bool('shuffled', False, 'The control: wrong sounds under the pictures; the ear learns nothing.')


def main(arguments: Sequence[str]) -> None:
    """Run the demo."""
    from soundnet_tf.errors import SoundNetError

    if arguments:
        raise SoundNetError(f'{arguments[0]!r} is no flag')
    from soundnet_tf.demo import journey

    journey.run(OUT.value, journey.Scale(seed=SEED.value, shuffled=SHUFFLED.value))


def run() -> None:
    """The command `soundnet-demo`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()

"""Train and test a SoundNet end to end on a small synthetic world, offline.

    soundnet-demo

Videos of ten kinds of objects are drawn and synthesised. A vision network ("the eye") learns to classify the pictures,
and a SoundNet ("the ear") learns from its predictions, from sound alone. The SoundNet is then evaluated on new videos,
and a report shows what its units respond to. Takes under six minutes on two cores. To resume a stopped demo, repeat the
command.
"""

from collections.abc import Sequence

from absl import flags

from soundnet_tf import cli

OUT = flags.DEFINE_string('out', 'demo-run', 'The folder for the videos, the net and the report.')
SEED = cli.seed_flag('Seed of the videos and of training.')
SHUFFLED = flags.DEFINE_bool(
    'shuffled', False, 'Control experiment: pair each picture with a wrong sound, so that nothing can be learned.'
)


def main(arguments: Sequence[str]) -> None:
    """Run the demo."""
    cli.no_arguments(arguments)
    from soundnet_tf.demo import journey

    journey.run(OUT.value, journey.Scale(seed=SEED.value, shuffled=SHUFFLED.value))


def run() -> None:
    """The command `soundnet-demo`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()

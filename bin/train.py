"""A SoundNet learns from records: raw sound in, what the teachers saw out.

    soundnet-train --records=records/ --out=runs/first --steps=10000 --batch=16
    soundnet-train --records=records/ --out=runs/paper5 --experiment=paper5 --set=pairing=time

The heads are the teachers that the records were made with. A stopped run, however it was stopped,
goes on from its last checkpoint when the same command is given again (with more --steps, if you
like), as if nothing had happened. The run folder gets checkpoints, a log as CSV and for TensorBoard
(`tensorboard --logdir=runs`) and, at the end, the saved net `runs/first/net`, which soundnet-embed
and soundnet-tag take as --model.

On several machines give each the same command with --distribution=multiworker, and name them all in
the environment variable TF_CONFIG (docs/training.md).
"""

import dataclasses
from collections.abc import Sequence

from absl import flags

from soundnet_tf import cli, config, experiments

RECORDS = flags.DEFINE_string('records', None, 'The folder that soundnet-prepare wrote.', required=True)
OUT = flags.DEFINE_string('out', None, 'The run folder.', required=True)
EXPERIMENT = flags.DEFINE_enum('experiment', 'default', list(experiments.EXPERIMENTS), 'What to run; see above.')
SMOKE = flags.DEFINE_boolean('smoke', False, 'Only try it out: two small steps of a thin net.')
SET = flags.DEFINE_multi_string('set', None, 'Change a value of the experiment: name=value; may be given again.')

# Without a value each is as the experiment has it.
OWN = {
    flag.name: flag
    for flag in (
        flags.DEFINE_enum('net', None, list(config.NETS), 'The 8-layer or the 5-layer net.'),
        flags.DEFINE_float('width', None, 'The part of the filters to keep: 0.5 is a net of half width.'),
        flags.DEFINE_integer('steps', None, 'Batches to learn from.'),
        flags.DEFINE_integer('batch', None, 'Clips per batch, over all devices.'),
        flags.DEFINE_float('clip_s', None, 'Seconds per clip: shorter ones are repeated, longer ones trimmed.'),
        flags.DEFINE_float('learning_rate', None, 'Of Adam.'),
        flags.DEFINE_enum('loss', None, config.LOSSES, 'How far the student is from its teachers.'),
        flags.DEFINE_string('decoder', None, 'auto, miniaudio, soundfile, pyav or tfio.'),
        flags.DEFINE_enum('distribution', None, config.DISTRIBUTIONS, 'One device, a machine, or several machines.'),
        flags.DEFINE_integer('seed', None, 'Of the weights, the order of the records, and augmentation.'),
        flags.DEFINE_boolean('deterministic', None, 'The same numbers to the bit, run by run.'),
        flags.DEFINE_boolean('skip_bad_records', None, 'Leave out what is damaged, and count it, instead of stopping.'),
        flags.DEFINE_integer('save_every', None, 'Steps from checkpoint to checkpoint.'),
    )
}


def main(arguments: Sequence[str]) -> int | None:
    """Train as the flags say."""
    from soundnet_tf.errors import SoundNetError

    if arguments:
        raise SoundNetError(f'{arguments[0]!r} is no flag')
    given = [f'{name}={flag.value}' for name, flag in OWN.items() if flag.value is not None]
    experiment = experiments.named(EXPERIMENT.value)
    experiment = experiments.smoke(experiment) if SMOKE.value else experiment
    experiment = config.override(experiment, [*given, *(SET.value or [])])
    if empty := [flag for flag in (RECORDS, OUT) if not flag.value]:
        raise SoundNetError(f'--{empty[0].name} names no folder')
    from soundnet_tf.training import workers

    if workers.IS_CHILD:
        workers.follow()
    elif experiment.training.distribution == 'multiworker':
        return workers.watch()
    from soundnet_tf.export import tflite
    from soundnet_tf.nets import saved
    from soundnet_tf.training import trainer

    trained = trainer.train(RECORDS.value, experiment, OUT.value)
    if not trained.chief:
        return
    if not (trained.net / saved.TFLITE).exists():
        tflite.add_tflite(trained.net)
    print(f'the net is in {trained.net}')


def _doc() -> str:
    listed = '\n'.join(f'  {name:<14} {experiment.about}' for name, experiment in experiments.EXPERIMENTS.items())
    names = ', '.join(field.name for field in dataclasses.fields(config.Training) if field.name not in OWN)
    return f'{__doc__}\nExperiments:\n{listed}\n\nWhat --set can change besides: {names}.'


def run() -> None:
    """The command `soundnet-train`."""
    cli.run(main, __name__, _doc())


if __name__ == '__main__':
    run()

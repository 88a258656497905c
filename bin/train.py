"""Train a SoundNet on records: raw sound in, the predictions of visual teachers out.

    soundnet-train --records=records/ --out=runs/first --steps=10000 --batch=16
    soundnet-train --records=records/ --out=runs/paper5 --experiment=paper5 --set=pairing=time
    soundnet-train --records=records/ --out=runs/more --model=soundnet8 --learning_rate=0.0001

The net has one head per teacher of the records. To resume a stopped run from its last checkpoint, repeat the command;
--steps may be larger. The result is the same as without the interruption. The run folder gets checkpoints, a log as CSV
and for TensorBoard (`tensorboard --logdir=runs`) and, at the end, the saved net `runs/first/net`, for --model of the
other commands.

To train on several machines, run the same command on each with --distribution=multiworker, and list them all in the
environment variable TF_CONFIG (docs/training.md).
"""

import dataclasses
import os
from collections.abc import Sequence

from absl import flags

from soundnet_tf import cli, config, experiments

RECORDS = flags.DEFINE_multi_string(
    'records',
    None,
    'A folder that soundnet-prepare wrote; several with equal teachers: a,b, or repeated.',
    required=True,
)
OUT = cli.out_flag('The run folder.')
EXPERIMENT = flags.DEFINE_enum('experiment', 'default', list(experiments.EXPERIMENTS), 'The settings; see above.')
MODEL = cli.model_flag(
    'The folder or the name of a saved net to continue from; with --spec, only the layers that are the same are kept. '
    'Heads are kept where name and number of classes agree.'
)
SPEC = flags.DEFINE_string('spec', None, 'An architecture of your own: a JSON file like the spec.json of a saved net.')
SMOKE = flags.DEFINE_boolean('smoke', False, 'Test run: two small steps of a thin net.')
SET = flags.DEFINE_multi_string('set', None, 'Change a setting of the experiment: name=value; can be repeated.')

# The defaults are those of the experiment.
OWN = {
    flag.name: flag
    for flag in (
        flags.DEFINE_enum('net', None, list(config.NETS), 'The 8-layer or the 5-layer net.'),
        flags.DEFINE_float('width', None, 'Fraction of the filters to keep: 0.5 is a net of half width.'),
        flags.DEFINE_integer('steps', None, 'Training steps.'),
        flags.DEFINE_integer('batch', None, 'Clips per batch, over all devices.'),
        flags.DEFINE_float('clip_s', None, 'Seconds per clip: shorter clips are repeated, longer ones trimmed.'),
        flags.DEFINE_float('learning_rate', None, "Adam's learning rate."),
        flags.DEFINE_enum('loss', None, config.LOSSES, "Loss between the net's and the teachers' predictions."),
        flags.DEFINE_string('decoder', None, 'Audio decoder: auto, miniaudio, soundfile, pyav or tfio.'),
        flags.DEFINE_enum('distribution', None, config.DISTRIBUTIONS, 'One device, one machine, or several machines.'),
        flags.DEFINE_integer('seed', None, 'Seed of the weights, the order of the records, and augmentation.'),
        flags.DEFINE_boolean('deterministic', None, 'Bit-identical results from run to run.'),
        flags.DEFINE_boolean('skip_bad_records', None, 'Skip and count damaged records instead of stopping.'),
        flags.DEFINE_integer('save_every', None, 'Steps between checkpoints.'),
    )
}
OF_NET = ('net', 'width')
"""Settings that choose a net of the experiment."""
GROUPS = {'Settings (defaults: those of --experiment)': ('set', *OWN)}


def main(arguments: Sequence[str]) -> int | None:
    """Train the net."""
    from soundnet_tf.errors import SoundNetError

    cli.no_arguments(arguments)
    values = [f'{name}={flag.value}' for name, flag in OWN.items() if flag.value is not None]
    values += SET.value or []
    of_net = [name for name in OF_NET if any(value.startswith(f'{name}=') for value in values)]
    ours = [f'--{flag.name}' for flag in (SPEC, MODEL) if flag.value][:1]
    others = ['--smoke'] * SMOKE.value + [f'--{name}' for name in of_net]
    if ours and others:
        raise SoundNetError(f'{" and ".join(ours + others)}: each chooses a net. Use one of them')
    experiment = experiments.named(EXPERIMENT.value)
    experiment = experiments.smoke(experiment) if SMOKE.value else experiment
    experiment = config.override(experiment, values)
    # A folder's name may have commas.
    folders = [part for text in RECORDS.value for part in ([text] if os.path.isdir(text) else text.split(','))]
    for name, given in (('records', folders), ('out', [OUT.value])):
        if not all(given):
            raise SoundNetError(f'--{name} is empty. Pass a folder')
    from soundnet_tf.training import workers

    if workers.IS_CHILD:
        workers.follow()
    elif experiment.training.distribution == 'multiworker':
        return workers.watch()
    from soundnet_tf.export import tflite
    from soundnet_tf.training import start, trainer

    trained = trainer.train(
        folders,
        experiment,
        OUT.value,
        start.read_spec(SPEC.value) if SPEC.value else None,
        start=start.Start.find(MODEL.value) if MODEL.value else None,
    )
    if not trained.chief:
        return
    tflite.ensure_tflite(trained.net)
    print(f'the net is in {trained.net}')


def _doc() -> str:
    listed = '\n'.join(f'  {name:<14} {experiment.about}' for name, experiment in experiments.EXPERIMENTS.items())
    names = ', '.join(field.name for field in dataclasses.fields(config.Training) if field.name not in OWN)
    return f'{__doc__}\nExperiments:\n{listed}\n\nOther settings for --set: {names}.'


def run() -> None:
    """The command `soundnet-train`."""
    cli.run(main, __name__, _doc(), GROUPS)


if __name__ == '__main__':
    run()

"""The paper's training, its ablations and modern settings.

Each is an `Experiment`; `soundnet-train --experiment=NAME` runs it, `--set=name=value` changes it,
and `smoke` makes it small enough for a test. `recipes.Recipe` configures training on labels, for
`soundnet-finetune --recipe=NAME`.
"""

import dataclasses

from soundnet_tf.config import Experiment
from soundnet_tf.errors import SoundNetError
from soundnet_tf.experiments import ablations, modern, paper

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment for experiment in (*paper.EXPERIMENTS, *ablations.EXPERIMENTS, *modern.EXPERIMENTS)
}


def named(name: str) -> Experiment:
    """The experiment with this name."""
    if name not in EXPERIMENTS:
        raise SoundNetError(f'no experiment {name!r}. Use one of {", ".join(EXPERIMENTS)}')
    return EXPERIMENTS[name]


def smoke(experiment: Experiment) -> Experiment:
    """The same with a thin net and two small batches of 10 s clips, to test that it runs."""
    training = dataclasses.replace(
        experiment.training,
        steps=2,
        batch=2,
        clip_s=10.0,
        save_every=1,
        warmup_steps=min(1, experiment.training.warmup_steps),
        validate_every=min(1, experiment.training.validate_every),
        held_out=min(1, experiment.training.held_out),
    )
    return dataclasses.replace(experiment, width=1 / 16, training=training)

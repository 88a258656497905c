"""The paper's training, its ablations and our own defaults, as values.

Each is an `Experiment`; `soundnet-train --experiment=NAME` runs it, `--set=name=value` changes it,
and `smoke` makes it small enough for a test. How a net learns from labels is a `recipes.Recipe`, for
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
    """The experiment of that name."""
    if name not in EXPERIMENTS:
        raise SoundNetError(f'no experiment {name!r}: there are {", ".join(EXPERIMENTS)}')
    return EXPERIMENTS[name]


def smoke(experiment: Experiment) -> Experiment:
    """The same on a thin net, for two small batches of clips of 10 s: whether it runs, not what it learns."""
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

"""What the paper varies: the loss, the teachers, the depth (its tables of ablations)."""

import dataclasses

from soundnet_tf.config import Experiment
from soundnet_tf.experiments.paper import TORCH

EXPERIMENTS = (
    Experiment('l2', 'the l2 loss in place of KL', training=dataclasses.replace(TORCH, loss='l2')),
    Experiment(
        'imagenet-only', 'one teacher, who sees objects', training=dataclasses.replace(TORCH, teachers=('imagenet',))
    ),
    Experiment(
        'places-only', 'one teacher, who sees scenes', training=dataclasses.replace(TORCH, teachers=('places',))
    ),
    Experiment('l2-5', 'the l2 loss, 5 layers', 'soundnet5', training=dataclasses.replace(TORCH, loss='l2')),
    Experiment(
        'by-time',
        'each time step with the frame nearest in time: not in the paper, which pairs by index',
        training=dataclasses.replace(TORCH, pairing='time'),
    ),
)

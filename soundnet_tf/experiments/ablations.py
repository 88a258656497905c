"""The ablations of the paper: loss, teachers and depth."""

import dataclasses

from soundnet_tf.config import Experiment
from soundnet_tf.experiments.paper import TORCH

EXPERIMENTS = (
    Experiment('l2', 'the l2 loss in place of KL', training=dataclasses.replace(TORCH, loss='l2')),
    Experiment(
        'imagenet-only', 'only the teacher of objects', training=dataclasses.replace(TORCH, teachers=('imagenet',))
    ),
    Experiment('places-only', 'only the teacher of scenes', training=dataclasses.replace(TORCH, teachers=('places',))),
    Experiment('l2-5', 'the l2 loss, 5 layers', 'soundnet5', training=dataclasses.replace(TORCH, loss='l2')),
    Experiment(
        'by-time',
        'each time step paired with the frame nearest in time; the paper pairs by index',
        training=dataclasses.replace(TORCH, pairing='time'),
    ),
)

"""Faster implementations of the same net in TensorFlow, on the same variables.

Tests compare them with the plain Keras net; `benchmarks/train_step.py` and `benchmarks/embed.py` measure them.
"""

from soundnet_tf.nets.fast.inference import Precision, Stage, Weights, inference_form, stages
from soundnet_tf.nets.fast.training import frozen_layers, trained_variables, training_form, training_trunk

__all__ = [
    'Precision',
    'Stage',
    'Weights',
    'frozen_layers',
    'inference_form',
    'stages',
    'trained_variables',
    'training_form',
    'training_trunk',
]

"""The same net, on the same variables, through kernels that are quicker on TensorFlow.

Twins in the tests hold it equal to the plain Keras net. Measured by `benchmarks/train_step.py` and
`benchmarks/embed.py`.
"""

from soundnet_tf.nets.fast.inference import Precision, Stage, Weights, inference_form, normed, stages
from soundnet_tf.nets.fast.training import training_form, training_trunk

__all__ = ['Precision', 'Stage', 'Weights', 'inference_form', 'normed', 'stages', 'training_form', 'training_trunk']

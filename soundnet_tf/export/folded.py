"""A net as plain TensorFlow operations with batch norm folded into its weights, as input of converters.

A Keras model itself aborts TFLite's converter or gives NaN, depending on the version, and batch norm stays unfused if
the batch may have any size.
"""

import os
from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from soundnet_tf import geometry
from soundnet_tf.errors import SoundNetError
from soundnet_tf.nets import folding, model
from soundnet_tf.spec import GAIN, Conv, Head, NetSpec, Pool

if TYPE_CHECKING:
    import keras

Weights = folding.Folded

TINY = 1e-30
"""Keeps silence from being divided by 0."""


def folded(net: 'keras.Model') -> Weights:
    """Kernel and bias of each row, with the trunk's batch norm folded into both."""
    values = {key: np.asarray(variable) for key, variable in model.variables_of(net).items()}
    return folding.folded_rows(model.spec_of(net), values)


def save_module(module: Any, folder: str | os.PathLike[str], signatures: Mapping[str, Any]) -> None:
    """Write a SavedModel. Raises SoundNetError if it cannot be written, as on a full disk."""
    import tensorflow as tf

    try:
        tf.saved_model.save(module, os.fspath(folder), signatures=dict(signatures))
    except tf.errors.OpError as error:
        raise SoundNetError(f'the SavedModel cannot be written ({error.message}). Check the free space') from error


class Operations:
    """The net on a waveform; each row's operations have its name.

    The rows `in_halves` convolve the first 8 bits of their input and the next 8 one after the other, for interpreters
    that round it to 8 bits of the clip's largest value.
    """

    def __init__(self, spec: NetSpec, weights: Weights, in_halves: Container[str] = ()):
        import tensorflow as tf

        self.spec, self._in_halves = spec, in_halves
        self.module: Any = tf.Module()
        # Two-dimensional kernels of height 1, as TFLite has no others: otherwise every layer reshapes back and forth.
        self.module.kernels = {name: tf.Variable(tf.constant(kernel[None])) for name, (kernel, _) in weights.items()}
        self.module.biases = {name: tf.Variable(tf.constant(bias)) for name, (_, bias) in weights.items()}

    def __call__(self, waveform: Any, layers: Iterable[str]) -> dict[str, Any]:
        """`[batch, samples]` to `[batch, time, channels]` of each layer; for a head, its logits."""
        import tensorflow as tf

        layers = tuple(layers)
        with tf.name_scope('channel'):
            if waveform.shape[1] is None:
                waveform = self._long_enough(waveform, layers)
            x = tf.expand_dims(tf.expand_dims(waveform, 1), 3) * GAIN
        outputs = {}
        for row in self.spec.layers:
            with tf.name_scope(row.name):
                x = self._pooled(row, x) if isinstance(row, Pool) else tf.nn.relu(self._convolved(row, x))
            outputs[row.name] = x
        for head in self.spec.heads:
            if head.name in layers:
                with tf.name_scope(head.name):
                    outputs[head.name] = self._convolved(head, x)
        return {layer: tf.squeeze(outputs[layer], 1) for layer in layers}

    def _long_enough(self, waveform: Any, layers: Iterable[str]) -> Any:
        """The same, but an error for fewer samples than the layers need, which interpreters would accept."""
        import tensorflow as tf

        minimum = max(geometry.min_samples(self.spec, layer) for layer in layers)
        return tf.concat([tf.slice(waveform, [0, 0], [-1, minimum]), waveform[:, minimum:]], 1)

    def _convolved(self, row: Conv | Head, x: Any) -> Any:
        import tensorflow as tf

        padded = tf.pad(x, [[0, 0], [0, 0], row.paddings, [0, 0]]) if any(row.paddings) else x
        kernel, bias = self.module.kernels[row.name], self.module.biases[row.name]
        if x.shape[3] == 1:
            # The same sums, without a copy of the waveform for each sample of the kernel: 18 MB less for 9.5 s.
            return tf.nn.depthwise_conv2d(padded, kernel, [1, row.stride, row.stride, 1], 'VALID') + bias

        def convolved(values: Any) -> Any:
            return tf.nn.conv2d(values, kernel, [1, row.stride], 'VALID', dilations=[1, row.spacing])

        if row.name not in self._in_halves:
            return convolved(padded) + bias
        # As the interpreters choose it: 255 steps from 0, which ReLU leaves as the least, to the largest.
        step = tf.reduce_max(padded, [1, 2, 3], keepdims=True) / 255 + TINY
        coarse = tf.round(padded / step) * step
        return convolved(coarse) + (convolved(padded - coarse) + bias)

    def _pooled(self, row: Pool, x: Any) -> Any:
        import tensorflow as tf

        return tf.nn.max_pool2d(x, [1, row.kernel], [1, row.stride], 'VALID')

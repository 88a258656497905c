"""The same net, on the same variables, through kernels that are quicker on TensorFlow.

Twins in the tests hold it equal to the plain Keras net. Measured by `benchmarks/training.py`.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from soundnet_tf import model
from soundnet_tf.spec import GAIN, Conv, Head, NetSpec

TrainingForm = Callable[[Any], dict[str, Any]]


def training_form(net: model.SoundNet) -> TrainingForm:
    """`[batch, samples]` to each head's logits, as `model.logits(net)(x, training=True)` gives them.

    Batch statistics are of this replica alone: with more than one replica the plain net is the
    right one, whose batch norm is synchronised. What is quicker: one fused kernel for batch norm;
    the strided first convolution as an unstrided one over blocks of samples; pooling before ReLU.
    """
    spec = net.spec
    follows_pool = {a.name for a, b in zip(spec.layers, spec.layers[1:], strict=False) if not isinstance(b, Conv)}

    def run(waveform: Any) -> dict[str, Any]:
        x = waveform[..., None] * GAIN
        for index, row in enumerate(spec.layers):
            if isinstance(row, Conv):
                x = _normalise(net, row, _convolve(net.get_layer(f'{row.name}_conv'), row, x))
                # ReLU and maximum commute, and after the pool there is less to do.
                x = x if row.name in follows_pool else tf.nn.relu(x)
            else:
                x = tf.nn.max_pool1d(x, row.kernel, row.stride, 'VALID')
                x = tf.nn.relu(x) if _convolution_before(spec, index) else x
        return {head.name: _convolve(net.get_layer(model.logits_name(head.name)), head, x) for head in spec.heads}

    return run


def _convolution_before(spec: NetSpec, index: int) -> bool:
    return index > 0 and isinstance(spec.layers[index - 1], Conv)


def _convolve(layer: Any, row: Conv | Head, x: Any) -> Any:
    kernel, bias = tf.convert_to_tensor(layer.kernel), tf.convert_to_tensor(layer.bias)
    if row.padding:
        x = tf.pad(x, [[0, 0], [row.padding, row.padding], [0, 0]])
    stride = row.stride
    if x.shape[-1] == 1 and stride > 1 and row.kernel % stride == 0:
        # Blocks of `stride` samples become channels: the same products and sums, without a stride.
        whole = tf.shape(x)[1] // stride * stride
        x = tf.reshape(x[:, :whole], [tf.shape(x)[0], whole // stride, stride])
        kernel, stride = tf.reshape(kernel, [row.kernel // stride, stride, -1]), 1
    return tf.nn.conv1d(x, kernel, stride, 'VALID') + bias


def _normalise(net: model.SoundNet, row: Conv, x: Any) -> Any:
    norm = net.get_layer(f'{row.name}_bn')
    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x[:, :, None],
        scale=tf.convert_to_tensor(norm.gamma),
        offset=tf.convert_to_tensor(norm.beta),
        mean=tf.zeros([0]),
        variance=tf.zeros([0]),
        epsilon=norm.epsilon,
        is_training=True,
    )
    # The kernel gives the variance of a sample; Keras, and with it the plain net, keeps the population's.
    count = tf.cast(tf.shape(x)[0] * tf.shape(x)[1], tf.float32)
    _move(norm.moving_mean, mean, norm.momentum)
    _move(norm.moving_variance, variance * (count - 1) / count, norm.momentum)
    return y[:, :, 0]


def _move(variable: Any, value: Any, momentum: float) -> None:
    variable.assign(variable * momentum + value * (1 - momentum))

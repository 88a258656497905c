"""The net in training: the outputs and updates of `model.logits(net)(x, training=True)`, in less time and memory."""

from collections.abc import Callable
from typing import Any, cast

import tensorflow as tf

from soundnet_tf.errors import UnknownLayer
from soundnet_tf.nets import model
from soundnet_tf.nets.fast.inference import inference_form
from soundnet_tf.nets.folding import normed
from soundnet_tf.spec import GAIN, Conv, Head, NetSpec, Pool

Form = Callable[[Any], Any]

MAX_FILTERS, MIN_STEPS = 64, 16
"""Kernels of at most so many filters and at least so many steps get their gradient by blocks."""


def training_form(net: model.SoundNet, precision: str = 'float32', frozen: str = '') -> Form:
    """A function from `[batch, samples]` to each head's logits, as `model.logits(net)(x, training=True)` computes them.

    Why it is faster: strided convolutions become unstrided ones over blocks of samples; the gradients of their kernels
    are products of large matrices; batch norm is one fused kernel; pooling comes before ReLU. With several replicas
    batch norm is synchronised, as in the plain net. With `precision='bfloat16'`, or 'float16', only the convolutions
    are computed in it; weights, statistics and logits stay float32.
    """
    trunk = training_trunk(net, precision, frozen)

    def run(waveform: Any) -> dict[str, Any]:
        x = trunk(waveform)[:, None]
        heads = {head: net.get_layer(model.logits_name(head.name)) for head in net.spec.heads}
        logits = {
            head.name: _convolve(layer.kernel, head, x) + _weights(layer.bias, x) for head, layer in heads.items()
        }
        return {name: tf.cast(tf.squeeze(values, 1), tf.float32) for name, values in logits.items()}

    return run


def training_trunk(
    net: model.SoundNet, precision: str = 'float32', frozen: str = '', moving_statistics: bool = False
) -> Form:
    """`training_form` without heads: from `[batch, samples]` to the last layer's `[batch, time, channels]`.

    The layers up to `frozen` run in inference mode: neither weights nor moving statistics change. With
    `moving_statistics` the other batch norms are as in inference, too, and do not change them.
    """
    spec, first = net.spec, len(frozen_layers(net.spec, frozen))
    below = inference_form(net, [frozen], cast(Any, precision)) if frozen else None

    # [batch, 1, time, channels] throughout, since TensorFlow's kernels are for images. Their height is 1: with a width
    # of 1 conv1 takes ten times as long on processors with AVX2.
    def run(x: Any) -> Any:
        x = tf.stop_gradient(below(x)[frozen])[:, None] if below else x[:, None, :, None] * GAIN
        x = tf.cast(x, precision)
        rows = list(spec.layers[first:])
        while rows:
            row = rows.pop(0)
            if not isinstance(row, Conv):
                x = _pool(row, x)
                continue
            layer, offset = net.get_layer(f'{row.name}_conv'), 0.0
            if moving_statistics:
                scale, offset = normed(model.variables_of(net), row.name)
                x = _convolve(layer.kernel * scale, row, x)
            else:
                x = _normalise(net, row, _convolve(layer.kernel, row, x), layer.bias)
            # Offset, ReLU and maximum commute, and after the pool there is less to do.
            x = _pool(rows.pop(0), x) if rows and isinstance(rows[0], Pool) else x
            x = tf.nn.relu(x + tf.cast(offset, x.dtype))
        return tf.squeeze(x, 1)

    return run


def frozen_layers(spec: NetSpec, frozen: str) -> tuple[str, ...]:
    """The layers up to `frozen`; none if it is empty. Raises UnknownLayer."""
    if frozen not in ('', *spec.layer_names):
        raise UnknownLayer(f'freeze: no layer {frozen!r}. Use {", ".join(spec.layer_names)}')
    return spec.layer_names[: spec.layer_names.index(frozen) + 1] if frozen else ()


def trained_variables(net: model.SoundNet, frozen: str = '') -> list[Any]:
    """The variables above the layer `frozen` that are trained, from the lowest layer to the head."""
    below = frozen_layers(net.spec, frozen)
    return [variable for variable in net.trainable_variables if row_of(variable) not in below]


def row_of(variable: Any) -> str:
    """The layer or head that a variable belongs to: conv1 of `conv1_conv/kernel`."""
    return str(variable.path).split('/')[0].rpartition('_')[0]


def _pool(row: Conv | Pool, x: Any) -> Any:
    return tf.nn.max_pool2d(x, [1, row.kernel], [1, row.stride], 'VALID')


def _weights(variable: Any, x: Any) -> Any:
    return tf.cast(tf.convert_to_tensor(variable), x.dtype)


def _convolve(weights: Any, row: Conv | Head, x: Any) -> Any:
    """A convolution without bias. Blocks of `stride` steps become channels: the same sums, without a stride."""
    kernel, stride, (before, behind) = _weights(weights, x), row.stride, row.paddings
    if row.spacing > 1:
        # Tap by tap: TensorFlow has no gradients of dilated convolutions on all processors.
        x = tf.pad(x, [[0, 0], [0, 0], [before, behind], [0, 0]])
        steps = _steps(x) - row.extent + 1
        starts = [k * row.spacing for k in range(row.kernel)]
        taps = [tf.tensordot(x[:, :, begin : begin + steps], kernel[k], 1) for k, begin in enumerate(starts)]
        return tf.add_n(taps)
    if row.kernel % stride:
        x = tf.pad(x, [[0, 0], [0, 0], [before, behind], [0, 0]])
        return tf.nn.conv2d(x, kernel[None], [1, stride], 'VALID')
    steps, channels = _steps(x), x.shape[-1]
    # No output depends on an incomplete block. It is not padded: slicing it off would be slow in the gradient.
    spare = (steps + before + behind) % stride
    enough = behind >= stride - 1
    x = tf.pad(x, [[0, 0], [0, 0], [before, behind - spare if enough else behind], [0, 0]])
    blocks = (steps + before + behind) // stride
    x = x if enough else tf.slice(x, [0, 0, 0, 0], [-1, -1, blocks * stride, -1])
    x = tf.reshape(x, [tf.shape(x)[0], 1, blocks, stride * channels])
    kernel = tf.reshape(kernel, [1, row.kernel // stride, stride * channels, -1])
    # As measured: for the first kernels by blocks, for the last ones, which are short, tap by tap.
    by_blocks = weights.shape[-1] <= MAX_FILTERS and row.kernel // stride >= MIN_STEPS
    return _unstrided(x, kernel, _gradient_by_blocks if by_blocks else _gradient_by_taps)


def _steps(x: Any) -> Any:
    return tf.shape(x)[2] if x.shape[2] is None else x.shape[2]


def _unstrided(x: Any, kernel: Any, kernel_gradient: Callable[[Any, Any, Any], Any]) -> Any:
    """A convolution whose kernel gradient is a product of large matrices."""

    @tf.custom_gradient
    def run(x: Any, kernel: Any) -> Any:
        def gradient(y: Any) -> tuple[Any, Any]:
            back = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(x), filter=kernel, out_backprop=y, strides=[1, 1, 1, 1], padding='VALID'
            )
            return back, kernel_gradient(x, y, kernel.shape)

        return tf.nn.conv2d(x, kernel, 1, 'VALID'), gradient

    return run(x, kernel)


def _gradient_by_taps(x: Any, y: Any, shape: Any) -> Any:
    """The same as `_gradient_by_blocks`, by one product for each step of the kernel."""
    _, kernel, channels, filters = shape
    out, count = tf.reshape(y, [-1, filters]), _steps(y)
    products = [
        tf.matmul(tf.reshape(tf.slice(x, [0, 0, k, 0], [-1, -1, count, -1]), [-1, channels]), out, transpose_a=True)
        for k in range(kernel)
    ]
    return tf.stack(products)[None]


def _gradient_by_blocks(x: Any, y: Any, shape: Any) -> Any:
    """`[1, kernel, channels, filters]` from `[batch, 1, time, channels]` and `[batch, 1, steps, filters]`.

    Time is cut into blocks of at most half a kernel, of fewer steps for more filters. The product of the blocks of x
    with those of y, some blocks later, has all products of their samples, and the kernel's gradient is the sums along
    its diagonals. That is up to half again as many products as needed, and still faster, since the matrices are large.
    """
    _, kernel, channels, filters = shape
    # As measured: 16 steps for conv1 of the 8-layer net, 4 for its conv2, 8 and 2 in the 5-layer net.
    block = max(1, min(kernel // 2, 8 * kernel // filters))
    apart = -(-(block + kernel - 1) // block)
    blocks = -(-_steps(y) // block) + apart - 1
    # Zeros after each example separate it from the next.
    rows = [
        tf.reshape(
            tf.pad(z, [[0, 0], [0, 0], [0, blocks * block - _steps(z)], [0, 0]]),
            [tf.shape(z)[0] * blocks, block * z.shape[-1]],
        )
        for z in (x, y)
    ]
    count = tf.shape(rows[0])[0]
    products = [
        tf.matmul(
            tf.slice(rows[0], [j, 0], [count - j, -1]), tf.slice(rows[1], [0, 0], [count - j, -1]), transpose_a=True
        )
        for j in range(apart)
    ]
    pairs = tf.reshape(tf.concat(products, 0), [1, apart * block, channels, block, filters])
    return tf.add_n([pairs[:, step : step + kernel, :, step] for step in range(block)])


def _normalise(net: model.SoundNet, row: Conv, x: Any, bias: Any) -> Any:
    norm = net.get_layer(f'{row.name}_bn')
    replicas = tf.distribute.get_replica_context()
    # None outside a replica.
    several = replicas is not None and replicas.num_replicas_in_sync > 1
    # The convolution's bias only moves the mean. Times 0, so that it has a gradient, which is 0.
    beta = norm.beta + 0.0 * bias
    y, mean, variance = (_of_all_replicas if several else _fused)(norm, x, beta)
    _move(norm.moving_mean, mean + bias, norm.momentum)
    _move(norm.moving_variance, variance, norm.momentum)
    return y


def _fused(norm: Any, x: Any, beta: Any) -> tuple[Any, Any, Any]:
    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=tf.convert_to_tensor(norm.gamma),
        offset=beta,
        mean=tf.zeros([0]),
        variance=tf.zeros([0]),
        epsilon=norm.epsilon,
        is_training=True,
    )
    # The fused kernel gives the sample variance; Keras, and so the plain net, keeps the population variance.
    count = tf.cast(tf.shape(x)[0] * tf.shape(x)[2], tf.float32)
    return y, mean, variance * (count - 1) / count


def _of_all_replicas(norm: Any, x: Any, beta: Any) -> tuple[Any, Any, Any]:
    """Each replica has the same number of examples, so the moments of all are the means over replicas."""
    values = tf.cast(x, tf.float32)
    moments = [tf.reduce_mean(values, [0, 1, 2]), tf.reduce_mean(tf.square(values), [0, 1, 2])]
    replicas: Any = tf.distribute.get_replica_context()
    mean, square = replicas.all_reduce('MEAN', moments)
    # Rounding must not make it negative.
    variance = tf.maximum(square - tf.square(mean), 0)
    y = tf.nn.batch_normalization(values, mean, variance, beta, norm.gamma, norm.epsilon)
    return tf.cast(y, x.dtype), mean, variance


def _move(variable: Any, value: Any, momentum: float) -> None:
    variable.assign(variable * momentum + value * (1 - momentum))

"""The same net, on the same variables, through kernels that are quicker on TensorFlow.

Twins in the tests hold it equal to the plain Keras net. Measured by `benchmarks/train_step.py` and
`benchmarks/embed.py`.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, Literal

import tensorflow as tf

from soundnet_tf import model
from soundnet_tf.spec import GAIN, Conv, Head, NetSpec, Pool, Row

Form = Callable[[Any], Any]

FEW, LONG = 64, 8
"""Filters at most, and steps of a kernel at least, for which its gradient is taken by blocks."""


def training_form(net: model.SoundNet, precision: str = 'float32') -> Form:
    """`[batch, samples]` to each head's logits, as `model.logits(net)(x, training=True)` gives them.

    What is quicker: strided convolutions as unstrided ones over blocks of samples; the gradients of
    the first kernels as products of large matrices; one fused kernel for batch norm; pooling before
    ReLU. Under several replicas batch norm is of all of them together, as the plain net's is.
    `precision='bfloat16'` computes convolutions so; weights, statistics and logits stay float32.
    """
    trunk = training_trunk(net, precision)

    def run(waveform: Any) -> dict[str, Any]:
        x = trunk(waveform)[:, :, None]
        heads = {head: net.get_layer(model.logits_name(head.name)) for head in net.spec.heads}
        logits = {head.name: _convolve(layer, head, x) + _weights(layer.bias, x) for head, layer in heads.items()}
        return {name: tf.cast(tf.squeeze(values, 2), tf.float32) for name, values in logits.items()}

    return run


def training_trunk(net: model.SoundNet, precision: str = 'float32') -> Form:
    """`[batch, samples]` to the last layer's `[batch, time, channels]`, as `training_form` has it, without heads."""
    spec = net.spec
    follows_pool = {a.name for a, b in zip(spec.layers, spec.layers[1:], strict=False) if not isinstance(b, Conv)}

    # [batch, time, 1, channels] throughout: TensorFlow's kernels are those of pictures.
    def run(waveform: Any) -> Any:
        x = tf.cast(waveform[:, :, None, None] * GAIN, precision)
        for index, row in enumerate(spec.layers):
            if isinstance(row, Conv):
                layer = net.get_layer(f'{row.name}_conv')
                x = _normalise(net, row, _convolve(layer, row, x), layer.bias)
                # ReLU and maximum commute, and after the pool there is less to do.
                x = x if row.name in follows_pool else tf.nn.relu(x)
            else:
                x = tf.nn.max_pool2d(x, [row.kernel, 1], [row.stride, 1], 'VALID')
                x = tf.nn.relu(x) if _convolution_before(spec, index) else x
        return tf.squeeze(x, 2)

    return run


def _convolution_before(spec: NetSpec, index: int) -> bool:
    return index > 0 and isinstance(spec.layers[index - 1], Conv)


def _weights(variable: Any, x: Any) -> Any:
    return tf.cast(tf.convert_to_tensor(variable), x.dtype)


def _convolve(layer: Any, row: Conv | Head, x: Any) -> Any:
    """Without the bias. Blocks of `stride` steps become channels: the same products and sums, without a stride."""
    kernel, stride, padding = _weights(layer.kernel, x), row.stride, row.padding
    if row.kernel % stride:
        x = tf.pad(x, [[0, 0], [padding, padding], [0, 0], [0, 0]])
        return tf.nn.conv2d(x, kernel[:, None], [stride, 1], 'VALID')
    steps, channels = _steps(x), x.shape[-1]
    # What does not fill a block no output sees. It is not padded, since to cut it off is slow in the gradient.
    spare = (steps + 2 * padding) % stride
    enough = padding >= stride - 1
    x = tf.pad(x, [[0, 0], [padding, padding - spare if enough else padding], [0, 0], [0, 0]])
    blocks = (steps + 2 * padding) // stride
    x = x if enough else tf.slice(x, [0, 0, 0, 0], [-1, blocks * stride, -1, -1])
    x = tf.reshape(x, [tf.shape(x)[0], blocks, 1, stride * channels])
    kernel = tf.reshape(kernel, [row.kernel // stride, 1, stride * channels, -1])
    # Measured: below these the usual gradient is as quick.
    by_blocks = layer.kernel.shape[-1] <= FEW and row.kernel // stride >= LONG
    return (_unstrided if by_blocks else _usual)(x, kernel)


def _steps(x: Any) -> Any:
    return tf.shape(x)[1] if x.shape[1] is None else x.shape[1]


def _usual(x: Any, kernel: Any) -> Any:
    return tf.nn.conv2d(x, kernel, 1, 'VALID')


@tf.custom_gradient
def _unstrided(x: Any, kernel: Any) -> Any:
    """A convolution whose kernel's gradient is taken by products of large matrices."""

    def gradient(y: Any) -> tuple[Any, Any]:
        back = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(x), filter=kernel, out_backprop=y, strides=[1, 1, 1, 1], padding='VALID'
        )
        return back, _kernel_gradient(x, y, kernel.shape)

    return _usual(x, kernel), gradient


def _kernel_gradient(x: Any, y: Any, shape: Any) -> Any:
    """`[kernel, 1, channels, filters]` from `[batch, time, 1, channels]` and `[batch, steps, 1, filters]`.

    Time is cut into blocks of half a kernel. A product of the blocks of x with those of y, some blocks
    later, holds all products of their samples; the kernel's are the sums along its diagonals. More
    products than there need be by half, and still faster: the matrices are as a processor likes them.
    """
    kernel, _, channels, filters = shape
    block = kernel // 2
    apart = -(-(block + kernel - 1) // block)
    blocks = -(-_steps(y) // block) + apart - 1
    # Zeros behind each example keep it from its neighbour.
    rows = [
        tf.reshape(
            tf.pad(z, [[0, 0], [0, blocks * block - _steps(z)], [0, 0], [0, 0]]),
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
    pairs = tf.reshape(tf.concat(products, 0), [apart * block, 1, channels, block, filters])
    return tf.add_n([pairs[step : step + kernel, :, :, step] for step in range(block)])


def _normalise(net: model.SoundNet, row: Conv, x: Any, bias: Any) -> Any:
    norm = net.get_layer(f'{row.name}_bn')
    replicas = tf.distribute.get_replica_context()
    # None outside of a replica.
    several = replicas is not None and replicas.num_replicas_in_sync > 1
    # The bias of the convolution before moves the mean and nothing else. Times 0, so that it has a gradient: 0.
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
    # The kernel gives the variance of a sample; Keras, and with it the plain net, keeps the population's.
    count = tf.cast(tf.shape(x)[0] * tf.shape(x)[1], tf.float32)
    return y, mean, variance * (count - 1) / count


def _of_all_replicas(norm: Any, x: Any, beta: Any) -> tuple[Any, Any, Any]:
    """Every replica has as many examples: the moments of all are the means of each one's."""
    values = tf.cast(x, tf.float32)
    moments = [tf.reduce_mean(values, [0, 1, 2]), tf.reduce_mean(tf.square(values), [0, 1, 2])]
    replicas: Any = tf.distribute.get_replica_context()
    mean, square = replicas.all_reduce('MEAN', moments)
    # Rounding must not take it below none.
    variance = tf.maximum(square - tf.square(mean), 0)
    y = tf.nn.batch_normalization(values, mean, variance, beta, norm.gamma, norm.epsilon)
    return tf.cast(y, x.dtype), mean, variance


def _move(variable: Any, value: Any, momentum: float) -> None:
    variable.assign(variable * momentum + value * (1 - momentum))


Precision = Literal['float32', 'bfloat16']
"""What the convolutions of inference are computed in; inputs and outputs are float32 with either."""

InferenceForm = Callable[..., dict[str, Any]]

MUCH_KERNEL = 1024
"""Numbers that one output is summed from: with more, scaling the outputs is less work than scaling the kernel."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """One or two rows of a net as one step of inference, as the whole form and a stream run it.

    `run` takes `[batch, time, channels]`, zero padding included, to what the layer `name` gives;
    `source` is the stage that its input comes from, None for the waveform with one channel.
    `kernel`, `stride` and `padding` count steps of the input. At least `kernel` steps must be given.
    """

    name: str
    source: str | None
    kernel: int
    stride: int
    padding: int
    run: Callable[[Any], Any]

    def frames(self, length: Any) -> Any:
        """How many steps come of an input of `length`, a number or a tensor, before padding."""
        return (length + 2 * self.padding - self.kernel) // self.stride + 1


def inference_form(net: model.SoundNet, layers: Iterable[str] = (), precision: Precision = 'float32') -> InferenceForm:
    """`[batch, samples]` to `[batch, time, channels]` of each of `layers`, as `model.features(net, layers)` gives them.

    By default the heads, as probabilities. The form sees every change of the net's variables. To batch
    clips of several lengths give `lengths`, int32 `[batch]`, the samples of each before it was filled up:
    the steps that a clip has by itself are then those that it gives by itself; what comes after them is to be cut.

    What is quicker: batch norm is folded into the convolutions; bias and ReLU come after the pool, which leaves less
    to do; no layer is computed that nothing asked for depends on.
    """
    chosen = tuple(layers) or net.spec.head_names or net.spec.layer_names[-1:]
    steps = stages(net, chosen, precision)

    def run(waveform: Any, lengths: Any = None) -> dict[str, Any]:
        outputs: dict[str | None, tuple[Any, Any]] = {None: (waveform[..., None], lengths)}
        for stage in steps:
            x, length = outputs[stage.source]
            if stage.padding:
                # In a longer clip's company zero padding begins where the clip ends.
                if length is not None and stage.source is not None:
                    x *= tf.sequence_mask(length, tf.shape(x)[1], x.dtype)[..., None]
                x = tf.pad(x, [[0, 0], [stage.padding, stage.padding], [0, 0]])
            outputs[stage.name] = stage.run(x), None if length is None else tf.maximum(0, stage.frames(length))
        return {layer: tf.cast(outputs[layer][0], tf.float32) for layer in chosen}

    return run


def stages(net: model.SoundNet, layers: Iterable[str], precision: Precision = 'float32') -> list[Stage]:
    """The steps that lead to `layers`, each after the one that it takes its input from; `layers` are steps' names."""
    asked, spec, made = set(layers), net.spec, list[Stage]()
    deepest = max(len(spec.layers) if name in spec.head_names else 1 + spec.layer_names.index(name) for name in asked)
    rows = list(spec.layers[:deepest])
    while rows:
        row, source = rows.pop(0), made[-1].name if made else None
        gain = 1.0 if made else GAIN
        if isinstance(row, Conv):
            pool = rows[0] if rows and isinstance(rows[0], Pool) and row.name not in asked else None
            rows = rows[1:] if pool else rows
            made.append(_folded(net, row, pool, source, gain, precision))
        else:
            made.append(_stage(row, source, lambda x, row=row, gain=gain: gain * _pool(row, x)))
    trunk = made[-1].name
    return made + [_top(net, head, trunk, precision) for head in spec.heads if head.name in asked]


def _stage(row: Row, source: str | None, run: Callable[[Any], Any]) -> Stage:
    return Stage(row.name, source, row.kernel, row.stride, row.padding, run)


def _pool(row: Pool, x: Any) -> Any:
    return tf.nn.max_pool1d(x, row.kernel, row.stride, 'VALID')


def _folded(
    net: model.SoundNet, row: Conv, pool: Pool | None, source: str | None, gain: float, precision: Precision
) -> Stage:
    """A convolution with its batch norm worked into it, the pool after it, and ReLU."""
    layer, norm = net.get_layer(f'{row.name}_conv'), net.get_layer(f'{row.name}_bn')
    # A negative scale turns a maximum into a minimum: before a pool it has to be in the kernel.
    late = pool is None and row.kernel * layer.kernel.shape[1] >= MUCH_KERNEL

    def run(x: Any) -> Any:
        scale = tf.convert_to_tensor(norm.gamma) * tf.math.rsqrt(norm.moving_variance + norm.epsilon)
        bias = (layer.bias - norm.moving_mean) * scale + norm.beta
        kernel = tf.convert_to_tensor(layer.kernel)
        x = _multiply(x, kernel if late else kernel * (scale * gain), row.stride, precision)
        x = x * tf.cast(scale * gain, x.dtype) if late else x
        x = x if pool is None else _pool(pool, x)
        return tf.nn.relu(tf.nn.bias_add(x, tf.cast(bias, x.dtype)))

    if pool is None:
        return _stage(row, source, run)
    kernel = row.kernel + (pool.kernel - 1) * row.stride
    return Stage(pool.name, source, kernel, row.stride * pool.stride, row.padding, run)


def _top(net: model.SoundNet, head: Head, source: str, precision: Precision) -> Stage:
    layer, activation = net.get_layer(model.logits_name(head.name)), net.get_layer(head.name)

    def run(x: Any) -> Any:
        x = tf.cast(_multiply(x, tf.convert_to_tensor(layer.kernel), head.stride, precision), tf.float32)
        return activation(tf.nn.bias_add(x, tf.convert_to_tensor(layer.bias)))

    return _stage(head, source, run)


def _multiply(x: Any, kernel: Any, stride: int, precision: Precision) -> Any:
    return tf.nn.conv1d(tf.cast(x, precision), tf.cast(kernel, precision), stride, 'VALID')

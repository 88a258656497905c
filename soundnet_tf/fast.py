"""The same net, on the same variables, through kernels that are quicker on TensorFlow.

Twins in the tests hold it equal to the plain Keras net. Measured by `benchmarks/training.py` and
`benchmarks/embed.py`.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, Literal

import tensorflow as tf

from soundnet_tf import model
from soundnet_tf.spec import GAIN, Conv, Head, NetSpec, Pool, Row

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

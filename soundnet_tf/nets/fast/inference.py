"""The net in inference: batch norm folded into the convolutions, pools before the bias and ReLU."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import tensorflow as tf

from soundnet_tf.nets import model
from soundnet_tf.nets.folding import normed
from soundnet_tf.spec import GAIN, Conv, Head, NetSpec, Pool, Row

Precision = Literal['float32', 'bfloat16']
"""The number format of the convolutions in inference; inputs and outputs are always float32."""

InferenceForm = Callable[..., dict[str, Any]]

MIN_LATE_SCALE = 1024
"""Terms of the sum that is one output: from here on, scaling the outputs is less work than scaling the kernel."""

MAX_CONSTANT = 1 << 22
"""Max elements of an array that becomes part of a graph. The heads' kernels have more."""


@dataclasses.dataclass(frozen=True)
class Weights:
    """The weights of a net, by the keys of `model.variables_of`.

    Variables are read each time the net runs. Arrays are constants: they are folded once, and TensorFlow lays them out
    for its kernels once, which takes as long as the net itself on a clip of 5 s.
    """

    spec: NetSpec
    values: Mapping[str, Any]
    constant: bool
    activation: Callable[[str], Callable[[Any], Any]] = lambda head: tf.nn.softmax
    """By the name of a head: the function that turns its logits into probabilities."""

    @classmethod
    def of(cls, net: model.SoundNet) -> 'Weights':
        """The variables of a net in memory."""
        return cls(net.spec, model.variables_of(net), False, net.get_layer)


@dataclasses.dataclass(frozen=True)
class Stage:
    """One or two rows of a net as one step of inference, for whole clips and for streams.

    `run` maps `[batch, time, channels]`, zero padding included and at least `kernel` steps long, to the output of the
    layer `name`; `source` is the stage that its input comes from, None for the waveform with one channel. `kernel`, all
    that a step reads, `stride` and `paddings` (before and after) count steps of the input.
    """

    name: str
    source: str | None
    kernel: int
    stride: int
    paddings: tuple[int, int]
    run: Callable[[Any], Any]

    def frames(self, length: Any) -> Any:
        """The number of output steps for an input of `length`, a number or a tensor, before padding."""
        return (length + sum(self.paddings) - self.kernel) // self.stride + 1


def inference_form(
    net: model.SoundNet | Weights, layers: Iterable[str] = (), precision: Precision = 'float32'
) -> InferenceForm:
    """A function from `[batch, samples]` to `[batch, time, channels]` of each layer, as `model.features` computes them.

    The default layers are the heads, as probabilities. For a net in memory the function sees every change of its
    variables. To batch clips of several lengths pass `lengths`, int32 `[batch]`, the samples of each clip before it was
    padded: the first `geometry.frames` steps of each are then those of the clip alone; cut off the rest.

    Why it is faster: batch norm is folded into the convolutions; bias and ReLU come after the pool, on fewer values; a
    layer that no requested layer depends on is not computed.
    """
    chosen = tuple(layers) or net.spec.head_names or net.spec.layer_names[-1:]
    steps = stages(net, chosen, precision)

    def run(waveform: Any, lengths: Any = None) -> dict[str, Any]:
        outputs: dict[str | None, tuple[Any, Any]] = {None: (waveform[..., None], lengths)}
        for stage in steps:
            x, length = outputs[stage.source]
            if any(stage.paddings):
                # Beside a longer clip, zero padding begins where the shorter clip ends.
                if length is not None and stage.source is not None:
                    x *= tf.sequence_mask(length, tf.shape(x)[1], x.dtype)[..., None]
                x = tf.pad(x, [[0, 0], stage.paddings, [0, 0]])
            outputs[stage.name] = stage.run(x), None if length is None else tf.maximum(0, stage.frames(length))
        return {layer: tf.cast(outputs[layer][0], tf.float32) for layer in chosen}

    return run


def stages(net: model.SoundNet | Weights, layers: Iterable[str], precision: Precision = 'float32') -> list[Stage]:
    """The stages up to `layers`, each after its source; each of `layers` is the name of a stage."""
    weights = net if isinstance(net, Weights) else Weights.of(net)
    wanted, spec, made = set(layers), weights.spec, list[Stage]()
    deepest = max(len(spec.layers) if name in spec.head_names else 1 + spec.layer_names.index(name) for name in wanted)
    rows = list(spec.layers[:deepest])
    while rows:
        row, source = rows.pop(0), made[-1].name if made else None
        gain = 1.0 if made else GAIN
        if isinstance(row, Conv):
            pool = rows[0] if rows and isinstance(rows[0], Pool) and row.name not in wanted else None
            rows = rows[1:] if pool else rows
            made.append(_convolution(weights, row, pool, source, gain, precision))
        else:
            made.append(_stage(row, source, lambda x, row=row, gain=gain: gain * _pool(row, x)))
    trunk = made[-1].name
    return made + [_top(weights, head, trunk, precision) for head in spec.heads if head.name in wanted]


def _stage(row: Row, source: str | None, run: Callable[[Any], Any]) -> Stage:
    return Stage(row.name, source, row.extent, row.stride, row.paddings, run)


def _pool(row: Pool, x: Any) -> Any:
    return tf.nn.max_pool1d(x, row.kernel, row.stride, 'VALID')


def _convolution(
    weights: Weights, row: Conv, pool: Pool | None, source: str | None, gain: float, precision: Precision
) -> Stage:
    """A convolution with its batch norm folded in, the pool after it, and ReLU."""
    parts = _read(weights, lambda: _folded(weights, row, gain, has_pool=pool is not None))

    def run(x: Any) -> Any:
        kernel, scale, bias = parts()
        x = _multiply(x, kernel, row, precision)
        x = x if scale is None else x * tf.cast(scale, x.dtype)
        x = x if pool is None else _pool(pool, x)
        return tf.nn.relu(tf.nn.bias_add(x, tf.cast(bias, x.dtype)))

    if pool is None:
        return _stage(row, source, run)
    kernel = row.extent + (pool.kernel - 1) * row.stride
    return Stage(pool.name, source, kernel, row.stride * pool.stride, row.paddings, run)


def _read(weights: Weights, parts: Callable[[], tuple[Any, ...]]) -> Callable[[], tuple[Any, ...]]:
    """Reads constants once, variables at each call."""
    if not weights.constant:
        return parts
    # A graph keeps several copies of an array that is part of it, but none of a tensor that it captures.
    once = [tf.constant(part) if part is not None and part.size > MAX_CONSTANT else part for part in parts()]
    return lambda: tuple(once)


def _folded(weights: Weights, row: Conv, gain: float, has_pool: bool) -> tuple[Any, Any, Any]:
    """The kernel, the scale of its outputs or None, and the bias."""
    kernel, (scale, bias) = weights.values[f'{row.name}/kernel'], normed(weights.values, row.name)
    # A negative scale turns a maximum into a minimum, so before a pool the scale must be in the kernel.
    late = not weights.constant and not has_pool and row.kernel * kernel.shape[1] >= MIN_LATE_SCALE
    return (kernel, scale * gain, bias) if late else (kernel * (scale * gain), None, bias)


def _top(weights: Weights, head: Head, source: str, precision: Precision) -> Stage:
    parts = _read(weights, lambda: (weights.values[f'{head.name}/kernel'], weights.values[f'{head.name}/bias']))
    activation = weights.activation(head.name)

    def run(x: Any) -> Any:
        kernel, bias = parts()
        x = tf.cast(_multiply(x, kernel, head, precision), tf.float32)
        return activation(x + tf.cast(bias, x.dtype))

    return _stage(head, source, run)


def _multiply(x: Any, kernel: Any, row: Conv | Head, precision: Precision) -> Any:
    x, kernel = tf.cast(x, precision), tf.cast(kernel, precision)
    return tf.nn.conv1d(x, kernel, row.stride, 'VALID', dilations=row.spacing)

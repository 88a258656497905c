"""A net for OpenVINO, built operation by operation from its table and weights: any layer, without TensorFlow."""

import importlib.util
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from soundnet_tf.nets.folding import folded
from soundnet_tf.spec import GAIN, Conv, Head, NetSpec, Pool

if TYPE_CHECKING:
    from soundnet_tf.nets import fast


def installed() -> bool:
    """Whether OpenVINO is there; it is not loaded."""
    return importlib.util.find_spec('openvino') is not None


def compiled(
    spec: NetSpec,
    values: Mapping[str, Any],
    layers: Sequence[str],
    precision: 'fast.Precision' = 'float32',
) -> Any:
    """A compiled model from `[batch, samples]`, of any sizes, to `[batch, time, channels]` of each layer, by its name.

    Heads give probabilities. `values` are weights by the keys of `model.variables_of`; those that no layer needs are
    not read.
    """
    import openvino

    # Without the hint, processors that have bfloat16 multiply in it.
    hint = {'float32': 'f32', 'bfloat16': 'bf16'}[precision]
    hints = {'INFERENCE_PRECISION_HINT': hint, 'PERFORMANCE_HINT': 'LATENCY'}
    return openvino.Core().compile_model(_model(spec, values, layers), 'CPU', hints)


def _model(spec: NetSpec, values: Mapping[str, Any], layers: Sequence[str]) -> Any:
    from openvino import Model, opset13

    # Their annotations fit neither each other nor themselves.
    ops: Any = opset13
    make: Any = Model

    def convolution(row: Conv | Head, x: Any) -> Any:
        kernel, bias = folded(row, values)
        # Channels before time, and filters first.
        taps = np.ascontiguousarray(kernel.transpose(2, 1, 0), np.float32)
        before, after = row.paddings
        sums = ops.convolution(x, taps, [row.stride], [before], [after], [row.spacing])
        return ops.add(sums, np.asarray(bias, np.float32)[:, None])

    waveform = ops.parameter([-1, -1], np.float32, 'waveform')
    x, outputs = ops.multiply(ops.unsqueeze(waveform, np.array(1)), np.float32(GAIN)), dict[str, Any]()
    heads = [head for head in spec.heads if head.name in layers]
    for row in spec.layers:
        if isinstance(row, Pool):
            x = ops.max_pool(x, [row.stride], [1], [0], [0], [row.kernel], 'floor').output(0)
        else:
            x = ops.relu(convolution(row, x))
        outputs[row.name] = ops.transpose(x, np.array([0, 2, 1]))
        if not heads and outputs.keys() >= set(layers):
            break
    for head in heads:
        outputs[head.name] = ops.softmax(ops.transpose(convolution(head, x), np.array([0, 2, 1])), 2)
    results = []
    for layer in layers:
        results.append(ops.result(outputs[layer]))
        results[-1].output(0).get_tensor().set_names({layer})
    return make(results, [waveform], spec.name)

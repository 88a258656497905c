"""A net as an ONNX file, written node by node from its table: feature layer, last layer and heads.

Input `waveform` `[batch, samples]`; outputs `[batch, time, channels]`, heads as probabilities. A clip needs the longest
min length of all outputs, so the heads can be left out. The metadata has `sample_rate`, and `HEAD_labels`, one name
per line.
"""

import importlib.util
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

from soundnet_tf import geometry
from soundnet_tf.errors import MissingTool
from soundnet_tf.export.verify import CLOSE, FILES, Plan
from soundnet_tf.spec import GAIN, SAMPLE_RATE, Conv, Head, NetSpec, Pool

if TYPE_CHECKING:
    from soundnet_tf.export.folded import Weights
    from soundnet_tf.nets.model import SoundNet

OPSET, IR = 17, 8
"""Those of ONNX 1.12, which all current runtimes read."""


def plan(net: 'SoundNet', heads: bool = True) -> Plan:
    """The export of a net as `model.onnx`, with its heads or without.

    Raises MissingTool without onnx and onnxruntime.
    """
    for package, use in (('onnx', 'writing an ONNX file'), ('onnxruntime', 'running an ONNX file')):
        if importlib.util.find_spec(package) is None:
            raise MissingTool(package, use, 'onnx')
    from soundnet_tf.export.folded import folded

    spec = net.spec if heads else net.spec.with_heads({})
    outputs = tuple(dict.fromkeys((spec.feature_layer, spec.layer_names[-1], *spec.head_names)))

    labels = {f'{head}_labels': '\n'.join(net.labels[head]) for head in spec.head_names}

    def write(folder: pathlib.Path) -> None:
        rows = {row.name for row in spec.rows}
        weights = {name: own for name, own in folded(net).items() if name in rows}
        (folder / FILES['onnx']).write_bytes(_model(spec, weights, outputs, labels))

    return Plan('onnx', outputs, write, CLOSE)


def session(path: pathlib.Path) -> Any:
    """The file opened by onnxruntime on the CPU."""
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])


def _model(spec: NetSpec, weights: 'Weights', outputs: tuple[str, ...], labels: dict[str, str]) -> bytes:
    from onnx import TensorProto, checker, helper, numpy_helper

    constants: dict[str, np.ndarray] = {'channel': np.array([1]), 'gain': np.array(GAIN, np.float32)}
    for name, (kernel, bias) in weights.items():
        # ONNX has channels before time, and filters first.
        constants |= {f'{name}/kernel': kernel.transpose(2, 1, 0).copy(), f'{name}/bias': bias}
    nodes = [
        helper.make_node('Unsqueeze', ['waveform', 'channel'], ['mono']),
        helper.make_node('Mul', ['mono', 'gain'], ['scaled']),
    ]
    at = 'scaled'
    for row in spec.layers:
        if isinstance(row, Pool):
            nodes.append(_pool(helper, row, at))
        else:
            nodes += [_convolution(helper, row, at), helper.make_node('Relu', [f'{row.name}/sum'], [f'{row.name}/t'])]
        at = f'{row.name}/t'
    nodes += [_convolution(helper, head, at) for head in spec.heads]
    for name in outputs:
        is_head = name in spec.head_names
        nodes.append(
            helper.make_node(
                'Transpose',
                [f'{name}/{"sum" if is_head else "t"}'],
                [f'{name}/logits' if is_head else name],
                perm=[0, 2, 1],
            )
        )
        nodes += [helper.make_node('Softmax', [f'{name}/logits'], [name], axis=-1)] if is_head else []
    graph = helper.make_graph(
        nodes,
        spec.name,
        [helper.make_tensor_value_info('waveform', TensorProto.FLOAT, ['batch', 'samples'])],
        [
            helper.make_tensor_value_info(
                name, TensorProto.FLOAT, ['batch', f'{name} time', geometry.channels(spec, name)]
            )
            for name in outputs
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opset = helper.make_opsetid('', OPSET)
    model = helper.make_model(graph, producer_name='soundnet_tf', opset_imports=[opset], ir_version=IR)
    helper.set_model_props(model, {'sample_rate': str(SAMPLE_RATE), **labels})
    checker.check_model(model, full_check=True)
    return model.SerializeToString()


def _convolution(helper: Any, row: Conv | Head, source: str) -> Any:
    inputs = [source, f'{row.name}/kernel', f'{row.name}/bias']
    return helper.make_node(
        'Conv',
        inputs,
        [f'{row.name}/sum'],
        kernel_shape=[row.kernel],
        strides=[row.stride],
        dilations=[row.spacing],
        pads=list(row.paddings),
    )


def _pool(helper: Any, row: Pool, source: str) -> Any:
    return helper.make_node('MaxPool', [source], [f'{row.name}/t'], kernel_shape=[row.kernel], strides=[row.stride])

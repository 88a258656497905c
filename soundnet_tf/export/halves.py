"""The float weights of a TFLite model kept as float16, as its own converter keeps them in a float16 model.

The converter does not do so in a model of 8 bits, whose layers in float would then take four times their place.
"""

from typing import Any

import flatbuffers
import numpy as np

IDENTIFIER = b'TFL3'
LEAST = 256
"""Numbers that a constant has at least, for the operation that widens it again to be worth its bytes."""


def with_halves(model: bytes) -> bytes:
    """The model with its float32 constants as float16, each widened by an operation before all others."""
    from tensorflow.lite.python import schema_py_generated as schema

    parsed: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = 3  # the first that takes float16
    parsed.operatorCodes.append(code)
    (graph,) = parsed.subgraphs
    wideners = []
    for index, tensor in enumerate(list(graph.tensors)):
        values = parsed.buffers[tensor.buffer].data
        if tensor.type != schema.TensorType.FLOAT32 or values is None or len(values) < 4 * LEAST:
            continue
        # A half reaches 65,504, and no folded weight of a net that says anything comes near.
        half = schema.TensorT()
        half.name, half.shape, half.type = tensor.name + b'/half', tensor.shape, schema.TensorType.FLOAT16
        half.buffer, tensor.buffer = tensor.buffer, 0
        parsed.buffers[half.buffer].data = (
            np.frombuffer(np.asarray(values).tobytes(), np.float32).astype(np.float16).view(np.uint8)
        )
        widen = schema.OperatorT()
        widen.opcodeIndex, widen.inputs, widen.outputs = len(parsed.operatorCodes) - 1, [len(graph.tensors)], [index]
        graph.tensors.append(half)
        wideners.append(widen)
    graph.operators = [*wideners, *graph.operators]
    builder = flatbuffers.Builder(len(model))
    builder.Finish(parsed.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())

"""The float weights of a TFLite model kept small: as float16, and where they are many in 8 bits.

The converter keeps the float layers of an 8-bit model in float32, four times as large. Its own 8-bit weights (dynamic
range quantisation) imply 8-bit values, whose scale is set by the loudest moment of each sound: around a bark in a
silent clip little else is left.
"""

from typing import Any, cast

import flatbuffers
import numpy as np
from numpy.typing import NDArray

IDENTIFIER = b'TFL3'
MIN_SIZE = 256
"""Min size of a constant for which the operation that widens it again pays off."""

MIN_SIZE_8_BIT = 2**16
"""Min size of a kernel that is stored in 8 bits, with one scale per filter. conv3 of the 8-layer net is smaller, and
better left alone: of the authors' weights its 8 bits alone take the embedding of a quiet clip to a cosine of 0.998,
those of all larger kernels together to 0.9999. As halves it is 33 kB more: 1% of a file with heads, a ninth of the
smallest."""


def with_small_constants(model: bytes) -> bytes:
    """The model with its float32 constants made small, each widened by an operation before all others."""
    from tensorflow.lite.python import schema_py_generated as schema

    parsed: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = 5  # the first with one scale per filter
    parsed.operatorCodes.append(code)
    (graph,) = parsed.subgraphs
    wideners = []
    for index, tensor in enumerate(list(graph.tensors)):
        data = parsed.buffers[tensor.buffer].data
        if tensor.type != schema.TensorType.FLOAT32 or data is None or len(data) < 4 * MIN_SIZE:
            continue
        values = np.frombuffer(np.asarray(data).tobytes(), np.float32).reshape(tensor.shape)
        small = schema.TensorT()
        small.name, small.shape = tensor.name + b'/small', tensor.shape
        small.buffer, tensor.buffer = tensor.buffer, 0
        if values.ndim == 4 and values.size >= MIN_SIZE_8_BIT:
            kept, scales = in_eight_bits(values)
            small.type = schema.TensorType.INT8
            small.quantization = quantization = cast(Any, schema.QuantizationParametersT())
            quantization.scale, quantization.zeroPoint = scales, np.zeros(len(scales), np.int64)
        else:
            # The largest float16 is 65,504, far above any folded weight of a useful net.
            kept, small.type = values.astype(np.float16), schema.TensorType.FLOAT16
        parsed.buffers[small.buffer].data = kept.reshape(-1).view(np.uint8)
        widen = schema.OperatorT()
        widen.opcodeIndex, widen.inputs, widen.outputs = len(parsed.operatorCodes) - 1, [len(graph.tensors)], [index]
        graph.tensors.append(small)
        wideners.append(widen)
    graph.operators = [*wideners, *graph.operators]
    builder = flatbuffers.Builder(len(model))
    builder.Finish(parsed.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def in_eight_bits(kernel: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A kernel, whose first axis is the filters, as 8-bit numbers, and the scale of each filter."""
    scales = np.abs(kernel).max(axis=(1, 2, 3), keepdims=True) / 127
    scales = np.maximum(scales, np.finfo(np.float32).tiny)  # a filter of zeros
    return np.round(kernel / scales).astype(np.int8), scales.ravel()

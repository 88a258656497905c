"""The float weights of a TFLite model kept small: as float16, and where they are many in 8 bits.

The converter's own 8-bit weights (dynamic range quantisation) imply 8-bit values in all layers, whose scale is set by
the loudest moment of each sound: around a bark in a silent clip little else is left. Here that is chosen by layer.
"""

from typing import Any, cast

import flatbuffers
import numpy as np
from numpy.typing import NDArray

IDENTIFIER = b'TFL3'
MIN_SIZE = 256
"""Min size of a kernel for which the operation that widens it again pays off."""

MIN_SIZE_8_BIT = 2**14
"""Min size of a kernel that is stored in 8 bits, with one scale per filter: conv2 of the 8-layer net has so many."""


def with_small_constants(model: bytes, multiplied: bool = False) -> bytes:
    """The model with its float32 constants made small, each widened by an operation before all others.

    If `multiplied`, the 8-bit kernels of convolutions are not widened: interpreters then round the other factor, too,
    and multiply integers.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    parsed: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = 5  # the first with one scale per filter
    parsed.operatorCodes.append(code)
    (graph,) = parsed.subgraphs
    kernels, wideners = _kernels(parsed) if multiplied else set[int](), []
    for index, tensor in enumerate(list(graph.tensors)):
        data = parsed.buffers[tensor.buffer].data
        # Biases are few, and XNNPACK takes those of 8-bit kernels in float32 only.
        if (
            tensor.type != schema.TensorType.FLOAT32
            or data is None
            or len(tensor.shape) != 4
            or len(data) < 4 * MIN_SIZE
        ):
            continue
        values = np.frombuffer(np.asarray(data).tobytes(), np.float32).reshape(tensor.shape)
        many = values.size >= MIN_SIZE_8_BIT
        small = tensor if many and index in kernels else schema.TensorT()
        small.name, small.shape, small.buffer = tensor.name + b'/small', tensor.shape, tensor.buffer
        if many:
            kept, scales = in_eight_bits(values)
            small.type = schema.TensorType.INT8
            small.quantization = quantization = cast(Any, schema.QuantizationParametersT())
            quantization.scale, quantization.zeroPoint = scales, np.zeros(len(scales), np.int64)
        else:
            # The largest float16 is 65,504, far above any folded weight of a useful net.
            kept, small.type = values.astype(np.float16), schema.TensorType.FLOAT16
        parsed.buffers[small.buffer].data = kept.reshape(-1).view(np.uint8)
        if small is tensor:
            continue
        tensor.buffer = 0
        widen = schema.OperatorT()
        widen.opcodeIndex, widen.inputs, widen.outputs = len(parsed.operatorCodes) - 1, [len(graph.tensors)], [index]
        graph.tensors.append(small)
        wideners.append(widen)
    graph.operators = [*wideners, *graph.operators]
    builder = flatbuffers.Builder(len(model))
    builder.Finish(parsed.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def _kernels(parsed: Any) -> set[int]:
    """The indices of the kernels of convolutions."""
    from tensorflow.lite.python import schema_py_generated as schema

    found, (graph,) = set[int](), parsed.subgraphs
    for operator in graph.operators:
        code = parsed.operatorCodes[operator.opcodeIndex]
        if code.builtinCode == schema.BuiltinOperator.CONV_2D:
            code.version = max(code.version, 5)  # the first with a kernel of 8 bits beside floats
            found.add(operator.inputs[1])
    return found


def in_eight_bits(kernel: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A kernel `[filters, 1, steps, channels]` as 8-bit numbers, and the scale of each filter.

    What rounding adds to one time step is taken from the next (error diffusion): what a layer hears changes little from
    step to step, so that the errors cancel. It takes the tags of the authors' weights from a cosine of 0.997 to 0.9998.
    """
    scales = np.abs(kernel).max(axis=(1, 2, 3), keepdims=True) / 127
    scales = np.maximum(scales, np.finfo(np.float32).tiny)  # a filter of zeros
    rounded, left = np.zeros(kernel.shape, np.int8), np.zeros_like(kernel[:, :, 0])
    for step in range(kernel.shape[2]):
        wanted = kernel[:, :, step] / scales[:, :, 0] + left
        rounded[:, :, step] = np.clip(np.round(wanted), -127, 127)
        left = wanted - rounded[:, :, step]
    return rounded, scales.ravel()

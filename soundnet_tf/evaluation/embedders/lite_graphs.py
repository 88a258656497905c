"""The graphs of a TFLite file that take a waveform: float32 samples in, float32 values out, quantised or not."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Details = Mapping[str, Any]
"""Of a tensor, as LiteRT has them: `shape_signature`, `dtype`, `quantization`."""


@dataclasses.dataclass(frozen=True)
class Graph:
    """A signature, or the graph of a file without signatures."""

    inputs: Mapping[str, Details]
    outputs: Mapping[str, Details]
    call: Callable[[str, Array], Mapping[str, Array]]
    """The outputs for a value of the input with this name."""

    @property
    def wants(self) -> str:
        """Its inputs in words: `audio [1, 15600] float32`; a length that may be any is `?`."""
        return ' and '.join(_describe(name, details) for name, details in self.inputs.items()) or 'no input'

    @property
    def is_for_waveforms(self) -> bool:
        """Whether it takes one input, whose shape has one axis for samples, in floats or quantised."""
        if len(self.inputs) != 1:
            return False
        (details,) = self.inputs.values()
        sizes, kind = _sizes(details), np.dtype(details['dtype']).kind
        return bool(sizes) and sum(size > 1 for size in sizes) < 2 and (kind == 'f' or _scale(details) > 0)

    @property
    def samples(self) -> int:
        """The input's length; 0 for any."""
        (details,) = self.inputs.values()
        size = _sizes(details)[_samples_axis(details)]
        # Some converters write 1 for any.
        return size if size > 1 else 0

    def run(self, waveform: Array, output: str) -> NDArray[np.float32]:
        """The output for `[samples]` at the file's rate. Raises ValueError or RuntimeError."""
        ((name, details),) = self.inputs.items()
        shape = [1] * len(_sizes(details))
        shape[_samples_axis(details)] = len(waveform)
        values = self.call(name, _to_stored(waveform, details).reshape(shape))[output]
        return _from_stored(values, self.outputs[output])

    def width(self, output: str) -> tuple[int, int]:
        """How many axes an output has, up to two, and its number of channels, as far as the file says."""
        sizes = _sizes(self.outputs[output])
        return min(len(sizes), 2), sizes[-1] if sizes else 0


def of(interpreter: Any) -> list[Graph]:
    """Those of all signatures, or else the file's only graph."""
    graphs = []
    for key in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(key)

        def call(name: str, value: Array, run: Any = runner) -> Mapping[str, Array]:
            return run(**{name: value})

        graphs.append(Graph(runner.get_input_details(), runner.get_output_details(), call))
    return graphs or [_unsigned(interpreter)]


def _unsigned(interpreter: Any) -> Graph:
    inputs = {entry['name']: entry for entry in interpreter.get_input_details()}
    outputs = {entry['name']: entry for entry in interpreter.get_output_details()}
    interpreter.allocate_tensors()

    def call(name: str, value: Array) -> Mapping[str, Array]:
        index = inputs[name]['index']
        (now,) = (entry['shape'] for entry in interpreter.get_input_details() if entry['index'] == index)
        if tuple(now) != value.shape:
            interpreter.resize_tensor_input(index, value.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(index, value)
        interpreter.invoke()
        return {name: interpreter.get_tensor(entry['index']) for name, entry in outputs.items()}

    return Graph(inputs, outputs, call)


def _sizes(details: Details) -> list[int]:
    """The shape, -1 for any length."""
    shape: Sequence[int] = details['shape_signature'] if len(details['shape_signature']) else details['shape']
    return [int(size) for size in shape]


def _samples_axis(details: Details) -> int:
    """The axis of a fixed length, or else the last of any length behind that of the batch, or else the last."""
    sizes = _sizes(details)
    fixed = [axis for axis, size in enumerate(sizes) if size > 1]
    free = [axis for axis, size in enumerate(sizes) if axis and size < 0]
    return (fixed or free or [len(sizes) - 1])[-1]


def _describe(name: str, details: Details) -> str:
    shape = ', '.join('?' if size < 0 else str(size) for size in _sizes(details))
    return f'{name} [{shape}] {np.dtype(details["dtype"])}'


def _scale(details: Details) -> float:
    return float(details['quantization'][0])


def _to_stored(waveform: Array, details: Details) -> Array:
    kind = np.dtype(details['dtype'])
    if kind.kind == 'f':
        return waveform.astype(kind)
    scale, zero = details['quantization']
    limits = np.iinfo(kind)
    return np.clip(np.round(waveform / scale) + zero, limits.min, limits.max).astype(kind)


def _from_stored(values: Array, details: Details) -> NDArray[np.float32]:
    scale, zero = details['quantization']
    # Integers without a scale, such as classes, stay what they are.
    return (np.float32(scale) * (values.astype(np.float32) - zero) if scale else values.astype(np.float32)).astype(
        np.float32
    )

"""Tensors as the forms store them: an array of numbers and strides. Everything is checked first."""

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_DIMENSIONS = 8
MAX_VALUES = 100_000
"""Values in one file, where a whole tensor is one. A net of 46 tensors has a few thousand; a file made to fill the
memory has one per byte."""


class Unreadable(Exception):
    """What is wrong with a weight file; the message is prefixed with its path."""


@dataclasses.dataclass(frozen=True)
class Source:
    """The content of a weight file, before the net is known."""

    form: str
    """A key of `forms.FORMS`."""
    tensors: dict[str, NDArray]
    """By the file's own names; views of the file's bytes."""
    settings: dict[str, dict[str, object]] = dataclasses.field(default_factory=dict)
    """The file's own settings of its modules, by name: kernel, stride, padding, epsilon. Torch7 only."""


def numbers(data: bytes | memoryview, dtype: str) -> NDArray:
    """The bytes as numbers. Raises Unreadable if their count does not fit."""
    try:
        return np.frombuffer(data, dtype)
    except ValueError:
        raise Unreadable(f'damaged: {len(data):,} bytes do not fit an array of {np.dtype(dtype)}') from None


def is_shape(values: Any) -> bool:
    """Whether it is a shape, or strides: a few integers, none negative. Long tuples are not inspected."""
    return (
        isinstance(values, tuple)
        and len(values) <= MAX_DIMENSIONS
        and all(type(value) is int and value >= 0 for value in values)
    )


def view(storage: NDArray, offset: Any, shape: Any, strides: Any) -> NDArray:
    """The tensor of that shape in a storage `[numbers]`; offset and strides count numbers.

    The last three are unchecked values from the file. Raises Unreadable if they are invalid, or the tensor would reach
    beyond the storage or have more numbers than it.
    """
    if not is_shape((offset,)) or not is_shape(shape) or not is_shape(strides) or len(shape) != len(strides):
        raise Unreadable('damaged: a tensor of an invalid shape')
    size = math.prod(shape)
    if size == 0:
        return storage[:0]
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if size > storage.size or last >= storage.size:
        raise Unreadable(f'damaged: a tensor {list(shape)} exceeds its {storage.size:,} numbers')
    # The stride of an axis of size 1 may be anything.
    steps = [step * storage.itemsize if size > 1 else 0 for size, step in zip(shape, strides, strict=True)]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)

"""Tensors as the forms store them: a stretch of numbers, and how to step through it. Everything is checked first."""

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_DIMENSIONS = 8
MOST_VALUES = 100_000
"""Values in one file, a whole tensor being one. A net of 46 tensors has a few thousand; a file made to fill the memory
has one for each byte."""


class Unreadable(Exception):
    """What is wrong with a weight file, in words that its path goes in front of."""


@dataclasses.dataclass(frozen=True)
class Source:
    """What a weight file holds, before anything is known of the net."""

    form: str
    """A key of `forms.FORMS`."""
    tensors: dict[str, NDArray]
    """By the file's own names; views of the file's bytes."""
    settings: dict[str, dict[str, object]] = dataclasses.field(default_factory=dict)
    """What the file itself says of its modules, by their names: kernel, stride, padding, epsilon. Torch7 only."""


def printable(text: str) -> str:
    """Text of a file's own for a terminal, which obeys some characters."""
    return ''.join(c if c.isprintable() else c.encode('unicode_escape').decode() for c in text)


def numbers(data: bytes | memoryview, dtype: str) -> NDArray:
    """The bytes as numbers. Raises Unreadable where they are not a whole number of them."""
    try:
        return np.frombuffer(data, dtype)
    except ValueError:
        raise Unreadable(f'damaged: {len(data):,} bytes are no array of {np.dtype(dtype)}') from None


def is_shape(values: Any) -> bool:
    """Whether that is a shape, or strides: a few whole numbers, none below 0. Told without looking at too many."""
    return (
        isinstance(values, tuple)
        and len(values) <= MOST_DIMENSIONS
        and all(type(value) is int and value >= 0 for value in values)
    )


def view(storage: NDArray, offset: Any, shape: Any, strides: Any) -> NDArray:
    """The tensor of that shape in a storage `[numbers]`; offset and strides count numbers.

    The last three are what a file has there. Raises Unreadable where they are no shapes, or the tensor would reach
    beyond the storage or hold more numbers than that does.
    """
    if not is_shape((offset,)) or not is_shape(shape) or not is_shape(strides) or len(shape) != len(strides):
        raise Unreadable('damaged: a tensor of a shape that is none')
    size = math.prod(shape)
    if size == 0:
        return storage[:0]
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if size > storage.size or last >= storage.size:
        raise Unreadable(f'damaged: a tensor {list(shape)} reaches beyond its {storage.size:,} numbers')
    # A step that is never made may be stored as anything.
    steps = [step * storage.itemsize if size > 1 else 0 for size, step in zip(shape, strides, strict=True)]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)

"""The .npy form: a pickled dict `{layer: {kind: array}}`, such as sound8.npy.

Source: numpy's format of .npy files (NEP 1), and what `ndarray.__reduce__` and `dtype.__reduce__` give.
"""

import io
import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.importing import pickles
from soundnet_tf.importing.tensors import Source, Unreadable, is_shape, numbers

MAX_ARRAYS = 10_000
MAX_HEADER_LENGTH = 200
"""More of it is not read: the header of a dict has 80 characters."""


class Dtype:
    """A dtype while it is read: its name, then its byte order."""

    def __init__(self, name: Any, *_: Any):
        if not re.fullmatch(r'[fiu][1248]|b1|O8?', name):
            raise Unreadable(f'refused: an array of {name[:100]!r} is not numeric')
        self.name = name

    def build(self, state: Any) -> None:
        self.name = ('>' if state[1] == '>' else '<') + self.name.strip('<>')


class Array:
    """An array while it is read: numbers, or Python values, which numpy calls objects."""

    def __init__(self, text: '_Text'):
        self.value: NDArray | list[Any] | None = None
        self._text = text

    def build(self, state: Any) -> None:
        _, shape, dtype, is_fortran, raw = state
        if not isinstance(dtype, Dtype) or not is_shape(shape):
            raise TypeError
        if 'O' in dtype.name:
            self.value = raw if isinstance(raw, list) else None
            return
        # Python 2 has bytes pickled as text.
        array = numbers(raw if isinstance(raw, bytes) else self._text.encode(raw, 'latin1'), dtype.name)
        if math.prod(shape) != array.size:
            raise Unreadable(f'damaged: {array.size:,} numbers for an array {list(shape)}')
        self.value = array.reshape(shape, order='F' if is_fortran else 'C')


class _Text:
    """Encode text, up to the file's size in total, since a pickle may use the same text many times."""

    def __init__(self, max_bytes: int):
        self._left = max_bytes

    def encode(self, text: Any, encoding: Any) -> bytes:
        self._left -= len(text)
        if self._left < 0 or encoding not in ('latin1', 'latin-1'):
            raise ValueError
        return text.encode('latin-1')


def _constructors(max_bytes: int) -> dict[str, Any]:
    text = _Text(max_bytes)

    def scalar(dtype: Any, raw: Any) -> Array:
        array = Array(text)
        array.build((1, (), dtype, False, raw))
        return array

    made = {'_reconstruct': lambda *_: Array(text), 'scalar': scalar}
    # numpy 2 moved them.
    multiarray = {f'numpy.{core}.multiarray.{name}': made[name] for core in ('core', '_core') for name in made}
    # Python 3 pickles bytes so for Python 2.
    return multiarray | {'numpy.dtype': Dtype, 'numpy.ndarray': None, '_codecs.encode': text.encode}


def read(data: bytes) -> Source:
    """The arrays of every layer, `conv1/weights`. Raises Unreadable."""
    # Version 1 has two bytes for the length of the header, the later have four.
    start = 10 if data[6:7] == b'\1' else 12
    end = start + int.from_bytes(data[8:start], 'little')
    header = data[start : min(end, start + MAX_HEADER_LENGTH)].decode('latin-1').strip()
    if not re.search(r"'descr': '\|O\d?'.*'shape': \(\)", header):
        raise Unreadable(f'not a net: expected a dict of layers, but the header is {header!r}')
    file = io.BytesIO(data)
    file.seek(end)
    pickled = pickles.read(file, _constructors(len(data)))
    objects = pickled.value if isinstance(pickled, Array) else None
    if not isinstance(objects, list) or len(objects) != 1 or not isinstance(objects[0], dict):
        raise Unreadable('not a net: it has no dict of layers')
    layers = objects[0]
    for layer, kinds in layers.items():
        for kind, array in kinds.items() if isinstance(kinds, dict) else [('', None)]:
            if not isinstance(array, Array) or not isinstance(array.value, np.ndarray):
                raise Unreadable(f'not a net: {layer}/{kind} is not an array')
    # Layers may be the same dict, many times over.
    if sum(map(len, layers.values())) > MAX_ARRAYS:
        raise Unreadable('not a net: it has too many arrays')
    return Source(
        'numpy',
        {f'{layer}/{kind}': array.value for layer, kinds in layers.items() for kind, array in kinds.items()},
    )

"""Torch7's binary files: numbers, strings, tables and Torch's objects become plain Python values; no code is run.

A value begins with its type, an int32. Tables and objects have a number; a repeated one is only the number.
An object is its class name and its content: for a tensor sizes, strides, offset and storage, for a storage its
numbers, for anything else one value, in practice a table. All is little-endian.

Source: Torch7's manual, "Serialization", and the `read` methods of its tensors and storages.
"""

import dataclasses
import re
import struct
from typing import Any

from numpy.typing import NDArray

from soundnet_tf.importing.tensors import MAX_DIMENSIONS, MAX_VALUES, Source, Unreadable, numbers, view

NIL, NUMBER, STRING, TABLE, OBJECT, BOOLEAN = range(6)
MAX_DEPTH = 50
"""Nesting of values; a net of nested modules has about 12."""
MAX_MODULES = 1000
_ON_HOST = {
    'Byte': '<u1',
    'Char': '<i1',
    'Short': '<i2',
    'Int': '<i4',
    'Long': '<i8',
    'Half': '<f2',
    'Float': '<f4',
    'Double': '<f8',
}
ELEMENTS = _ON_HOST | {f'Cuda{name}': dtype for name, dtype in _ON_HOST.items()} | {'Cuda': '<f4'}
"""The dtype of each tensor class."""
PARAMETERS = ('weight', 'bias', 'running_mean', 'running_var', 'running_std')
"""The last is from old versions, and is always unexpected."""
SETTINGS = ('kH', 'dH', 'padH', 'kW', 'dW', 'padW', 'dilationH', 'groups', 'ceil_mode', 'eps')


@dataclasses.dataclass
class Module:
    """An object other than a tensor, such as a module of a net."""

    kind: str
    content: Any = None


class _Reader:
    def __init__(self, data: bytes):
        self._data = memoryview(data)
        self._at = 0
        self._values = 0
        self._seen: dict[int, Any] = {}

    def take(self, size: int) -> memoryview:
        if not 0 <= size <= len(self._data) - self._at:
            left = len(self._data) - self._at
            raise Unreadable(f'damaged: {size:,} bytes expected after byte {self._at:,}, but {left:,} are left')
        self._at += size
        return self._data[self._at - size : self._at]

    def int32(self) -> int:
        return struct.unpack('<i', self.take(4))[0]

    def int64s(self, count: int) -> tuple[int, ...]:
        return struct.unpack(f'<{count}q', self.take(8 * count))

    def text(self) -> str:
        return str(self.take(self.int32()), 'latin-1')

    def value(self, depth: int = 0) -> Any:
        self._values += 1
        if depth > MAX_DEPTH or self._values > MAX_VALUES:
            raise Unreadable('not a net: too many values, or nested too deeply')
        at, kind = self._at, self.int32()
        if kind == NIL:
            return None
        if kind == NUMBER:
            return struct.unpack('<d', self.take(8))[0]
        if kind == STRING:
            return self.text()
        if kind == BOOLEAN:
            return self.int32() != 0
        if kind not in (TABLE, OBJECT):
            what = 'a Lua function, which is not supported' if 6 <= kind <= 8 else f'a value of type {kind}'
            raise Unreadable(f'refused: at byte {at:,} is {what}')
        number = self.int32()
        if number not in self._seen:
            (self._table if kind == TABLE else self._object)(number, depth)
        return self._seen[number]

    def _table(self, number: int, depth: int) -> None:
        self._seen[number] = table = {}
        for _ in range(self.int32()):
            key = self.value(depth + 1)
            if not isinstance(key, str | float | bool):
                raise Unreadable(f'damaged: the key of a table is {type(key).__name__}')
            table[key] = self.value(depth + 1)

    def _object(self, number: int, depth: int) -> None:
        name = self.text()
        if re.fullmatch(r'V \d+', name):  # the oldest files have no version
            name = self.text()
        tensor = re.fullmatch(r'torch\.(\w+?)(Tensor|Storage)', name)
        if not tensor:
            self._seen[number] = module = Module(name)
            module.content = self.value(depth + 1)
            return
        if tensor[1] not in ELEMENTS:
            raise Unreadable(f'refused: {name[:100]} is not a tensor class of weights')
        dtype = ELEMENTS[tensor[1]]
        self._seen[number] = self._storage(dtype) if tensor[2] == 'Storage' else self._tensor(name, dtype, depth)

    def _storage(self, dtype: str) -> NDArray:
        (size,) = self.int64s(1)
        return numbers(self.take(size * int(dtype[2])), dtype)

    def _tensor(self, name: str, dtype: str, depth: int) -> NDArray:
        dimensions = self.int32()
        if not 0 <= dimensions <= MAX_DIMENSIONS:
            raise Unreadable(f'damaged: {name} of {dimensions} dimensions at byte {self._at:,}')
        shape, strides, (offset,) = (self.int64s(count) for count in (dimensions, dimensions, 1))
        storage = self.value(depth + 1)
        if not dimensions or storage is None:
            return numbers(b'', dtype)
        if not hasattr(storage, 'dtype') or storage.ndim != 1 or storage.dtype != dtype:
            raise Unreadable(f'damaged: the storage of {name} is invalid')
        return view(storage, offset - 1, shape, strides)


def read(data: bytes) -> Source:
    """The parameters of the modules of a net, `[out, in, kernel, 1]` for a convolution.

    A module is named by its number, from 1 as in Torch: `1.weight`, `25.2.bias` for the second of module 25.
    Raises Unreadable.
    """
    net = _Reader(data).value()
    tensors: dict[str, NDArray] = {}
    settings: dict[str, dict[str, object]] = {}
    _walk(net, '', tensors, settings, 0)
    if not tensors:
        raise Unreadable('not a net: it has no module with weights')
    return Source('Torch7', tensors, settings)


def _walk(module: Any, path: str, tensors: dict[str, NDArray], settings: dict[str, Any], depth: int) -> None:
    # A module may occur many times: without a limit a small file would take forever.
    fine = isinstance(module, Module) and isinstance(module.content, dict)
    if not fine or depth > MAX_DEPTH or len(settings) > MAX_MODULES:
        raise Unreadable(f'not a net: {path or "its top value"} is not a module')
    content = module.content
    for name in PARAMETERS:
        if hasattr(content.get(name), 'dtype'):
            tensors['.'.join(filter(None, (path, name)))] = content[name]
    # nn and cudnn modules are equivalent.
    settings[path] = {'kind': module.kind.rpartition('.')[2]} | {k: content[k] for k in SETTINGS if k in content}
    for name, value in settings[path].items():
        # A table of tables would make the message too long.
        if not isinstance(value, str if name == 'kind' else float | bool):
            raise Unreadable(f'not a net: {name} of module {path} is not a number')
    modules = content.get('modules')
    if isinstance(modules, dict):
        for number, inner in modules.items():
            if not isinstance(number, float) or not number.is_integer():
                raise Unreadable(f'damaged: a module is numbered {number!r}')
            _walk(inner, '.'.join(filter(None, (path, str(int(number))))), tensors, settings, depth + 1)

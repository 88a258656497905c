"""Writes Torch7's binary form by hand."""

import dataclasses
import io
import struct

import numpy as np


@dataclasses.dataclass(eq=False)
class Storage:
    values: np.ndarray
    kind: str = 'Float'


@dataclasses.dataclass(eq=False)
class Tensor:
    kind: str
    storage: Storage | None
    shape: tuple
    strides: tuple
    offset: int = 0

    @classmethod
    def of(cls, array, kind='Float'):
        array = np.ascontiguousarray(array)
        strides = tuple(step // array.itemsize for step in array.strides)
        return cls(kind, Storage(array.ravel(), kind), array.shape, strides)


@dataclasses.dataclass(eq=False)
class Module:
    kind: str
    content: dict


class T7:
    """Writes Torch7's binary form; each table and object once."""

    def __init__(self):
        self.file, self.numbers = io.BytesIO(), {}

    def int32(self, *values):
        self.file.write(struct.pack(f'<{len(values)}i', *values))

    def int64(self, *values):
        self.file.write(struct.pack(f'<{len(values)}q', *values))

    def text(self, text):
        self.int32(len(text))
        self.file.write(text.encode('latin-1'))

    def is_new(self, kind, value):
        known = id(value) in self.numbers
        self.int32(kind, self.numbers.setdefault(id(value), len(self.numbers) + 1))
        return not known

    def put(self, value):
        if value is None:
            self.int32(0)
        elif isinstance(value, bool):
            self.int32(5, value)
        elif isinstance(value, int | float):
            self.int32(1)
            self.file.write(struct.pack('<d', value))
        elif isinstance(value, str):
            self.int32(2)
            self.text(value)
        elif isinstance(value, dict):
            if self.is_new(3, value):
                self.int32(len(value))
                for pair in value.items():
                    for part in pair:
                        self.put(part)
        elif self.is_new(4, value):
            self.text('V 1')
            getattr(self, f'put_{type(value).__name__.lower()}')(value)
        return self

    def put_storage(self, storage):
        self.text(f'torch.{storage.kind}Storage')
        self.int64(storage.values.size)
        self.file.write(storage.values.tobytes())

    def put_tensor(self, tensor):
        self.text(f'torch.{tensor.kind}Tensor')
        self.int32(len(tensor.shape))
        self.int64(*tensor.shape, *tensor.strides, tensor.offset + 1)
        self.put(tensor.storage)

    def put_module(self, module):
        self.text(module.kind)
        self.put(module.content)


def t7_bytes(value):
    return T7().put(value).file.getvalue()

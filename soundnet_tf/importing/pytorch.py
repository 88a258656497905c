"""PyTorch's .pth files: a state dict, alone or as a part of a checkpoint; as a zip, or as before PyTorch 1.6.

Both are a pickle in which each tensor refers to a storage; the storages' numbers follow separately.
Source: `torch/serialization.py` and `torch/_utils.py`, as PyTorch documents them in "Serialization semantics".
"""

import dataclasses
import io
import struct
import zipfile
from typing import Any

from numpy.typing import NDArray

from soundnet_tf.importing import pickles
from soundnet_tf.importing.tensors import Source, Unreadable, numbers, view

MAGIC = 0x1950A86A20F9469CFC6C
LEGACY = b'\x80\x02\x8a\n' + MAGIC.to_bytes(10, 'little') + b'.'
"""The pickle of the magic number, which starts the older form."""
MAX_ENTRIES = 10_000
DAMAGE = (zipfile.BadZipFile, struct.error, ValueError, KeyError, EOFError, OSError, RuntimeError)
"""Exceptions of zipfile for a damaged file."""


@dataclasses.dataclass
class Storage:
    """The numbers behind some tensors, `[size]`; they are read after the pickle."""

    key: str
    dtype: str
    size: int
    values: NDArray | None = None

    def fill(self, data: bytes | memoryview) -> None:
        self.values = numbers(data, self.dtype)
        if self.values.size != self.size:
            raise Unreadable(
                f'damaged: storage {self.key[:20]} has {self.values.size:,} numbers instead of {self.size:,}'
            )


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A view of a storage."""

    storage: Storage
    offset: Any
    shape: Any
    strides: Any

    def array(self) -> NDArray:
        if self.storage.values is None:
            raise Unreadable(f'damaged: storage {self.storage.key[:20]} is missing')
        return view(self.storage.values, self.offset, self.shape, self.strides)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    if not isinstance(storage, Storage):
        raise TypeError
    return Tensor(storage, offset, shape, strides)


def _ordered(*pairs: Any) -> dict[Any, Any]:
    """Python 2 passes the pairs. A list of them is used once, since a pickle may refer to it many times."""
    if not pairs:
        return {}
    (listed,) = pairs
    if not isinstance(listed, list):
        raise TypeError
    items = list(listed)
    listed.clear()
    return pickles.put({}, items)


_ELEMENTS = {
    'Double': '<f8',
    'Float': '<f4',
    'Half': '<f2',
    'Long': '<i8',
    'Int': '<i4',
    'Short': '<i2',
    'Char': '<i1',
    'Byte': '<u1',
    'Bool': '<u1',
}
KNOWN = {
    'collections.OrderedDict': _ordered,
    'torch._utils._rebuild_tensor': _tensor,
    'torch._utils._rebuild_tensor_v2': _tensor,
    'torch._utils._rebuild_parameter': lambda tensor, *_: tensor,
    **{f'torch.{name}Storage': dtype for name, dtype in _ELEMENTS.items()},
    'torch.BFloat16Storage': 'bfloat16',
}


class _Storages:
    """The storages that a pickle refers to, each once."""

    def __init__(self) -> None:
        self.by_key: dict[str, Storage] = {}

    def __call__(self, identity: Any) -> Storage:
        if len(identity) == 6 and identity[5] is None:  # a view of a storage, removed in PyTorch 0.4
            identity = identity[:5]
        kind, dtype, key, _, size = identity
        if dtype == 'bfloat16':
            raise Unreadable('refused: bfloat16 is not supported. Save the state dict again with .float()')
        known = kind == 'storage' and isinstance(dtype, str) and dtype in _ELEMENTS.values() and isinstance(key, str)
        if not known or type(size) is not int:
            raise TypeError
        return self.by_key.setdefault(key, Storage(key, dtype, size))


def read_zip(data: bytes) -> Source:
    """What `torch.save` has written since PyTorch 1.6. Raises Unreadable."""
    # Before zipfile makes an object of each entry.
    if data.count(b'PK\x01\x02') > MAX_ENTRIES:
        raise Unreadable('refused: a zip of more entries than a net has')
    storages = _Storages()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            pickled = [name for name in archive.namelist() if name.endswith('/data.pkl')]
            inside = next((name for name in archive.namelist() if name.endswith('.t7')), None)
            if not pickled:
                hint = f'. Extract {inside}, and pass that' if inside else ''
                raise Unreadable(f'not a net: a zip, but not from PyTorch{hint}')
            # A small file may unpack to a large one, or use the same bytes twice.
            stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
            if not stored or sum(entry.file_size for entry in entries) > len(data):
                raise Unreadable(
                    'refused: a zip that unpacks to more than its size, unlike a state dict. For TorchScript, save '
                    'only the state_dict()'
                )
            (top,) = (name.removesuffix('data.pkl') for name in pickled)
            if f'{top}byteorder' in archive.namelist() and archive.read(f'{top}byteorder') != b'little':
                raise Unreadable('refused: it was written with another byte order')
            value = pickles.read(io.BytesIO(archive.read(f'{top}data.pkl')), KNOWN, storages)
            for storage in storages.by_key.values():
                storage.fill(archive.read(f'{top}data/{storage.key}'))
    except DAMAGE:
        raise Unreadable('damaged: the zip cannot be read, or is not from PyTorch') from None
    return _source(value)


def read_legacy(data: bytes) -> Source:
    """What `torch.save` wrote before PyTorch 1.6: a few pickles, then the storages. Raises Unreadable."""
    file, storages = io.BytesIO(data), _Storages()
    pickles.read(file, {})  # the magic number, checked by the caller
    version, system = pickles.read(file, {}), pickles.read(file, {})
    if version != 1001 or not isinstance(system, dict) or system.get('little_endian') is not True:
        raise Unreadable('refused: unknown version or byte order')
    value = pickles.read(file, KNOWN, storages)
    keys = pickles.read(file, {})
    rest = memoryview(data)[file.tell() :]
    for key in keys if isinstance(keys, list) else []:
        storage = storages.by_key.get(key) if isinstance(key, str) else None
        if storage is None or int.from_bytes(rest[:8], 'little') != storage.size:
            raise Unreadable('damaged: its storages do not match its list')
        end = 8 + storage.size * int(storage.dtype[2])
        storage.fill(rest[8:end])
        rest = rest[end:]
    return _source(value)


def _source(value: Any) -> Source:
    if not isinstance(value, dict):
        raise Unreadable('not a net: it has no state dict')
    # In a checkpoint, the part with the most tensors, whatever its name; the first of equals.
    parts = [value, *(part for part in value.values() if isinstance(part, dict))]
    state = max(parts, key=lambda part: sum(isinstance(own, Tensor) for own in part.values()))
    tensors = {str(name): tensor.array() for name, tensor in state.items() if isinstance(tensor, Tensor)}
    if not tensors:
        keys = ', '.join(str(key)[:30] for key in list(value)[:8]) or 'nothing'
        raise Unreadable(f'not a net: it has no named tensors, but {keys}. Save only the state_dict()')
    # As in nn.DataParallel, or in a model around the net.
    while len(tops := {name.partition('.')[0] for name in tensors}) == 1 and not tops & {*tensors, 'features'}:
        tensors = {name.partition('.')[2]: tensor for name, tensor in tensors.items()}
    return Source('PyTorch', tensors)

"""Detect the form of a weight file by its first bytes."""

import os

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.importing import arrays, pytorch, torch7
from soundnet_tf.importing.tensors import Source, Unreadable

_FORMS = (
    (b'\x93NUMPY', arrays.read),
    (b'PK\x03\x04', pytorch.read_zip),
    (pytorch.LEGACY, pytorch.read_legacy),
    (torch7.OBJECT.to_bytes(4, 'little'), torch7.read),
)


def read(path: str | os.PathLike[str], data: bytes) -> Source:
    """The content of a weight file with these bytes. Raises SoundNetError, with `path`, if it cannot be used."""
    for start, reader in _FORMS:
        if data.startswith(start):
            try:
                source = reader(data)
                # Otherwise a few bytes could become many large tensors.
                if sum(tensor.nbytes for tensor in source.tensors.values()) > len(data):
                    raise Unreadable('refused: its tensors share storage')
                return source
            except Unreadable as error:
                raise SoundNetError(f'{path}: {storage.printable(str(error))}{_advice(error)}') from None
    if not data:
        raise SoundNetError(f'{path}: empty. Download the file again')
    raise SoundNetError(
        f'{path}: unknown kind of weight file (it begins with {data[:12]!r}). '
        f'Pass a Torch7 .t7, a numpy .npy such as sound8.npy, or a PyTorch .pth of a state dict'
    )


def _advice(error: Unreadable) -> str:
    return '. Download the file again' if str(error).startswith('damaged') else ''

"""Which form a weight file has, by its first bytes."""

import os

from soundnet_tf.errors import SoundNetError
from soundnet_tf.importing import arrays, pytorch, torch7
from soundnet_tf.importing.tensors import Source, Unreadable, printable

_FORMS = (
    (b'\x93NUMPY', arrays.read),
    (b'PK\x03\x04', pytorch.read_zip),
    (pytorch.LEGACY, pytorch.read_legacy),
    (torch7.OBJECT.to_bytes(4, 'little'), torch7.read),
)


def read(path: str | os.PathLike[str], data: bytes) -> Source:
    """What a weight file with those bytes holds. Raises SoundNetError, naming `path`, where that is nothing of use."""
    for start, reader in _FORMS:
        if data.startswith(start):
            try:
                source = reader(data)
                # Else many large tensors could be made of few bytes.
                if sum(tensor.nbytes for tensor in source.tensors.values()) > len(data):
                    raise Unreadable('refused: its tensors share their numbers')
                return source
            except Unreadable as error:
                raise SoundNetError(f'{path}: {printable(str(error))}{_advice(error)}') from None
    if not data:
        raise SoundNetError(f'{path} is empty: get the file again')
    raise SoundNetError(
        f'{path} is no weight file that is known here (it begins with {data[:12]!r}): '
        f'give a Torch7 .t7, a numpy .npy such as sound8.npy, or a PyTorch .pth of a state dict'
    )


def _advice(error: Unreadable) -> str:
    return '. Get the file again' if str(error).startswith('damaged') else ''

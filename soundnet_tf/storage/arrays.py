"""Reading numpy's files, .npy and .npz: headers first, so that a damaged or forged file takes no memory.

Arrays are of numbers, booleans or text. Pickles are not read.

Source: numpy's format of .npy files (NEP 1). Its own reader evaluates a header as Python, and believes what it says.
"""

import dataclasses
import math
import os
import re
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.errors import SoundNetError
from soundnet_tf.storage.readers import Path, opened, printable, readable

MAX_HEADER = 1_000
"""Bytes of a header that are read; numpy writes 118 for an array of up to six dimensions."""
EXPANSION, SPARE = 3, 200 << 20
"""How much a compressed file may grow in memory: so many times its size, and so many bytes."""

_ENTRY = (
    r"""['"](?:descr['"]\s*:\s*['"](?P<dtype>[<>=|]?[biufSU]\d{1,9})['"]"""
    r"""|fortran_order['"]\s*:\s*(?P<fortran>True|False)"""
    r"""|shape['"]\s*:\s*\((?P<shape>[\dL, ]{,300})\))"""
)
_HEADER = re.compile(rf'\{{\s*(?:{_ENTRY}\s*,?\s*)+\}}\s*')


@dataclasses.dataclass(frozen=True)
class Header:
    """What a .npy file says about its array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_fortran: bool
    offset: int
    """Where the values begin."""

    @property
    def nbytes(self) -> int:
        """Of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_npy(
    path: Path, hint: str = '', error: type[SoundNetError] = SoundNetError, *, mapped: bool = False
) -> NDArray[Any]:
    """The array of a .npy file; `mapped` reads from disk what is used. Raises `error`, in one line."""
    with readable(path, hint, error), opened(path, error) as file:
        header = _header(file)
        size = os.fstat(file.fileno()).st_size
        if header.offset + header.nbytes > size:
            raise ValueError(f'an array {list(header.shape)} of {header.dtype} does not fit into {size:,} bytes')
        if mapped and header.nbytes:
            order = 'F' if header.is_fortran else 'C'
            return np.memmap(file, header.dtype, 'r', header.offset, header.shape, order)
        return _values(file, header)


def npz_headers(path: Path, hint: str = '', error: type[SoundNetError] = SoundNetError) -> dict[str, Header]:
    """The headers of an .npz file by the names of its arrays, without reading these. Raises `error`, in one line."""
    with _opened(path, hint, error) as file:
        found = {}
        for member in file.infolist():
            with file.open(member) as opened, _naming(member):
                found[member.filename.removesuffix('.npy')] = _checked(opened, member)
        return found


def read_npz(
    path: Path,
    hint: str = '',
    error: type[SoundNetError] = SoundNetError,
    *,
    keys: Iterable[str] | None = None,
) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file by name, all or those of `keys`. Raises `error`, in one line."""
    with _opened(path, hint, error) as file:
        members = {member.filename.removesuffix('.npy'): member for member in file.infolist()}
        found = {}
        for key in members if keys is None else keys:
            with file.open(members[key]) as opened, _naming(members[key]):
                found[key] = _values(opened, _checked(opened, members[key]))
        return found


@contextmanager
def _opened(path: Path, hint: str, error: type[SoundNetError]) -> Iterator[zipfile.ZipFile]:
    with readable(path, hint, error), opened(path, error) as raw, zipfile.ZipFile(raw) as file:
        size, expanded = os.path.getsize(path), 0
        for member in file.infolist():
            with _naming(member):
                if member.flag_bits & 1:
                    raise ValueError('encrypted')
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise ValueError(f'compressed by the unknown method {member.compress_type}')
            expanded += member.file_size
        if expanded > EXPANSION * size + SPARE:
            raise ValueError(f'its {size:,} bytes expand to {expanded:,}, unlike those of np.savez')
        yield file


@contextmanager
def _naming(member: zipfile.ZipInfo) -> Iterator[None]:
    """Add the name of the array to what is wrong with it."""
    try:
        yield
    except (ValueError, EOFError, zipfile.BadZipFile) as failure:
        raise ValueError(f'{printable(member.filename)[:100]}: {failure}') from failure


def _checked(opened: IO[bytes], member: zipfile.ZipInfo) -> Header:
    header = _header(opened)
    if header.offset + header.nbytes != member.file_size:
        kind = f'an array {list(header.shape)} of {header.dtype}'
        raise ValueError(f'{kind} does not fit into {member.file_size:,} bytes')
    return header


def _header(file: IO[bytes]) -> Header:
    magic = file.read(8)
    if not magic.startswith(b'\x93NUMPY'):
        raise ValueError('not a numpy array')
    if magic[6] not in (1, 2):
        raise ValueError(f'version {magic[6]} of the format, not 1 or 2')
    digits = 2 * magic[6]
    length = int.from_bytes(file.read(digits), 'little')
    text = file.read(min(length, MAX_HEADER)).decode('latin-1')
    match = _HEADER.fullmatch(text)
    if len(text) < length or match is None or None in match.groupdict().values():
        raise ValueError(f'not an array of numbers, but {printable(text.strip()[:80])!r}')
    shape = tuple(int(number.rstrip('L')) for number in match['shape'].replace(' ', '').split(',') if number)
    dtype = np.dtype(match['dtype'])
    if not dtype.itemsize or len(shape) > 32:
        raise ValueError(f'not an array of numbers, but {printable(text.strip()[:80])!r}')
    return Header(shape, dtype, match['fortran'] == 'True', len(magic) + digits + length)


def _values(file: IO[bytes], header: Header) -> NDArray[Any]:
    """The values behind the header, whose size has been checked."""
    values = np.empty(math.prod(header.shape), header.dtype)
    raw, done = values.view(np.uint8), 0
    while done < len(raw):
        piece = file.read(min(len(raw) - done, 1 << 20))
        if not piece:
            raise EOFError('the file is shorter than its header states')
        raw[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        done += len(piece)
    return values.reshape(header.shape, order='F' if header.is_fortran else 'C')

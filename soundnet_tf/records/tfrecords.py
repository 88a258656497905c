"""Random access to the records of TFRecord files, and writing them.

A file is a sequence of records, each with its length before it and checksums (CRC-32C, masked) of both. With an
index of their offsets, any record is one read away, and an order of training is just a list of numbers.
"""

import dataclasses
import os
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from soundnet_tf import storage
from soundnet_tf.errors import BadRecord, SoundNetError
from soundnet_tf.records import gfiles

HEADER, FRAME = 12, 16
"""Bytes before a record, and around it."""

AGAIN = 'Remove it and run soundnet-prepare again'
READERS = 16


@dataclasses.dataclass(frozen=True, eq=False)
class Index:
    """The position of each record of several files: file, row, offset and size in bytes."""

    paths: Sequence[str]
    file: NDArray[np.int32]
    row: NDArray[np.int32]
    start: NDArray[np.int64]
    size: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.file)

    def where(self, number: int) -> tuple[str, int]:
        """The file of a record, and its row in the file."""
        return self.paths[int(self.file[number])], int(self.row[number])

    def read(self, number: int) -> bytes:
        """One record. Raises BadRecord, with file and row, if it is missing or damaged."""
        path, row = self.where(number)
        size = int(self.size[number])
        try:
            with gfiles.opened(path) as file:
                file.seek(int(self.start[number]))
                framed = file.read(size + FRAME)
        except OSError as error:
            raise BadRecord(f'{path}, record {row}: cannot be read ({gfiles.words(error)}). {AGAIN}') from None
        record = framed[HEADER : HEADER + size]
        if len(framed) < size + FRAME or _masked(record) != struct.unpack('<I', framed[-4:])[0]:
            raise BadRecord(f'{path}, record {row}: damaged, wrong checksum. {AGAIN}')
        return record


def index(paths: Sequence[str], bad: Callable[[str, str], None] | None = None) -> Index:
    """The index of several files, from the summaries beside them, or from the files themselves.

    Raises BadRecord if a file is missing or damaged. With `bad`, the index still has the records of such a file, as far
    as its summary or the rest of the file lists them, and they fail when they are read; a file without any is skipped,
    and `bad` is called with the file and the reason.
    """
    with ThreadPoolExecutor(READERS) as pool:
        found = list(pool.map(_sizes, paths))
    parts: list[tuple[int, NDArray[np.int64]]] = []
    for number, (path, (sizes, wrong)) in enumerate(zip(paths, found, strict=True)):
        if wrong and bad is None:
            raise BadRecord(wrong)
        if wrong and bad and not len(sizes):
            bad(path, wrong)
        if len(sizes):
            parts.append((number, sizes))
    counts = [len(sizes) for _, sizes in parts]
    ends = [np.cumsum(sizes + FRAME) for _, sizes in parts]
    return Index(
        paths,
        np.repeat(np.array([number for number, _ in parts], np.int32), counts),
        _joined([np.arange(count, dtype=np.int32) for count in counts], np.int32),
        _joined([end - sizes - FRAME for end, (_, sizes) in zip(ends, parts, strict=True)], np.int64),
        _joined([sizes for _, sizes in parts], np.int64),
    )


def _joined(arrays: Sequence[NDArray[Any]], kind: type) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, kind), *arrays])


def _sizes(path: str) -> tuple[NDArray[np.int64], str]:
    """The sizes of the records of one file, as far as they are known, and what is wrong with the file."""
    known = _summarised(path)
    try:
        there = gfiles.size(path)
        with gfiles.opened(path) as file:
            if known is not None and _taken(known) == there:
                return known, ''
            # The summary may be older than the file, but the file must not be a part of what it lists.
            sizes = _scanned(file, there)
    except OSError as error:
        return _longer(known, np.zeros(0, np.int64)), f'{path}: cannot be read ({gfiles.words(error)}). {AGAIN}'
    cut = known is not None and len(sizes) < len(known) and np.array_equal(known[: len(sizes)], sizes)
    if _taken(sizes) == there and not cut:
        return sizes, ''
    if known is None and not len(sizes):
        return sizes, f'{path}: damaged, or not a TFRecord file. {AGAIN}'
    sizes = _longer(known, sizes)
    return sizes, f'{path}: damaged, {there:,} bytes instead of {_taken(sizes):,}. {AGAIN}'


def _longer(known: NDArray[np.int64] | None, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return sizes if known is None or len(known) < len(sizes) else known


def _taken(sizes: NDArray[np.int64]) -> int:
    return int((sizes + FRAME).sum())


def _summarised(path: str) -> NDArray[np.int64] | None:
    summary = f'{os.path.splitext(path)[0]}.json'
    try:
        with storage.readable(summary):
            sizes = np.array(storage.parse_json(gfiles.read(summary), summary)['sizes'], np.int64)
            return sizes if sizes.ndim == 1 and (sizes >= 0).all() else None
    except (SoundNetError, OSError):
        return None


def _scanned(file: Any, there: int) -> NDArray[np.int64]:
    sizes, at = [], 0
    while at < there:
        file.seek(at)
        header = file.read(HEADER)
        if len(header) < HEADER or _masked(header[:8]) != struct.unpack('<I', header[8:])[0]:
            break
        sizes.append(struct.unpack('<Q', header[:8])[0])
        at += sizes[-1] + FRAME
    return np.array(sizes, np.int64)


def framed(record: bytes) -> bytes:
    """A record as a TFRecord file has it."""
    length = struct.pack('<Q', len(record))
    return b''.join([length, struct.pack('<I', _masked(length)), record, struct.pack('<I', _masked(record))])


def _masked(data: bytes) -> int:
    """The masked checksum of TFRecord files."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF

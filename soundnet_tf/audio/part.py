"""Parts of files, for libraries that read files and for code that looks at bytes."""

import io
from collections.abc import Iterator
from typing import Any, BinaryIO


class Part:
    """An open file, or its bytes from `start` to `end`, sliced like bytes and read like a file, in constant memory."""

    window = 1 << 20
    """Bytes that are looked at together."""

    def __init__(self, file: BinaryIO, path: str, start: int = 0, end: int | None = None) -> None:
        self.path = path
        self._file, self._start, self._at = file, start, 0
        self._length = (file.seek(0, io.SEEK_END) if end is None else end) - start
        self._cached, self._from = b'', 0

    @classmethod
    def of(cls, data: bytes, path: str) -> 'Part':
        """A file's bytes in memory."""
        return cls(io.BytesIO(data), path)

    def part(self, start: int, end: int | None = None) -> 'Part':
        """A part of this part."""
        return Part(self._file, self.path, self._start + start, self._start + (self._length if end is None else end))

    def __repr__(self) -> str:  # libraries put it into their messages
        return self.path

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, wanted: slice) -> bytes:
        begin, end, _ = wanted.indices(self._length)
        end = max(begin, end)
        if not self._from <= begin <= end <= self._from + len(self._cached):
            self._file.seek(self._start + begin)
            self._cached, self._from = self._file.read(max(self.window, end - begin)), begin
        return self._cached[begin - self._from : end - self._from]

    def read(self, size: int = -1) -> bytes:
        """The next bytes, as of any file."""
        rest = max(0, self._length - self._at)
        size = rest if size < 0 else min(size, rest)
        if not size:  # a damaged file may send a reader to places that no system knows
            return b''
        self._file.seek(self._start + self._at)
        data = self._file.read(size)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """To another place, as in any file; in front of the start, -1 and no move, which C libraries expect."""
        place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        if place < 0:
            return -1
        self._at = place
        return place

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at


def find(data: Any, what: bytes, start: int) -> int:
    """As of bytes, in constant memory."""
    at = start
    for window in windows(data, start, len(what) - 1):
        if (found := window.find(what)) >= 0:
            return at + found
        at += Part.window
    return -1


def windows(data: Any, start: int, more: int = 0) -> Iterator[bytes]:
    """Piece by piece to the end, each with `more` bytes of the next."""
    yield from (data[at : at + Part.window + more] for at in range(start, len(data), Part.window))

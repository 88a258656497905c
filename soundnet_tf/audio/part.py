"""Parts of files, for libraries that read files and for code that looks at bytes."""

import io
from typing import BinaryIO


class Part:
    """An open file, or its bytes from `start` to `end`, sliced like bytes and read like a file, in constant memory."""

    _window = 1 << 20

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
            self._cached, self._from = self._file.read(max(self._window, end - begin)), begin
        return self._cached[begin - self._from : end - self._from]

    def read(self, size: int = -1) -> bytes:
        """The next bytes, as of any file."""
        rest = max(0, self._length - self._at)
        size = rest if size < 0 else min(size, rest)
        self._file.seek(self._start + self._at)
        data = self._file.read(size)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """To another place, as in any file."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        return self._at

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

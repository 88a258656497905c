"""Reading text, JSON and CSV: the content, or one error in one line that names the file.

storage.read_json(path, hint='Run soundnet-prepare again')
with storage.readable(path):               # for what is picked out of it
    seconds = float(values['clip']['seconds'])
"""

import collections
import contextlib
import csv
import io
import itertools
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, Self

from soundnet_tf.errors import SoundNetError
from soundnet_tf.storage import kinds

Path = str | os.PathLike[str]

Line = tuple[int, list[str]]
"""The number of a line of a CSV file, that of its last one if cells have line breaks, and its cells."""

MAX_REASON = 200
"""Characters of a library's message that are repeated."""

DAMAGE = (
    OSError,
    EOFError,
    ValueError,  # of JSON and Unicode too
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RuntimeError,  # RecursionError and NotImplementedError too
    MemoryError,
    csv.Error,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What libraries, and expressions such as `values['x'][0]`, raise where a file holds something else."""


@contextlib.contextmanager
def readable(path: Path, hint: str = '', error: type[SoundNetError] = SoundNetError) -> Iterator[None]:
    """Turn what a damaged file raises into one `error`, `PATH: cannot be read (why). Way out`."""
    try:
        yield
    except SoundNetError:
        raise
    except DAMAGE as failure:
        text = f'{printable(os.fspath(path))}: cannot be read ({reason(failure)})'
        raise error(f'{text}. {hint}' if hint else text) from failure


def reason(error: BaseException) -> str:
    """Why something cannot be read, as one short line."""
    if isinstance(error, RecursionError):
        return 'nested too deeply'
    if isinstance(error, MemoryError):
        return 'too large for the memory'
    if isinstance(error, UnicodeDecodeError):
        return f'not text in UTF-8: byte {error.start} is {error.object[error.start]:#04x}'
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, KeyError):
        return f'no key {printable(repr(error.args[0]))[:MAX_REASON]}'
    return printable(' '.join(str(error).split()))[:MAX_REASON] or type(error).__name__


def printable(text: str) -> str:
    """Text from a file with control characters escaped, safe for a terminal and one line."""
    return ''.join(c if c.isprintable() else c.encode('unicode_escape', 'surrogatepass').decode() for c in text)


def opened(path: Path, error: type[SoundNetError] = SoundNetError) -> io.BufferedReader:
    """A file, or a pipe, opened for reading. Raises `error` for a device, which may never end."""
    file = open(path, 'rb')  # noqa: SIM115
    if kinds.of_mode(os.fstat(file.fileno()).st_mode) == kinds.DEVICE and not file.isatty():
        file.close()
        raise error(f'{printable(os.fspath(path))}: is a device. Pass a file, or a pipe')
    return file


def read_text(path: Path, hint: str = '', error: type[SoundNetError] = SoundNetError) -> str:
    """The content of a file in UTF-8, with or without a byte order mark; lines end in `\\n`."""
    with readable(path, hint, error), opened(path, error) as file:
        return parse_text(file.read(), path, hint, error)


def parse_text(data: bytes, source: Path, hint: str = '', error: type[SoundNetError] = SoundNetError) -> str:
    """Bytes of UTF-8 as `read_text` gives them; errors name `source`."""
    with readable(source, hint, error):
        return data.decode('utf-8-sig').replace('\r\n', '\n').replace('\r', '\n')


def read_json(path: Path, hint: str = '', error: type[SoundNetError] = SoundNetError, kind: type = dict) -> Any:
    """The content of a JSON file, whose outermost value is a `kind`."""
    return parse_json(read_text(path, hint, error), path, hint, error, kind)


def parse_json(
    text: str | bytes,
    source: Path,
    hint: str = '',
    error: type[SoundNetError] = SoundNetError,
    kind: type = dict,
) -> Any:
    """The value of JSON text in UTF-8, a `kind`; errors name `source`."""
    text = text if isinstance(text, str) else parse_text(text, source, hint, error)
    with readable(source, hint, error):
        if not text.strip():
            raise ValueError('it is empty')
        values = json.loads(text)
        if not isinstance(values, kind):
            names = {dict: 'object', list: 'list', str: 'string', int: 'whole number'}
            raise ValueError(f'not a JSON {names.get(kind, kind.__name__)}')
        return values


def csv_lines(path: Path, hint: str = '', error: type[SoundNetError] = SoundNetError, **options: Any) -> Iterator[Line]:
    """The cells of each line of a CSV file that is not blank, with its number, one by one; `options` as `csv_rows`."""
    with readable(path, hint, error):
        for number, cells in csv_rows(path, hint, error, **options):
            if isinstance(cells, str):
                raise ValueError(f'line {number} {cells}')
            yield number, cells


def csv_rows(
    path: Path,
    hint: str = '',
    error: type[SoundNetError] = SoundNetError,
    *,
    delimiter: str = ',',
    undecodable: str = 'strict',
) -> Iterator[Line | tuple[int, str]]:
    """As `csv_lines`, but for a line that cannot be read it gives the reason, and goes on with the next line.

    `undecodable` is what becomes of bytes that are not UTF-8, as in `open(errors=)`.
    """
    with readable(path, hint, error), opened(path, error) as file:
        lines = _Lines(io.TextIOWrapper(file, 'utf-8-sig', undecodable, newline=''))
        reader = csv.reader(lines, delimiter=delimiter)
        while True:
            first = lines.number + 1
            lines.begin()
            wrong = ''
            try:
                cells = next(reader, None)
            except csv.Error:
                cells, wrong = [], f'has a cell of more than {csv.field_size_limit():,} characters'
            if cells is None:
                return
            if lines.ended or (wrong and lines.number > first):
                wrong = 'has a quote that is not closed'
            if wrong:
                lines.skip()
                yield first, wrong
            elif cells:
                yield lines.number, cells


class _Lines:
    """The lines of a file for a CSV reader; those of the current row can be read again."""

    def __init__(self, file: Iterator[str]) -> None:
        self._file = file
        self._row: list[str] = []
        self._again: collections.deque[str] = collections.deque()
        self.number = 0
        """Of the line read last."""
        self.ended = False
        """Whether the file ended within the row: the reader asks for another line only inside quotes."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._file, '')
        if not line:
            self.ended = bool(self._row)
            raise StopIteration
        self._row.append(line)
        self.number += 1
        return line

    def begin(self) -> None:
        """A new row."""
        self._row, self.ended = [], False

    def skip(self) -> None:
        """Leave out the first line of the row, and read on with its second."""
        again = self._row[1:]
        self._again.extendleft(reversed(again))
        self.number -= len(again)


def csv_table(
    path: Path, hint: str = '', error: type[SoundNetError] = SoundNetError, **options: Any
) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    """The header of a CSV file, empty for an empty file, and its rows by column, each with its line's number.

    Missing cells are empty; cells beyond the header are left out. `options` are those of `csv_rows`.
    """
    lines = csv_lines(path, hint, error, **options)
    _, header = next(lines, (0, []))
    rows = (
        (number, dict(itertools.zip_longest(header, cells[: len(header)], fillvalue=''))) for number, cells in lines
    )
    return header, rows

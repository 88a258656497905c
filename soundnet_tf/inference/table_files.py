"""Many embeddings as one table: lines of JSON, or a Parquet file."""

import json
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.errors import MissingTool

BYTES_TOGETHER = 1 << 26
"""Of a Parquet file are put in memory, and written as a group; one row may have more."""


class Table(Protocol):
    """A kind of table, a row for each sound. MissingTool where what it is made with is not installed."""

    def write(self, file: IO[bytes], rows: Iterable[Mapping[str, Any]]) -> None:
        """All rows, of which there is at least one; arrays are lists of numbers, and come after all else."""
        ...

    def facts(self, path: pathlib.Path, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        """What a table says under these keys, row by row.

        Raises OSError, ValueError, KeyError or TypeError if it is none.
        """
        ...

    def text(self, text: str) -> str:
        """A text as the table keeps it."""
        ...


class JsonLines:
    """A line of JSON for each sound."""

    def write(self, file: IO[bytes], rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            plain = {key: value for key, value in row.items() if not isinstance(value, np.ndarray)}
            file.write(json.dumps(plain)[:-1].encode())
            for key in [key for key in row if key not in plain]:
                file.write(f', "{key}": ['.encode())
                # A long sound's numbers are never all text at once.
                for index, value in enumerate(row[key]):
                    file.write((', ' * bool(index) + json.dumps(_digits(value))).encode())
                file.write(b']')
            file.write(b'}\n')

    def facts(self, path: pathlib.Path, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        with path.open('rb') as file:
            for head in _heads(file):
                # What comes first; inside of a text the quotes would have a backslash.
                for array in (b', "times": [', b', "values": ['):
                    before, cut, _ = head.partition(array)
                    head = before + b'}' if cut else head
                row = json.loads(head)
                yield {key: row[key] for key in keys}

    def text(self, text: str) -> str:
        return text


def _heads(file: IO[bytes]) -> Iterator[bytes]:
    """Of each line as much as is read at once, which holds all of it but the arrays."""
    while head := file.readline(1 << 16):
        yield head
        while head and not head.endswith(b'\n'):
            head = file.readline(1 << 20)


def _digits(values: NDArray[np.floating]) -> Any:
    # By way of str: a float32's own shortest digits, which are half as many as the same number's as float64.
    return [float(str(value)) for value in values] if values.ndim else float(str(values))


class Parquet:
    """A Parquet file: `values` is a list of float32 for each sound, or a list of such lists, one per time step."""

    def __init__(self) -> None:
        try:
            import pyarrow.parquet
        except ImportError:
            raise MissingTool('pyarrow', 'writing Parquet files', 'parquet') from None
        self._pyarrow: Any = pyarrow

    def write(self, file: IO[bytes], rows: Iterable[Mapping[str, Any]]) -> None:
        writer = None
        for some in _groups(rows):
            table = self._pyarrow.table({key: self._column([row[key] for row in some]) for key in some[0]})
            # Numbers that hardly come twice gain nothing from a dictionary, and it takes much memory.
            writer = writer or self._pyarrow.parquet.ParquetWriter(file, table.schema, use_dictionary=False)
            writer.write_table(table)
        if writer:
            writer.close()

    def _column(self, values: Sequence[Any]) -> Any:
        if isinstance(values[0], str):
            return self._pyarrow.array([self.text(value) for value in values])
        if not isinstance(values[0], np.ndarray):
            return self._pyarrow.array(values)
        flat = [value.ravel() for value in values]
        flat = self._pyarrow.array(np.concatenate(flat) if len(flat) > 1 else flat[0])
        if values[0].ndim > 1:
            width = values[0].shape[1]
            steps = sum(len(value) for value in values)
            flat = self._pyarrow.ListArray.from_arrays(np.arange(steps + 1, dtype=np.int32) * width, flat)
        ends = np.cumsum([0, *(len(value) for value in values)], dtype=np.int32)
        return self._pyarrow.ListArray.from_arrays(ends, flat)

    def facts(self, path: pathlib.Path, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        yield from self._pyarrow.parquet.read_table(path, columns=list(keys)).select(keys).to_pylist()

    def text(self, text: str) -> str:
        # A file's name may not be UTF-8, which Parquet's texts are.
        return text.encode(errors='backslashreplace').decode()


def _groups(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    group, size = [], 0
    for row in rows:
        group.append(row)
        size += sum(getattr(value, 'nbytes', 100) for value in row.values())
        if size >= BYTES_TOGETHER:
            yield group
            group, size = [], 0
    if group:
        yield group


TABLES: dict[str, type[JsonLines] | type[Parquet]] = {'jsonl': JsonLines, 'parquet': Parquet}
"""By the name of the format."""

"""Many embeddings as one table: lines of JSON, or a Parquet file."""

import itertools
import json
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.errors import MissingTool

ROWS_TOGETHER = 256
"""Of a Parquet file are put in memory, and written as a group."""


class Table(Protocol):
    """A kind of table, a row for each sound. MissingTool where what it is made with is not installed."""

    def write(self, file: IO[bytes], rows: Iterable[Mapping[str, Any]]) -> None:
        """All rows, of which there is at least one; arrays are lists of numbers."""
        ...

    def facts(self, path: pathlib.Path, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        """What a table says under these keys, row by row. Raises OSError, ValueError or KeyError if it is none."""
        ...


class JsonLines:
    """A line of JSON for each sound."""

    def write(self, file: IO[bytes], rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            plain = {key: _digits(value) if isinstance(value, np.ndarray) else value for key, value in row.items()}
            file.write(json.dumps(plain).encode() + b'\n')

    def facts(self, path: pathlib.Path, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        with path.open(encoding='utf-8') as lines:
            for row in map(json.loads, lines):
                yield {key: row[key] for key in keys}


class Parquet:
    """A Parquet file: `values` is a list of float32 for each sound, or a list of such lists, one per time step."""

    def __init__(self) -> None:
        try:
            import pyarrow.parquet
        except ImportError:
            raise MissingTool('pyarrow', 'writing Parquet files', 'parquet') from None
        self._pyarrow: Any = pyarrow

    def write(self, file: IO[bytes], rows: Iterable[Mapping[str, Any]]) -> None:
        rows, writer = iter(rows), None
        while some := list(itertools.islice(rows, ROWS_TOGETHER)):
            columns = {key: self._column([row[key] for row in some]) for key in some[0]}
            table = self._pyarrow.table(columns)
            writer = writer or self._pyarrow.parquet.ParquetWriter(file, table.schema)
            writer.write_table(table)
        if writer:
            writer.close()

    def _column(self, values: Sequence[Any]) -> Any:
        if isinstance(values[0], str):  # a file's name may not be UTF-8, which Parquet's texts are
            return self._pyarrow.array([value.encode(errors='backslashreplace').decode() for value in values])
        if not isinstance(values[0], np.ndarray):
            return self._pyarrow.array(values)
        kind = self._pyarrow.from_numpy_dtype(values[0].dtype)
        for _ in range(values[0].ndim):
            kind = self._pyarrow.list_(kind)
        return self._pyarrow.array([list(value) if value.ndim > 1 else value for value in values], kind)

    def facts(self, path: pathlib.Path, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        yield from self._pyarrow.parquet.read_table(path, columns=list(keys)).to_pylist()


TABLES: dict[str, type[JsonLines] | type[Parquet]] = {'jsonl': JsonLines, 'parquet': Parquet}
"""By the name of the format."""


def _digits(values: NDArray[np.floating]) -> list[Any]:
    # By way of str: a float32's own shortest digits, which are half as many as the same number's as float64.
    return [_digits(row) if row.ndim else float(str(row)) for row in values]

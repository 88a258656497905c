"""Many embeddings as one file: lines of JSON, CSV, Parquet or HDF5."""

import csv
import hashlib
import importlib.util
import io
import itertools
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import storage
from soundnet_tf.errors import MissingTool

BYTES_TOGETHER = 1 << 26
"""Size in memory of a row group of a Parquet file; a single row may be larger."""


class Table(Protocol):
    """A table format with a row per sound and layer. Raises MissingTool if its library is not installed."""

    def write(self, file: IO[bytes], rows: Iterable[Mapping[str, Any]]) -> None:
        """Write all rows, at least one; arrays are lists of numbers and come last. Rows of a sound are neighbours."""
        ...

    def facts(self, path: pathlib.Path, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The values of these keys, row by row.

        Raises one of `storage.readers.DAMAGE`, or SoundNetError, if it is none.
        """
        ...

    def values(self, path: pathlib.Path, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        """`facts` and, as `values`, the array: `[time, channels]`, or of pooled embeddings `[channels]`."""
        ...

    def text(self, text: str) -> str:
        """A string as the table stores it."""
        ...


class JsonLines:
    """A line of JSON per sound and layer."""

    def write(self, file: IO[bytes], rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            plain = _plain(row)
            file.write(json.dumps(plain)[:-1].encode())
            for key in [key for key in row if key not in plain]:
                file.write(f', "{key}": ['.encode())
                # The values of a long sound are never all in memory as text.
                for index, value in enumerate(row[key]):
                    file.write((', ' * bool(index) + json.dumps(_digits(value))).encode())
                file.write(b']')
            file.write(b'}\n')

    def facts(self, path: pathlib.Path, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        with path.open('rb') as file:
            for head in _heads(file):
                # The first occurrence; inside a string the quotes would be escaped.
                for array in (b', "times": [', b', "values": ['):
                    before, cut, _ = head.partition(array)
                    head = before + b'}' if cut else head
                row = json.loads(head)
                yield {key: row[key] for key in keys}

    def values(self, path: pathlib.Path, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        with path.open('rb') as file:
            for row in map(json.loads, file):
                yield {key: row[key] for key in keys} | {'values': np.array(row['values'], np.float32)}

    def text(self, text: str) -> str:
        return text


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if not isinstance(value, np.ndarray)}


def _heads(file: IO[bytes]) -> Iterator[bytes]:
    """The beginning of each line, which has everything but the arrays."""
    while head := file.readline(1 << 16):
        yield head
        while head and not head.endswith(b'\n'):
            head = file.readline(1 << 20)


def _digits(values: NDArray[np.floating]) -> Any:
    # Through str: the shortest digits of a float32 are half as many as those of the same float64.
    return [float(str(value)) for value in values] if values.ndim else float(str(values))


class Parquet:
    """A Parquet file: `values` is a list of float32 in each row, or a list of such lists, one per time step."""

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
            # Values hardly repeat, so a dictionary saves nothing and takes much memory.
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
            flat = self._lists(
                [width for steps, width in (value.shape for value in values) for _ in range(steps)], flat
            )
        return self._lists([len(value) for value in values], flat)

    def _lists(self, lengths: Sequence[int], flat: Any) -> Any:
        return self._pyarrow.ListArray.from_arrays(np.cumsum([0, *lengths], dtype=np.int32), flat)

    def facts(self, path: pathlib.Path, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        yield from self._pyarrow.parquet.read_table(path, columns=list(keys)).select(keys).to_pylist()

    def values(self, path: pathlib.Path, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        with self._pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=256, columns=[*keys, 'values']):
                for row in batch.to_pylist():
                    yield row | {'values': np.array(row['values'], np.float32)}

    def text(self, text: str) -> str:
        # File names may not be valid UTF-8, which Parquet requires.
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


class Csv:
    """A header, and a line for each time step; of pooled embeddings one for each row. Channels are columns.

    Of several layers, those with fewer channels leave the last columns empty.
    """

    def write(self, file: IO[bytes], rows: Iterable[Mapping[str, Any]]) -> None:
        text = io.TextIOWrapper(file, 'utf-8', 'surrogateescape', newline='')
        writer, header = csv.writer(text), None
        for _, sound in itertools.groupby(rows, key=lambda row: row['path']):
            if header is None:  # each sound has the layers of the first
                sound = list(sound)
                channels = max(row['values'].shape[-1] for row in sound)
                header = [*_plain(sound[0]), 'time', *(f'channel_{index}' for index in range(channels))]
                writer.writerow(header)
            for row in sound:
                plain = _plain(row)
                for time, step in zip(row.get('times', ['']), np.atleast_2d(row['values']), strict=True):
                    cells = [*plain.values(), time, *map(str, step)]
                    writer.writerow(cells + [''] * (len(header) - len(cells)))
        text.detach()

    def facts(self, path: pathlib.Path, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        header, rows = storage.csv_table(path, undecodable='surrogateescape')
        if missing := set(keys) - set(header):
            raise KeyError(min(missing))
        for _, steps in itertools.groupby(rows, key=lambda row: (row[1]['path'], row[1]['layer'])):
            _, row = next(steps)
            # The stamps of the source are whole numbers; all other facts are texts.
            yield {key: int(row[key]) if key.startswith('source_') else row[key] for key in keys}

    def values(self, path: pathlib.Path, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        header, rows = storage.csv_table(path, undecodable='surrogateescape')
        channels = [name for name in header if name.startswith('channel_')]
        for _, steps in itertools.groupby(rows, key=lambda row: (row[1]['path'], row[1]['layer'])):
            lines = [row for _, row in steps]
            values = np.array([[row[name] for name in channels if row[name]] for row in lines], np.float32)
            yield {key: lines[0][key] for key in keys} | {'values': values if lines[0]['time'] else values[0]}

    def text(self, text: str) -> str:
        return text


class Hdf5:
    """A group for each row, `0`, `1`, ...: datasets `values` and, unless pooled, `times`; all else as attributes.

    Behind the HDF5 content, which readers do not look at, is its SHA-256: in some damaged files HDF5 searches for ever.
    """

    def __init__(self) -> None:
        if importlib.util.find_spec('h5py') is None:
            raise MissingTool('h5py', 'tables in HDF5')

    def write(self, file: IO[bytes], rows: Iterable[Mapping[str, Any]]) -> None:
        import h5py

        with h5py.File(file, 'w') as opened:
            for index, row in enumerate(rows):
                group = opened.create_group(str(index))
                for key, value in row.items():
                    if isinstance(value, np.ndarray):
                        group.create_dataset(key, data=value)
                    else:
                        group.attrs[key] = self.text(value) if isinstance(value, str) else value
        size = file.seek(0, os.SEEK_END)
        file.write(_digest(file, size))

    def facts(self, path: pathlib.Path, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        for row in self.values(path, keys):
            del row['values']
            yield row

    def values(self, path: pathlib.Path, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
        import h5py

        with path.open('rb') as file:
            size = file.seek(0, os.SEEK_END) - DIGEST_BYTES
            if size < 0 or _digest(file, size) != file.read():
                raise ValueError('changed since it was written, or of an older version')
        with h5py.File(path) as opened:
            for index in range(len(opened)):
                group: Any = opened[str(index)]
                found = {key: group.attrs[key] for key in keys}
                plain = {key: value if isinstance(value, str) else value.item() for key, value in found.items()}
                yield plain | {'values': group['values']}

    def text(self, text: str) -> str:
        return text.encode(errors='backslashreplace').decode()


DIGEST_BYTES = hashlib.sha256().digest_size


def _digest(file: IO[bytes], size: int) -> bytes:
    """The SHA-256 of the first `size` bytes, behind which the file is then read on or written."""
    digest, left = hashlib.sha256(), size
    file.seek(0)
    while left and (piece := file.read(min(left, 1 << 20))):
        digest.update(piece)
        left -= len(piece)
    file.seek(size)
    return digest.digest()


TABLES: dict[str, type[JsonLines] | type[Csv] | type[Parquet] | type[Hdf5]] = {
    'jsonl': JsonLines,
    'csv': Csv,
    'parquet': Parquet,
    'h5': Hdf5,
}
"""By the name of the format."""

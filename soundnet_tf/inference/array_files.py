"""The embeddings of one sound as files: an npz, or npy arrays with a JSON file beside them."""

import io
import json
import os
import pathlib
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from soundnet_tf import storage

UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)
"""What reading a damaged or foreign file may raise."""


class ArrayFile(Protocol):
    """A format with a separate output for each sound."""

    suffix: str
    """Of the file that has the settings: for a sound `rain.wav` it is `rain.wav` + suffix."""

    def write(self, path: pathlib.Path, row: Mapping[str, Any]) -> None:
        """Write arrays and plain values; `path` ends in `suffix`, and is the last file to appear."""
        ...

    def facts(self, path: pathlib.Path, keys: Sequence[str]) -> dict[str, Any] | None:
        """The plain values of these keys; None if the output is missing, incomplete or damaged."""
        ...


class Npz:
    """`rain.wav.npz` has all arrays and values."""

    suffix = '.npz'

    def write(self, path: pathlib.Path, row: Mapping[str, Any]) -> None:
        # In memory first: on a full disk closing the zip would raise a second error.
        npz = io.BytesIO()
        np.savez(npz, **row)
        with storage.whole_file(path) as draft:
            draft.write(npz.getbuffer())

    def facts(self, path: pathlib.Path, keys: Sequence[str]) -> dict[str, Any] | None:
        try:
            with np.load(path, allow_pickle=False) as there:
                return {key: there[key].item() for key in keys}
        except UNREADABLE:
            return None


def read_npz(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `Npz` wrote: arrays, and plain values for scalars."""
    with np.load(path, allow_pickle=False) as there:
        # Each array is read from the file only once.
        return {key: value if value.ndim else value.item() for key, value in there.items()}


class Npy:
    """`rain.wav.npy` has the values, of several layers `rain.wav.pool5.npy` and so on; `rain.wav.npy.json` the rest."""

    suffix = '.npy.json'

    def write(self, path: pathlib.Path, row: Mapping[str, Any]) -> None:
        path.unlink(missing_ok=True)  # of arrays that are now replaced, one after the other
        for key, value in row.items():
            if key.startswith('values'):
                with storage.whole_file(self._array(path, key)) as draft:
                    np.save(draft, value)
        values = {key: _plain(value) for key, value in row.items() if not key.startswith('values')}
        values['arrays'] = [key for key in row if key.startswith('values')]
        storage.write_text(path, json.dumps(values) + '\n')

    def facts(self, path: pathlib.Path, keys: Sequence[str]) -> dict[str, Any] | None:
        try:
            there = json.loads(path.read_bytes())
            for key in there['arrays']:
                np.load(self._array(path, key), mmap_mode='r')  # fails for a truncated file
            return {key: there[key] for key in keys}
        except UNREADABLE:
            return None

    def _array(self, path: pathlib.Path, key: str) -> pathlib.Path:
        layer = key.removeprefix('values').removeprefix('_')
        return path.with_name(path.name.removesuffix(self.suffix) + (f'.{layer}.npy' if layer else '.npy'))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


ARRAYS: dict[str, ArrayFile] = {'npz': Npz(), 'npy': Npy()}
"""By the name of the format."""

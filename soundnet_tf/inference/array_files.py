"""The embeddings of one sound as files: an npz, or npy arrays with a JSON file beside them."""

import functools
import io
import json
import os
import pathlib
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.storage import arrays


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

    def read(self, path: pathlib.Path) -> dict[str, Any]:
        """What `write` wrote. Raises SoundNetError if it is damaged."""
        ...


class Npz:
    """`rain.wav.npz` has all arrays and values."""

    suffix = '.npz'

    def write(self, path: pathlib.Path, row: Mapping[str, Any]) -> None:
        # In memory first: on a full disk closing the zip would raise a second error. As np.savez writes it, in half of
        # the time: with a file's arrays whole, and the settings of all files once.
        npz = io.BytesIO()
        with zipfile.ZipFile(npz, 'w') as members:
            for key, value in row.items():
                data = _npy(value) if isinstance(value, np.ndarray) else _npy_of_plain(value)
                members.writestr(zipfile.ZipInfo(f'{key}.npy'), data)
        with storage.whole_file(path) as draft:
            draft.write(npz.getbuffer())

    def facts(self, path: pathlib.Path, keys: Sequence[str]) -> dict[str, Any] | None:
        if not path.exists():  # as for each new output, quickly
            return None
        try:
            with storage.readable(path):
                return {key: value.item() for key, value in arrays.read_npz(path, keys=keys).items()}
        except SoundNetError:
            return None

    def read(self, path: pathlib.Path) -> dict[str, Any]:
        return read_npz(path)


def _npy(value: Any) -> bytes:
    """The content of a .npy file."""
    npy = io.BytesIO()
    np.lib.format.write_array(npy, np.asanyarray(value), allow_pickle=False)
    return npy.getvalue()


# Typed, since True == 1.
_npy_of_plain = functools.lru_cache(maxsize=64, typed=True)(_npy)


def read_npz(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `Npz` wrote: arrays, and plain values for scalars."""
    return {key: value if value.ndim else value.item() for key, value in arrays.read_npz(path).items()}


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
        if not path.exists():  # as for each new output, quickly
            return None
        try:
            with storage.readable(path):
                there = storage.read_json(path)
                for key in there['arrays']:
                    arrays.read_npy(self._array(path, key), mapped=True)  # fails for a truncated file
                return {key: there[key] for key in keys}
        except SoundNetError:
            return None

    def read(self, path: pathlib.Path) -> dict[str, Any]:
        with storage.readable(path):
            row = storage.read_json(path)
            values = {key: arrays.read_npy(self._array(path, key)) for key in row.pop('arrays')}
            return {key: np.array(value) if key.startswith('times') else value for key, value in row.items()} | values

    def _array(self, path: pathlib.Path, key: str) -> pathlib.Path:
        layer = key.removeprefix('values').removeprefix('_')
        return path.with_name(path.name.removesuffix(self.suffix) + (f'.{layer}.npy' if layer else '.npy'))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


ARRAYS: dict[str, ArrayFile] = {'npz': Npz(), 'npy': Npy()}
"""By the name of the format."""

"""Precomputed features, by soundnet-embed or another program.

FOLDER/NAME.npz or .npy   an array for each clip, by the clip's file name (`rain.wav.npz` or `rain.npz`), at any depth
FILE.npz                  all in one, an array for each clip by its file name, with or without the extension

An array is `[channels]`, or `[time, channels]`. An npz of a folder has it as `values`, and may have `times` in seconds.
"""

import hashlib
import math
import pathlib
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import Waveform
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation.embedders.kinds import Values, over_time

LAYER = 'precomputed'


class Precomputed:
    """Arrays by the clips' names; `hop` in seconds, of one vector per clip any number."""

    origin: Mapping[str, Any] = {}

    def __init__(self, where: str, hop: float | None = None):
        self.name = where
        self._hop_s = hop
        path = pathlib.Path(where)
        self._file = None if path.is_dir() else _opened(path)
        self._paths: dict[str, pathlib.Path] = {}
        for file in sorted(path.rglob('*.np[yz]')) if path.is_dir() else ():
            if self._paths.setdefault(file.stem, file) != file:
                raise SoundNetError(f'{where}: {file.stem} is there twice. File names of clips must be unique')
        names = list(self._paths) if self._file is None else self._file.files
        if not names:
            raise SoundNetError(f'{where}: no .npy or .npz files. Use a folder of them, or one .npz with all clips')
        digest = hashlib.sha256()
        for file in self._paths.values() if self._file is None else [path]:
            digest.update(file.name.encode() + file.read_bytes())
        self.fingerprint = f'precomputed {digest.hexdigest()}'
        self._clip_of: dict[str, str] = {}
        self._channels: tuple[str, int] | None = None

    def resolve_layer(self, layer: str | None) -> str:
        """The only layer."""
        if layer not in (None, LAYER):
            raise SoundNetError(f'{self.name}: precomputed features have no layer {layer!r}. Leave layer out')
        return LAYER

    def hop_s(self, layer: str) -> float:
        if self._hop_s is not None:
            return self._hop_s
        for file in self._paths.values():
            times = _times(file)
            if times is not None and len(times) > 1:
                return float(times[1] - times[0])
        arrays = map(_values, self._paths.values()) if self._file is None else map(self._file.get, self._file.files)
        if any(array.ndim > 1 and len(array) > 1 for array in arrays):
            raise SoundNetError(
                f'{self.name}: values over time without `times`. Append the seconds per time step, '
                f'as in {self.name}:0.37'
            )
        return math.inf  # any window of a single vector is that vector

    def of_file(self, clip: str) -> Values:
        """The features of the clip with this path. Raises SoundNetError where there are none, or not usable ones."""
        name = pathlib.PurePath(clip)
        there = self._paths if self._file is None else self._file
        key = next((key for key in (name.name, name.stem) if key in there), None)
        if key is None:
            raise SoundNetError(f'{self.name}: no features of {name.name}. Compute them, or leave the clip out')
        if self._clip_of.setdefault(key, clip) != clip:
            raise SoundNetError(
                f'{self.name}: one {key} for {self._clip_of[key]} and {clip}. File names of clips must be unique'
            )
        values = self._file[key] if self._file is not None else _values(self._paths[key])
        values = over_time(values, f'{self.name}: {key}')
        if not np.isfinite(values).all():
            raise SoundNetError(f'{self.name}: {key} has NaN or infinite values')
        self._channels = self._channels or (key, values.shape[1])
        if self._channels[1] != values.shape[1]:
            other, channels = self._channels
            raise SoundNetError(f'{self.name}: {key} has {values.shape[1]} channels, {other} has {channels}')
        return values

    def embed(self, waveforms: Sequence[Waveform], layer: str) -> list[Values]:
        raise SoundNetError(f'{self.name}: precomputed features cannot embed waveforms')


def _opened(path: pathlib.Path) -> Any:
    try:
        file = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SoundNetError(f'{path}: cannot be read as npy or npz ({error})') from error
    return file


def _values(path: pathlib.Path) -> NDArray[Any]:
    file = _opened(path)
    if path.suffix == '.npy':
        return file
    with file:
        if 'values' not in file.files:
            raise SoundNetError(f'{path}: no array `values`; it has {", ".join(file.files)}')
        return file['values']


def _times(path: pathlib.Path) -> NDArray[Any] | None:
    if path.suffix != '.npz':
        return None
    with _opened(path) as file:
        return file['times'] if 'times' in file.files else None

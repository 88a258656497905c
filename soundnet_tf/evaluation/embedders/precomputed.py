"""Precomputed features, by soundnet-embed or another program.

FOLDER/NAME.npz or .npy   an array for each clip, by the clip's file name (`rain.wav.npz` or `rain.npz`), at any depth
FILE.npz                  all in one, an array for each clip by its file name, with or without the extension

An array is `[channels]`, or `[time, channels]`. An npz of a folder has it as `values`, and may have `times` in seconds.
"""

import hashlib
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import storage
from soundnet_tf.audio import Waveform
from soundnet_tf.errors import SoundNetError, UnknownLayer
from soundnet_tf.evaluation.embedders.kinds import Values, over_time
from soundnet_tf.storage import arrays

LAYER = 'precomputed'
AGAIN = 'Compute it again'


class Precomputed:
    """Arrays by the clips' names; `hop` in seconds, of one vector per clip any number."""

    origin: Mapping[str, Any] = {}

    def __init__(self, where: str, hop: float | None = None):
        self.name = where
        self._hop_s = hop
        path = pathlib.Path(where)
        self._file = None if path.is_dir() else arrays.read_npz(path, AGAIN)
        self._paths: dict[str, pathlib.Path] = {}
        for file in sorted(path.rglob('*.np[yz]')) if path.is_dir() else ():
            if self._paths.setdefault(file.stem, file) != file:
                raise SoundNetError(f'{where}: {file.stem} is there twice. File names of clips must be unique')
        names = list(self._paths if self._file is None else self._file)
        if not names:
            raise SoundNetError(f'{where}: no .npy or .npz files. Use a folder of them, or one .npz with all clips')
        digest = hashlib.sha256()
        for file in self._paths.values() if self._file is None else [path]:
            with storage.readable(file, AGAIN):
                digest.update(os.fsencode(file.name) + file.read_bytes())
        self.fingerprint = f'precomputed {digest.hexdigest()}'
        self._clip_of: dict[str, str] = {}
        self._channels: tuple[str, int] | None = None

    def resolve_layer(self, layer: str | None) -> str:
        """The only layer."""
        if layer not in (None, LAYER):
            raise UnknownLayer(f'{self.name}: precomputed features have no layer {layer!r}. Leave layer out')
        return LAYER

    def hop_s(self, layer: str) -> float:
        if self._hop_s is not None:
            return self._hop_s
        for file in self._paths.values():
            hop_s = _hop_s(file)
            if hop_s is not None:
                return hop_s
        found = map(_values, self._paths.values()) if self._file is None else self._file.values()
        if any(array.ndim > 1 and len(array) > 1 for array in found):
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
        with storage.readable(f'{self.name}: {key}', AGAIN):
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


def _values(path: pathlib.Path) -> NDArray[Any]:
    if path.suffix == '.npy':
        return arrays.read_npy(path, AGAIN)
    there = arrays.npz_headers(path, AGAIN)
    if 'values' not in there:
        raise SoundNetError(f'{path}: no array `values`; it has {storage.printable(", ".join(there)[:200])}')
    return arrays.read_npz(path, AGAIN, keys=['values'])['values']


def _hop_s(path: pathlib.Path) -> float | None:
    """The seconds between the first two of an npz's `times`, if it has so many."""
    if path.suffix != '.npz' or 'times' not in arrays.npz_headers(path, AGAIN):
        return None
    times = arrays.read_npz(path, AGAIN, keys=['times'])['times']
    if times.ndim != 1 or len(times) < 2:
        return None
    with storage.readable(path, AGAIN):
        hop_s = float(times[1] - times[0])
        if not 0 < hop_s < math.inf:
            raise ValueError(f'its times are {hop_s} s apart')
        return hop_s

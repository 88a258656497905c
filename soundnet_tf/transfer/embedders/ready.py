"""Ready-made features: computed elsewhere, or by soundnet-embed.

FOLDER/NAME.npz or .npy   an array for each clip, by the clip's file name (`rain.wav.npz` or `rain.npz`), at any depth
FILE.npz                  all in one, an array for each clip by its file name, with or without the extension

An array is `[channels]`, or `[time, channels]`. An npz of a folder has it as `values`, and may have `times` in seconds.
"""

import hashlib
import pathlib
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import Waveform
from soundnet_tf.errors import SoundNetError
from soundnet_tf.transfer.embedders.kinds import Values, over_time

LAYER = 'ready'


class Ready:
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
                raise SoundNetError(f'{where} holds {file.stem} twice: clips are found by their file names')
        names = list(self._paths) if self._file is None else self._file.files
        if not names:
            raise SoundNetError(f'{where} holds no .npy or .npz: give a folder of them, or one npz of all')
        self.fingerprint = f'ready {hashlib.sha256(repr((str(path.resolve()), sorted(names))).encode()).hexdigest()}'

    def known(self, layer: str | None) -> str:
        """There is but what is there."""
        if layer not in (None, LAYER):
            raise SoundNetError(f'ready-made features have no layer {layer!r}: leave it out')
        return LAYER

    def hop_s(self, layer: str) -> float:
        if self._hop_s is None:
            for file in self._paths.values():
                times = _times(file)
                if times is not None and len(times) > 1:
                    return float(times[1] - times[0])
        # Of single vectors no window is taken.
        return self._hop_s or 1.0

    def of_file(self, clip: str) -> Values:
        """The features of the clip with this path. Raises SoundNetError where there are none, or not usable ones."""
        name = pathlib.PurePath(clip)
        there = self._paths if self._file is None else self._file
        key = next((key for key in (name.name, name.stem) if key in there), None)
        if key is None:
            raise SoundNetError(f'{self.name} has no features of {name.name}: compute them, or leave the clip out')
        values = self._file[key] if self._file is not None else _values(self._paths[key])
        values = over_time(values, f'{self.name}: {key}')
        if not np.isfinite(values).all():
            raise SoundNetError(f'{self.name}: {key} holds numbers that are not finite')
        return values

    def embed(self, waveforms: Sequence[Waveform], layer: str) -> list[Values]:
        raise SoundNetError(f'{self.name} holds features of its own clips; it cannot listen to others')


def _opened(path: pathlib.Path) -> Any:
    try:
        file = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SoundNetError(f'{path} cannot be read as npy or npz ({error})') from error
    return file


def _values(path: pathlib.Path) -> NDArray[Any]:
    file = _opened(path)
    if path.suffix == '.npy':
        return file
    with file:
        if 'values' not in file.files:
            raise SoundNetError(f'{path} holds no `values`; it has {", ".join(file.files)}')
        return file['values']


def _times(path: pathlib.Path) -> NDArray[Any] | None:
    if path.suffix != '.npz':
        return None
    with _opened(path) as file:
        return file['times'] if 'times' in file.files else None

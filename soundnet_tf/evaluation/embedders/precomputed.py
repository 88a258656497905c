"""Precomputed features, by soundnet-embed or another program.

FOLDER/NAME.npz, .npy, .h5 or .csv          one clip, by its file name (`rain.wav.npz` or `rain.npz`), at any depth
FILE.npz, .h5, .csv, .jsonl or .parquet     all clips, by their file names, with or without the extension

An array is `[channels]`, or `[time, channels]`. A .npz or .h5 of one clip has it as `values`, and may have `times` in
seconds; other arrays are layers by their names. A .csv has a row for each time step, a column for each channel, and
may have a column `time`; one of all clips has the clip's file in a column `path`, and may have a column `layer`. Tables
of soundnet-embed, also with several layers, are such files.
"""

import hashlib
import math
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from soundnet_tf import storage
from soundnet_tf.audio import Waveform
from soundnet_tf.errors import SoundNetError, UnknownLayer
from soundnet_tf.evaluation import csv_rows
from soundnet_tf.evaluation.embedders import feature_files, kinds
from soundnet_tf.evaluation.embedders.feature_csv import AGAIN, LAYER, Features
from soundnet_tf.evaluation.embedders.feature_files import Layers
from soundnet_tf.evaluation.embedders.kinds import Values

ALIKE = 'Compute all clips alike'


class Precomputed:
    """Arrays by the clips' names; `hop_s` in seconds, of one vector per clip any number."""

    origin: Mapping[str, Any] = {}

    def __init__(self, where: str, hop_s: float | None = None):
        self.name = where
        self._hop_s = hop_s
        path = pathlib.Path(where)
        files = _of_folder(path) if path.is_dir() else {}
        self._clips: dict[str, Callable[[], Layers]] = {
            key: (lambda own=own: _merged(own.values())) for key, own in files.items()
        }
        if not path.is_dir():
            self._clips = {key: (lambda own=own: own) for key, own in feature_files.of_clips(path).items()}
        if not self._clips:
            raise SoundNetError(
                f'{where}: no features. Use a folder of {", ".join(feature_files.OF_ONE)} files, or one file with all '
                f'clips ({", ".join(feature_files.OF_MANY)})'
            )
        digest = hashlib.sha256()
        for file in [file for own in files.values() for file in own.values()] if path.is_dir() else [path]:
            with storage.readable(file, AGAIN), storage.opened(file) as content:
                digest.update(os.fsencode(file.name))
                hashlib.file_digest(content, lambda: digest)
        self.fingerprint = f'precomputed {digest.hexdigest()}'
        self._clip_of: dict[str, str] = {}
        self._first: dict[str, tuple[str, int]] = {}
        self._first_hop: dict[str, tuple[str, float]] = {}
        self._checked: set[tuple[str, str]] = set()

    def resolve_layer(self, layer: str | None) -> str:
        """The layer with this name among those of the first clip, or the only one; see `kinds.choose_output`."""
        there = next(iter(self._clips.values()))()
        if layer is not None and list(there) == [LAYER] != [layer]:
            raise UnknownLayer(f'{self.name}: precomputed features have no layer {layer!r}. Leave layer out')
        widths = {name: (2, np.shape(own.values)[-1] if np.ndim(own.values) else 1) for name, own in there.items()}
        return kinds.choose_output(layer, widths, self.name)

    def hop_s(self, layer: str) -> float:
        """As the user or the first file with times says; infinite if there is one vector for each clip.

        Raises SoundNetError for several time steps without times.
        """
        if self._hop_s is not None:
            return self._hop_s
        is_over_time = False
        for key in self._clips:
            own = self._features(key, layer)
            if own.hop_s is not None:
                return own.hop_s
            is_over_time |= np.ndim(own.values) > 1 and len(own.values) > 1
        if is_over_time:
            raise SoundNetError(
                f'{self.name}: values over time without `times`. Append the seconds per time step, '
                f'as in {self.name}:0.37, or use the mean over time (--window_s=0)'
            )
        return math.inf  # any window of a single vector is that vector

    def of_file(self, clip: str, layer: str = LAYER) -> Values:
        """The features of the clip with this path. Raises SoundNetError where there are none, or not usable ones."""
        key = self._key(clip)
        if key is None:
            name = pathlib.PurePath(clip).name
            raise SoundNetError(f'{self.name}: no features of {name}. Compute them, or leave the clip out')
        if self._clip_of.setdefault(key, clip) != clip:
            raise SoundNetError(
                f'{self.name}: one {key} for {self._clip_of[key]} and {clip}. File names of clips must be unique'
            )
        with storage.readable(f'{self.name}: {key}', AGAIN):
            own = self._features(key, layer)
            values = kinds.over_time(own.values, f'{self.name}: {key}')
        if not np.isfinite(values).all():
            raise SoundNetError(f'{self.name}: {key} has NaN or infinite values. {AGAIN}')
        other, channels = self._first.setdefault(layer, (key, values.shape[1]))
        if channels != values.shape[1]:
            raise SoundNetError(f'{self.name}: {key} has {values.shape[1]} channels, {other} has {channels}. {ALIKE}')
        if own.hop_s is not None:
            other, hop_s = self._first_hop.setdefault(layer, (key, own.hop_s))
            # Times in tables are rounded.
            if self._hop_s is None and not math.isclose(own.hop_s, hop_s, rel_tol=0.01):
                raise SoundNetError(
                    f'{self.name}: {key} has a time step each {own.hop_s:g} s, {other} each {hop_s:g} s. {ALIKE}'
                )
        self._checked.add((clip, layer))
        return values

    def check(self, clips: Sequence[str], layer: str, over_time: bool) -> None:
        """Raise what `of_file` raises for any of these clips, and `hop_s` if values `over_time` are needed."""
        names = [pathlib.PurePath(clip).name for clip in clips if self._key(clip) is None]
        if len(names) > 1:
            raise SoundNetError(
                f'{self.name}: no features of {len(names)} of {len(clips)} clips: {csv_rows.first_few(names)}. '
                'Compute them, or leave the clips out'
            )
        for clip in clips:
            if (clip, layer) not in self._checked:
                self.of_file(clip, layer)
        if over_time:
            self.hop_s(layer)

    def source(self, clip: str) -> str:
        """Where the features of a clip are, for messages."""
        return f'{self.name}: {self._key(clip)}'

    def embed(self, waveforms: Sequence[Waveform], layer: str) -> list[Values]:
        raise SoundNetError(f'{self.name}: precomputed features cannot embed waveforms')

    def _key(self, clip: str) -> str | None:
        """The name under which the features of a clip are; None if there are none."""
        name = pathlib.PurePath(clip)
        return next((key for key in (name.name, name.stem) if key in self._clips), None)

    def _features(self, key: str, layer: str) -> Features:
        there = self._clips[key]()
        if layer not in there:
            raise SoundNetError(f'{self.name}: {key} has no layer {layer!r}, but {", ".join(there)}. {AGAIN}')
        return there[layer]


def _of_folder(folder: pathlib.Path) -> dict[str, dict[str, pathlib.Path]]:
    """The files of a folder by the clips' names and layers."""
    found: dict[str, dict[str, pathlib.Path]] = {}
    for file in sorted(folder.rglob('*')):
        if file.suffix.lower() in feature_files.OF_ONE:
            clip, layer = feature_files.clip_and_layer(file)
            if found.setdefault(clip, {}).setdefault(layer, file) != file:
                raise SoundNetError(f'{folder}: {clip} appears twice. File names of clips must be unique')
    return found


def _merged(files: Iterable[pathlib.Path]) -> Layers:
    return {layer: own for file in files for layer, own in feature_files.of_clip(file).items()}

"""Features in files: arrays of one clip, or of many, by layer; as soundnet-embed or other programs write them."""

import dataclasses
import math
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import storage
from soundnet_tf.errors import MissingTool, SoundNetError
from soundnet_tf.storage import arrays

LAYER, AGAIN = 'precomputed', 'Compute it again'
"""The layer of arrays without another name, and the advice in errors."""

NAMES = ('path', 'file', 'filename', 'file_name', 'fname', 'name', 'clip', 'id', 'audio')
VALUES = ('values', 'features', 'embedding', 'embeddings')
"""Columns of a table with the clip's file and with an array, of which the first that is there is used."""

TIMES = ('times', 'time', 'timestamp', 'start_s')


@dataclasses.dataclass(frozen=True)
class Features:
    """`[time, channels]` or `[channels]`, and the seconds from one time step to the next, if the file has them."""

    values: NDArray[Any]
    hop_s: float | None = None


Layers = Mapping[str, Features]


def of_clip(path: pathlib.Path) -> Layers:
    """The features in a file of one clip, by layer: .npy, .npz, .h5 or .csv."""
    with storage.readable(path, AGAIN):
        found = _ONE[path.suffix.lower()](path)
    if not found:
        raise SoundNetError(f'{path}: not an array of numbers. {AGAIN}')
    return found


def of_clips(path: pathlib.Path) -> Mapping[str, Layers]:
    """Those in a file of many clips, by file name and layer: .npz, .h5, .csv, .jsonl or .parquet."""
    found: dict[str, dict[str, Features]] = {}
    paths: dict[str, str] = {}
    with storage.readable(path, AGAIN):
        for clip, layer, features in _MANY[path.suffix.lower()](path):
            name = pathlib.PurePath(clip).name
            if paths.setdefault(name, clip) != clip or layer in found.get(name, ()):
                raise SoundNetError(f'{path}: {name} appears twice. File names of clips must be unique')
            found.setdefault(name, {})[layer] = features
    return found


def clip_and_layer(path: pathlib.Path) -> tuple[str, str]:
    """The clip that a file is named after, and its layer: soundnet-embed writes several as `rain.wav.pool5.npy`."""
    clip, _, layer = path.stem.rpartition('.')
    several = path.suffix == '.npy' and path.with_name(f'{clip}.npy.json').is_file()
    return (clip, layer) if several else (path.stem, LAYER)


def _npy(path: pathlib.Path) -> Layers:
    clip, layer = clip_and_layer(path)
    about = path.with_name(f'{clip}.npy.json')
    there = storage.read_json(about, AGAIN) if about.is_file() else {}
    times = there.get('times' if layer == LAYER else f'times_{layer}')
    return {layer: Features(arrays.read_npy(path, AGAIN), _hop_s(times))}


def _npz(path: pathlib.Path) -> Layers:
    return _by_layer(arrays.read_npz(path, AGAIN))


def _h5(path: pathlib.Path) -> Layers:
    return _by_layer({name: values for name, values, _ in _datasets(path)})


def _by_layer(there: Mapping[str, NDArray[Any]]) -> Layers:
    """`values` and `times`, of several layers `values_pool5` and so on; or else every array of numbers."""
    own = {key: key.removeprefix('values').removeprefix('_') for key in there if key.split('_')[0] == 'values'}
    numeric = [key for key, array in there.items() if array.ndim and array.dtype.kind in 'fiu' and key not in TIMES]
    names = own or {key: key if len(numeric) > 1 else LAYER for key in numeric}
    return {
        layer or LAYER: Features(there[key], _hop_s(there.get(f'times_{layer}' if own and layer else 'times')))
        for key, layer in names.items()
    }


def _csv(path: pathlib.Path) -> Layers:
    header, rows = storage.csv_table(path, AGAIN, undecodable='surrogateescape')
    if all(map(_is_number, header)):
        lines = [[*map(float, cells)] for _, cells in storage.csv_lines(path, AGAIN)]
        return {LAYER: Features(np.array(lines, np.float32))} if lines else {}
    return {layer: features for _, layer, features in _of_rows(header, (('', row) for _, row in rows))}


def _csv_of_many(path: pathlib.Path) -> Iterator[tuple[str, str, Features]]:
    header, rows = storage.csv_table(path, AGAIN, undecodable='surrogateescape')
    column = _column(path, header, NAMES)
    return _of_rows(header, ((row[column], row) for _, row in rows), column)


def _of_rows(
    header: list[str], rows: Iterable[tuple[str, Mapping[str, str]]], name: str = ''
) -> Iterator[tuple[str, str, Features]]:
    """Rows of a time step each, by clip and layer; channels are the columns `channel_...`, or else those of numbers."""
    channels, time = None, next((column for column in header if column.lower() in TIMES), '')
    steps: dict[tuple[str, str], list[tuple[str, list[str]]]] = {}
    for clip, row in rows:
        channels = channels or (
            [column for column in header if column.startswith('channel_')]
            or [column for column in header if column not in (name, time, 'layer') and _is_number(row[column])]
        )
        # A layer with fewer channels than another leaves the last ones empty.
        cells = [row[column] for column in channels]
        while cells and not cells[-1]:
            cells.pop()
        steps.setdefault((clip, row.get('layer') or LAYER), []).append((row[time] if time else '', cells))
    one_layer = len({layer for _, layer in steps}) < 2
    for (clip, layer), own in steps.items():
        values = np.array([cells for _, cells in own], np.float32)
        hop_s = _hop_s([float(at) for at, _ in own]) if time and own[0][0] else None
        yield clip, LAYER if one_layer else layer, Features(values, hop_s)


def _h5_of_many(path: pathlib.Path) -> Iterator[tuple[str, str, Features]]:
    groups: dict[str, dict[str, NDArray[Any]]] = {}
    rows: dict[str, Mapping[str, Any]] = {}
    for name, values, attributes in _datasets(path):
        group, _, own = name.rpartition('/')
        if 'path' in attributes or own in (*VALUES, *TIMES):
            groups.setdefault(group, {})[own] = values
            rows[group] = attributes
        elif values.dtype.kind in 'fiu' and values.ndim:
            yield name, LAYER, Features(values)
    one_layer = len({about.get('layer') for about in rows.values()}) < 2
    for group, there in groups.items():
        values = next((there[key] for key in VALUES if key in there), None)
        if values is not None:
            layer = LAYER if one_layer else str(rows[group].get('layer', LAYER))
            times = next((there[key] for key in TIMES if key in there), None)
            yield str(rows[group].get('path', group)), layer, Features(values, _hop_s(times))


def _datasets(path: pathlib.Path) -> Iterator[tuple[str, NDArray[Any], Mapping[str, Any]]]:
    """Each dataset's name, values and its group's attributes; links, which may lead to other files, are left out."""
    import h5py

    with h5py.File(path, 'r') as file:
        if 'model_config' in file.attrs or 'layer_names' in file.attrs:
            raise SoundNetError(f'{path}: a network in Keras format, not features. Use a SavedModel of it')
        items: list[Any] = []
        file.visititems(lambda _, item: items.append(item))
        for item in items:
            if isinstance(item, h5py.Dataset) and not item.is_virtual and not item.external:
                yield str(item.name).strip('/'), np.asarray(item[()]), dict(item.parent.attrs)


def _npz_of_many(path: pathlib.Path) -> Iterator[tuple[str, str, Features]]:
    return ((name, LAYER, Features(values)) for name, values in arrays.read_npz(path, AGAIN).items())


def _jsonl(path: pathlib.Path) -> Iterator[tuple[str, str, Features]]:
    with path.open('rb') as file:
        yield from _of_records(path, (storage.parse_json(line, path, AGAIN) for line in file if line.strip()))


def _parquet(path: pathlib.Path) -> Iterator[tuple[str, str, Features]]:
    try:
        import pyarrow.parquet
    except ImportError:
        raise MissingTool('pyarrow', 'reading Parquet files', 'parquet') from None
    return _of_records(path, pyarrow.parquet.read_table(path).to_pylist())


def _of_records(path: pathlib.Path, records: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str, Features]]:
    """Rows of a clip and layer each, with an array in one column."""
    rows = list(records)
    one_layer = len({row.get('layer') for row in rows}) < 2
    for row in rows:
        name, values = (row[_column(path, list(row), columns)] for columns in (NAMES, VALUES))
        features = Features(np.array(values, np.float32), _hop_s(row.get('times')))
        yield str(name), LAYER if one_layer else str(row['layer']), features


def _column(path: pathlib.Path, header: list[str], known: tuple[str, ...]) -> str:
    for name in known:
        for column in header:
            if column.lower() == name:
                return column
    raise SoundNetError(
        f'{path}: no column {", ".join(known[:-1])} or {known[-1]}. Add one, or use a file for each clip'
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _hop_s(times: Any) -> float | None:
    """The seconds between the first two times, if there are so many."""
    times = np.asarray([] if times is None else times, np.float64)
    if times.ndim != 1 or len(times) < 2:
        return None
    hop_s = float(times[1] - times[0])
    if not 0 < hop_s < math.inf:
        raise ValueError(f'its times are {hop_s} s apart')
    return hop_s


_ONE = {'.npy': _npy, '.npz': _npz, '.h5': _h5, '.hdf5': _h5, '.csv': _csv}
_MANY = {
    '.npz': _npz_of_many,
    '.h5': _h5_of_many,
    '.hdf5': _h5_of_many,
    '.csv': _csv_of_many,
    '.jsonl': _jsonl,
    '.parquet': _parquet,
}
OF_ONE, OF_MANY = tuple(_ONE), tuple(_MANY)
"""The suffixes of files of one clip, and of many."""

"""Features in files: arrays of one clip, or of many, by layer; as soundnet-embed or other programs write them."""

import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import storage
from soundnet_tf.errors import MissingTool, SoundNetError
from soundnet_tf.evaluation.embedders import feature_csv
from soundnet_tf.evaluation.embedders.feature_csv import AGAIN, LAYER, NAMES, TIMES, Features
from soundnet_tf.storage import arrays

VALUES = ('values', 'features', 'embedding', 'embeddings')
"""Columns of a table with an array, of which the first that is there is used."""

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
    return {layer: Features.of(arrays.read_npy(path, AGAIN), times)}


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
        layer or LAYER: Features.of(there[key], there.get(f'times_{layer}' if own and layer else 'times'))
        for key, layer in names.items()
    }


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
            yield str(rows[group].get('path', group)), layer, Features.of(values, times, group)


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
        name, values = (row[feature_csv.column_of(path, list(row), columns)] for columns in (NAMES, VALUES))
        features = Features.of(np.array(values, np.float32), row.get('times'), str(name))
        yield str(name), LAYER if one_layer else str(row['layer']), features


_ONE = {'.npy': _npy, '.npz': _npz, '.h5': _h5, '.hdf5': _h5, '.csv': feature_csv.of_clip}
_MANY = {
    '.npz': _npz_of_many,
    '.h5': _h5_of_many,
    '.hdf5': _h5_of_many,
    '.csv': feature_csv.of_clips,
    '.jsonl': _jsonl,
    '.parquet': _parquet,
}
OF_ONE, OF_MANY = tuple(_ONE), tuple(_MANY)
"""The suffixes of files of one clip, and of many."""

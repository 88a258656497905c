"""A saved net is a folder: what training hands to everything after it.

    weights.npz     every variable by row and kind, `conv1/kernel`; float32 or float16
    spec.json       the table: rows, heads, feature layer
    labels/HEAD.txt the class names of each head, one per line
    model.json      where it comes from, the hash of the weights, what was measured
    net.tflite      optional: feature layer, last layer and heads, to listen without TensorFlow

A folder appears whole or not at all. This module reads and writes the tables without Keras, so
that a LiteRT file can be served without it; only the nets themselves need it.
"""

import datetime
import hashlib
import json
import os
import pathlib
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import labels as label_files
from soundnet_tf.errors import SoundNetError, WeightsMismatch
from soundnet_tf.spec import NetSpec
from soundnet_tf.version import __version__

if TYPE_CHECKING:
    import keras

    from soundnet_tf.model import SoundNet

Path = str | os.PathLike[str]

TFLITE = 'net.tflite'

FORMAT = 1
"""The version of this layout, in model.json."""


def save(
    net: 'keras.Model',
    folder: Path,
    *,
    origin: Mapping[str, Any] | None = None,
    dtype: Literal['float32', 'float16'] = 'float32',
) -> pathlib.Path:
    """Write a net that this package built as a folder; an older saved net there is replaced whole.

    `origin` says where the weights come from and what was measured: JSON values for model.json.
    Raises SoundNetError where `folder` holds something else.
    """
    from soundnet_tf import model

    spec, names = model.spec_of(net), model.labels_of(net)
    target = pathlib.Path(folder)
    if target.exists() and not (target / 'spec.json').is_file():
        raise SoundNetError(f'{target} exists and is not a saved net: choose another folder')
    with whole_folder(target) as draft:
        weights = {key: _stored(key, np.asarray(value), dtype) for key, value in model.variables_of(net).items()}
        np.savez(draft / 'weights.npz', **weights)
        write_json(draft / 'spec.json', spec.to_dict())
        (draft / 'labels').mkdir()
        for head, classes in names.items():
            (draft / 'labels' / f'{head}.txt').write_text('\n'.join(classes) + '\n', encoding='utf-8')
        facts = {
            'format': FORMAT,
            'written_by': f'soundnet_tf {__version__}',
            'written_at': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
            'weights_sha256': hashlib.sha256((draft / 'weights.npz').read_bytes()).hexdigest(),
            'weights_dtype': dtype,
            'origin': dict(origin or {}),
        }
        write_json(draft / 'model.json', facts)
    return target


def _stored(key: str, value: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    # Statistics stay float32: behind a gain of 256 a variance easily passes float16's largest number.
    stored = value if key.endswith(('moving_mean', 'moving_variance')) else value.astype(dtype)
    if not np.isfinite(stored).all():
        raise SoundNetError(f'{key} holds numbers that are not finite in {dtype}: such a net is not worth saving')
    return stored


def load_net(folder: Path) -> 'SoundNet':
    """The net of a saved folder, with softmax heads and its own class names.

    Raises SoundNetError where the folder is no saved net, WeightsMismatch where its parts disagree.
    """
    from soundnet_tf import model

    net = model.build(read_spec(folder), labels=read_labels(folder))
    load_weights(net, folder)
    return net


def load_weights(net: 'keras.Model', folder: Path) -> None:
    """Set the variables of `net` from a saved net; the heads are left out where `net` has none.

    Raises WeightsMismatch, listing all that is missing, left over or misshapen, before anything is set.
    """
    from soundnet_tf import model

    path = pathlib.Path(folder) / 'weights.npz'
    read_spec(folder)
    try:
        with np.load(path, allow_pickle=False) as file:
            tensors = {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise WeightsMismatch(f'{path} cannot be read ({error}): save the net again') from error
    variables = model.variables_of(net)
    trunk = {row.name for row in model.spec_of(net).layers}
    if not model.spec_of(net).heads:
        tensors = {key: value for key, value in tensors.items() if key.split('/')[0] in trunk}
    wrong = [f'{key} is missing' for key in variables if key not in tensors]
    wrong += [f'{key} has no place' for key in tensors if key not in variables]
    wrong += [
        f'{key} is {list(tensors[key].shape)}, not {list(variable.shape)}'
        for key, variable in variables.items()
        if key in tensors and tuple(variable.shape) != tensors[key].shape
    ]
    if wrong:
        raise WeightsMismatch(
            f'{path} does not fit {model.spec_of(net).name}: {"; ".join(wrong)}. '
            'Load the net as it was saved with load_net, or build one with the same widths and teachers'
        )
    for key, variable in variables.items():
        variable.assign(tensors[key].astype('float32'))


def read_spec(folder: Path) -> NetSpec:
    """The table of a saved net. Raises SoundNetError where there is none."""
    path = pathlib.Path(folder) / 'spec.json'
    if not path.is_file():
        raise SoundNetError(f'{folder} is not a saved net (it holds no spec.json): give the folder that training wrote')
    try:
        return NetSpec.from_dict(json.loads(path.read_text(encoding='utf-8')))
    except ValueError as error:
        raise SoundNetError(f'{path} is damaged ({error}): save the net again') from error


def read_labels(folder: Path) -> dict[str, tuple[str, ...]]:
    """The class names of each head of a saved net."""
    names = {}
    for head in read_spec(folder).heads:
        path = pathlib.Path(folder) / 'labels' / f'{head.name}.txt'
        if not path.is_file():
            raise SoundNetError(f'{path} is missing: a saved net has the class names of each head')
        names[head.name] = label_files.parse(path.read_text(encoding='utf-8'), str(path))
        if len(names[head.name]) != head.classes:
            raise SoundNetError(f'{path} names {len(names[head.name])} classes, but the head has {head.classes}')
    return names


def read_facts(folder: Path) -> dict[str, Any]:
    """What model.json says: origin, hashes, measured numbers."""
    return json.loads((pathlib.Path(folder) / 'model.json').read_text(encoding='utf-8'))


def write_json(path: pathlib.Path, values: Any) -> None:
    """Readable JSON, whole or not at all."""
    draft = path.with_name(path.name + '.part')
    draft.write_text(json.dumps(values, indent=2, ensure_ascii=False) + '\n', encoding='utf-8')
    os.replace(draft, path)


@contextmanager
def whole_folder(target: pathlib.Path) -> Iterator[pathlib.Path]:
    """A new folder to fill, which takes the place of `target` at the end if nothing was raised."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = pathlib.Path(tempfile.mkdtemp(prefix=f'.{target.name}.', dir=target.parent))
    draft.chmod(0o755)
    try:
        yield draft
        old = draft.with_name(draft.name + '.old')
        if target.exists():
            os.rename(target, old)
        os.rename(draft, target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)

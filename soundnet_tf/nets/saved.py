"""A saved net is a folder: what training writes and everything else reads.

    weights.npz     every variable by row and kind, `conv1/kernel`; float32 or float16
    spec.json       the table: rows, heads, feature layer
    labels/HEAD.txt the class names of each head, one per line
    model.json      origin, hashes of the other files, measurements
    net.tflite      optional: feature layer, last layer and heads, to run without TensorFlow
    saved_model.pb  optional, with fingerprint.pb, variables/ and assets/: the same net as a TF-Hub module

A folder appears whole or not at all, and what is read from it has the hash in model.json, if it has one. This
module reads and writes the tables without Keras, so that a LiteRT file can run without it; only the nets themselves
need it.
"""

import datetime
import hashlib
import io
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import geometry, storage
from soundnet_tf import labels as label_files
from soundnet_tf.errors import SoundNetError, WeightsMismatch
from soundnet_tf.nets import lookup, registry
from soundnet_tf.nets.facts import check
from soundnet_tf.spec import SAMPLE_RATE, Conv, Head, NetSpec, Pool
from soundnet_tf.storage import arrays
from soundnet_tf.version import __version__

if TYPE_CHECKING:
    import keras

    from soundnet_tf.nets.model import SoundNet

Path = str | os.PathLike[str]

TFLITE, WEIGHTS = 'net.tflite', 'weights.npz'

FORMAT = 1
"""The version of this layout, in model.json."""

AGAIN = 'Save the net again'

MAX_REACH_S = 3600
"""A saved net of which a time step sees more seconds of sound or padding is damaged; of SoundNet it sees 14.5."""


def save_net(
    net: 'keras.Model',
    folder: Path,
    *,
    origin: Mapping[str, Any] | None = None,
    dtype: Literal['float32', 'float16'] = 'float32',
) -> pathlib.Path:
    """Write a net that this package built as a folder; an older saved net there is replaced whole.

    `origin` says where the weights come from and what was measured: JSON values for model.json.
    Raises SoundNetError where `folder` holds anything else.
    """
    from soundnet_tf.nets import model

    spec, names = model.spec_of(net), model.labels_of(net)
    target = pathlib.Path(folder)
    require_ours(target)
    with storage.whole_folder(target) as draft:
        weights = {key: _stored(key, np.asarray(value), dtype) for key, value in model.variables_of(net).items()}
        packed = io.BytesIO()  # numpy would report a full disk twice
        np.savez(packed, **weights)
        (draft / WEIGHTS).write_bytes(packed.getbuffer())
        storage.write_json(draft / 'spec.json', spec.to_dict())
        (draft / 'labels').mkdir()
        for head, classes in names.items():
            (draft / 'labels' / f'{head}.txt').write_text('\n'.join(classes) + '\n', encoding='utf-8')
        rest = ['spec.json', *(f'labels/{head}.txt' for head in names)]
        facts = {
            'format': FORMAT,
            'written_by': f'soundnet_tf {__version__}',
            'written_at': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
            'weights_sha256': hashlib.sha256(packed.getbuffer()).hexdigest(),
            'weights_dtype': dtype,
            'files': {name: {'sha256': storage.sha256(draft / name)} for name in rest},
            'origin': dict(origin or {}),
        }
        storage.write_json(draft / 'model.json', facts)
    return target


def _stored(key: str, value: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    # Statistics stay float32: behind a gain of 256 a variance easily passes float16's largest number.
    stored = value if key.endswith(('moving_mean', 'moving_variance')) else value.astype(dtype)
    if not np.isfinite(stored).all():
        raise SoundNetError(f'{key} is NaN or infinite in {dtype}')
    return stored


def load_net(folder: Path) -> 'SoundNet':
    """The net of a saved folder, or of a name, with softmax heads and its own class names.

    Raises SoundNetError if the folder is not a saved net, WeightsMismatch if its files do not fit together.
    """
    from soundnet_tf.nets import model

    folder = lookup.find(folder)
    spec, labels = read_spec(folder), read_labels(folder)
    Tensors(folder, spec)  # before anything of the size that the spec says is made
    net = model.build(spec, labels=labels)
    load_weights(net, folder)
    return net


def load_weights(net: 'keras.Model', folder: Path) -> None:
    """Set the variables of `net` from a saved net; its heads are ignored if `net` has none.

    Raises WeightsMismatch, listing all missing, unexpected and misshapen tensors, before anything is set.
    """
    from soundnet_tf.nets import model

    read_spec(folder)
    tensors = Tensors(folder, model.spec_of(net))
    for key, variable in model.variables_of(net).items():
        variable.assign(tensors[key])


class Tensors(Mapping[str, NDArray[np.float32]]):
    """The weights of a saved net by row and kind, under the keys of `model.variables_of`, each read on access.

    They must be those of a net of `spec`; without heads in `spec` only the trunk's are read. Raises WeightsMismatch,
    listing all missing, unexpected and misshapen tensors, and if the file is damaged.
    """

    def __init__(self, folder: Path, spec: NetSpec) -> None:
        self._path = pathlib.Path(folder) / WEIGHTS
        with storage.readable(self._path, AGAIN, WeightsMismatch):
            _require_file(self._path)
            _require_hash(self._path, storage.sha256(self._path))
        found = arrays.npz_headers(self._path, AGAIN, WeightsMismatch)
        if not spec.heads:
            found = {key: header for key, header in found.items() if key.split('/')[0] in spec.layer_names}
        self._shapes = shapes(spec)
        wrong = [f'{key} is missing' for key in self._shapes if key not in found]
        wrong += [f'{storage.printable(key)} is unexpected' for key in found if key not in self._shapes]
        wrong += [
            f'{key} is {list(found[key].shape)}, not {list(shape)}'
            for key, shape in self._shapes.items()
            if key in found and found[key].shape != shape
        ]
        wrong += [
            f'{key} is {header.dtype}, not float'
            for key, header in found.items()
            if key in self._shapes and header.dtype.kind != 'f'
        ]
        if wrong:
            raise WeightsMismatch(self._mismatch(read_spec(folder), spec, wrong))

    def _mismatch(self, own: NetSpec, spec: NetSpec, wrong: list[str]) -> str:
        if own.layer_names != spec.layer_names:
            return (
                f'{self._path} does not fit {spec.name}: it is from {own.name}, which has other layers '
                f'({_first(wrong, 3)}). Load it with load_net'
            )
        return (
            f'{self._path} does not fit {spec.name}: {_first(wrong, MAX_REPORTED)}. '
            'Load the net as it was saved with load_net, or build one with the same widths and teachers, or '
            'without heads (include_top=False)'
        )

    def __getitem__(self, key: str) -> NDArray[np.float32]:
        if key not in self._shapes:
            raise KeyError(key)
        values = arrays.read_npz(self._path, AGAIN, WeightsMismatch, keys=[key])[key]
        return values.astype(np.float32, copy=False)

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)


MAX_REPORTED = 60
"""Tensors that do not fit: with more it is another net."""


def _first(wrong: list[str], count: int) -> str:
    return '; '.join(wrong[:count]) + (f'; and {len(wrong) - count} more' if len(wrong) > count else '')


def shapes(spec: NetSpec) -> dict[str, tuple[int, ...]]:
    """The shape of every variable of a net, under the keys of `model.variables_of`."""
    found: dict[str, tuple[int, ...]] = {}
    channels = 1
    for row in spec.rows:
        if isinstance(row, Pool):
            continue
        width = row.classes if isinstance(row, Head) else row.filters
        found |= {f'{row.name}/kernel': (row.kernel, channels, width), f'{row.name}/bias': (width,)}
        if isinstance(row, Conv):
            norms = ('gamma', 'beta', 'moving_mean', 'moving_variance')
            found |= {f'{row.name}/{kind}': (width,) for kind in norms}
            channels = width
    return found


def fingerprint(folder: Path) -> str:
    """The sha256 of the weights of a saved net."""
    path = pathlib.Path(folder) / WEIGHTS
    with storage.readable(path, AGAIN):
        _require_file(path)
        return stated_hash(path) or storage.sha256(path)


def require_ours(folder: pathlib.Path) -> None:
    """Raise SoundNetError if the folder holds anything that a saved net must not replace."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not registry.is_net(folder):
        raise SoundNetError(f'{folder}: exists and is not a saved net. Use another folder')
    for path in folder.rglob('*'):
        name = path.relative_to(folder).as_posix()
        if not (registry.is_part(name) or name in ('labels', 'variables', 'assets', 'MODEL_CARD.md')):
            raise SoundNetError(f'{folder}: {name} is not part of the saved net and would be lost. Move it elsewhere')


def read_spec(folder: Path) -> NetSpec:
    """The `NetSpec` of a saved net. Raises SoundNetError if the folder is not one."""
    path = pathlib.Path(folder) / 'spec.json'
    if not path.is_file():
        raise SoundNetError(f'{folder} is not a saved net: {_why_no_net(path.parent)}')
    with storage.readable(path, AGAIN):
        spec = NetSpec.from_dict(storage.parse_json(content(path), path, AGAIN))
        names = [row.name for row in spec.rows]
        reach = max(max(geometry.receptive_field(spec, name), -geometry.first_sample(spec, name)) for name in names)
        if reach > MAX_REACH_S * SAMPLE_RATE:
            raise ValueError(f'a time step sees {reach // SAMPLE_RATE:,} s')
        return spec


def _why_no_net(folder: pathlib.Path) -> str:
    names = f'or a name: {", ".join(registry.names())}'
    if folder.is_file():
        return f'it is a file. Pass the folder of a saved net, {names}'
    inside = folder / 'net'
    if (inside / 'spec.json').is_file():
        return f'it holds no spec.json. Pass {inside}'
    if folder.exists():
        return 'it holds no spec.json. Pass the folder `net` that training wrote'
    similar = registry.similar(os.fspath(folder))
    guess = f' Did you mean {similar}?' if similar else ''
    return f'there is no such folder, nor a net of that name.{guess} Pass the folder `net` that training wrote, {names}'


def read_labels(folder: Path) -> dict[str, tuple[str, ...]]:
    """The class names of each head of a saved net."""
    names = {}
    for head in read_spec(folder).heads:
        path = pathlib.Path(folder) / 'labels' / f'{head.name}.txt'
        if not path.is_file():
            raise SoundNetError(
                f'{path}: missing, but a saved net needs the class names of each head. Save the net again'
            )
        names[head.name] = label_files.parse(storage.parse_text(content(path), path, AGAIN), str(path))
        if len(names[head.name]) != head.classes:
            raise SoundNetError(
                f'{path}: {len(names[head.name])} class names for a head of {head.classes} classes. Save the net again'
            )
    return names


NO_TFLITE = 'Delete it, or write it again with soundnet_tf.export.add_tflite; without it the weights are run'


def read_tflite(folder: Path) -> bytes:
    """The content of net.tflite. Raises SoundNetError unless it has the hash in model.json, as damage in it may end the
    process: LiteRT does not check what it reads."""
    path = pathlib.Path(folder) / TFLITE
    if stated_hash(path) is None:
        raise SoundNetError(f'{path}: model.json has no sha256 of it. {NO_TFLITE}')
    return content(path, NO_TFLITE)


def content(path: pathlib.Path, hint: str = AGAIN) -> bytes:
    """The bytes of a file of a saved net or export. Raises WeightsMismatch if they have another hash than stated."""
    with storage.readable(path, hint):
        _require_file(path)
        data = path.read_bytes()
        _require_hash(path, hashlib.sha256(data).hexdigest(), hint)
        return data


def _require_file(path: pathlib.Path) -> None:
    """Raise SoundNetError for a device or a pipe in a saved net, which may never end."""
    kind = storage.not_a_file(path)
    if kind and path.exists():
        raise SoundNetError(f'{path}: is {kind}. {AGAIN}')


def _require_hash(path: pathlib.Path, sha256: str, hint: str = AGAIN) -> None:
    if sha256 != (stated_hash(path) or sha256):
        raise WeightsMismatch(f'{path}: changed since it was written, by its sha256 in model.json. {hint}')


def stated_hash(path: Path) -> str | None:
    """The sha256 that the model.json beside a file of a saved net or an export states for it, if it states one."""
    path = pathlib.Path(path)
    folder = path.parent.parent if path.parent.name == 'labels' else path.parent
    if not (folder / 'model.json').exists():
        return None
    facts = read_facts(folder)
    old = {WEIGHTS: facts.get('weights_sha256'), TFLITE: facts.get('tflite', {}).get('sha256')}
    about = facts.get('files', {}).get(path.relative_to(folder).as_posix(), {})
    return about.get('sha256') or old.get(path.name)


def read_facts(folder: Path) -> dict[str, Any]:
    """The content of model.json: origin, hashes, measurements. Raises SoundNetError if it cannot be read."""
    path = pathlib.Path(folder) / 'model.json'
    with storage.readable(path, AGAIN):
        _require_file(path)
        found = storage.read_json(path, AGAIN)
        check(found)
        return found

"""Parse the specification of a teacher; class names and fingerprints of its files."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from soundnet_tf import labels as label_files
from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.nets import registry
from soundnet_tf.records import KINDS
from soundnet_tf.teachers import hdf5

Form = Literal['application', 'network', 'listening', 'ready', 'released']

PREFIX = 'hear:'
"""Of a saved net that listens."""

OPTIONS: dict[Form, tuple[str, ...]] = {
    'application': ('labels', 'crop', 'drop', 'kind', 'weights'),
    'network': ('labels', 'scale', 'crop', 'drop', 'kind'),
    'listening': ('head',),
    'ready': ('labels', 'kind'),
    'released': ('frames', 'labels'),
}
"""The options of Keras applications, other networks, nets that listen, ready posteriors and the authors' layout."""

END_BYTES = 1 << 20
"""Hashed at both ends of a large file."""


RESERVED = frozenset({'id', 'waveform', 'channel', 'gain'})
"""Names of a batch and of a net's first layers, which cannot be names of heads."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """`NAME=WHERE[,option=value...]`, parsed."""

    name: str
    where: str
    form: Form
    options: Mapping[str, str]


def take_apart(text: str) -> Wanted:
    """Parse a teacher's specification. Raises SoundNetError in one line, before anything is loaded."""
    name, equals, rest = text.partition('=')
    where, *pairs = rest.split(',')
    if not (name.isidentifier() and equals and where):
        raise SoundNetError(
            f'teacher {text!r}: invalid. Use NAME=WHERE, such as imagenet=mobilenet.tflite,labels=names.txt'
        )
    if name in RESERVED:
        raise SoundNetError(f'teacher {name}: reserved name. Use another one, such as objects')
    form = _form(name, where, [pair.partition('=')[0] for pair in pairs])
    options = {}
    for pair in pairs:
        key, _, value = pair.partition('=')
        if key not in OPTIONS[form] or not value:
            raise SoundNetError(
                f'teacher {name}: invalid option {pair!r} of {where}. Use {"=..., ".join(OPTIONS[form])}=...'
            )
        options[key] = value
    if options.get('kind', 'logits') not in KINDS:
        raise SoundNetError(f'teacher {name}: invalid kind {options["kind"]!r}. Use {" or ".join(KINDS)}')
    return Wanted(name, where, form, options)


def _form(name: str, where: str, keys: Sequence[str]) -> Form:
    if where.startswith('keras:'):
        return 'application'
    if where.startswith(PREFIX):
        return 'listening'
    if 'frames' in keys:
        return 'released'
    path = pathlib.Path(where)
    if not path.exists():
        hint = ', or pass frames=LIST for rows of many videos in one file' if '%' in where else ''
        raise SoundNetError(f'teacher {name}: no such file or folder {where}. Check the path{hint}')
    kind = storage.not_a_file(path)
    if kind and not path.is_dir():
        raise SoundNetError(f'teacher {name}: {where} is {kind}. Use a file or a folder')
    if registry.is_net(path):
        raise SoundNetError(f'teacher {name}: {where} is a net that listens. Use {name}={PREFIX}{where}')
    if path.is_dir():
        return 'network' if (path / 'saved_model.pb').exists() else 'ready'
    return 'ready' if hdf5.is_one(path) and not hdf5.is_network(path) else 'network'


def number(name: str, options: Mapping[str, str], key: str, low: float, high: float, default: float) -> float:
    """The option `key` as a number within [low, high]."""
    try:
        value = float(options.get(key, default))
    except ValueError:
        value = float('nan')
    if not low <= value <= high:
        raise SoundNetError(f'teacher {name}: invalid {key} {options[key]!r}. Use a number from {low:g} to {high:g}')
    return value


def read_labels(name: str, options: Mapping[str, str]) -> tuple[str, ...]:
    """The names in the file of the option `labels`; empty without it."""
    if 'labels' not in options:
        return ()
    path = pathlib.Path(options['labels'])
    text = storage.read_text(path, f'Use labels=FILE with one class name per line for the teacher {name}')
    return label_files.parse(text, str(path))


def refuse_background(
    teacher: str, source: str, names: Sequence[str], classes: int, options: Mapping[str, str]
) -> None:
    """Raise SoundNetError for names that begin with a class `background` which the teacher does not have."""
    if len(names) == classes + 1 and names[0].lower() == 'background':
        raise SoundNetError(
            f'teacher {teacher}: {source} has {classes:,} classes, but {options["labels"]} has {len(names):,} names: '
            f'the first, {names[0]}, is not a class of the teacher. Remove this line'
        )


def fingerprint(path: pathlib.Path) -> str:
    """The first digits of the SHA-256 of a file, or of a folder's files and their names."""
    files = [path] if path.is_file() else sorted(path.rglob('*'))
    return digest((file.relative_to(path).as_posix(), file) for file in files if file.is_file())


def digest(files: Iterable[tuple[str, pathlib.Path]]) -> str:
    """The first digits of the SHA-256 of names and the contents of their files."""
    both = hashlib.sha256()
    for name, file in files:
        both.update(name.encode() + bytes.fromhex(storage.sha256(file)))
    return both.hexdigest()[:16]


def outline(paths: Iterable[pathlib.Path]) -> str:
    """Identifies files that are too large to be hashed: the first digits of a hash of their sizes and ends."""
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        digest.update(size.to_bytes(8, 'big'))
        with path.open('rb') as opened:
            digest.update(opened.read(END_BYTES))
            opened.seek(max(0, size - END_BYTES))
            digest.update(opened.read(END_BYTES))
    return digest.hexdigest()[:16]

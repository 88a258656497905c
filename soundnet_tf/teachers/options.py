"""What a teacher's text says, and the class names and fingerprints of the files it names."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from soundnet_tf import labels as label_files
from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.records import KINDS
from soundnet_tf.teachers import hdf5

Form = Literal['application', 'network', 'ready', 'released']

OPTIONS: dict[Form, tuple[str, ...]] = {
    'application': ('labels', 'crop', 'drop', 'kind', 'weights'),
    'network': ('labels', 'scale', 'crop', 'drop', 'kind'),
    'ready': ('labels', 'kind'),
    'released': ('frames', 'labels'),
}
"""What can be said of a Keras application, of any other network, of ready posteriors, of released ones."""

END_BYTES = 1 << 20
"""So much of either end of a large file tells which one it is."""


RESERVED = frozenset({'id', 'waveform', 'channel', 'gain'})
"""Names of a batch and of a net's first layers, which a head cannot have."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """`NAME=WHERE[,option=value...]`, taken apart."""

    name: str
    where: str
    form: Form
    options: Mapping[str, str]


def take_apart(text: str) -> Wanted:
    """A teacher's text, understood. Raises SoundNetError in one line, before anything is loaded."""
    name, equals, rest = text.partition('=')
    where, *pairs = rest.split(',')
    if not (name.isidentifier() and equals and where):
        raise SoundNetError(f'teacher {text!r}: write NAME=WHERE, such as imagenet=mobilenet.tflite,labels=names.txt')
    if name in RESERVED:
        raise SoundNetError(
            f'teacher {name}: that name is taken by what every net has; choose another, such as objects'
        )
    form = _form(name, where, [pair.partition('=')[0] for pair in pairs])
    options = {}
    for pair in pairs:
        key, _, value = pair.partition('=')
        if key not in OPTIONS[form] or not value:
            raise SoundNetError(
                f'teacher {name}: {pair!r} is no option of {where}; write {"=..., ".join(OPTIONS[form])}=...'
            )
        options[key] = value
    if options.get('kind', 'logits') not in KINDS:
        raise SoundNetError(f'teacher {name}: kind is {" or ".join(KINDS)}, not {options["kind"]!r}')
    return Wanted(name, where, form, options)


def _form(name: str, where: str, keys: Sequence[str]) -> Form:
    if where.startswith('keras:'):
        return 'application'
    if 'frames' in keys:
        return 'released'
    path = pathlib.Path(where)
    if not path.exists():
        hint = '; rows of many videos in one file need the list of their frames: frames=LIST' if '%' in where else ''
        raise SoundNetError(f'teacher {name}: there is no file or folder {where}{hint}')
    if path.is_dir():
        return 'network' if (path / 'saved_model.pb').exists() else 'ready'
    return 'ready' if hdf5.is_one(path) and not hdf5.is_network(path) else 'network'


def number(name: str, options: Mapping[str, str], key: str, least: float, most: float, default: float) -> float:
    """The option `key` as a number within [least, most]."""
    try:
        value = float(options.get(key, default))
    except ValueError:
        value = float('nan')
    if not least <= value <= most:
        raise SoundNetError(f'teacher {name}: {key} is a number from {least:g} to {most:g}, not {options[key]!r}')
    return value


def read_labels(name: str, options: Mapping[str, str]) -> tuple[str, ...]:
    """The names that the option `labels` points to; none without the option."""
    if 'labels' not in options:
        return ()
    path = pathlib.Path(options['labels'])
    try:
        return label_files.parse(path.read_text(encoding='utf-8-sig'), str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else 'it is not UTF-8'
        raise SoundNetError(
            f'teacher {name}: {path} cannot be read ({reason}); labels is a file with one class name per line'
        ) from None


def fingerprint(path: pathlib.Path) -> str:
    """The first digits of the SHA-256 of a file, or of a folder's files and their names."""
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(path.rglob('*')):
        if file.is_file():
            digest.update(file.relative_to(path).as_posix().encode())
            digest.update(bytes.fromhex(storage.sha256(file)))
    return digest.hexdigest()[:16]


def outline(paths: Iterable[pathlib.Path]) -> str:
    """Tells files apart that are too large to be read: the first digits of a hash of their sizes and ends."""
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        digest.update(size.to_bytes(8, 'big'))
        with path.open('rb') as opened:
            digest.update(opened.read(END_BYTES))
            opened.seek(max(0, size - END_BYTES))
            digest.update(opened.read(END_BYTES))
    return digest.hexdigest()[:16]

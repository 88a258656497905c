"""Files: written whole or not at all, and read whole or with one error, for all subpackages.

with storage.whole_file(path) as file:     # takes the place of `path` at the end
with storage.whole_folder(path) as folder: # the same of a folder
storage.begin(run / 'run.json', settings)  # begins a run, or continues one of the same settings
storage.Claim.of(output)                   # the right to make an output, or None
with storage.exclusive(output):            # the same, or SoundNetError
with storage.in_turn(output):              # the same, once other processes have made theirs
with storage.claimed(run):                 # the right to write to a folder, or SoundNetError
storage.sweep(run, 'net')                  # clears a run's folder of what a kill left there
storage.read_json(path)                    # its content, or SoundNetError in one line; see `readers` and `arrays`
"""

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any

from soundnet_tf.errors import SoundNetError
from soundnet_tf.storage import kinds
from soundnet_tf.storage.claims import CLAIM, naming
from soundnet_tf.storage.claims import Claim as Claim
from soundnet_tf.storage.claims import claimed as claimed
from soundnet_tf.storage.claims import exclusive as exclusive
from soundnet_tf.storage.claims import in_turn as in_turn
from soundnet_tf.storage.claims import in_use as in_use
from soundnet_tf.storage.claims import lock as lock
from soundnet_tf.storage.claims import make_folder as make_folder
from soundnet_tf.storage.kinds import is_remote as is_remote
from soundnet_tf.storage.kinds import is_stream as is_stream
from soundnet_tf.storage.kinds import not_a_file as not_a_file
from soundnet_tf.storage.readers import csv_lines as csv_lines
from soundnet_tf.storage.readers import csv_rows as csv_rows
from soundnet_tf.storage.readers import csv_table as csv_table
from soundnet_tf.storage.readers import opened as opened
from soundnet_tf.storage.readers import parse_json as parse_json
from soundnet_tf.storage.readers import parse_text as parse_text
from soundnet_tf.storage.readers import printable as printable
from soundnet_tf.storage.readers import read_json as read_json
from soundnet_tf.storage.readers import read_text as read_text
from soundnet_tf.storage.readers import readable as readable
from soundnet_tf.storage.readers import reason as reason

Path = str | os.PathLike[str]

_DRAFT = re.compile(r'\.[0-9a-f]{16}\.part')
"""The name of a file or folder that is not yet whole: not the target's, which may be as long as a system allows."""


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A new file to fill, opened for writing and reading, which replaces `path` at the end if nothing was raised.

    Folders are made as needed. A link stays one, and its target is replaced; a device, a pipe, or an open file such as
    /dev/stdout is written to, at the end. Raises OSError, with the name of `path`, where it cannot be written.
    """
    with naming(path):
        is_new = not os.path.lexists(path)
        if not is_new and kinds.is_stream(path):
            with tempfile.TemporaryFile() as file:
                yield file
                file.seek(0)
                number = kinds.descriptor(path)
                with open(path if number is None else os.dup(number), 'wb') as stream:
                    shutil.copyfileobj(file, stream)
            return
        target = pathlib.Path(path) if is_new else _target(path)
        if not is_new and target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        draft = _draft(target)
        try:
            with _made(draft) as file:
                yield file
            os.replace(draft, target)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


def _made(draft: pathlib.Path) -> IO[bytes]:
    try:
        return draft.open('xb+')
    except (FileNotFoundError, NotADirectoryError):
        draft.parent.mkdir(parents=True, exist_ok=True)
        return draft.open('xb+')


def write_text(path: Path, text: str) -> None:
    """A file of UTF-8, as `whole_file` writes it."""
    with whole_file(path) as file:
        file.write(text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """A file, as `whole_file` writes it."""
    with whole_file(path) as file:
        file.write(data)


def write_json(path: Path, values: Any) -> None:
    """Readable JSON, as `whole_file` writes it."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + '\n')


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[pathlib.Path]:
    """A new folder to fill, which replaces `path` at the end if nothing was raised; a link stays one.

    A process that is killed while it replaces the folder may leave the old one under another name; it is brought back.
    """
    target = _target(path)
    draft = _draft(target)
    try:
        with naming(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            _settle(target)
            draft.mkdir()
            yield draft
            _swap(draft, target)
    finally:
        _remove(draft)


def replace_folder(draft: pathlib.Path, path: Path) -> None:
    """Put a folder that was filled elsewhere on the same disk in the place of another, as `whole_folder` does."""
    target = _target(path)
    _settle(target)
    _swap(draft, target)
    _remove(draft)


def _target(path: Path) -> pathlib.Path:
    """What is replaced: behind all links. Raises OSError for a link to itself."""
    target = pathlib.Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fspath(path))
    return target


def _draft(target: pathlib.Path) -> pathlib.Path:
    return target.with_name(f'.{secrets.token_hex(8)}.part')


def _swap(draft: pathlib.Path, target: pathlib.Path) -> None:
    """Put the draft in the place of the target, which then has the draft's name."""
    old = target.with_name(f'.{_short(target)}.{secrets.token_hex(8)}.old')
    if target.exists():
        os.rename(target, old)
    try:
        os.rename(draft, target)
    except OSError:
        _settle(target)
        raise
    if old.exists():
        # Whoever finds it under this name knows that it is not needed.
        os.rename(old, draft)


def _settle(target: pathlib.Path) -> None:
    """End a `_swap` that was cut short: its old folder comes back if there is no other, and goes if there is."""
    name = re.compile(rf'\.{re.escape(_short(target))}\.[0-9a-f]{{16}}\.old')
    for old in [path for path in target.parent.glob('.*.old') if name.fullmatch(path.name)]:
        _remove(old) if target.exists() else os.rename(old, target)


def _short(target: pathlib.Path) -> str:
    """The target's name, or the hash of a long one."""
    name = os.fsencode(target.name)
    return target.name if len(name) < 128 else hashlib.sha256(name).hexdigest()[:16]


def _remove(path: pathlib.Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sweep(folder: pathlib.Path, *folders: str) -> None:
    """Clear a run's folder, which `begin` accepted and this process has claimed, of what a kill left there.

    `folders` are the names of those that `whole_folder` writes there.
    """
    for name in folders:
        _settle(pathlib.Path(os.path.realpath(folder / name)))
    for name in filter(_DRAFT.fullmatch, os.listdir(folder)):
        _remove(folder / name)


def refuse_input(out: Path, inputs: Iterable[Path]) -> None:
    """Raise SoundNetError if the file `out` is one of the inputs, which it would replace."""
    if kinds.not_a_file(out):
        return
    there = os.stat(out)
    for path in inputs:
        with contextlib.suppress(OSError, ValueError):
            if os.path.samestat(os.stat(path), there):
                raise SoundNetError(f'{printable(os.fspath(out))}: is one of the inputs. Use another --out')


def sha256(path: Path) -> str:
    """The hash of a file's content, in hex."""
    with opened(path) as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def begin(
    path: Path,
    settings: Mapping[str, Any],
    *,
    fixed: Callable[[Any], Mapping[str, Any]] = lambda settings: settings,
    hint: str = 'Use another --out, or the same settings',
) -> None:
    """Begin a run by writing its settings to the JSON file `path`, or continue one that has the same.

    `fixed` picks what must be the same; all of `settings` is written anew. Raises SoundNetError, which lists what
    differs, for other settings, for a file that cannot be read, and for a folder that holds something else.
    """
    path = pathlib.Path(path)
    if path.exists():
        remove, now = f'Use another --out, or remove {path.parent}', fixed(json.loads(json.dumps(settings)))
        with readable(path, remove):
            check_same(path.parent, fixed(read_json(path, remove)), now, hint)
    elif path.parent.exists() and not (path.parent.is_dir() and all(map(_is_ours, os.listdir(path.parent)))):
        raise SoundNetError(f'{path.parent}: exists and has no {path.name}, so it is not a run. Use another --out')
    write_json(path, settings)


def _is_ours(name: str) -> bool:
    return name == CLAIM or _DRAFT.fullmatch(name) is not None


def check_same(where: Path, before: Any, now: Any, hint: str = 'Use another --out, or the same settings') -> None:
    """Raise SoundNetError, which lists up to five differences, unless two JSON values are the same."""
    was, wanted = _flat(before), _flat(now)
    other = [key for key in {**was, **wanted} if was.get(key) != wanted.get(key)]
    if other:
        said = '; '.join(_differs(key, was.get(key), wanted.get(key)) for key in other[:5])
        more = f'; and {len(other) - 5} more' if len(other) > 5 else ''
        raise SoundNetError(f'{where}: started with other settings ({said}{more}). {hint}')


def _differs(key: str, was: Any, now: Any) -> str:
    text = printable(f'{key} was {"unset" if was is None else was}, is {"unset" if now is None else now}')
    return text if len(text) < 120 else f'{printable(key)[:80]} differs'


def _flat(values: Any, key: str = '') -> dict[str, Any]:
    """`{'training': {'steps': 1}}` as `{'training steps': 1}`."""
    if not isinstance(values, Mapping):
        return {key: values}
    return {k: v for name, value in values.items() for k, v in _flat(value, f'{key} {name}'.strip()).items()}

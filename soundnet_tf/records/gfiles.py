"""Files on a local disk, or wherever TensorFlow can read and write, such as `gs://`.

TensorFlow is loaded for addresses alone: its start takes seconds. Every function raises OSError, also where TensorFlow
raises an error of its own.
"""

import contextlib
import errno
import os
import re
import uuid
from collections.abc import Iterator
from typing import Any

from soundnet_tf import storage

_NUMBERS = {
    'AlreadyExistsError': errno.EEXIST,
    'NotFoundError': errno.ENOENT,
    'PermissionDeniedError': errno.EACCES,
    'ResourceExhaustedError': errno.ENOSPC,
}
"""By the name of TensorFlow's error; EIO for others."""


def _call(path: str, name: str, *arguments: Any, **options: Any) -> Any:
    """A function of `tf.io.gfile`, whose errors become OSError."""
    import tensorflow as tf

    with _as_os_errors(path):
        return getattr(tf.io.gfile, name)(*arguments, **options)


@contextlib.contextmanager
def _as_os_errors(path: str) -> Iterator[None]:
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(_NUMBERS.get(type(error).__name__, errno.EIO), words(error), path) from error


class _RemoteFile:
    """The methods of a GFile that are used here; their errors become OSError, but not those of a caller's code."""

    def __init__(self, path: str, mode: str) -> None:
        self._path, self._file = path, _call(path, 'GFile', path, mode)

    def read(self, size: int = -1) -> bytes:
        with _as_os_errors(self._path):
            return self._file.read(size)

    def seek(self, offset: int) -> None:
        with _as_os_errors(self._path):
            self._file.seek(offset)

    def write(self, data: bytes) -> None:
        with _as_os_errors(self._path):
            self._file.write(data)

    def close(self) -> None:
        with _as_os_errors(self._path):
            self._file.close()


def exists(path: storage.Path) -> bool:
    """Whether there is a file or folder."""
    path = os.fspath(path)
    return _call(path, 'exists', path) if storage.is_remote(path) else os.path.exists(path)


def isdir(path: storage.Path) -> bool:
    """Whether there is a folder."""
    path = os.fspath(path)
    return _call(path, 'isdir', path) if storage.is_remote(path) else os.path.isdir(path)


def listdir(path: storage.Path) -> list[str]:
    """The names of a folder, sorted; none if there is no such folder."""
    path = os.fspath(path)
    if not isdir(path):
        return []
    return sorted(_call(path, 'listdir', path) if storage.is_remote(path) else os.listdir(path))


def makedirs(path: storage.Path) -> None:
    """Make a folder, and those above it, as needed."""
    path = os.fspath(path)
    if storage.is_remote(path):
        _call(path, 'makedirs', path)
    else:
        os.makedirs(path, exist_ok=True)


def remove(path: storage.Path) -> None:
    """Remove a file."""
    path = os.fspath(path)
    if storage.is_remote(path):
        _call(path, 'remove', path)
    else:
        os.remove(path)


def size(path: storage.Path) -> int:
    """Of a file, in bytes."""
    path = os.fspath(path)
    return _call(path, 'stat', path).length if storage.is_remote(path) else os.path.getsize(path)


@contextlib.contextmanager
def opened(path: storage.Path) -> Iterator[Any]:
    """A file to read bytes from, with `read` and `seek`."""
    path = os.fspath(path)
    file = _RemoteFile(path, 'rb') if storage.is_remote(path) else open(path, 'rb')  # noqa: SIM115
    with contextlib.closing(file):
        yield file


def read(path: storage.Path) -> bytes:
    """The content of a file."""
    with opened(path) as file:
        return file.read()


@contextlib.contextmanager
def whole_file(path: storage.Path) -> Iterator[Any]:
    """A file to write bytes to, which replaces `path` at the end if nothing was raised.

    On a local disk as `storage.whole_file` does it: a link stays one, and its target is replaced.
    """
    path = os.fspath(path)
    if not storage.is_remote(path):
        with storage.whole_file(path) as file:
            yield file
        return
    # A unique name, since two processes may write the same file at once.
    draft = f'{path}.{uuid.uuid4().hex}.part'
    try:
        with contextlib.closing(_RemoteFile(draft, 'wb')) as file:
            file.write(b'')  # or there would be no file where nothing is written
            yield file
        _call(path, 'rename', draft, path, overwrite=True)
    except BaseException:
        with contextlib.suppress(OSError):
            remove(draft)
        raise


def write_text(path: storage.Path, text: str) -> None:
    """A file of UTF-8, as `whole_file` writes it."""
    with whole_file(path) as file:
        file.write(text.encode())


def words(error: Exception) -> str:
    """An error message of the system or of TensorFlow in one line, without the names of TensorFlow's nodes."""
    said = error.strerror if isinstance(error, OSError) else getattr(error, 'message', str(error))
    message = re.sub(r'\{\{.*?\}\}|\[Op:.*', '', said or type(error).__name__, flags=re.DOTALL)
    return ' '.join(message.split())

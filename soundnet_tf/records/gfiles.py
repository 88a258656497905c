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


@contextlib.contextmanager
def _gfile(path: str) -> Iterator[Any]:
    """`tf.io.gfile`, whose errors become OSError."""
    import tensorflow as tf

    try:
        yield tf.io.gfile
    except tf.errors.OpError as error:
        raise OSError(_NUMBERS.get(type(error).__name__, errno.EIO), words(error), path) from error


def exists(path: storage.Path) -> bool:
    """Whether there is a file or folder."""
    if not storage.is_remote(path := os.fspath(path)):
        return os.path.exists(path)
    with _gfile(path) as gfile:
        return gfile.exists(path)


def isdir(path: storage.Path) -> bool:
    """Whether there is a folder."""
    if not storage.is_remote(path := os.fspath(path)):
        return os.path.isdir(path)
    with _gfile(path) as gfile:
        return gfile.isdir(path)


def listdir(path: storage.Path) -> list[str]:
    """The names of a folder, sorted; none if there is no such folder."""
    if not isdir(path := os.fspath(path)):
        return []
    if not storage.is_remote(path):
        return sorted(os.listdir(path))
    with _gfile(path) as gfile:
        return sorted(gfile.listdir(path))


def makedirs(path: storage.Path) -> None:
    """Make a folder, and those above it, as needed."""
    if not storage.is_remote(path := os.fspath(path)):
        os.makedirs(path, exist_ok=True)
        return
    with _gfile(path) as gfile:
        gfile.makedirs(path)


def remove(path: storage.Path) -> None:
    """Remove a file."""
    if not storage.is_remote(path := os.fspath(path)):
        os.remove(path)
        return
    with _gfile(path) as gfile:
        gfile.remove(path)


@contextlib.contextmanager
def opened(path: storage.Path) -> Iterator[tuple[Any, int]]:
    """A file to read bytes from, with `read` and `seek`, and its size in bytes."""
    if not storage.is_remote(path := os.fspath(path)):
        with open(path, 'rb') as file:
            yield file, os.fstat(file.fileno()).st_size
        return
    with _gfile(path) as gfile, gfile.GFile(path, 'rb') as file:
        yield file, file.size()


def read(path: storage.Path) -> bytes:
    """The content of a file."""
    with opened(path) as (file, _):
        return file.read()


@contextlib.contextmanager
def whole_file(path: storage.Path) -> Iterator[Any]:
    """A file to write bytes to, which replaces `path` at the end if nothing was raised.

    On a local disk as `storage.whole_file` does it: a link stays one, and its target is replaced.
    """
    if not storage.is_remote(path := os.fspath(path)):
        with storage.whole_file(path) as file:
            yield file
        return
    # A unique name, since two processes may write the same file at once.
    draft = f'{path}.{uuid.uuid4().hex}.part'
    with _gfile(path) as gfile:
        try:
            with gfile.GFile(draft, 'wb') as file:
                file.write(b'')  # or there would be no file where nothing is written
                yield file
            gfile.rename(draft, path, overwrite=True)
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

"""Files wherever TensorFlow can write, such as `gs://`."""

import contextlib
import os
import re
import uuid
from collections.abc import Iterator

import tensorflow as tf

from soundnet_tf import storage


@contextlib.contextmanager
def whole_file(path: storage.Path) -> Iterator[str]:
    """The path of a draft, which replaces `path` at the end if nothing was raised.

    On a local disk as `storage.whole_file` does it: a link stays one, and its target is replaced.
    """
    path = os.fspath(path)
    if not storage.is_remote(path):
        with storage.whole_file(path) as file:
            yield file.name
        return
    # A unique name, since two processes may write the same file at once.
    draft = f'{path}.{uuid.uuid4().hex}.part'
    try:
        yield draft
        tf.io.gfile.rename(draft, path, overwrite=True)
    except BaseException:
        with contextlib.suppress(tf.errors.OpError):
            tf.io.gfile.remove(draft)
        raise


def write_text(path: storage.Path, text: str) -> None:
    """A file of UTF-8, as `whole_file` writes it."""
    with whole_file(path) as draft, tf.io.gfile.GFile(draft, 'w') as file:
        file.write(text)


def words(error: tf.errors.OpError | OSError) -> str:
    """An error message in one line, without the names of TensorFlow's nodes."""
    said = error.strerror if isinstance(error, OSError) else error.message
    message = re.sub(r'\{\{.*?\}\}|\[Op:.*', '', said or type(error).__name__, flags=re.DOTALL)
    return ' '.join(message.split())

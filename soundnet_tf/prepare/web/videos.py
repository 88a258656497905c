"""Download videos, and verify them.

A file is written as NAME.part and renamed when it is complete. A new run resumes an incomplete one.
"""

import contextlib
import errno
import functools
import hashlib
import os
import pathlib
import re
import urllib.parse
from typing import IO

from soundnet_tf import storage
from soundnet_tf.errors import MissingTool
from soundnet_tf.prepare.manifest import REFUSED, Video, refusal
from soundnet_tf.prepare.media import Unusable, unreadable
from soundnet_tf.web.client import Client, PermanentError, RetryableError
from soundnet_tf.web.download import Download, Limits, whole_file

NOT_FETCHED = 'not fetched'


class Fetcher:
    """Returns local paths of videos, downloading them if needed; safe to use from many threads.

    Downloads go to `folder`; unless `keep`, `discard` removes them again. After `tries` tries in a row
    without a new byte, at growing intervals or those that the server requests, a download fails. It sends
    up to `per_second` requests. A file that takes longer than `max_s` or is larger than `max_bytes` fails.

    `close`, or the end of a `with`, stops all downloads, which raise `Stopped`; another run resumes them.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        keep: bool = False,
        per_second: float = 10.0,
        timeout_s: float = 30.0,
        tries: int = 5,
        backoff_s: float = 1.0,
        max_s: float = 3600.0,
        max_bytes: int = 4 << 30,
    ):
        self.folder, self.keep = pathlib.Path(folder), keep
        self._limits = Limits(tries, max_s, max_bytes)
        self._client = Client(per_second=per_second, timeout_s=timeout_s, backoff_s=backoff_s)

    def fetch(self, video: Video) -> pathlib.Path:
        """A local file with the whole video, its sha256 checked if the manifest has one.

        Raises Unusable('not fetched', why). A full disk is an OSError, since it does not concern one video.
        """
        if why := refusal(video.path):
            raise Unusable(REFUSED, why)
        try:
            if storage.is_remote(video.path):
                return self._remote(video)
            return _checked(pathlib.Path(video.path), video.sha256)
        except (PermanentError, RetryableError) as why:
            raise Unusable(NOT_FETCHED, str(why)) from None

    def discard(self, video: Video) -> None:
        """Remove the download of a video, complete or not, unless downloads are kept."""
        if not self.keep and storage.is_remote(video.path) and not refusal(video.path):
            _remove(self._path(video))

    def close(self) -> None:
        self._client.close()
        if not self.keep:
            # Empty folders; incomplete downloads stay, for another run to resume.
            for folder in (*self.folder.glob('[0-9a-f][0-9a-f]'), self.folder):
                with contextlib.suppress(OSError):
                    folder.rmdir()

    def __enter__(self) -> 'Fetcher':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _path(self, video: Video) -> pathlib.Path:
        """A name for any address; the same address with another sha256 is another file."""
        parts = [video.path, video.sha256]
        if not self.keep:
            # Two videos may have the same address: discarding one must not remove the file of the other.
            parts.append(video.id)
        name = hashlib.sha256('\n'.join(parts).encode(errors='surrogateescape')).hexdigest()[:40]
        extension = re.search(r'\.\w{1,8}$', urllib.parse.urlsplit(video.path).path, re.ASCII)
        return self.folder / name[:2] / (name + (extension[0].lower() if extension else ''))

    def _remote(self, video: Video) -> pathlib.Path:
        path = self._path(video)
        whole_file(path, functools.partial(self._fill, video), self._client.pause)
        return path

    def _fill(self, video: Video, file: IO[bytes], draft: pathlib.Path, tag: pathlib.Path) -> None:
        try:
            if re.match('https?:', video.path, re.IGNORECASE):
                Download(video.path, file, tag, self._client, self._limits).run()
            else:
                self._client.turn()
                _copy(video.path, draft)
            file.flush()
            if video.sha256:
                _verify(draft, video.sha256)
        except PermanentError:
            _remove(draft.with_suffix(''))
            raise


def _checked(local: pathlib.Path, sha256: str) -> pathlib.Path:
    # A link may lead to anything; reading a pipe or a terminal may never end.
    try:
        resolved = local.resolve(strict=True)
        if why := refusal(str(resolved)):
            raise Unusable(REFUSED, why)
        if kind := storage.not_a_file(resolved):
            raise Unusable(REFUSED, kind)
        if sha256:
            _verify(resolved, sha256)
    except OSError as error:
        raise unreadable(error) from None
    except (ValueError, RuntimeError) as error:  # a zero byte in the path, links in a circle
        raise Unusable('unreadable', str(error)) from None
    return local


def _copy(url: str, draft: pathlib.Path) -> None:
    """Copy from a file system of TensorFlow: gs://, and with tensorflow-io s3:// and hdfs://."""
    try:
        import tensorflow as tf
    except ImportError:
        raise MissingTool('tensorflow', f'reading {url.partition(":")[0]}://') from None
    try:
        tf.io.gfile.copy(url, str(draft), overwrite=True)
    except tf.errors.NotFoundError:
        raise PermanentError('no such file') from None
    except tf.errors.UnimplementedError:
        raise PermanentError(f'TensorFlow has no file system for {url.partition(":")[0]}:// here') from None
    except tf.errors.OpError as error:
        if os.strerror(errno.ENOSPC) in error.message:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(draft)) from None
        raise PermanentError(error.message.partition('\n')[0]) from None


def _verify(path: pathlib.Path, expected: str) -> None:
    got = storage.sha256(path)
    if got != expected:
        raise PermanentError(f'sha256 is {got}, expected {expected}')


def _remove(path: pathlib.Path) -> None:
    """A download, complete or not."""
    for name in (path.name, f'{path.name}.part', f'{path.name}.tag'):
        path.with_name(name).unlink(missing_ok=True)

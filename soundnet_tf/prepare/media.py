"""Media files through PyAV, without an installed ffmpeg."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from soundnet_tf.audio import pyav


class Unusable(Exception):
    """The video gives no samples, or no more of them: `reason` is one of a few that are counted."""

    def __init__(self, reason: str, detail: str = ''):
        super().__init__(f'{reason}: {detail}' if detail else reason)
        self.reason, self.detail = reason, detail


def unreadable(error: OSError) -> Unusable:
    """The reason for a file that cannot be opened."""
    gone = isinstance(error, FileNotFoundError | NotADirectoryError)
    return Unusable('missing' if gone else 'unreadable', error.strerror or str(error))


def library() -> Any:
    """PyAV. Raises MissingTool if it is not installed."""
    return pyav.library('reading videos')


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """Turn any error of reading a media file into Unusable."""
    av = library()
    try:
        yield
    except OSError as error:
        raise unreadable(error) from None
    except (av.error.FFmpegError, ValueError, ArithmeticError, MemoryError) as error:
        # ValueError, including BadAudio: unsupported sample and pixel formats.
        # The others: headers that state gigabytes, or rates of 0.
        with contextlib.suppress(OSError):
            if os.path.getsize(path) == 0:
                raise Unusable('damaged', 'the file is empty') from None
        raise Unusable('damaged', getattr(error, 'strerror', None) or str(error) or type(error).__name__) from None


def opened(path: str, kind: str) -> tuple[Any, Any]:
    """A container and its best stream of a `kind`, 'audio' or 'video'; None if it has none."""
    # FFmpeg reads `12:30.mp4` as an address, but never an absolute path.
    container = library().open(os.path.abspath(path), metadata_errors='ignore')
    wanted = container.streams.best(kind)
    for stream in container.streams:
        if stream is not wanted:
            # Most formats then skip its data.
            stream.discard = type(stream.discard).all
    if wanted is not None:
        # Videos are read in parallel; threads within each would only use memory.
        wanted.thread_type, wanted.codec_context.thread_count = 'NONE', 1
    return container, wanted


def start_s(container: Any) -> float:
    """The start time of a container in seconds; all times are relative to it."""
    return (container.start_time or 0) / 1_000_000

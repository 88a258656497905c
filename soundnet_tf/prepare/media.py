"""Media files through PyAV: no program needs to be on the machine."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from soundnet_tf.audio import pyav


class Unusable(Exception):
    """The video gives no sample, or no more of them: `reason` is one of a few words that are counted."""

    def __init__(self, reason: str, detail: str = ''):
        super().__init__(f'{reason}: {detail}' if detail else reason)
        self.reason, self.detail = reason, detail


def unreadable(error: OSError) -> Unusable:
    """What to say of a file that the system does not give."""
    gone = isinstance(error, FileNotFoundError | NotADirectoryError)
    return Unusable('missing' if gone else 'unreadable', error.strerror or str(error))


def library() -> Any:
    """PyAV. Raises MissingTool without it."""
    return pyav.library('reading videos')


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """What may be wrong with a media file, whatever it is, becomes Unusable."""
    av = library()
    try:
        yield
    except OSError as error:
        raise unreadable(error) from None
    except (av.error.FFmpegError, ValueError, ArithmeticError, MemoryError) as error:
        # ValueError, and BadAudio among them: sample and pixel formats that nothing can be made of.
        # The others: headers that promise gigabytes, or rates of 0.
        with contextlib.suppress(OSError):
            if os.path.getsize(path) == 0:
                raise Unusable('damaged', 'the file is empty') from None
        raise Unusable('damaged', getattr(error, 'strerror', None) or str(error) or type(error).__name__) from None


def opened(path: str, kind: str) -> tuple[Any, Any]:
    """A container and its best stream of a `kind`, 'audio' or 'video'; None where it has none."""
    # FFmpeg takes `12:30.mp4` for an address; an absolute path is always a file's.
    container = library().open(os.path.abspath(path), metadata_errors='ignore')
    wanted = container.streams.best(kind)
    for stream in container.streams:
        if stream is not wanted:
            # Most formats then pass over its data without reading it.
            stream.discard = type(stream.discard).all
    if wanted is not None:
        # Videos are read side by side; threads within each would only cost memory.
        wanted.thread_type, wanted.codec_context.thread_count = 'NONE', 1
    return container, wanted


def start_s(container: Any) -> float:
    """Where a container's own clock begins, in seconds: times are counted from there."""
    return (container.start_time or 0) / 1_000_000

"""Reading the media files of videos, and the reasons why one gives no samples."""

import contextlib
from collections.abc import Iterator

from soundnet_tf.audio import containers, pyav
from soundnet_tf.audio.notes import Incomplete
from soundnet_tf.audio.pyav import NoSound
from soundnet_tf.errors import BadAudio
from soundnet_tf.prepare.manifest import REFUSED


class Unusable(Exception):
    """The video gives no samples, or no more of them: `reason` is one of a few that are counted."""

    def __init__(self, reason: str, detail: str = ''):
        super().__init__(f'{reason}: {detail}' if detail else reason)
        self.reason, self.detail = reason, detail


def unreadable(error: OSError) -> Unusable:
    """The reason for a file that cannot be opened."""
    gone = isinstance(error, FileNotFoundError | NotADirectoryError)
    return Unusable('missing' if gone else 'unreadable', error.strerror or str(error))


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """Turn any error of reading a media file into Unusable."""
    av = pyav.library('reading videos')
    try:
        with open(path, 'rb') as file:
            empty = not file.read(1)
    except OSError as error:
        raise unreadable(error) from None
    if empty:
        raise Unusable('damaged', 'the file is empty')
    try:
        yield
    except NoSound as error:
        raise Unusable('no sound track', str(error).removeprefix(f'{path}: ')) from None
    except Incomplete as error:
        raise Unusable('incomplete', str(error).removeprefix(f'{path}: incomplete: ')) from None
    except BadAudio as error:
        said = str(error).removeprefix(f'{path}: ')
        raise Unusable(REFUSED if said.startswith(containers.A_LIST) else 'damaged', said) from None
    except (av.error.FFmpegError, OSError, ValueError, ArithmeticError, MemoryError) as error:
        # Unsupported pixel formats, headers that state gigabytes, or rates of 0.
        raise Unusable('damaged', pyav.reason(error)) from None

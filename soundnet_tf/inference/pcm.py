"""Raw samples from a pipe, for example of a microphone."""

import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.errors import SoundNetError

DTYPES = ('int16', 'int32', 'uint8', 'float32')

AT_ONCE = 1 << 16
"""Maximum bytes per read; a read returns what has arrived, without waiting for more."""


def pieces(path: str, channels: int = 1, dtype: str = 'int16') -> Iterator[NDArray[Any]]:
    """`[n, channels]` of interleaved samples as they arrive at a file or pipe, `-` for standard input; n varies.

    Raises SoundNetError, at once, where it cannot be read.
    """
    try:
        file = sys.stdin.fileno() if path == '-' else os.open(path, os.O_RDONLY)
    except (OSError, ValueError) as error:
        raise SoundNetError(f'{path}: cannot be read ({error}). Use - for standard input, or a pipe') from None
    return _read(file, channels, np.dtype(dtype))


def _read(file: int, channels: int, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    size, waiting = channels * dtype.itemsize, b''
    try:
        begun = False
        while arrived := os.read(file, AT_ONCE):
            if not begun and arrived.startswith((b'RIFF', b'OggS', b'fLaC', b'ID3')):
                raise SoundNetError('this is a sound file, not raw samples. Pass its path without --pcm')
            begun = True
            waiting += arrived
            whole = len(waiting) // size * size
            yield np.frombuffer(waiting[:whole], dtype).reshape(-1, channels)
            waiting = waiting[whole:]
    finally:
        if file > 2:  # not standard input
            os.close(file)

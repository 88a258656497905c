"""Groups sounds by recording: a unit needs only one example per recording."""

import collections
import contextlib
import os
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import storage
from soundnet_tf.inference.files import SoundFile

_TAKE = re.compile(r'(?<=[-_])[A-Z](?=[-_]|$)')
"""The letter of a take within a recording, as in ESC-50: `1-4211-A`, `1-4211-B-12`."""


def of_sounds(sounds: Sequence[SoundFile]) -> NDArray[np.int64]:
    """`[sounds]`: the recording index of each sound.

    Sounds belong to the same recording if their files are identical, or if their names differ only in the letter of the
    take or in the extension.
    """
    names = [_TAKE.sub('', sound.name.with_suffix('').as_posix()) for sound in sounds]
    numbers: dict[str, int] = {}
    originals = _originals([sound.path for sound in sounds])
    return np.array([numbers.setdefault(names[original], len(numbers)) for original in originals], np.int64)


def _originals(paths: Sequence[str]) -> list[int]:
    """For each file, the index of the first file with the same content. Only files of equal size are read."""
    sizes = [os.path.getsize(path) if os.path.isfile(path) else -1 for path in paths]
    common = collections.Counter(sizes)
    first: dict[str, int] = {}
    originals = list(range(len(paths)))
    for index, (path, size) in enumerate(zip(paths, sizes, strict=True)):
        if common[size] > 1:
            # A file that cannot be read is reported when it is decoded.
            with contextlib.suppress(OSError):
                originals[index] = first.setdefault(storage.sha256(path), index)
    return originals

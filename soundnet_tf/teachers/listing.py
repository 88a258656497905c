"""The authors' lists of frames: which rows belong to which video, and which video an id means.

A list has a frame per line, `/any/folder/VIDEO/00000001.jpg`; what follows on the line does not count.
Lines in a row of the same folder are the frames of one video, four at most. Several lists are read as
one long list.
"""

import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import SOUND_SUFFIXES, VIDEO_SUFFIXES
from soundnet_tf.errors import SoundNetError
from soundnet_tf.teachers.store import names

MOST_FRAMES = 4
"""20 seconds, one frame each 5: the authors go no further into a video."""
PICTURES = (b'.jpg', b'.jpeg', b'.png')


@dataclasses.dataclass(frozen=True)
class Listing:
    """The videos of the lists, and which rows are theirs."""

    numbers: dict[str, int]
    """Each video's, by the folder of its frames below the one that is common to all."""
    starts: NDArray[np.int64]
    """`[videos + 1]`: the first row of each video, counted through all lists."""
    common: str
    """The folder common to all, with its slash."""
    ends: tuple[int, ...]
    """Per list the row after its last."""
    inner: frozenset[str]
    """What is the end of a video's key, and as long as another's whole key: none where all have the same depth."""

    def find(self, id: str) -> int | str:
        """The number of the video that `id` means, or in words why there is none.

        An id, with or without a file name's extension, must be the end of the path of one folder of
        frames, and reach up to where folders differ: if it said less it could be another video that
        is not listed, and where it says something else it is one. A sound `a.mp3` may be that of
        `a.mp4`.
        """
        for spellings in _spellings(id):
            keys = {key for spelling in spellings for key in self._keys(spelling) if key in self.numbers}
            if not keys:
                continue
            if len(keys) > 1 or not self.inner.isdisjoint(spellings):
                clear = self.common.lstrip('/') + min(keys)
                return f'{id} could be more than one video there; an id that says more, such as {clear}, is clear'
            return self.numbers[keys.pop()]
        return f'{id} is not there; ids of its videos are such as {next(iter(self.numbers))}'

    def _keys(self, spelling: str) -> Iterator[str]:
        """What may be left of an id without as much of the common folder as it names."""
        yield spelling
        folders = self.common.strip('/').split('/')
        for index in range(len(folders)):
            tail = '/'.join(folders[index:]) + '/'
            if spelling.startswith(tail):
                yield spelling.removeprefix(tail)


def _spellings(id: str) -> Iterator[Sequence[str]]:
    """How a list may name a video, best first."""
    known = names(id)
    yield from ([name] for name in known)
    if len(known) > 1 and pathlib.PurePosixPath(known[0]).suffix.lower() in SOUND_SUFFIXES:
        yield [known[1] + video for lower in sorted(VIDEO_SUFFIXES) for video in (lower, lower.upper())]


@functools.lru_cache(maxsize=1)
def read(lists: tuple[pathlib.Path, ...], digest: str) -> Listing:
    """The videos of the lists, whose contents have this hash. Raises SoundNetError with the line that cannot be.

    The last is kept: the authors' two teachers have the same lists, and two million videos take seconds.
    """
    folders, starts, ends = _runs(lists)
    long = np.flatnonzero(np.diff(starts) > MOST_FRAMES)
    if len(long):
        line = _line(lists, ends, int(starts[long[0]]) + MOST_FRAMES)
        raise SoundNetError(f'{line} is frame {MOST_FRAMES + 1} of one video; this layout has {MOST_FRAMES} at most')
    # The first and the last in alphabetical order share what all that stand between them share.
    first, last = (folder.split(b'/')[:-1] for folder in (min(folders), max(folders)))
    shared = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    common = b''.join(part + b'/' for part, _ in shared)
    numbers: dict[str, int] = {}
    for number, folder in enumerate(folders):
        # An id is made of a file's name in the same way.
        key = folder[len(common) :].decode(errors='replace')
        if numbers.setdefault(key, number) != number:
            once, again = (_line(lists, ends, int(starts[n])) for n in (numbers[key], number))
            raise SoundNetError(f'{again} has frames of {key} again, after {once}: the frames of a video come in a row')
    return Listing(numbers, starts, common.decode(errors='replace'), ends, frozenset(_inner(numbers)))


def _inner(keys: Iterable[str]) -> Iterator[str]:
    least = min(key.count('/') for key in keys)
    for key in keys:
        depth = key.count('/')
        for skipped in range(depth - least):
            yield key.split('/', skipped + 1)[-1]


def _runs(lists: Sequence[pathlib.Path]) -> tuple[list[bytes], NDArray[np.int64], tuple[int, ...]]:
    """The folders of frames in their order, the first row of each and the end, and the end of each list."""
    folders, starts, ends, row, last = [], [], [], 0, None
    for path in lists:
        with path.open('rb') as file:
            for line in file:
                frame = line.split(None, 1)[0] if line.strip() else b''
                folder, slash, _ = frame.rpartition(b'/')
                if folder != last:
                    folders.append(folder)
                    starts.append(row)
                    last = folder
                if not (slash and frame.lower().endswith(PICTURES)):
                    here = row - (ends[-1] if ends else 0) + 1
                    raise SoundNetError(f'{path}: line {here} is no path of a frame, such as VIDEO/00000001.jpg')
                row += 1
        if row == (ends[-1] if ends else 0):
            raise SoundNetError(f'{path} is empty: it lists a frame per line, such as VIDEO/00000001.jpg')
        ends.append(row)
    return folders, np.array([*starts, row]), tuple(ends)


def _line(lists: Sequence[pathlib.Path], ends: Sequence[int], row: int) -> str:
    """The file and line of a row."""
    part = int(np.searchsorted(ends, row, side='right'))
    return f'{lists[part]}: line {row - (ends[part - 1] if part else 0) + 1}'

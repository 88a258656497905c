"""The authors' lists of frames: the rows of each video, and the video of an id.

A list has a frame per line, `/any/folder/VIDEO/00000001.jpg`; the rest of a line is ignored. Consecutive
lines of the same folder are the frames of one video, up to four. Several lists are read as one.
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

MAX_FRAMES = 4
"""The authors use 20 seconds of a video, with a frame every 5."""
PICTURES = (b'.jpg', b'.jpeg', b'.png')


@dataclasses.dataclass(frozen=True)
class Listing:
    """The videos of the lists, and their rows."""

    numbers: dict[str, int]
    """By the folder of a video's frames, relative to the common folder."""
    starts: NDArray[np.int64]
    """`[videos + 1]`: the first row of each video, counted through all lists."""
    common: str
    """The folder that contains all videos, with a slash."""
    ends: tuple[int, ...]
    """Per list, the end of its rows."""
    inner: frozenset[str]
    """Ends of keys as long as another whole key; empty if all have the same depth."""

    def find(self, id: str) -> int | str:
        """The number of the video `id`, or the reason why there is none.

        An id, with or without a suffix, must be the end of the path of one folder of frames, from the
        first folder that differs: a shorter id could be another video that is not listed. A sound `a.mp3`
        may be that of `a.mp4`.
        """
        for spellings in _spellings(id):
            keys = {key for spelling in spellings for key in self._keys(spelling) if key in self.numbers}
            if not keys:
                continue
            if len(keys) > 1 or not self.inner.isdisjoint(spellings):
                example = self.common.lstrip('/') + min(keys)
                return f'{id} matches several videos. Use a longer id, such as {example}'
            return self.numbers[keys.pop()]
        return f'{id} is not listed. Its ids are like {next(iter(self.numbers))}'

    def _keys(self, spelling: str) -> Iterator[str]:
        """The id without the parts of the common folder that it contains."""
        yield spelling
        folders = self.common.strip('/').split('/')
        for index in range(len(folders)):
            tail = '/'.join(folders[index:]) + '/'
            if spelling.startswith(tail):
                yield spelling.removeprefix(tail)


def _spellings(id: str) -> Iterator[Sequence[str]]:
    """How a list may spell a video, best first."""
    known = names(id)
    yield from ([name] for name in known)
    if len(known) > 1 and pathlib.PurePosixPath(known[0]).suffix.lower() in SOUND_SUFFIXES:
        yield [known[1] + video for lower in sorted(VIDEO_SUFFIXES) for video in (lower, lower.upper())]


@functools.lru_cache(maxsize=1)
def read(lists: tuple[pathlib.Path, ...], digest: str) -> Listing:
    """The videos of the lists, whose contents have this hash. Raises SoundNetError with the wrong line.

    Cached, since the authors' two teachers have the same lists, and two million videos take seconds.
    """
    folders, starts, ends = _runs(lists)
    long = np.flatnonzero(np.diff(starts) > MAX_FRAMES)
    if len(long):
        line = _line(lists, ends, int(starts[long[0]]) + MAX_FRAMES)
        raise SoundNetError(f'{line} is frame {MAX_FRAMES + 1} of one video. Keep up to {MAX_FRAMES} per video')
    # The common folder of the first and the last in alphabetical order is that of all.
    first, last = (folder.split(b'/')[:-1] for folder in (min(folders), max(folders)))
    shared = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    common = b''.join(part + b'/' for part, _ in shared)
    numbers: dict[str, int] = {}
    for number, folder in enumerate(folders):
        # Ids are made from file names in the same way.
        key = folder[len(common) :].decode(errors='replace')
        if numbers.setdefault(key, number) != number:
            once, again = (_line(lists, ends, int(starts[n])) for n in (numbers[key], number))
            raise SoundNetError(f'{again} has frames of {key} again, after {once}. Keep the frames of a video together')
    return Listing(numbers, starts, common.decode(errors='replace'), ends, frozenset(_inner(numbers)))


def _inner(keys: Iterable[str]) -> Iterator[str]:
    min_depth = min(key.count('/') for key in keys)
    for key in keys:
        depth = key.count('/')
        for skipped in range(depth - min_depth):
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
                    raise SoundNetError(
                        f'{path}: line {here} is not the path of a frame, such as VIDEO/00000001.jpg. Fix this line'
                    )
                row += 1
        if row == (ends[-1] if ends else 0):
            raise SoundNetError(f'{path} is empty. Write a frame per line, such as VIDEO/00000001.jpg')
        ends.append(row)
    return folders, np.array([*starts, row]), tuple(ends)


def _line(lists: Sequence[pathlib.Path], ends: Sequence[int], row: int) -> str:
    """The file and line of a row."""
    part = int(np.searchsorted(ends, row, side='right'))
    return f'{lists[part]}: line {row - (ends[part - 1] if part else 0) + 1}'

"""Posteriors in the layout that SoundNet's authors trained from: lists of frames, and binaries of their rows.

A binary has the rows of its list's frames in order, float32, little-endian, and nothing else. Each
numbered part has a list and a binary. Binaries are memory-mapped, never read whole.
"""

import dataclasses
import glob
import pathlib
import re

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.errors import SoundNetError
from soundnet_tf.teachers import listing
from soundnet_tf.teachers.listing import Listing
from soundnet_tf.teachers.options import Wanted, digest, outline
from soundnet_tf.teachers.store import Rows, probable

CLASSES = {'imagenet': 1000, 'places': 401}
"""Of the authors' two teachers; their files do not state the length of a row."""
ROUNDING = 1e-3
"""Tolerance of the sum of a row; the authors' loader has the same for the mean."""
NUMBER = '%04d'
GLANCES = 16
"""Rows of a binary that are checked."""


@dataclasses.dataclass(frozen=True)
class Released:
    """The listing, and the mapped binaries of its parts in order, each `[rows, classes]`."""

    listing: Listing
    parts: tuple[NDArray[np.float32], ...]
    where: str
    frames: str
    source: str

    @property
    def classes(self) -> int:
        return self.parts[0].shape[1]

    def find(self, id: str) -> Rows | str:
        number = self.listing.find(id)
        if isinstance(number, str):
            return f'{self.frames}: {number}'
        first, end = self.listing.starts[number : number + 2]
        pieces, before = [], 0
        for part, after in zip(self.parts, self.listing.ends, strict=True):
            if first < after and before < end:
                pieces.append(part[max(0, first - before) : end - before])
            before = after
        # The frames of a video may continue in the next part.
        return Rows(pieces[0] if len(pieces) == 1 else np.concatenate(pieces), f'{self.where} for {id}')


def load(wanted: Wanted, named: int) -> Released:
    """The files of a teacher `NAME=BINARY,frames=LIST`; `named` is the number of its labels, 0 without labels."""
    teacher, where, frames = wanted.name, wanted.where, wanted.options['frames']
    classes = named or CLASSES.get(teacher)
    if not classes:
        known = ' and '.join(f'{name} ({count})' for name, count in CLASSES.items())
        raise SoundNetError(f'teacher {teacher}: unknown number of classes, known are {known}. Pass labels=FILE')
    try:
        lists, binaries = _parts(frames, where)
        sha256 = digest(('', path) for path in lists)
        videos = listing.read(tuple(lists), sha256)
        counts = np.diff(videos.ends, prepend=0).tolist()
        parts = tuple(_map(*part, classes) for part in zip(binaries, lists, counts, strict=True))
        which = outline(binaries)
    except OSError as error:
        raise SoundNetError(
            f'teacher {teacher}: {error.filename} cannot be read ({error.strerror}). Check the path'
        ) from error
    except SoundNetError as error:
        raise SoundNetError(f'teacher {teacher}: {error}') from None
    source = f'{_short(where)} (outline {which}), frames {_short(frames)} (sha256 {sha256})'
    return Released(videos, parts, where, frames, source)


def _parts(frames: str, where: str) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    """The lists and the binaries, part by part."""
    if (NUMBER in where) != (NUMBER in frames):
        raise SoundNetError(f'{NUMBER} must be in both of {where} and {frames}, or in neither')
    numbers = sorted(_numbers(where) | _numbers(frames), key=int)
    if not numbers:
        raise SoundNetError(f'no file {frames}, where {NUMBER} is a number such as 0001. Check the path')
    lists, binaries = ([pathlib.Path(text.replace(NUMBER, number)) for number in numbers] for text in (frames, where))
    missing = [path for pair in zip(lists, binaries, strict=True) for path in pair if not path.is_file()]
    if missing:
        more = f' (and {len(missing) - 1} more)' if len(missing) > 1 else ''
        raise SoundNetError(f'no file {missing[0]}{more}. Each list of frames needs its binary')
    return lists, binaries


def _numbers(pattern: str) -> set[str]:
    """The numbers of existing files; a pattern without a number is one file."""
    if NUMBER not in pattern:
        return {'0'}
    pattern = str(pathlib.PurePath(pattern))  # normalised as in glob
    before, *others = re.escape(pattern).split(NUMBER)
    number = re.compile(before + r'(\d{4,})' + r'\1'.join(others))
    found = (number.fullmatch(path) for path in glob.glob(glob.escape(pattern).replace(NUMBER, '*')))
    return {match[1] for match in found if match}


def _map(binary: pathlib.Path, frames: pathlib.Path, rows: int, classes: int) -> NDArray[np.float32]:
    """`[rows, classes]` of a file, memory-mapped; a few rows are checked. Raises SoundNetError for anything else."""
    size, row = binary.stat().st_size, 4 * classes
    if size != rows * row:
        others, rest = divmod(size, 4 * rows)
        hint = (
            f'If it has {others} classes, pass labels=FILE with their names'
            if others and not rest
            else 'Copy both again'
        )
        raise SoundNetError(
            f'{binary} has {size} bytes, but {rows} frames in {frames} with {classes} classes need {rows * row}. {hint}'
        )
    values = np.memmap(binary, '<f4', 'r', shape=(rows, classes))
    few = np.asarray(values[np.linspace(0, rows - 1, min(rows, GLANCES)).astype(int)])
    if not probable(few, ROUNDING).any():
        raise SoundNetError(
            f'{binary} has no probabilities of {classes} classes (none of {len(few)} rows checked is '
            'from 0 to 1 and sums to 1). Write float32, little-endian'
        )
    return values


def _short(pattern: str) -> str:
    """The path from its numbered folder on: the rest differs between machines."""
    parts = pathlib.PurePath(pattern).parts
    numbered = [index for index, part in enumerate(parts) if NUMBER in part]
    return '/'.join(parts[min(numbered, default=-1) :])

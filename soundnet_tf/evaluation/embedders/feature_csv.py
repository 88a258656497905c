"""Features in CSV files: a row for each time step, a column for each channel; errors name the line."""

import dataclasses
import functools
import itertools
import math
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError

LAYER, AGAIN = 'precomputed', 'Compute it again'
"""The layer of arrays without another name, and the advice in errors."""

FIX = 'Each line needs a cell for each column'

NAMES = ('path', 'file', 'filename', 'file_name', 'fname', 'name', 'clip', 'id', 'audio')
"""Columns of a table with the clip's file, of which the first that is there is used."""

TIMES = ('times', 'time', 'timestamp', 'start_s')

_METADATA = re.compile(
    r'((label|target|class|category|fold|split|subset|source|src|recording|file|clip|freesound|row|sample)s?'
    r'([ _-]?(id|idx|index|name|no|nr|number|code|file))?'
    r'|unnamed: ?\d+|index|idx|take|seed|esc10|esc50|start|end|end_s|onset|offset|duration|length|sample[ _-]?rate|)'
)
"""Names of columns that are about a clip and no features: the class, its fold, ...; an unnamed one numbers the rows."""


@dataclasses.dataclass(frozen=True)
class Features:
    """`[time, channels]` or `[channels]`, and the seconds from one time step to the next, if the file has them."""

    values: NDArray[Any]
    hop_s: float | None = None

    @classmethod
    def of(cls, values: NDArray[Any], times: Any, clip: str = '') -> 'Features':
        """With the step between the first two of `times` `[time]` in seconds, if there are any.

        Raises ValueError for times that do not increase, and for more or fewer than the values have time steps.
        """
        times = np.asarray([] if times is None else times, np.float64)
        if times.ndim != 1 or not len(times):
            return cls(values)
        steps = len(values) if np.ndim(values) > 1 else 1
        about = f' of {clip}' if clip else ''
        if np.ndim(values) < 3 and len(times) != steps:
            raise ValueError(f'{len(times)} times{about} for {steps} time steps')
        if len(times) < 2:
            return cls(values)
        hop_s = float(times[1] - times[0])
        if not 0 < hop_s < math.inf:
            raise ValueError(f'its times{about} are {hop_s} s apart')
        return cls(values, hop_s)


def of_clip(path: pathlib.Path) -> Mapping[str, Features]:
    """The features in a file of one clip, by layer; without a header each column is a channel."""
    lines = _lines(path)
    header = lines[0][1] if lines else []
    if not all(map(_is_number, header)):
        return {layer: features for _, layer, features in _of_rows(path, header, lines[1:])}
    for number, cells in lines:
        _check_width(path, number, len(cells), lines[0][0], len(header))
    columns = [str(number) for number in range(1, len(header) + 1)]
    return {LAYER: Features(_matrix(path, columns, lines))} if lines else {}


def of_clips(path: pathlib.Path) -> Iterator[tuple[str, str, Features]]:
    """Those in a file of many clips, which a column names: clip, layer and features."""
    (_, header), *lines = _lines(path) or [(0, [])]
    return _of_rows(path, header, lines, column_of(path, header, NAMES))


def column_of(path: pathlib.Path, header: Sequence[str], known: tuple[str, ...]) -> str:
    """The first column with one of these names, in any case. Raises SoundNetError if there is none."""
    for name in known:
        for column in header:
            if column.lower() == name:
                return column
    raise SoundNetError(
        f'{path}: no column {", ".join(known[:-1])} or {known[-1]}. Add one, or use a file for each clip'
    )


def _lines(path: pathlib.Path) -> list[tuple[int, list[str]]]:
    """The cells of each line with its number. Raises SoundNetError if they are not separated by commas."""
    lines = list(storage.csv_lines(path, AGAIN, undecodable='surrogateescape'))
    first = lines[0][1] if lines else []
    separator = next((mark for mark in ';\t' if any(mark in cell for cell in first)), '')
    if len(first) == 1 and len(numbers := first[0].split()) > 1 and all(map(_is_number, numbers)):
        separator = separator or ' '
    if separator:
        names = {';': 'semicolons', '\t': 'tabs', ' ': 'spaces'}
        raise SoundNetError(f'{path}: columns are separated by {names[separator]}. Separate them by commas')
    return lines


def _of_rows(
    path: pathlib.Path, header: Sequence[str], rows: Iterable[tuple[int, list[str]]], name: str = ''
) -> Iterator[tuple[str, str, Features]]:
    """Rows of a time step each, by clip and layer; channels are the columns `channel_...`, or else those of numbers."""
    time = next((column for column in header if column.lower() in TIMES), '')
    channels: list[str] = []
    lines: dict[tuple[str, str], list[tuple[int, list[str]]]] = {}
    times: dict[tuple[str, str], list[str]] = {}
    widths: dict[str, tuple[int, int]] = {}
    for number, all_cells in rows:
        if any(all_cells[len(header) :]):
            raise SoundNetError(f'{path}: line {number}: {len(all_cells)} cells, the header has {len(header)}. {FIX}')
        row = dict(itertools.zip_longest(header, all_cells[: len(header)], fillvalue=''))
        channels = channels or _channels(path, header, row, {name, time, 'layer'} - {''}, path if name else path.parent)
        cells = [row[column] for column in channels]
        # A layer with fewer channels than another leaves the last ones empty.
        while cells and not cells[-1]:
            cells.pop()
        layer = row.get('layer') or LAYER
        _check_width(path, number, len(cells), *widths.setdefault(layer, (number, len(cells))))
        lines.setdefault((row.get(name, ''), layer), []).append((number, cells))
        times.setdefault((row.get(name, ''), layer), []).append(row.get(time, ''))
    for (clip, layer), own in lines.items():
        at = times[clip, layer]
        stated = [float(cell) for cell in at] if at[0] else None
        yield clip, LAYER if len(widths) < 2 else layer, Features.of(_matrix(path, channels, own), stated, clip)


def _channels(
    path: pathlib.Path, header: Sequence[str], row: Mapping[str, str], others: set[str], where: pathlib.Path
) -> list[str]:
    """The columns of channels, by the first row. Raises SoundNetError if there are none; `where` is for a warning."""
    if channels := [column for column in header if column.startswith('channel_')]:
        return channels
    numeric = [column for column in header if column not in others and _is_number(row[column])]
    channels = [column for column in numeric if not _is_metadata(column)]
    if len(channels) < len(numeric):
        _warn(where, tuple(column or '(no name)' for column in numeric if column not in channels))
    if not channels:
        raise SoundNetError(f'{path}: no column of features. Use columns of numbers, such as channel_1, channel_2')
    return channels


def _is_metadata(column: str) -> bool:
    own = column.strip().lower()
    return own in (*NAMES, *TIMES) or _METADATA.fullmatch(own) is not None


@functools.cache
def _warn(where: pathlib.Path, columns: tuple[str, ...]) -> None:
    """Once for a table, and once for all files of a folder with the same columns."""
    from absl import logging

    names = storage.printable(', '.join(columns))
    logging.warning('%s: columns of metadata are not used as features: %s. Rename a column that is one', where, names)


def _check_width(path: pathlib.Path, number: int, width: int, first: int, wanted: int) -> None:
    if width != wanted:
        raise SoundNetError(f'{path}: line {number}: {width} channels, line {first} has {wanted}. {FIX}')


def _matrix(path: pathlib.Path, columns: Sequence[str], lines: Sequence[tuple[int, list[str]]]) -> NDArray[np.float32]:
    """`[lines, channels]`. Raises SoundNetError, which names the line, for a cell that is not a number."""
    try:
        return np.array([cells for _, cells in lines], np.float32)
    except ValueError:
        for number, cells in lines:
            for column, cell in zip(columns, cells, strict=False):
                if not _is_number(cell):
                    raise SoundNetError(
                        f'{path}: line {number}: column {column}: {storage.printable(cell)[:50]!r} is not a number. '
                        'Use numbers only, or remove the line'
                    ) from None
        raise


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True

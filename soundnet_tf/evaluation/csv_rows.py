"""Reading CSV files with a header; errors name the line."""

import pathlib
from collections.abc import Mapping, Sequence

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError


def rows(path: pathlib.Path, needed: Sequence[str], optional: Sequence[str]) -> list[tuple[str, Mapping[str, str]]]:
    """The rows of a CSV with a header, each with its file and line. Raises SoundNetError for missing cells."""
    found = []
    there, lines = storage.csv_table(path)
    lacking = [column for column in needed if column not in there]
    if lacking:
        it_has = storage.printable(f'it has {", ".join(there)}'[:200]) if there else 'it is empty'
        it_has += ', and columns are separated by commas' if len(there) == 1 and set(there[0]) & set(';\t') else ''
        raise SoundNetError(f'{path}: no column {lacking[0]!r} in the header; {it_has}')
    for number, cells in lines:
        where = f'{path}: line {number}'
        row = {column: cells.get(column, '').strip() for column in (*needed, *optional)}
        for column in needed:
            if not row[column]:
                raise SoundNetError(f'{where}: no {column}')
        found.append((where, row))
    return found


def first_few(names: Sequence[str], count: int = 5) -> str:
    """The first names, and the number of the others."""
    more = f' and {len(names) - count} more' if len(names) > count else ''
    return ', '.join(names[:count]) + more


def fold(cell: str, where: str) -> int | None:
    """The fold in a cell; None if it is empty."""
    return integer(cell, 'fold', where) if cell else None


def integer(cell: str, column: str, where: str) -> int:
    """A whole number in a cell. Raises SoundNetError for anything else."""
    try:
        return int(cell)
    except ValueError:
        raise SoundNetError(f'{where}: {column} must be a whole number, got {cell!r}') from None

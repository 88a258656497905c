"""Reading CSV files with a header; errors name the line."""

import csv
import pathlib
from collections.abc import Mapping, Sequence

from soundnet_tf.errors import SoundNetError


def rows(path: pathlib.Path, needed: Sequence[str], optional: Sequence[str]) -> list[tuple[str, Mapping[str, str]]]:
    """The rows of a CSV with a header, each with its file and line. Raises SoundNetError for missing cells."""
    found = []
    try:
        with path.open(newline='', encoding='utf-8-sig') as file:
            reader = csv.DictReader(file, restval='')
            there = reader.fieldnames or ()
            lacking = [column for column in needed if column not in there]
            if lacking:
                it_has = f'it has {", ".join(there)}' if there else 'it is empty'
                it_has += (
                    ', and columns are separated by commas' if len(there) == 1 and set(there[0]) & set(';\t') else ''
                )
                raise SoundNetError(f'{path}: no column {lacking[0]!r} in the header; {it_has}')
            for cells in reader:
                where = f'{path}: line {reader.line_num}'
                row = {column: (cells.get(column) or '').strip() for column in (*needed, *optional)}
                for column in needed:
                    if not row[column]:
                        raise SoundNetError(f'{where}: no {column}')
                found.append((where, row))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SoundNetError(f'{path}: cannot be read as CSV in UTF-8 ({error})') from error
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

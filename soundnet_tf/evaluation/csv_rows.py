"""A CSV with a header, row by row, whose mistakes are told with their line."""

import csv
import pathlib
from collections.abc import Mapping, Sequence

from soundnet_tf.errors import SoundNetError


def rows(path: pathlib.Path, needed: Sequence[str], optional: Sequence[str]) -> list[tuple[str, Mapping[str, str]]]:
    """The rows of a CSV with a header, each with where it stands; every needed cell is filled."""
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
                raise SoundNetError(f'{path}: the first line must name a column {lacking[0]}; {it_has}')
            for cells in reader:
                where = f'{path}: line {reader.line_num}'
                row = {column: (cells.get(column) or '').strip() for column in (*needed, *optional)}
                for column in needed:
                    if not row[column]:
                        raise SoundNetError(f'{where} has no {column}')
                found.append((where, row))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SoundNetError(f'{path} cannot be read as CSV in UTF-8 ({error})') from error
    return found


def some(names: Sequence[str], most: int = 5) -> str:
    """The first of them, and how many more there are."""
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more


def fold(cell: str, where: str) -> int | None:
    """The fold that a cell names; None for an empty one."""
    return whole(cell, 'fold', where) if cell else None


def whole(cell: str, column: str, where: str) -> int:
    """A cell that has to be a whole number."""
    try:
        return int(cell)
    except ValueError:
        raise SoundNetError(f'{where} has {column} {cell!r}, which is no whole number') from None

"""Results as tables, with the published numbers beside them."""

import dataclasses
import pathlib
import statistics
from collections.abc import Mapping, Sequence

from soundnet_tf import storage
from soundnet_tf.evaluation.bootstrap import LEVEL, Interval
from soundnet_tf.experiments.results import format_mean_std
from soundnet_tf.experiments.tables import TRUST, Table, TableRow
from soundnet_tf.study import measure
from soundnet_tf.study.effort import Effort
from soundnet_tf.study.material import Material

MARKDOWN, JSON = 'tables.md', 'tables.json'

DEFAULT = TableRow('', 'distilled')
"""The 8-layer net on its feature layer."""


NAMES = {'esc50': 'ESC-50', 'esc10': 'ESC-10', 'dcase': 'DCASE 2013', measure.VIDEOS: 'the videos'}
"""Names of the paper's data sets."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """The values, one for each seed, of a row on a data set; empty if all failed."""

    table: str
    row: str
    data: str
    values: tuple[float, ...]
    seeds: int
    """Number of seeds requested."""
    interval: Interval | None = None
    """Of an accuracy, that with the first seed."""

    def __str__(self) -> str:
        if not self.values:
            return 'failed'
        deviation = statistics.stdev(self.values) if len(self.values) > 1 else None
        seeds = f' ({len(self.values)} of {self.seeds} seeds)' if len(self.values) < self.seeds else ''
        interval = f' ({self.interval.text()})' if self.interval and self.seeds == 1 else ''
        return format_mean_std(statistics.fmean(self.values), deviation) + interval + seeds


def write(
    tables: Sequence[Table],
    material: Material,
    effort: Effort,
    cells: Sequence[Cell],
    out: pathlib.Path,
    compared: Mapping[str, Sequence[str]],
) -> pathlib.Path:
    """`out/tables.md` and `out/tables.json`; returns the first. `compared` are lines below a table, by its name."""
    by_row = {(cell.table, cell.row, cell.data): cell for cell in cells}
    parts = [
        f'# {material.name}',
        f'In %: the mean and standard deviation over seeds or, of a single one, the accuracy with its {LEVEL:.0%} '
        'bootstrap interval over recordings (over clips, where recordings are not known)'
        + (
            f'; width {effort.width:g}, {effort.steps:,} steps of {effort.batch} clips '
            f'of {effort.clip_s:g} s, {effort.epochs} epochs from scratch.'
            if material.records
            else '; nothing was trained.'
        ),
        *(f'Protocol of {name}: {effort.protocol(own, DEFAULT)}.' for name, own in material.data.items()),
        *(part for table in tables for part in (_table(table, material, by_row), *compared.get(table.name, ()))),
    ]
    if material.published:
        parts.append('Published: ' + '; '.join(f'{letter}, {source}' for letter, source in TRUST.items()) + '.')
    storage.write_text(out / MARKDOWN, '\n\n'.join(parts) + '\n')
    storage.write_json(
        out / JSON,
        {
            'material': material.name,
            'effort': effort.to_dict(),
            'cells': [
                dataclasses.asdict(cell) | {'mean': statistics.fmean(cell.values) if cell.values else None}
                for cell in cells
            ],
            'published': _published(tables) if material.published else [],
        },
    )
    return out / MARKDOWN


def _table(table: Table, material: Material, by_row: dict[tuple[str, str, str], Cell]) -> str:
    data = {name: own.stands_for for name, own in material.data.items() if own.stands_for in table.data}
    if measure.VIDEOS in table.data and material.videos:
        data[measure.VIDEOS] = measure.VIDEOS
    # Without data of ours only the published numbers are shown.
    columns = list(data.items()) or [(None, name) for name in table.data]
    head, rows = ['', *(name or NAMES[stands_for] for name, stands_for in columns)], []
    published = list(dict.fromkeys(stands_for for _, stands_for in columns)) if material.published else []
    head += [f'{NAMES[stands_for]}, published' for stands_for in published]
    for row in table.rows:
        # A study of nets that exist has nothing to say about most rows of the paper but its numbers.
        if not material.records and measure.lacking(row, material) and row.published.keys().isdisjoint(published):
            continue
        cells = [_cell(table, row, name, stands_for, material, by_row) for name, stands_for in columns]
        if material.published:
            cells += [_of_paper(row, stands_for) for stands_for in published]
        elif row.start == 'published':
            continue
        rows.append([row.name, *cells])
    if not rows or not (data or material.published):
        missing = 'records' if data else ' or '.join(table.data)
        return f'## {table.about}\n\nNot run: the material has no {missing}.'
    lines = [head, ['---'] * len(head), *rows]
    return f'## {table.about} ({table.measure})\n\n' + '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def _cell(
    table: Table,
    row: TableRow,
    data: str | None,
    stands_for: str,
    material: Material,
    by_row: dict[tuple[str, str, str], Cell],
) -> str:
    if data is not None and (table.name, row.name, data) in by_row:
        return str(by_row[table.name, row.name, data])
    if row.start == 'published':
        return ''
    why = measure.lacking(row, material) or (f'no data that stands for {stands_for}' if data is None else None)
    return f'not run: {why}' if why else 'not run'


def _of_paper(row: TableRow, data: str) -> str:
    percent, letter = row.published.get(data, (0, ''))
    return f'{percent:g} {letter}' if letter else ''


def _published(tables: Sequence[Table]) -> list[dict[str, object]]:
    return [
        {'table': table.name, 'row': row.name, 'data': data, 'percent': percent, 'source': TRUST[letter]}
        for table in tables
        for row in table.rows
        for data, (percent, letter) in row.published.items()
    ]

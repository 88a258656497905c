"""A study: every row of some tables, with every seed, on all data of the material; it can be resumed.

made = world.make(pathlib.Path('study/world'), world.Scale())
grid.run(TABLES, made, DEMO, seeds=3, out=pathlib.Path('study'))
"""

import dataclasses
import hashlib
import logging
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import tqdm

from soundnet_tf import progress, storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation.bootstrap import Interval
from soundnet_tf.experiments.tables import Table, TableRow
from soundnet_tf.study import collect, existing, measure, paired, trained
from soundnet_tf.study.effort import Effort
from soundnet_tf.study.material import Material

STUDY, AGAIN = 'study.json', 'Remove it, and run the study again'

DETERMINISTIC = ('mfcc', 'existing')
"""Rows that need one seed only."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One number: a row on a data set with a seed."""

    row: TableRow
    data: str
    seed: int

    @property
    def name(self) -> str:
        """The same for rows that differ in their names only."""
        own = {
            f.name: getattr(self.row, f.name)
            for f in dataclasses.fields(TableRow)
            if f.name not in ('name', 'published', 'weights', 'fingerprint')
        }
        digest = hashlib.sha256(repr(own).encode()).hexdigest()[:8]
        return f'{trained.name_of(self.row)}-{self.row.layer or "own"}-{digest}-{self.data}-seed{self.seed}'

    @property
    def title(self) -> str:
        """For messages."""
        return f'{self.row.name} on {self.data}' + (f', seed {self.seed}' if self.seed else '')


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The number of results of this run and of earlier ones, and the errors by job."""

    done: int
    before: int
    failed: dict[str, str]
    tables: pathlib.Path


def run(
    tables: Sequence[Table], material: Material, effort: Effort, seeds: int, out: pathlib.Path, source: str = ''
) -> Outcome:
    """Measure what is not measured yet; write `out/tables.md` and `out/tables.json` after each number.

    All rows with one seed come before the next seed. A row that fails, for example by a loss that is NaN, is
    reported and counted, and the others continue. Raises SoundNetError if `out` was started with other settings, if
    another process is running there, if a net of the material cannot be loaded, which names the material's file
    `source`, or if there is nothing to measure.
    """
    tables = existing.with_rows(tables, material.nets, source or material.name)
    if not list(_jobs(tables, material, seeds)):
        raise SoundNetError(f'{material.name}: nothing to measure in {_why_empty(tables, material)}')
    with storage.exclusive(out / STUDY, out):
        _begin(out, material, effort)
        return _run(tables, material, effort, seeds, out)


def _run(tables: Sequence[Table], material: Material, effort: Effort, seeds: int, out: pathlib.Path) -> Outcome:
    # TensorFlow warns of retracing for every new net.
    logging.getLogger('tensorflow').setLevel(logging.ERROR)
    # Rows of several tables may differ in their names only.
    jobs: dict[str, Job] = {}
    for job in _jobs(tables, material, seeds):
        jobs.setdefault(job.name, job)
    waiting = {name: job for name, job in jobs.items() if not _path(out, job).exists()}
    layers_of: dict[tuple[str, str, int], list[str | None]] = {}
    for job in waiting.values():
        layers_of.setdefault(_net(job), []).append(job.row.layer)
    failed: dict[str, str] = {}
    with progress.bar(total=len(jobs), initial=len(jobs) - len(waiting), unit='row', keep=True) as bar:
        for name, job in waiting.items():
            bar.set_postfix_str(job.title)
            try:
                layers = layers_of.pop(_net(job), ())
                found = measure.measure(job.row, job.data, material, effort, job.seed, out, layers)
            except SoundNetError as error:
                failed[name] = str(error)
                storage.write_json(_failure(out, job), {'error': str(error)})
                tqdm.tqdm.write(f'{job.title}: {error}')
            else:
                storage.write_json(_path(out, job), {'row': dataclasses.asdict(job.row), 'seed': job.seed, **found})
                _failure(out, job).unlink(missing_ok=True)
            # Frees graphs of nets that are no longer needed.
            keras.utils.clear_session()
            report(tables, material, effort, seeds, out)
            bar.update()
    written = report(tables, material, effort, seeds, out)
    return Outcome(len(waiting) - len(failed), len(jobs) - len(waiting), failed, written)


def report(tables: Sequence[Table], material: Material, effort: Effort, seeds: int, out: pathlib.Path) -> pathlib.Path:
    """Write the tables of what is measured so far."""
    cells = [
        collect.Cell(table.name, row.name, data, values, len(_seeds(row, seeds)), _interval(row, data, out))
        for table in tables
        for row in table.rows
        for data in _data(table, material)
        if (values := _values(row, data, seeds, out)) is not None
    ]
    compared = {
        table.name: [line for data in _data(table, material) for line in paired.lines(data, _nets(table, data, out))]
        for table in tables
    }
    return collect.write(tables, material, effort, cells, out, compared)


def _nets(table: Table, data: str, out: pathlib.Path) -> dict[str, pathlib.Path]:
    """The results of a table's nets that exist, by their rows."""
    paths = {row.name: _path(out, Job(row, data, 0)) for row in table.rows if row.start == 'existing'}
    return {name: path for name, path in paths.items() if path.exists() and 'evaluation' in _read(path)}


def _path(out: pathlib.Path, job: Job) -> pathlib.Path:
    return out / 'results' / f'{job.name}.json'


def _failure(out: pathlib.Path, job: Job) -> pathlib.Path:
    """The file with the error of the last attempt."""
    return _path(out, job).with_suffix('.failed')


def _values(row: TableRow, data: str, seeds: int, out: pathlib.Path) -> tuple[float, ...] | None:
    """The results of all seeds, without those that failed; None if nothing was run."""
    jobs = [Job(row, data, seed) for seed in _seeds(row, seeds)]
    found = [_value(path) for job in jobs if (path := _path(out, job)).exists()]
    return tuple(found) if found or any(_failure(out, job).exists() for job in jobs) else None


def _value(path: pathlib.Path) -> float:
    with storage.readable(path, AGAIN):
        return float(_read(path)['value'])


def _interval(row: TableRow, data: str, out: pathlib.Path) -> Interval | None:
    """That of the accuracy with the first seed; None of results without predictions of clips."""
    path = _path(out, Job(row, data, 0))
    with storage.readable(path, AGAIN):
        found = _read(path).get('evaluation', {}).get('interval') if path.exists() else None
        return Interval(*(found[field.name] for field in dataclasses.fields(Interval))) if found else None


def _read(path: pathlib.Path) -> dict[str, Any]:
    return storage.read_json(path, AGAIN)


def _jobs(tables: Sequence[Table], material: Material, seeds: int) -> Iterator[Job]:
    for seed in range(seeds):
        for table in tables:
            for row in table.rows:
                if seed in _seeds(row, seeds) and measure.lacking(row, material) is None:
                    for data in _data(table, material):
                        yield Job(row, data, seed)


def _net(job: Job) -> tuple[str, str, int]:
    """The same for jobs that need the same features, of one layer or another."""
    return trained.name_of(job.row), job.data, job.seed


def _why_empty(tables: Sequence[Table], material: Material) -> str:
    """What each table lacks, as text."""
    reasons = {}
    for table in tables:
        lacking = [measure.lacking(row, material) for row in table.rows if row.start != 'published']
        why = filter(None, lacking) if _data(table, material) else [f'no data for {" or ".join(table.data)}']
        reasons[table.name] = ', '.join(dict.fromkeys(why))
    return '; '.join(f'the table {name} ({why})' for name, why in reasons.items())


def _seeds(row: TableRow, seeds: int) -> range:
    return range(1 if row.start in DETERMINISTIC else seeds)


def _data(table: Table, material: Material) -> list[str]:
    """The material's data sets that stand for one of the table's."""
    if table.data == (measure.VIDEOS,):
        return [measure.VIDEOS] if material.videos else []
    return [name for name, own in material.data.items() if own.stands_for in table.data]


def _begin(out: pathlib.Path, material: Material, effort: Effort) -> None:
    settings = {'material': dataclasses.asdict(material), 'effort': effort.to_dict()}
    # A folder without study.json is not refused: the synthetic world may be in it.
    if (out / STUDY).exists():
        storage.begin(out / STUDY, settings, fixed=_fixed)
    else:
        storage.write_json(out / STUDY, settings)


def _fixed(settings: dict[str, Any]) -> Mapping[str, Any]:
    """The settings that other results depend on; nets that exist may be added at any time."""
    return settings | {'material': {key: value for key, value in settings['material'].items() if key != 'nets'}}

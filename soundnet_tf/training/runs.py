"""The folder of a run: its configuration, logs and results.

experiment.json   the experiment, the architecture, the data and its fingerprint, package versions, the command
log.csv           metrics of each step; `logs/` has the same for TensorBoard
validation.csv    metrics of the held-out shards, if there are any
checkpoints/      the last few, to resume from
best/, net/       saved nets
"""

import contextlib
import csv
import hashlib
import importlib.metadata
import io
import os
import pathlib
import signal
import statistics
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

import tensorflow as tf

from soundnet_tf import records, storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.nets import registry, saved
from soundnet_tf.records import folders, gfiles
from soundnet_tf.records.folders import Folders
from soundnet_tf.training.checkpoints import writing

ABOUT, LOG, VALIDATION, BOARD = 'experiment.json', 'log.csv', 'validation.csv', 'logs'

AGAIN = 'Remove it to continue without its rows'

CHANGEABLE = ('steps', 'save_every', 'decoder', 'distribution', 'validate_every', 'skip_bad_records')
"""Settings that may change when a run is resumed, since they do not affect the steps so far."""

PACKAGES = ('tensorflow', 'keras', 'numpy', 'soundnet_tf', 'miniaudio', 'tensorflow-io')


def fingerprint(folder: Folders) -> str:
    """Identifies a dataset by its cards and the summaries of its shards, or their sizes where there is no summary.

    Damage to a shard with a summary does not change it.
    """
    digest = hashlib.sha256()
    cards = [f'{one}/{records.CARD}' for one in folders.folders_of(folder)]
    for path in (*cards, *(f'{os.path.splitext(shard)[0]}.json' for shard in folders.paths_of(folder))):
        if gfiles.exists(path):
            digest.update(gfiles.read(path))
        else:
            shard = f'{os.path.splitext(path)[0]}.tfrecord'
            digest.update(b'%d' % (gfiles.size(shard) if gfiles.exists(shard) else 0))
    return digest.hexdigest()[:16]


def begin(
    run: pathlib.Path,
    experiment: Mapping[str, Any],
    spec: Mapping[str, Any],
    data: Folders,
    start_sha256: str | None = None,
) -> None:
    """Start a run folder, or resume it. Raises SoundNetError if it was started with other settings.

    `start_sha256` is that of the weights that training continues from.
    """
    about = {
        'experiment': experiment,
        'spec': spec,
        'data': {'folder': ', '.join(folders.folders_of(data)), 'sha256': fingerprint(data)},
        'versions': {name: _version(name) for name in PACKAGES},
        'command': sys.argv,
        'start_sha256': start_sha256,
    }
    storage.begin(run / ABOUT, about, fixed=_fixed)


def _fixed(about: Mapping[str, Any]) -> dict[str, Any]:
    training = about['experiment']['training']
    # The cosine schedule depends on the last step.
    changeable = set(CHANGEABLE) - ({'steps'} if training['schedule'] == 'cosine' else set())
    training = {key: value for key, value in training.items() if key not in changeable}
    return training | {'net': about['spec'], 'data': about['data']['sha256'], 'model': about.get('start_sha256')}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def saved_origin(folder: pathlib.Path) -> dict[str, Any] | None:
    """The origin of a saved net whose weights are those that were written; None of any other folder."""
    try:
        facts = saved.read_facts(folder)
        if storage.sha256(folder / saved.WEIGHTS) == facts['weights_sha256'] and registry.is_net(folder):
            return facts['origin']
    except (SoundNetError, OSError, KeyError):
        pass
    return None


def log_validation(run: pathlib.Path, step: int, metrics: Mapping[str, float]) -> None:
    """Add a row to validation.csv. A step that is repeated after a stop replaces its row and all later ones."""
    path, rows = run / VALIDATION, []
    if path.exists():
        rows = [row for number, row in _rows(path) if number < step]
    rows.append([str(step), *(f'{value:.6g}' for value in metrics.values())])
    _write_csv(path, [['step', *metrics], *rows])


def _rows(path: pathlib.Path) -> list[tuple[int, list[str]]]:
    """The rows of a log with their steps."""
    with storage.readable(path, AGAIN):
        return [(int(cells[0]), cells) for _, cells in storage.csv_lines(path, AGAIN) if cells[0].isdecimal()]


def _write_csv(path: pathlib.Path, rows: Iterable[Sequence[str]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    storage.write_text(path, text.getvalue())


@contextlib.contextmanager
def delay_signals() -> Iterator[None]:
    """SIGINT and SIGTERM are handled at the end of the block."""
    pending: list[tuple[int, FrameType | None]] = []
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in handlers:
        signal.signal(number, lambda number, frame: pending.append((number, frame)))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number, _ in pending[:1]:
            signal.raise_signal(number)


class Log:
    """Scalars by step, as CSV and for TensorBoard. A resumed run drops the rows after its checkpoint."""

    def __init__(self, run: pathlib.Path, done: int) -> None:
        self._path = run / LOG
        kept = _log_rows(self._path)
        _write_csv(self._path, (row for row in kept if row[0] == 'step' or int(row[0]) <= done))
        self._has_header = bool(kept)
        self._file = self._path.open('a', newline='')
        self._board = tf.summary.create_file_writer(str(run / BOARD))

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Write one row; the names must be the same in every call."""
        writer = csv.writer(self._file)
        with writing(self._path), self._board.as_default():
            if not self._has_header:
                writer.writerow(['step', *scalars])
                self._has_header = True
            writer.writerow([step, *(f'{value:.6g}' for value in scalars.values())])
            for name, value in scalars.items():
                tf.summary.scalar(name, value, step=step)

    def flush(self) -> None:
        """Write buffered rows to disk."""
        with writing(self._path):
            self._file.flush()
            self._board.flush()

    def close(self) -> None:
        """Write buffered rows to disk, and close the files."""
        with writing(self._path), self._file:
            self._board.close()


def last_losses(run: pathlib.Path, heads: Iterable[str]) -> dict[str, float]:
    """The mean loss of each head over the last 50 steps in the log, also those before a stop."""
    header, *rows = _log_rows(run / LOG) or [[]]
    with storage.readable(run / LOG, AGAIN):
        losses = [dict(zip(header, row, strict=False)) for row in rows[-50:]]
        return {head: statistics.fmean(float(row[f'loss/{head}']) for row in losses) for head in heads}


def _log_rows(path: pathlib.Path) -> list[list[str]]:
    """The header and the rows of the log; the last row may be incomplete after a crash, and is left out."""
    if not path.exists():
        return []
    header = next((cells for _, cells in storage.csv_lines(path, AGAIN)), [])
    rows = [header, *(row for _, row in _rows(path))] if header[:1] == ['step'] else []
    return [row for row in rows if len(row) == len(header)]

"""The folder of a run: what it is, and what it went through.

experiment.json   the experiment, the net's table, the data and its fingerprint, versions, the command
log.csv           losses and the rest, step by step; `logs/` holds the same for TensorBoard
validation.csv    the same of the held-out shards, where there are some
checkpoints/      to go on from
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
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

import tensorflow as tf

from soundnet_tf import records, storage

ABOUT, LOG, VALIDATION, BOARD = 'experiment.json', 'log.csv', 'validation.csv', 'logs'

FREE = ('steps', 'save_every', 'decoder', 'distribution', 'validate_every', 'skip_bad_records')
"""What may change when a run goes on: it does not change what is learned until then."""

PACKAGES = ('tensorflow', 'keras', 'numpy', 'soundnet_tf', 'miniaudio', 'tensorflow-io')


def fingerprint(folder: records.Path) -> str:
    """Says which dataset it is, by its card, and the summaries of its shards or else their sizes.

    A shard that was damaged since leaves it as it was, where it has a summary.
    """
    digest = hashlib.sha256()
    shards = records.shard_paths(folder, records.read_card(folder, whole=False).shards)
    for path in (f'{os.fspath(folder)}/{records.CARD}', *(f'{os.path.splitext(shard)[0]}.json' for shard in shards)):
        if tf.io.gfile.exists(path):
            with tf.io.gfile.GFile(path, 'rb') as file:
                digest.update(file.read())
        else:
            shard = f'{os.path.splitext(path)[0]}.tfrecord'
            digest.update(b'%d' % (tf.io.gfile.stat(shard).length if tf.io.gfile.exists(shard) else 0))
    return digest.hexdigest()[:16]


def begin(run: pathlib.Path, experiment: Mapping[str, Any], spec: Mapping[str, Any], data: records.Path) -> None:
    """Begin a run's folder, or go on with the same one. Raises SoundNetError where it was begun with another."""
    about = {
        'experiment': experiment,
        'spec': spec,
        'data': {'folder': str(data), 'sha256': fingerprint(data)},
        'versions': {name: _version(name) for name in PACKAGES},
        'command': sys.argv,
    }
    storage.begin(run / ABOUT, about, fixed=_fixed)


def _fixed(about: Mapping[str, Any]) -> dict[str, Any]:
    training = about['experiment']['training']
    # The cosine ends at the last step.
    free = set(FREE) - ({'steps'} if training['schedule'] == 'cosine' else set())
    training = {key: value for key, value in training.items() if key not in free}
    return training | {'net': about['spec'], 'data': about['data']['sha256']}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def note_validation(run: pathlib.Path, step: int, told: Mapping[str, float]) -> None:
    """A row of validation.csv; a step that comes again after a stop replaces its row, and those after it."""
    path, rows = run / VALIDATION, []
    if path.exists():
        with path.open(newline='') as file:
            rows = [row for row in list(csv.reader(file))[1:] if row and int(row[0]) < step]
    rows.append([str(step), *(f'{value:.6g}' for value in told.values())])
    _write_csv(path, [['step', *told], *rows])


def _write_csv(path: pathlib.Path, rows: Iterable[Sequence[str]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    storage.write_text(path, text.getvalue())


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """SIGINT and SIGTERM wait until the end of the block."""
    came: list[tuple[int, FrameType | None]] = []
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in usual:
        signal.signal(number, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)
        for number, _ in came[:1]:
            signal.raise_signal(number)


class Log:
    """Scalars by step, as CSV and for TensorBoard; a run that goes on drops what came after its checkpoint."""

    def __init__(self, run: pathlib.Path, done: int) -> None:
        path, kept = run / LOG, []
        if path.exists():
            with path.open(newline='') as file:
                # The last row may have been cut off in the middle.
                kept = [row for row in csv.reader(file) if row[:1] == ['step'] or (row and row[0].isdigit())]
        _write_csv(path, (row for row in kept if row[0] == 'step' or int(row[0]) <= done))
        self._begun = bool(kept)
        self._file = path.open('a', newline='')
        self._board = tf.summary.create_file_writer(str(run / BOARD))

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """One row; names are the same in every call."""
        writer = csv.writer(self._file)
        if not self._begun:
            writer.writerow(['step', *scalars])
            self._begun = True
        writer.writerow([step, *(f'{value:.6g}' for value in scalars.values())])
        with self._board.as_default():
            for name, value in scalars.items():
                tf.summary.scalar(name, value, step=step)

    def flush(self) -> None:
        """What was said so far is on the disk."""
        self._file.flush()
        self._board.flush()

    def close(self) -> None:
        self.flush()
        self._file.close()
        self._board.close()

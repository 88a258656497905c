"""The learning curves of a training run and the confusion matrices of an evaluation."""

import os
import pathlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError

MAX_POINTS = 150
"""Max points per curve; longer logs are averaged down."""

LOGS = {'log.csv': 'step', 'validation.csv': 'step', 'history.csv': 'epoch'}
"""Logs of soundnet-train and soundnet-finetune, and the column for the x axis."""

IGNORED_COLUMNS = ('clips_per_s', 'share_of_time_waiting_for_data', 'learning_rate')
"""Columns that are not learning curves."""


_HINT = 'Pass the result.json of soundnet-finetune, or what soundnet-evaluate --out wrote'


def files(run: str | None, evaluation: str | None) -> list[pathlib.Path]:
    """The files read for a run and an evaluation, whether they exist or not."""
    logs = [pathlib.Path(run) / log for log in LOGS] if run else []
    return [*logs, *([_result(evaluation)] if evaluation else [])]


def _result(evaluation: str | os.PathLike[str]) -> pathlib.Path:
    path = pathlib.Path(evaluation)
    return path / 'result.json' if path.is_dir() else path


def curves(run: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """One chart per metric, with a line per head and for validation data. Raises SoundNetError without a log."""
    charts: dict[str, dict[str, Any]] = {}
    for log, counter in LOGS.items():
        for column, x, y in _lines(pathlib.Path(run) / log, counter):
            quantity, _, head = column.partition('/')
            if quantity.startswith('validation_'):
                quantity, head = quantity.removeprefix('validation_'), 'validation'
            if log == 'validation.csv':
                head = f'{head} validation'.strip()
            chart = charts.setdefault(quantity, {'name': quantity, 'counter': counter, 'lines': []})
            chart['lines'].append({'name': head or 'training', 'x': x, 'y': y})
    there = [log for log in LOGS if (pathlib.Path(run) / log).is_file()]
    if there and not charts:
        raise SoundNetError(f'{run}: no finite values in {" or ".join(there)}. Pass the folder of another run')
    if not charts:
        raise SoundNetError(f'{run}: no {" or ".join(LOGS)}. Pass the folder of a training run')
    # With a single head, the total equals its loss.
    of_heads = [line['y'] for line in charts.get('loss', {}).get('lines', ()) if 'validation' not in line['name']]
    if 'total' in charts and of_heads == [charts['total']['lines'][0]['y']]:
        del charts['total']
    return list(charts.values())


def _lines(path: pathlib.Path, counter: str) -> list[tuple[str, list[float], list[float]]]:
    if not path.is_file():
        return []
    hint = 'Pass the folder of a training run'
    _, lines = storage.csv_table(path, hint)
    with storage.readable(path, hint):
        rows, found = [row for _, row in lines], []
        for column in rows[0] if rows else ():
            if column in (counter, *IGNORED_COLUMNS):
                continue
            there = np.array([(float(row[counter]), float(row[column])) for row in rows if row[column]])
            # The loss of a diverged run is NaN or infinite.
            there = there[np.isfinite(there).all(axis=1)] if there.size else there
            if len(there):
                x, y = there.T
                together = -(-len(x) // MAX_POINTS)
                parts = [slice(at, at + together) for at in range(0, len(x), together)]
                found.append((column, *([float(f'{v[part].mean():.6g}') for part in parts] for v in (x, y))))
        return found


def confusions(evaluation: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read the confusion matrices of a JSON file with `classes` and `confusion`, or of `result.json` in a folder.

    `confusion` is a matrix of clip counts (rows are true classes, columns are predictions) or a dict of matrices by
    name. A list, as soundnet-evaluate writes it, has the matrices of its rows. Raises SoundNetError if there is none.
    """
    path = _result(evaluation)
    result = storage.read_json(path, _HINT, kind=object)
    with storage.readable(path, _HINT):
        found = []
        for row in result if isinstance(result, list) else [result]:
            found += _matrices(path, row)
    if not found:
        raise SoundNetError(f'{path}: no confusion matrix. {_HINT}')
    return found


def _matrices(path: pathlib.Path, result: Any) -> list[dict[str, Any]]:
    if not isinstance(result, dict):
        raise ValueError('not a JSON object')
    # soundnet-evaluate writes recall and precision of each class beside its name.
    classes = [str(own['label'] if isinstance(own, dict) else own) for own in result['classes']]
    embedder, confusion, found = result.get('embedder', {}), result['confusion'], []
    title = f'{embedder["name"]}, {embedder["layer"]}' if embedder else ''
    for name, matrix in (confusion if isinstance(confusion, dict) else {title: confusion}).items():
        try:
            counts = np.array(matrix, float)
        except (ValueError, TypeError, OverflowError, RecursionError):
            counts = np.zeros([0])
        if counts.shape != (len(classes), len(classes)) or not _are_counts(counts):
            size, which = f'{len(classes)} x {len(classes)}', storage.printable(name) or 'confusion'
            raise SoundNetError(f'{path}: {which} is not a {size} matrix of clip counts. {_HINT}')
        right = float(np.trace(counts) / max(1, counts.sum()))
        found.append({'name': name, 'classes': classes, 'counts': counts.astype(int).tolist(), 'accuracy': right})
    return found


def _are_counts(values: NDArray[np.float64]) -> bool:
    return bool(np.isfinite(values).all() and (values >= 0).all() and (values == values.round()).all())

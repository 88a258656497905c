"""The files of a run: settings, history and results, each written atomically."""

import csv
import io
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soundnet_tf import storage
from soundnet_tf.storage import arrays
from soundnet_tf.training.runs import saved_origin

RUN, HISTORY, RESULT, HELD_OUT = 'run.json', 'history.csv', 'result.json', 'held_out.npz'

EpochMetrics = dict[str, float | None]
"""One epoch, by column; None where the held-out clips were not evaluated."""


def _read(path: pathlib.Path) -> Any:
    return storage.read_json(path, _hint(path.parent))


def _hint(out: pathlib.Path) -> str:
    return f'Use another --out, or remove {out}'


def read_history(out: pathlib.Path, epochs: int) -> list[EpochMetrics]:
    """The rows of the first `epochs`: those after the last checkpoint are repeated."""
    path = out / HISTORY
    if not path.exists():
        return []
    hint = _hint(out)
    _, lines = storage.csv_table(path, hint)
    with storage.readable(path, hint):
        rows = [{key: _number(cell) if cell else None for key, cell in row.items()} for _, row in lines]
        return [row for row in rows if (row['epoch'] or 0) <= epochs]


def _number(cell: str) -> float:
    return int(cell) if cell.isdigit() else float(cell)


def write_history(out: pathlib.Path, rows: Sequence[EpochMetrics]) -> None:
    """Write all epochs so far."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[-1]), lineterminator='\n')
    writer.writeheader()
    # As JSON, so that numbers are read back exactly.
    writer.writerows({key: '' if value is None else json.dumps(value) for key, value in row.items()} for row in rows)
    storage.write_text(out / HISTORY, text.getvalue())


def write_held_out(out: pathlib.Path, arrays: Mapping[str, ArrayLike]) -> None:
    """Write the logits of the held-out clips, by `test` and `validation`.

    `test_clips` are indices of the data set's clips, `test_truth` their classes, `test_logits` `[clips, classes]`.
    """
    with storage.whole_file(out / HELD_OUT) as file:
        np.savez(file, **arrays)


def read_held_out(out: pathlib.Path) -> dict[str, NDArray[Any]]:
    """Read what `write_held_out` wrote. Raises SoundNetError if it is missing or damaged."""
    return arrays.read_npz(out / HELD_OUT, f'Remove {out}, and run it again')


def read_result(out: pathlib.Path) -> dict[str, Any] | None:
    """The result of a finished run; None while it is not finished, or if its net is damaged."""
    path = out / RESULT
    return _read(path) if path.exists() and saved_origin(out / 'net') is not None else None


def write_result(out: pathlib.Path, result: Mapping[str, Any]) -> None:
    """Write the result, which marks the run as finished."""
    storage.write_json(out / RESULT, result)

"""The files of a run: how it was begun, what each epoch gave, and what came of it. Each is whole or not there."""

import csv
import io
import json
import pathlib
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError

RUN, HISTORY, RESULT, HELD_OUT = 'run.json', 'history.csv', 'result.json', 'held_out.npz'

Row = dict[str, float | None]
"""One epoch, by column; None where the held-out clips were not looked at."""


def _read(path: pathlib.Path) -> Any:
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise SoundNetError(f'{path} is damaged ({error}): choose another folder, or remove {path.parent}') from error


def read_history(out: pathlib.Path, epochs: int) -> list[Row]:
    """The rows of the first so many epochs: what came after the last checkpoint will come again."""
    path = out / HISTORY
    if not path.exists():
        return []
    with path.open(newline='') as file:
        rows = [{key: json.loads(cell or 'null') for key, cell in row.items()} for row in csv.DictReader(file)]
    return [row for row in rows if (row['epoch'] or 0) <= epochs]


def write_history(out: pathlib.Path, rows: Sequence[Row]) -> None:
    """All epochs so far."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[-1]), lineterminator='\n')
    writer.writeheader()
    # As JSON, so that a number read again is the same number.
    writer.writerows({key: '' if value is None else json.dumps(value) for key, value in row.items()} for row in rows)
    storage.write_text(out / HISTORY, text.getvalue())


def write_held_out(out: pathlib.Path, arrays: Mapping[str, ArrayLike]) -> None:
    """What the net says of the held-out clips, by `test` and `validation`.

    `test_clips` are indices of the data set's clips, `test_truth` their classes, `test_logits` `[clips, classes]`.
    """
    with storage.whole_file(out / HELD_OUT) as file:
        np.savez(file, **arrays)


def read_held_out(out: pathlib.Path) -> dict[str, NDArray[Any]]:
    """As it was written. Raises SoundNetError where it is not there, or damaged."""
    try:
        with np.load(out / HELD_OUT, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SoundNetError(f'{out / HELD_OUT} cannot be read ({error}): remove {out}, and run it again') from error


def read_result(out: pathlib.Path) -> dict[str, Any] | None:
    """What a finished run came to."""
    path = out / RESULT
    return _read(path) if path.exists() and (out / 'net').is_dir() else None


def write_result(out: pathlib.Path, result: Mapping[str, Any]) -> None:
    """The end of a run."""
    storage.write_json(out / RESULT, result)

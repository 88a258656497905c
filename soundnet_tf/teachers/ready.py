"""Posteriors that were computed elsewhere: one file per video."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import labels as label_files
from soundnet_tf.errors import SoundNetError
from soundnet_tf.records import Kind
from soundnet_tf.teachers.options import Wanted, read_labels
from soundnet_tf.teachers.view import View

ROUNDING = 0.01
"""By so much may rows of probabilities that were stored as float16 miss the sum of 1."""


@dataclasses.dataclass
class ReadyTeacher:
    """Posteriors computed elsewhere: `FOLDER/ID.npy`, `[frames, classes]`; surplus frames are left out."""

    name: str
    labels: tuple[str, ...]
    folder: pathlib.Path
    kind: Kind = 'probabilities'
    source: str = ''
    side: int = 0

    def look(self, views: Sequence[View]) -> list[NDArray[np.float32] | str]:
        """Per view `[count, classes]` of its video's file, or in words what is wrong with the file."""
        answers = [(view, self._of(view.id)) for view in views]
        return [rows if isinstance(rows, str) else rows[view.first : view.first + view.count] for view, rows in answers]

    def _of(self, id: str) -> NDArray[np.float32] | str:
        # A manifest's absolute path, taken as an id, must not lead out of the folder.
        path = self.folder / f'{id.lstrip("/")}.npy'
        values = _read(path)
        if isinstance(values, str):
            return values
        if values.shape[1] != len(self.labels):
            return f'{path} is {list(values.shape)}, not [frames, {len(self.labels)}]'
        if self.kind == 'probabilities' and not _are_probabilities(values):
            return f'{path} has rows that are no probabilities: they do not sum to 1'
        return values


def load(wanted: Wanted) -> ReadyTeacher:
    """The teacher whose folder `wanted` names; its first file tells classes and kind where the options do not."""
    folder = pathlib.Path(wanted.where).absolute()
    names = read_labels(wanted.name, wanted.options)
    wrong = None
    for path in folder.rglob('*.npy'):
        values = _read(path)
        if not isinstance(values, str) and len(names or values[0]) == values.shape[1]:
            break
        wrong = wrong or (values if isinstance(values, str) else f'{path} is {list(values.shape)}')
    else:
        what = f'; {wrong}' if wrong else ''
        raise SoundNetError(
            f'teacher {wanted.name}: {folder} holds neither a SavedModel nor posteriors '
            f'ID.npy of shape [frames, {len(names) or "classes"}]{what}'
        )
    kind = wanted.options.get('kind') or ('probabilities' if _are_probabilities(values) else 'logits')
    classes = values.shape[1]
    names = names or label_files.shipped(wanted.name, classes) or label_files.numbered(classes)
    return ReadyTeacher(wanted.name, names, folder, cast(Kind, kind), str(folder))


def _read(path: pathlib.Path) -> NDArray[np.float32] | str:
    """`[frames, classes]` of finite numbers, or in words why not."""
    try:
        values = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        return f'there is no {path}'
    except (OSError, ValueError, EOFError) as error:
        return f'{path} cannot be read ({error})'
    if not isinstance(values, np.ndarray) or values.ndim != 2 or not values.size or values.dtype.kind not in 'fiu':
        return f'{path} is {list(getattr(values, "shape", []))}, not [frames, classes] of numbers'
    return values.astype(np.float32) if np.isfinite(values).all() else f'{path} holds NaN or infinity'


def _are_probabilities(values: NDArray[np.float32]) -> bool:
    return bool((values >= 0).all() and (abs(values.sum(axis=1) - 1) <= ROUNDING).all())

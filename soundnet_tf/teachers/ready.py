"""Posteriors that were computed elsewhere: in a folder of arrays, an HDF5 file, or the authors' released layout."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import labels as label_files
from soundnet_tf.errors import SoundNetError
from soundnet_tf.records import Kind
from soundnet_tf.teachers import hdf5, released
from soundnet_tf.teachers.hdf5 import Hdf5
from soundnet_tf.teachers.options import Wanted, outline, read_labels
from soundnet_tf.teachers.store import Rows, Store, names, probable
from soundnet_tf.teachers.view import View

T = TypeVar('T')

ROUNDING = 0.01
"""By so much may rows of probabilities that were stored as float16 miss the sum of 1."""
GLANCE = 64
"""So many rows tell probabilities from logits."""


@dataclasses.dataclass
class ReadyTeacher:
    """Posteriors computed elsewhere, `[frames, classes]` per video; surplus frames are left out."""

    name: str
    labels: tuple[str, ...]
    store: Store
    kind: Kind = 'probabilities'
    source: str = ''
    rounding: float = ROUNDING
    side: int = 0

    def look(self, views: Sequence[View]) -> list[NDArray[np.float32] | str]:
        """Per view the rows of its frames, as many as are kept, or in words what is wrong with them."""
        return [self._of(view) for view in views]

    def _of(self, view: View) -> NDArray[np.float32] | str:
        found = self.store.find(view.id)
        if isinstance(found, str):
            return found
        wrong = found.misfit(len(self.labels))
        values = wrong or found.take(view.first, view.count)
        if isinstance(values, str):
            return values
        if self.kind == 'probabilities' and not probable(values, self.rounding).all():
            return f'{found.place} has rows that are no probabilities: they do not sum to 1'
        return values


@dataclasses.dataclass(frozen=True)
class Folder:
    """`FOLDER/ID.npy` per video."""

    path: pathlib.Path

    def find(self, id: str) -> Rows | str:
        tried = [self.path / f'{name}.npy' for name in names(id)]
        for path in tried:
            rows = _open(path)
            if rows is not None:
                return rows
        return f'there is no {" and no ".join(map(str, tried))}'

    def first(self, glance: Callable[[Rows | str], T | None]) -> T | None:
        """What `glance` says of the first file that it says anything of."""
        said = (glance(_open(path) or f'{path} is gone') for path in self.path.rglob('*.npy'))
        return next((something for something in said if something is not None), None)


def _open(path: pathlib.Path) -> Rows | str | None:
    """The array in a file, of which nothing is read yet; in words why it cannot be; None if there is no file."""
    try:
        values = np.load(path, mmap_mode='r', allow_pickle=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as error:
        return f'{path} cannot be read ({error})'
    if not isinstance(values, np.ndarray):
        values.close()
        return f'{path} is an archive of arrays, not [frames, classes] of numbers'
    return Rows(values, str(path))


def load(wanted: Wanted) -> ReadyTeacher:
    """The teacher whose posteriors `wanted` names; what is kept tells classes and kind where the options do not."""
    named = read_labels(wanted.name, wanted.options)
    if wanted.form == 'released':
        store = released.load(wanted, len(named))
        labels = _labels(wanted.name, named, store.classes)
        return ReadyTeacher(wanted.name, labels, store, source=store.source, rounding=released.ROUNDING)
    path = pathlib.Path(wanted.where).absolute()
    if path.is_dir():
        return _explored(wanted, named, Folder(path), str(path), 'neither a SavedModel nor posteriors ID.npy')
    source = f'{path.name} (outline {outline([path])})'
    return _explored(wanted, named, hdf5.load(wanted.name, path), source, 'no dataset per video')


def _explored(wanted: Wanted, named: tuple[str, ...], store: Folder | Hdf5, source: str, holds: str) -> ReadyTeacher:
    """A teacher around `store`, of which one video tells classes and kind."""
    wrong = ''

    def glance(rows: Rows | str) -> tuple[int, Kind] | None:
        nonlocal wrong
        about = _about(rows, len(named) or None, cast(Kind | None, wanted.options.get('kind')))
        if not isinstance(about, str):
            return about
        wrong = wrong or f'; {about}'
        return None

    found = store.first(glance)
    if found is None:
        raise SoundNetError(
            f'teacher {wanted.name}: {wanted.where} holds {holds} of shape [frames, {len(named) or "classes"}]{wrong}'
        )
    classes, kind = found
    return ReadyTeacher(wanted.name, _labels(wanted.name, named, classes), store, kind, source)


def _about(rows: Rows | str, classes: int | None, told: Kind | None) -> tuple[int, Kind] | str:
    """How many classes these rows have, and their kind; or in words why they do not tell."""
    values = rows if isinstance(rows, str) else rows.misfit(classes) or rows.take(0, GLANCE)
    if isinstance(values, str):
        return values
    if told or probable(values, ROUNDING).all():
        return values.shape[1], told or 'probabilities'
    if ((values < 0) | (values > 1)).any():
        return values.shape[1], 'logits'
    return f'{cast(Rows, rows).place} is from 0 to 1 and does not sum to 1: kind=logits or kind=probabilities tells'


def _labels(name: str, named: tuple[str, ...], classes: int) -> tuple[str, ...]:
    return named or label_files.shipped(name, classes) or label_files.numbered(classes)

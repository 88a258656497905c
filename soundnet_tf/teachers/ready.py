"""Posteriors computed elsewhere: a folder of arrays, an HDF5 file, or the layout of the authors."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import labels as label_files
from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.records import Kind
from soundnet_tf.storage import arrays
from soundnet_tf.teachers import hdf5, released
from soundnet_tf.teachers.hdf5 import Hdf5
from soundnet_tf.teachers.options import Wanted, outline, read_labels, refuse_background
from soundnet_tf.teachers.store import Rows, Store, names, probable
from soundnet_tf.teachers.view import View

T = TypeVar('T')

ROUNDING = 0.01
"""Tolerance of the sum of probabilities that were stored as float16."""
GLANCE = 64
"""Rows that are checked to tell probabilities from logits."""


@dataclasses.dataclass
class ReadyTeacher:
    """Posteriors computed elsewhere, `[frames, classes]` per video; surplus frames are ignored."""

    name: str
    labels: tuple[str, ...]
    store: Store
    kind: Kind = 'probabilities'
    source: str = ''
    rounding: float = ROUNDING
    side: int = 0

    def look(self, views: Sequence[View]) -> list[NDArray[np.float32] | str]:
        """Per view the rows of its frames, as far as they exist, or the reason why not."""
        return [self._of_any(view) for view in views]

    def _of_any(self, view: View) -> NDArray[np.float32] | str:
        try:
            return self._of(view)
        except Exception as error:  # of one damaged file, which concerns one video
            return f'{type(error).__name__}: {storage.reason(error)}'

    def _of(self, view: View) -> NDArray[np.float32] | str:
        if '..' in view.id.split('/'):
            return f'the id {view.id!r} leads out of a folder. Use a CSV with an id column'
        found = self.store.find(view.id)
        if isinstance(found, str):
            return found
        wrong = found.misfit(len(self.labels))
        values = wrong or found.take(view.first, view.count)
        if isinstance(values, str):
            return values
        if self.kind == 'probabilities' and not probable(values, self.rounding).all():
            return f'{found.place}: rows are not probabilities, they do not sum to 1'
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
        return f'no file {" or ".join(map(str, tried))}'

    def first(self, glance: Callable[[Rows | str], T | None]) -> T | None:
        """The first result of `glance` that is not None."""
        results = (glance(_open(path) or f'{path}: no such file') for path in self.path.rglob('*.npy'))
        return next((result for result in results if result is not None), None)


def _open(path: pathlib.Path) -> Rows | str | None:
    """The memory-mapped array of a file; the reason if it cannot be read; None if there is no file."""
    try:
        return Rows(arrays.read_npy(path, mapped=True), str(path))
    except SoundNetError as error:
        return None if isinstance(error.__cause__, FileNotFoundError) else str(error)


def load(wanted: Wanted) -> ReadyTeacher:
    """The teacher of ready posteriors; classes and kind are detected unless the options specify them."""
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
    """A teacher from `store`; classes and kind are detected from one video."""
    wrong = ''

    def glance(rows: Rows | str) -> tuple[int, Kind] | None:
        nonlocal wrong
        about = _about(rows, len(named) or None, cast(Kind | None, wanted.options.get('kind')))
        if not isinstance(about, str):
            return about
        wrong = wrong or f': {about}'
        return None

    found = store.first(glance)
    if found is None and named:
        # Whether they would fit without their first name.
        classes = len(named) - 1
        if store.first(lambda rows: None if isinstance(rows, str) or rows.misfit(classes) else True):
            refuse_background(wanted.name, wanted.where, named, classes, wanted.options)
    if found is None:
        raise SoundNetError(
            f'teacher {wanted.name}: {wanted.where} has {holds} of shape [frames, {len(named) or "classes"}]{wrong}'
        )
    classes, kind = found
    return ReadyTeacher(wanted.name, _labels(wanted.name, named, classes), store, kind, source)


def _about(rows: Rows | str, classes: int | None, kind: Kind | None) -> tuple[int, Kind] | str:
    """The number of classes of these rows, and their kind; or why they are ambiguous."""
    values = rows if isinstance(rows, str) else rows.misfit(classes) or rows.take(0, GLANCE)
    if isinstance(values, str):
        return values
    if kind or probable(values, ROUNDING).all():
        return values.shape[1], kind or 'probabilities'
    if ((values < 0) | (values > 1)).any():
        return values.shape[1], 'logits'
    return (
        f'{cast(Rows, rows).place} has values from 0 to 1 that do not sum to 1. Pass kind=logits or kind=probabilities'
    )


def _labels(name: str, named: tuple[str, ...], classes: int) -> tuple[str, ...]:
    return named or label_files.shipped(name, classes) or label_files.numbered(classes)

"""Videos with labels, from a CSV: columns path (relative to the CSV), labels (between `;`) and fold."""

import collections
import dataclasses
import os
import pathlib

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation import csv_rows


@dataclasses.dataclass(frozen=True)
class Video:
    """A video file and its labels."""

    path: str
    labels: tuple[str, ...]
    fold: int


@dataclasses.dataclass(frozen=True)
class Videos:
    """Videos of two folds or more; every class has videos inside and outside each fold."""

    name: str
    classes: tuple[str, ...]
    videos: tuple[Video, ...]

    @property
    def folds(self) -> tuple[int, ...]:
        """In order."""
        return tuple(sorted({video.fold for video in self.videos}))

    @property
    def truth(self) -> NDArray[np.bool_]:
        """`[videos, classes]`: the labels as booleans."""
        return np.array([[label in video.labels for label in self.classes] for video in self.videos])

    def fold_of(self) -> NDArray[np.int64]:
        """`[videos]`."""
        return np.array([video.fold for video in self.videos])


def load(path: str | os.PathLike[str]) -> Videos:
    """Read the list. Raises SoundNetError if a file is missing or a fold has all or none of a class."""
    path, found = pathlib.Path(path), []
    for where, row in csv_rows.rows(path, ('path', 'labels', 'fold'), ()):
        labels = tuple(dict.fromkeys(label.strip() for label in row['labels'].split(';') if label.strip()))
        file = os.path.normpath(path.parent / row['path'])
        if not os.path.isfile(file):
            raise SoundNetError(f'{where}: no such file: {file}')
        found.append(Video(file, labels, csv_rows.integer(row['fold'], 'fold', where)))
    twice = [file for file, n in collections.Counter(video.path for video in found).items() if n > 1]
    if twice:
        raise SoundNetError(f'{path}: {twice[0]} is listed twice. List each video once')
    videos = Videos(path.stem, tuple(sorted({label for video in found for label in video.labels})), tuple(found))
    if len(videos.folds) < 2:
        raise SoundNetError(f'{path}: at least 2 folds needed, got {len(videos.folds)}')
    for fold in videos.folds:
        inside, outside = (videos.truth[(videos.fold_of() == fold) == within] for within in (True, False))
        for label, held_out, left in zip(videos.classes, inside.sum(axis=0), outside.sum(axis=0), strict=True):
            if not held_out or not left:
                raise SoundNetError(
                    f'{path}: {"all" if held_out else "none"} of {label!r} are in fold {fold}. '
                    'Assign the folds so that each class is inside and outside of every fold'
                )
            if left == len(outside):
                raise SoundNetError(
                    f'{path}: all videos outside fold {fold} have the label {label!r}. Remove that label'
                )
    return videos

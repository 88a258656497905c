"""Teachers look at frames and say what they see: posteriors, or logits, over their own classes.

The paper's teachers are VGG16 on ImageNet (1000 objects) and on Places (401 scenes); any network
that names what is in a picture will do. A teacher is written `NAME=WHERE[,option=value...]`:

    imagenet=mobilenet.tflite,labels=imagenet.txt      a TFLite file
    imagenet=keras:VGG16,weights=vgg16.h5              a Keras application
    places=places365.keras,labels=places.txt           a saved Keras model
    places=places365/,labels=places.txt                a SavedModel (its serving signature)
    places=posteriors/,labels=places.txt               ready: posteriors/ID.npy, [frames, classes] per video
    places=posteriors.h5,labels=places.txt             ready: an HDF5 dataset ID, [frames, classes] per video
    imagenet=B%04d/prob,frames=frames_%04d.txt         ready: as SoundNet's authors keep theirs, see below

Options: `labels` a file with one name per line; `scale` what the network takes, `0..255` (default),
`0..1`, `-1..1`, `caffe` (BGR less the ImageNet mean); `crop` the part of the shorter side that it
sees, 0.875 by default; `drop=0` to leave out a class (a first class called background goes by
itself); `kind` `probabilities` or `logits` where the outputs do not tell. A Keras application knows
its own scale; it has as many classes as `labels` names.

Ready posteriors are found by the video's id, with or without the extension of a sound or video file:
for `a.mp3` there is `a.mp3.npy`, or `a.npy`; the same names serve in an HDF5 file, whose groups are an
id's folders. The authors' layout is a list of frames, a line `/any/folder/VIDEO/00000001.jpg` each,
and a binary of their rows in that order, float32, little-endian: 1000 numbers for `imagenet`, 401 for
`places`, for another name as many as `labels` names. `%04d` stands for the number of a part, 0001 for
the first, and both are needed of each part. An id there is the end of the path of the frames' folder,
from where folders differ on: `12/a.mp4.mp3` or `12/a.mp3` for `/any/folder/12/a.mp4/00000001.jpg`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from soundnet_tf import labels as label_files
from soundnet_tf.errors import SoundNetError
from soundnet_tf.records import Kind
from soundnet_tf.teachers import networks, ready
from soundnet_tf.teachers.networks import Run
from soundnet_tf.teachers.options import number, read_labels, take_apart
from soundnet_tf.teachers.ready import ReadyTeacher
from soundnet_tf.teachers.view import Frame, View

__all__ = ['Frame', 'NetworkTeacher', 'ReadyTeacher', 'Teacher', 'View', 'network_teacher', 'parse', 'parse_all']

DEFAULT_CROP = 0.875
"""The usual 224 of 256."""


class Teacher(Protocol):
    """Anything that says what is seen in the frames of videos."""

    name: str
    labels: tuple[str, ...]
    kind: Kind
    source: str
    """Says which teacher it is: a run is only resumed with teachers of the same source."""

    @property
    def side(self) -> int:
        """The shorter side of the frames that it wants, in pixels; 0 if it looks at none."""
        ...

    def look(self, views: Sequence[View]) -> list[NDArray[np.float32] | str]:
        """Per view `[count, classes]`, or in words why there is nothing for it."""
        ...


@dataclasses.dataclass
class NetworkTeacher:
    """A network that takes square pictures; the frames of many videos go through it together."""

    name: str
    labels: tuple[str, ...]
    run: Run
    size: int
    kind: Kind = 'probabilities'
    crop: float = DEFAULT_CROP
    drop: int | None = None
    source: str = ''

    @property
    def side(self) -> int:
        return round(self.size / self.crop)

    def look(self, views: Sequence[View]) -> list[NDArray[np.float32] | str]:
        pictures = [centre(frame, self.side, self.size) for view in views for frame in view.frames]
        if not pictures:
            return ['no frames'] * len(views)
        values = tidy(self.run(np.stack(pictures)), self.kind, self.drop)
        if values.shape != (len(pictures), len(self.labels)):
            raise SoundNetError(
                f'teacher {self.name} gives {list(values.shape)} for {len(pictures)} frames '
                f'and {len(self.labels)} classes: that file cannot be used'
            )
        ends = np.cumsum([len(view.frames) for view in views])[:-1]
        return [rows if np.isfinite(rows).all() else 'the teacher returned NaN' for rows in np.split(values, ends)]


def parse(text: str) -> Teacher:
    """The teacher that is written `NAME=WHERE[,option=value...]`, loaded. Raises SoundNetError in one line."""
    wanted = take_apart(text)
    if wanted.form in ('ready', 'released'):
        return ready.load(wanted)
    run, size = networks.load(wanted)
    return network_teacher(wanted.name, run, size, source=networks.source(wanted), options=wanted.options)


def parse_all(texts: Sequence[str]) -> list[Teacher]:
    """The teachers of several texts. Raises SoundNetError where two have one name."""
    teachers = [parse(text) for text in texts]
    if len({teacher.name for teacher in teachers}) < len(teachers):
        raise SoundNetError('two teachers have the same name: a name is a head of the net')
    return teachers


def network_teacher(
    name: str, run: Run, size: int, *, source: str = '', options: Mapping[str, str] | None = None
) -> NetworkTeacher:
    """A teacher around `run`, its classes counted and its kind of output found by a look at three pictures.

    `size` is the side of the pictures that `run` takes, in pixels.
    """
    said = options or {}
    crop = number(name, said, 'crop', 0.1, 1, DEFAULT_CROP)
    names = read_labels(name, said)
    outputs = run(_probe(size))
    if outputs.ndim != 2 or not np.isfinite(outputs).all():
        what = 'NaN' if outputs.ndim == 2 else f'{[1, *outputs.shape[1:]]} for a frame, not [1, classes]'
        raise SoundNetError(f'teacher {name}: {source} gives {what}: it cannot be used')
    classes = outputs.shape[1]
    drop = None
    if 'drop' in said or (names and names[0].lower() == 'background'):
        drop = int(number(name, said, 'drop', 0, classes - 1, 0))
    if drop is not None:
        names = names[:drop] + names[drop + 1 :] if len(names) == classes else names
        classes -= 1
    if names and len(names) != classes:
        raise SoundNetError(
            f'teacher {name}: {source} tells {classes} classes apart, but {said["labels"]} names {len(names)}'
            + ('; drop=0 leaves the first class out' if len(names) == classes - 1 and drop is None else '')
        )
    names = names or label_files.shipped(name, classes) or label_files.numbered(classes)
    kind = said.get('kind') or ('probabilities' if _look_like_probabilities(outputs) else 'logits')
    return NetworkTeacher(name, names, run, size, cast(Kind, kind), crop, drop, source)


def centre(frame: Frame, side: int, size: int) -> NDArray[np.float32]:
    """The middle `size` by `size` of a frame whose shorter side is brought to `side` first; 0..255."""
    height, width, _ = frame.shape
    if min(height, width) == side:
        picture = frame
    else:
        scale = side / min(height, width)
        shape = [max(side, round(height * scale)), max(side, round(width * scale))]
        picture = np.asarray(tf.image.resize(frame, shape, antialias=True))
    top, left = (picture.shape[0] - size) // 2, (picture.shape[1] - size) // 2
    return picture[top : top + size, left : left + size].astype(np.float32)


def tidy(values: NDArray[np.float32], kind: Kind, drop: int | None) -> NDArray[np.float32]:
    """Outputs without the class to drop; probabilities sum to one again."""
    if drop is not None:
        values = np.delete(values, drop, axis=1)
    if kind == 'probabilities':
        sums = values.sum(axis=1, keepdims=True)
        # A quantised network may find all its many classes so unlikely that each is rounded to zero.
        values = np.where(sums == 0, 1 / values.shape[1], values / np.where(sums == 0, 1, sums))
    return values.astype(np.float32)


def _probe(size: int) -> NDArray[np.float32]:
    """Noise, black and white, `[3, size, size, 3]`."""
    noise = np.random.default_rng(0).uniform(0, 255, (size, size, 3))
    return np.stack([noise, np.zeros_like(noise), np.full_like(noise, 255)]).astype(np.float32)


def _look_like_probabilities(values: NDArray[np.float32]) -> bool:
    # Quantised probabilities do not quite sum to one: with many classes far less, see `tidy`.
    return bool((values >= 0).all() and (values <= 1).all() and (values.sum(axis=1) <= 1.2).all())

"""Teachers: networks that label the frames of videos, nets that label the sound, or posteriors from elsewhere.

The paper's teachers are VGG16 on ImageNet (1000 objects) and on Places (401 scenes); any image
classifier can be a teacher. It is specified as `NAME=WHERE[,option=value...]`:

    imagenet=mobilenet.tflite,labels=imagenet.txt      a TFLite file
    imagenet=keras:VGG16,weights=vgg16.h5              a Keras application
    places=places365.keras,labels=places.txt           a saved Keras model
    places=places365/,labels=places.txt                a SavedModel (its serving signature)
    imagenet=hear:soundnet8                            a saved net that listens: its head imagenet
    places=posteriors/,labels=places.txt               ready: posteriors/ID.npy, [frames, classes] per video
    places=posteriors.h5,labels=places.txt             ready: an HDF5 dataset ID, [frames, classes] per video
    imagenet=B%04d/prob,frames=frames_%04d.txt         ready: the layout of SoundNet's authors, see below

Options: `labels` a file with one name per line; `scale` the input range, `0..255` (default),
`0..1`, `-1..1`, `caffe` (BGR less the ImageNet mean); `crop` the cropped part of the shorter
side, 0.875 by default; `drop=0` to drop a class (a first class called background is dropped by default);
`kind` `probabilities` or `logits` if the outputs are ambiguous. A Keras application has its own scale, and
as many classes as `labels`.

Ready posteriors are found by the video's id, with or without the suffix of a sound or video file: for `a.mp3`
the file is `a.mp3.npy` or `a.npy`; an HDF5 file has the same names, with groups for the folders of an id. The
authors' layout is a list of frames, a line `/any/folder/VIDEO/00000001.jpg` each, and a binary of their rows in
that order, float32, little-endian: 1000 numbers for `imagenet`, 401 for `places`, for other names as many as
`labels` has. `%04d` is the number of a part, such as 0001; each part needs both files. An id is the end of the
path of the frames' folder, from the first folder that differs: `12/a.mp4.mp3` or `12/a.mp3` for
`/any/folder/12/a.mp4/00000001.jpg`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import numpy as np
from absl import logging
from numpy.typing import NDArray

from soundnet_tf import labels as label_files
from soundnet_tf.audio import pyav
from soundnet_tf.errors import SoundNetError
from soundnet_tf.records import Kind
from soundnet_tf.teachers import listening, networks, ready
from soundnet_tf.teachers.listening import ListeningTeacher
from soundnet_tf.teachers.networks import Run
from soundnet_tf.teachers.options import number, read_labels, refuse_background, take_apart
from soundnet_tf.teachers.ready import ReadyTeacher
from soundnet_tf.teachers.view import Frame, View

__all__ = [
    'Frame',
    'ListeningTeacher',
    'NetworkTeacher',
    'ReadyTeacher',
    'Teacher',
    'View',
    'network_teacher',
    'parse',
    'parse_all',
]

DEFAULT_CROP = 0.875
"""The usual 224 of 256."""


class Teacher(Protocol):
    """Anything that labels the frames of videos, or their sound."""

    name: str
    labels: tuple[str, ...]
    kind: Kind
    source: str
    """Identifies the teacher: a run only resumes with teachers of the same source."""

    @property
    def side(self) -> int:
        """The shorter side of the frames that it needs, in pixels; 0 if it needs none."""
        ...

    def look(self, views: Sequence[View]) -> list[NDArray[np.float32] | str]:
        """Per view `[count, classes]`, or the reason why there is nothing for it."""
        ...


@dataclasses.dataclass
class NetworkTeacher:
    """A network for square pictures; frames of many videos are one batch."""

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
                f'teacher {self.name}: returned {list(values.shape)} for {len(pictures)} frames '
                f'and {len(self.labels)} classes. Use another file'
            )
        ends = np.cumsum([len(view.frames) for view in views])[:-1]
        return [rows if np.isfinite(rows).all() else 'the teacher returned NaN' for rows in np.split(values, ends)]


def parse(text: str) -> Teacher:
    """Load the teacher `NAME=WHERE[,option=value...]`. Raises SoundNetError in one line."""
    wanted = take_apart(text)
    if wanted.form == 'listening':
        return listening.load(wanted)
    if wanted.form in ('ready', 'released'):
        return ready.load(wanted)
    run, size = networks.load(wanted)
    return network_teacher(wanted.name, run, size, source=networks.source(wanted), options=wanted.options)


def parse_all(texts: Sequence[str]) -> list[Teacher]:
    """Load several teachers. Raises SoundNetError if two have the same name."""
    teachers = [parse(text) for text in texts]
    if len({teacher.name for teacher in teachers}) < len(teachers):
        raise SoundNetError('two teachers have the same name. Use another name for one: it is the name of a head')
    return teachers


def network_teacher(
    name: str, run: Run, size: int, *, source: str = '', options: Mapping[str, str] | None = None
) -> NetworkTeacher:
    """A teacher from `run`; three test pictures determine its number of classes and kind of output.

    `size` is the side of the pictures that `run` takes, in pixels.
    """
    options = options or {}
    crop = number(name, options, 'crop', 0.1, 1, DEFAULT_CROP)
    names = in_file = read_labels(name, options)
    outputs = run(_probe(size))
    if outputs.ndim != 2 or not np.isfinite(outputs).all():
        what = 'NaN' if outputs.ndim == 2 else f'{[1, *outputs.shape[1:]]} for a frame, not [1, classes]'
        raise SoundNetError(f'teacher {name}: {source} returns {what}. Use another network')
    all_classes = classes = outputs.shape[1]
    refuse_background(name, source, names, classes, options)
    drop = None
    if 'drop' in options or (names and names[0].lower() == 'background'):
        drop = int(number(name, options, 'drop', 0, classes - 1, 0))
    if drop is not None:
        names = names[:drop] + names[drop + 1 :] if len(names) == classes else names
        classes -= 1
    if names and len(names) != classes:
        raise SoundNetError(
            f'teacher {name}: {source} has {all_classes} classes, but {options["labels"]} has {len(in_file)} names'
            + ('. Use drop=0 to drop the first class' if len(names) == classes - 1 and drop is None else '')
            + ('. Use a file with one name per line for each class' if len(names) != classes - 1 else '')
        )
    names = names or label_files.shipped(name, classes) or ()
    if not names:
        # Before a million videos are prepared so.
        logging.warning(
            'teacher %s: without labels=FILE its %d classes are numbered, and a first class for the background is kept',
            name,
            classes,
        )
        names = label_files.numbered(classes)
    kind = options.get('kind') or ('probabilities' if _look_like_probabilities(outputs) else 'logits')
    return NetworkTeacher(name, names, run, size, cast(Kind, kind), crop, drop, source)


def centre(frame: Frame, side: int, size: int) -> NDArray[np.float32]:
    """The centre `size` by `size` of a frame after scaling its shorter side to `side`; 0..255."""
    height, width, _ = frame.shape
    if min(height, width) == side:
        picture = frame
    else:
        # As `prepare.pictures` scales the frames of a video.
        height, width = (max(side, round(length * side / min(height, width))) for length in (height, width))
        image = pyav.library('scaling pictures').VideoFrame.from_ndarray(np.ascontiguousarray(frame), format='rgb24')
        picture = image.to_ndarray(format='rgb24', width=width, height=height)
    top, left = (picture.shape[0] - size) // 2, (picture.shape[1] - size) // 2
    return picture[top : top + size, left : left + size].astype(np.float32)


def tidy(values: NDArray[np.float32], kind: Kind, drop: int | None) -> NDArray[np.float32]:
    """Outputs without the dropped class; probabilities are normalised again."""
    if drop is not None:
        values = np.delete(values, drop, axis=1)
    if kind == 'probabilities':
        sums = values.sum(axis=1, keepdims=True)
        # A quantised network may round the probabilities of all its classes to zero.
        values = np.where(sums == 0, 1 / values.shape[1], values / np.where(sums == 0, 1, sums))
    return values.astype(np.float32)


def _probe(size: int) -> NDArray[np.float32]:
    """Noise, black and white, `[3, size, size, 3]`."""
    noise = np.random.default_rng(0).uniform(0, 255, (size, size, 3))
    return np.stack([noise, np.zeros_like(noise), np.full_like(noise, 255)]).astype(np.float32)


def _look_like_probabilities(values: NDArray[np.float32]) -> bool:
    # Quantised probabilities may sum to less than one, with many classes far less, see `tidy`.
    return bool((values >= 0).all() and (values <= 1).all() and (values.sum(axis=1) <= 1.2).all())

"""The TFRecord schema and the dataset card: where preparation and training meet.

One record is one clip, a `tf.train.Example`:

    id               bytes    unique in the dataset
    source           bytes    the file it was taken from
    audio/encoded    bytes    mono 22,050 Hz, in the card's format: an MP3 file, or int16 little-endian PCM
    audio/format     bytes    'mp3' or 'pcm16'
    audio/samples    int64    samples after decoding
    frames/times_s   float[F] when each of the F frames was seen, in seconds
    TEACHER/values   float[F * classes]  what the teacher says of each frame, row by row
    TEACHER/kind     bytes    'probabilities' or 'logits'

A dataset is a folder of shards `records-00000-of-00008.tfrecord`, `dataset.json` (the `Card`) and
`labels/TEACHER.txt`.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, cast

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from soundnet_tf import labels as label_files
from soundnet_tf.errors import BadRecord

Path = str | os.PathLike[str]
AudioFormat = Literal['mp3', 'pcm16']
Kind = Literal['probabilities', 'logits']
KINDS: tuple[Kind, ...] = ('probabilities', 'logits')

CARD = 'dataset.json'
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Sample:
    """What one record holds."""

    id: str
    source: str
    audio: bytes
    audio_format: AudioFormat
    samples: int
    frame_times: tuple[float, ...]
    posteriors: Mapping[str, NDArray[np.float32]]
    """Per teacher `[frames, classes]`."""
    kinds: Mapping[str, Kind]


@dataclasses.dataclass(frozen=True)
class TeacherCard:
    """What is known of a teacher: its classes, and whether it gave probabilities or logits."""

    classes: int
    kind: Kind
    source: str = ''


@dataclasses.dataclass(frozen=True)
class Card:
    """What a whole dataset holds."""

    teachers: Mapping[str, TeacherCard]
    audio_format: AudioFormat
    frame_every_s: float
    """A frame stands for this much sound."""
    clip_s: float
    """No clip is longer."""
    records: int
    shards: int
    skipped: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """How many videos became no record, by reason."""


def encode(sample: Sample) -> bytes:
    """One record. Raises BadRecord where posteriors are not one finite row per frame."""
    feature = {
        'id': _bytes(sample.id.encode()),
        # A file's name may be any bytes.
        'source': _bytes(sample.source.encode(errors='replace')),
        'audio/encoded': _bytes(sample.audio),
        'audio/format': _bytes(sample.audio_format.encode()),
        'audio/samples': tf.train.Feature(int64_list=tf.train.Int64List(value=[sample.samples])),
        'frames/times_s': _floats(np.asarray(sample.frame_times, np.float32)),
    }
    for teacher, values in sample.posteriors.items():
        if values.ndim != 2 or len(values) != len(sample.frame_times) or not np.isfinite(values).all():
            raise BadRecord(
                f'{sample.id}: {teacher} gave {list(values.shape)} values for {len(sample.frame_times)} frames; '
                'a teacher gives one row of finite numbers per frame'
            )
        feature[f'{teacher}/values'] = _floats(values)
        feature[f'{teacher}/kind'] = _bytes(sample.kinds[teacher].encode())
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def parse(record: tf.Tensor, teachers: Mapping[str, int]) -> dict[str, tf.Tensor]:
    """A serialised record as tensors, inside a graph too: `{name: classes}` says which teachers to read.

    Gives `id`, `source`, `audio/encoded`, `audio/format`, `audio/samples`, `frames/times_s` `[F]`,
    and per teacher `TEACHER/values` `[F, classes]` and `TEACHER/kind`.
    """
    text = tf.io.FixedLenFeature([], tf.string)
    features: dict[str, Any] = {
        'id': text,
        'source': text,
        'audio/encoded': text,
        'audio/format': text,
        'audio/samples': tf.io.FixedLenFeature([], tf.int64),
        'frames/times_s': tf.io.FixedLenSequenceFeature([], tf.float32, allow_missing=True),
    }
    for teacher, classes in teachers.items():
        features[f'{teacher}/values'] = tf.io.FixedLenSequenceFeature([classes], tf.float32, allow_missing=True)
        features[f'{teacher}/kind'] = text
    return cast(dict[str, tf.Tensor], tf.io.parse_single_example(record, features))


def read(folder: Path) -> Iterator[Sample]:
    """Every record of a dataset, shard by shard, to look at or to compare; training does not go this way."""
    card = read_card(folder)
    teachers = {name: teacher.classes for name, teacher in card.teachers.items()}
    for path in shard_paths(folder, card.shards):
        try:
            for record in tf.data.TFRecordDataset(str(path)):
                yield _sample(parse(record, teachers), teachers)
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
            raise BadRecord(
                f'{path} is damaged ({error.message.splitlines()[0]}): remove it and prepare again'
            ) from error


def _sample(parsed: Mapping[str, tf.Tensor], teachers: Iterable[str]) -> Sample:
    fields: dict[str, Any] = {key: value.numpy() for key, value in parsed.items()}
    return Sample(
        id=fields['id'].decode(),
        source=fields['source'].decode(),
        audio=fields['audio/encoded'],
        audio_format=fields['audio/format'].decode(),
        samples=int(fields['audio/samples']),
        frame_times=tuple(float(t) for t in fields['frames/times_s']),
        posteriors={name: fields[f'{name}/values'] for name in teachers},
        kinds={name: fields[f'{name}/kind'].decode() for name in teachers},
    )


def shard_of(id: str, shards: int) -> int:
    """Which shard a clip belongs to: by the hash of its id, so whoever prepares it puts it there."""
    return int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], 'big') % shards


def shard_paths(folder: Path, shards: int) -> list[pathlib.Path]:
    """The shards' files, in order."""
    return [pathlib.Path(folder) / f'records-{index:05d}-of-{shards:05d}.tfrecord' for index in range(shards)]


def write_card(folder: Path, card: Card, labels: Mapping[str, tuple[str, ...]]) -> None:
    """Write `dataset.json` and the class names of each teacher; the card comes last and says: finished."""
    folder = pathlib.Path(folder)
    (folder / 'labels').mkdir(parents=True, exist_ok=True)
    for teacher, names in labels.items():
        (folder / 'labels' / f'{teacher}.txt').write_text('\n'.join(names) + '\n', encoding='utf-8')
    draft = folder / f'{CARD}.part'
    draft.write_text(json.dumps({'format': FORMAT, **dataclasses.asdict(card)}, indent=2) + '\n', encoding='utf-8')
    os.replace(draft, folder / CARD)


def read_card(folder: Path) -> Card:
    """What the dataset in `folder` holds. Raises BadRecord where it is none, or not finished."""
    folder = pathlib.Path(folder)
    path = folder / CARD
    if not path.is_file():
        parts = any(folder.glob('records-*')) if folder.is_dir() else False
        way_out = 'run soundnet-prepare again to finish it' if parts else 'give a folder that soundnet-prepare wrote'
        raise BadRecord(f'{folder} holds no {CARD}: {way_out}')
    try:
        values = json.loads(path.read_text(encoding='utf-8'))
        if values.pop('format') != FORMAT:
            raise ValueError('it was written by another version of this package')
        values['teachers'] = {name: TeacherCard(**fields) for name, fields in values['teachers'].items()}
        card = Card(**values)
        missing = [shard.name for shard in shard_paths(folder, card.shards) if not shard.is_file()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRecord(f'{path} is no dataset card ({error}): prepare the dataset again') from error
    if missing:
        raise BadRecord(f'{folder} lacks {len(missing)} of {card.shards} shards, {missing[0]} first: prepare it again')
    return card


def read_labels(folder: Path) -> dict[str, tuple[str, ...]]:
    """The class names of each teacher of a dataset."""
    names = {}
    for teacher, about in read_card(folder).teachers.items():
        path = pathlib.Path(folder) / 'labels' / f'{teacher}.txt'
        names[teacher] = label_files.parse(path.read_text(encoding='utf-8'), str(path)) if path.is_file() else ()
        if len(names[teacher]) != about.classes:
            raise BadRecord(f'{path} names {len(names[teacher])} classes, but {teacher} has {about.classes}')
    return names


def _bytes(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _floats(values: NDArray[np.float32]) -> tf.train.Feature:
    return tf.train.Feature(float_list=tf.train.FloatList(value=values.ravel()))

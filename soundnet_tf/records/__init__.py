"""The TFRecord schema and the dataset card, which preparation writes and training reads.

One record is one clip, a `tf.train.Example`:

    schema           int64    the version of this table
    id               bytes    unique in the dataset
    source           bytes    the file or address it was taken from
    clip/start_s     float    its start in the source, in seconds
    audio/encoded    bytes    mono 22,050 Hz, in the card's format: an MP3 file, or int16 little-endian PCM
    audio/format     bytes    'mp3' or 'pcm16'
    audio/samples    int64    samples after decoding
    clip/missing_s   float    seconds of its sound missing or filled with silence; 0: unknown; absent: none
    frames/times_s   float[F] the time of each of the F frames, in seconds from the clip's start
    TEACHER/values   float[F * classes]  the teacher's outputs for each frame, row by row
    TEACHER/kind     bytes    'probabilities' or 'logits'

A dataset is a folder of shards `records-00000-of-00008.tfrecord`, `dataset.json` (the `Card`) and
`labels/TEACHER.txt`.
"""

import dataclasses
import fnmatch
import hashlib
import itertools
import json
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any, Literal, cast, get_args

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from soundnet_tf import labels as label_files
from soundnet_tf import storage
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import BadRecord
from soundnet_tf.records import example, gfiles, tfrecords
from soundnet_tf.records.gfiles import whole_file as whole_file
from soundnet_tf.records.gfiles import words as words
from soundnet_tf.records.gfiles import write_text as write_text

Path = str | os.PathLike[str]
AudioFormat = Literal['mp3', 'pcm16']
Kind = Literal['probabilities', 'logits']
KINDS: tuple[Kind, ...] = ('probabilities', 'logits')

CARD = 'dataset.json'
MAX_COUNT = 1 << 40
"""Of anything that a card counts."""
SCHEMA = 2
"""Of records and cards; 1 had neither `schema` nor `clip/start_s`."""
AGAIN = 'Run soundnet-prepare again'


@dataclasses.dataclass(frozen=True)
class Sample:
    """The content of one record."""

    id: str
    source: str
    audio: bytes
    audio_format: AudioFormat
    samples: int
    start_s: float
    frame_times: tuple[float, ...]
    posteriors: Mapping[str, NDArray[np.float32]]
    """Per teacher `[frames, classes]`."""
    kinds: Mapping[str, Kind]
    missing_s: float | None = None


@dataclasses.dataclass(frozen=True)
class TeacherCard:
    """A teacher: its classes, its kind of output, and how often each class is its top 1."""

    classes: int
    kind: Kind
    source: str = ''
    labels_sha256: str = ''
    """Of `labels/TEACHER.txt`."""
    top1: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """The share of clips by their top class over all frames, the largest first."""


@dataclasses.dataclass(frozen=True)
class Card:
    """The content of a dataset."""

    teachers: Mapping[str, TeacherCard]
    audio_format: AudioFormat
    frame_every_s: float
    """Seconds of sound per frame."""
    clip_s: float
    """Max length of a clip."""
    records: int
    shards: int
    videos: int = 0
    hours: float = 0.0
    """Of sound."""
    skipped: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """The number of videos, or clips of them, without a record, by reason."""
    incomplete: int = 0
    """The number of records of whose sound something was missing."""
    sample_rate: int = SAMPLE_RATE
    parts: tuple[int, ...] = ()
    """Where videos were added later: per part, the number of its last shard plus one."""

    @property
    def ends(self) -> tuple[int, ...]:
        """As `parts`, for a single part too."""
        return self.parts or (self.shards,)


def encode(sample: Sample) -> bytes:
    """One record. Raises BadRecord unless posteriors are one finite row per frame."""
    fields = {
        'schema': SCHEMA,
        'id': sample.id.encode(),
        # A file's name may be any bytes.
        'source': sample.source.encode(errors='replace'),
        'audio/encoded': sample.audio,
        'audio/format': sample.audio_format.encode(),
        'audio/samples': sample.samples,
        'clip/start_s': np.asarray([sample.start_s], np.float32),
        'frames/times_s': np.asarray(sample.frame_times, np.float32),
    }
    if sample.missing_s is not None:
        fields['clip/missing_s'] = np.asarray([sample.missing_s], np.float32)
    for teacher, values in sample.posteriors.items():
        if values.ndim != 2 or len(values) != len(sample.frame_times) or not np.isfinite(values).all():
            raise BadRecord(
                f'{sample.id}: {teacher} returned {list(values.shape)} for {len(sample.frame_times)} frames. '
                'Return one row of finite numbers per frame'
            )
        fields[f'{teacher}/values'] = values
        fields[f'{teacher}/kind'] = sample.kinds[teacher].encode()
    return example.serialise(fields)


def parse(record: bytes, teachers: Mapping[str, int], shard: str = '', index: int = 0) -> Sample:
    """Parse a record, with the teachers `{name: classes}`.

    Raises BadRecord, with `shard` and `index`, the expected and the actual value, if it is damaged, or has
    another schema or other classes.
    """
    where = f'{shard}, record {index}'
    fields = parse_example(record, where)
    with storage.readable(where, AGAIN, BadRecord):
        return _sample(fields, teachers, where)


def parse_example(record: bytes, where: str) -> Any:
    """The features of a record by their names. Raises BadRecord, which begins with `where`."""
    try:
        return example.Example.FromString(record).features.feature
    except DecodeError:
        raise BadRecord(f'{where}: not a tf.train.Example. {AGAIN}') from None


def _sample(fields: Any, teachers: Mapping[str, int], where: str) -> Sample:
    id = _text(fields['id'])
    schema = next(iter(fields['schema'].int64_list.value), 0)
    frames = example.floats(fields['frames/times_s'])
    wrong = f'schema {SCHEMA}, got {schema}' if schema != SCHEMA else ''
    posteriors = {}
    for teacher, classes in teachers.items():
        values = example.floats(fields[f'{teacher}/values'])
        if values.size != len(frames) * classes:
            got = f'{values.size} numbers for {len(frames)} frames'
            wrong = wrong or f'{classes} classes of {teacher}, got {got}'
            continue
        posteriors[teacher] = values.reshape(len(frames), classes)
    if wrong:
        raise BadRecord(
            f'{where} ({storage.printable(id)}): expected {wrong}. '
            'Run soundnet-prepare again, or use the version and the card that it was written with'
        )
    return Sample(
        id=id,
        source=_text(fields['source']),
        audio=next(iter(fields['audio/encoded'].bytes_list.value), b''),
        audio_format=cast(AudioFormat, _text(fields['audio/format'])),
        samples=next(iter(fields['audio/samples'].int64_list.value), 0),
        start_s=float(example.floats(fields['clip/start_s'])[0]),
        frame_times=tuple(frames.tolist()),
        posteriors=posteriors,
        kinds={teacher: cast(Kind, _text(fields[f'{teacher}/kind'])) for teacher in teachers},
        missing_s=float(missing[0]) if (missing := example.floats(fields['clip/missing_s'])).size else None,
    )


def _text(feature: Any) -> str:
    return next(iter(feature.bytes_list.value), b'').decode()


def read(folder: Path) -> Iterator[Sample]:
    """Every record of a dataset, shard by shard, for inspection; training uses `batches`."""
    card = read_card(folder)
    teachers = {name: teacher.classes for name, teacher in card.teachers.items()}
    for path in shard_paths(folder, *card.ends):
        yield from read_shard(path, teachers)


def read_shard(path: Path, teachers: Mapping[str, int]) -> Iterator[Sample]:
    """Every record of one shard. Raises BadRecord if the shard is damaged, or `parse` rejects a record."""
    rows = tfrecords.index([os.fspath(path)])
    for row in range(len(rows)):
        yield parse(rows.read(row), teachers, os.fspath(path), row)


def shard_of(id: str, shards: int) -> int:
    """The shard of a clip, by the hash of its id, so that it does not depend on the run."""
    return int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], 'big') % shards


def shard_paths(folder: Path, *ends: int) -> list[str]:
    """The shards' files, in order; each part of a dataset, which ends before shard `end`, has names of its own."""
    return [
        f'{os.fspath(folder)}/records-{index:05d}-of-{end:05d}.tfrecord'
        for begin, end in itertools.pairwise((0, *ends))
        for index in range(begin, end)
    ]


def listed(folder: Path, pattern: str) -> list[str]:
    """The files in a folder whose names match; the folder's name may contain any character."""
    return [f'{os.fspath(folder)}/{name}' for name in fnmatch.filter(gfiles.listdir(folder), pattern)]


def write_card(folder: Path, card: Card, labels: Mapping[str, tuple[str, ...]]) -> None:
    """Write `dataset.json` and the class names of each teacher; the card is last: its presence means finished."""
    base, about = os.fspath(folder), dict(card.teachers)
    for teacher, names in labels.items():
        text = '\n'.join(names) + '\n'
        about[teacher] = dataclasses.replace(about[teacher], labels_sha256=hashlib.sha256(text.encode()).hexdigest())
        gfiles.makedirs(f'{base}/labels')
        write_text(f'{base}/labels/{teacher}.txt', text)
    values = dataclasses.asdict(dataclasses.replace(card, teachers=about))
    write_text(f'{base}/{CARD}', json.dumps({'schema': SCHEMA, **values}, indent=2, ensure_ascii=False) + '\n')


def read_card(folder: Path, whole: bool = True) -> Card:
    """The card of a dataset. Raises BadRecord if there is none or, with `whole`, if shards are missing."""
    path = f'{os.fspath(folder)}/{CARD}'
    if not gfiles.exists(path):
        if not gfiles.isdir(folder):
            raise BadRecord(f'{folder}: no such folder. Check the path')
        parts = listed(folder, 'records-*')
        hint = 'Run soundnet-prepare again to finish it' if parts else 'Pass a folder that soundnet-prepare wrote'
        raise BadRecord(f'{folder}: no {CARD}. {hint}')
    with storage.readable(path, AGAIN, BadRecord):
        values = storage.parse_json(_read(path), path, AGAIN, BadRecord)
        schema = values.pop('schema', values.pop('format', None))
        if schema != SCHEMA:
            raise ValueError(f'schema {schema}, this version of the package reads {SCHEMA}')
        values['teachers'] = {name: TeacherCard(**fields) for name, fields in values['teachers'].items()}
        card = _checked(Card(**{**values, 'parts': tuple(values.get('parts', ()))}))
        if card.ends[-1] != card.shards or list(card.ends) != sorted({int(end) for end in card.ends}):
            raise ValueError(f'{card.shards} shards, in parts up to {card.ends}')
        shards = shard_paths(folder, *card.ends) if whole else []
        missing = [shard for shard in shards if not gfiles.exists(shard)]
    if missing:
        first = os.path.basename(missing[0])
        raise BadRecord(f'{folder}: {len(missing)} of {card.shards} shards are missing, {first} first. {AGAIN}')
    return card


def _checked(card: Card) -> Card:
    """The card itself. Raises ValueError where a value is not of its kind."""
    counts = (card.records, card.shards, card.videos, card.sample_rate, *(t.classes for t in card.teachers.values()))
    if not all(type(count) is int and 0 <= count < MAX_COUNT for count in counts):
        raise ValueError(f'a count is not a whole number, from {counts}')
    seconds = (card.frame_every_s, card.clip_s, card.hours)
    if not all(isinstance(number, int | float) and 0 <= number < math.inf for number in seconds):
        raise ValueError(f'frame_every_s, clip_s or hours is not a number, from {seconds}')
    if card.audio_format not in get_args(AudioFormat) or not all(t.kind in KINDS for t in card.teachers.values()):
        raise ValueError('unknown format of the sound, or kind of a teacher')
    return card


def read_labels(folder: Path) -> dict[str, tuple[str, ...]]:
    """The class names of each teacher of a dataset."""
    names = {}
    for teacher, about in read_card(folder, whole=False).teachers.items():
        path = f'{os.fspath(folder)}/labels/{teacher}.txt'
        names[teacher] = (
            label_files.parse(storage.parse_text(_read(path), path, 'Restore the file', BadRecord), path)
            if gfiles.exists(path)
            else ()
        )
        if len(names[teacher]) != about.classes:
            raise BadRecord(
                f'{path}: {len(names[teacher])} names, but {teacher} has {about.classes} classes. Restore the file'
            )
    return names


def _read(path: str) -> bytes:
    """The content of a file. Raises BadRecord."""
    try:
        return gfiles.read(path)
    except OSError as error:
        raise BadRecord(f'{path}: cannot be read ({words(error)})') from error

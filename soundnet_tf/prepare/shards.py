"""The files of a dataset while it is being made, wherever TensorFlow can write: shards, what they skipped, the card.

A shard is written under a temporary name and renamed when it is whole, with a summary of it beside
it. What is there is finished: a stopped run goes on with the shards that are not there yet.
"""

import collections
import contextlib
import csv
import dataclasses
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from soundnet_tf import records
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import SoundNetError
from soundnet_tf.prepare import pace, stages
from soundnet_tf.prepare.manifest import Video
from soundnet_tf.prepare.pace import Clock
from soundnet_tf.prepare.stages import Settings, Skipped
from soundnet_tf.records import Sample
from soundnet_tf.teachers import Teacher

SKIPPED = 'skipped.csv'
VIDEOS_PER_SHARD = 256
LEAST_SHARDS = 8
"""Fewer would make a small run start over when it is stopped."""


@dataclasses.dataclass(frozen=True)
class Report:
    """What a finished run holds, what became no record, and how long each stage was at work."""

    folder: str
    videos: int
    records: int
    hours: float
    skipped: tuple[Skipped, ...]
    pace: str = dataclasses.field(default='', compare=False)

    @property
    def reasons(self) -> dict[str, int]:
        return dict(collections.Counter(skip.reason for skip in self.skipped).most_common())

    @property
    def failures(self) -> int:
        return sum(skip.reason in stages.FAILURES for skip in self.skipped)

    def __str__(self) -> str:
        line = (
            f'{_count(self.records, "record")} ({self.hours:.2f} h) of {_count(self.videos, "video")} in {self.folder}'
        )
        if self.skipped:
            counts = ', '.join(f'{count} {reason}' for reason, count in self.reasons.items())
            line += f'; {len(self.skipped)} skipped: {counts} (listed in {self.folder}/{SKIPPED})'
        return line


def _count(number: int, thing: str) -> str:
    return f'{number:,} {thing}' if number == 1 else f'{number:,} {thing}s'


def number_of(videos: Sequence[Video]) -> int:
    """How many shards so many videos are spread over, where nobody says."""
    return max(LEAST_SHARDS, -(-len(videos) // VIDEOS_PER_SHARD))


def missing(paths: Sequence[str], videos: Iterable[Video], retry: bool = False) -> dict[int, list[Video]]:
    """The shards that are not there yet, by number, and the videos of each.

    With `retry` those too that list a failure, and the videos that failed.
    """
    todo: dict[int, list[Video]] = {}
    failed: dict[int, list[Skipped]] = {}
    for index, path in enumerate(paths):
        if not _is_finished(path):
            todo[index] = []
        elif retry and (skips := [skip for skip in _read_summary(path)[1] if skip.reason in stages.FAILURES]):
            todo[index], failed[index] = [], skips
    for video in videos:
        index = records.shard_of(video.id, len(paths))
        if index in todo and (index not in failed or any(_is_of(skip, video) for skip in failed[index])):
            todo[index].append(video)
    return todo


def _is_of(made: Skipped, video: Video) -> bool:
    return made.path == video.path and stages.is_clip_of(made.id, video)


def kept(path: str, teachers: Sequence[Teacher], retried: Sequence[Video]) -> Iterator[Sample | Skipped]:
    """What stays of a shard that is there when some of its videos are tried again."""
    if not _is_finished(path):
        return
    again = {video.path: video for video in retried}
    for made in [
        *records.read_shard(path, {teacher.name: len(teacher.labels) for teacher in teachers}),
        *_read_summary(path)[1],
    ]:
        source = made.source if isinstance(made, Sample) else made.path
        if source not in again or not stages.is_clip_of(made.id, again[source]):
            yield made


def _read_summary(path: str) -> tuple[dict[str, Any], list[Skipped]]:
    with tf.io.gfile.GFile(_summary(path)) as file:
        about = json.loads(file.read())
    return about, [Skipped(**skip) for skip in about['skipped']]


def _is_finished(path: str) -> bool:
    return _is_there(path) and _is_there(_summary(path))


def _is_there(path: str) -> bool:
    return tf.io.gfile.exists(path)


def _summary(path: str) -> str:
    return f'{os.path.splitext(path)[0]}.json'


@contextlib.contextmanager
def writing(path: str) -> Iterator[None]:
    """A disk that is full, or cannot be written for another reason, ends in one line."""
    try:
        yield
    except tf.errors.OpError as error:
        raise SoundNetError(
            f'{path} cannot be written ({records.words(error)}): what is finished stays; '
            'make room, or mend it, and give the same command again'
        ) from error


def write(path: str, samples: Iterable[Sample | Skipped], clock: Clock, draft: str | None = None) -> None:
    """Write one shard, whole or not at all, and the summary of what it holds."""
    draft = draft or f'{path}.part'
    count, heard, skipped = 0, 0, []
    top1: dict[str, collections.Counter[int]] = collections.defaultdict(collections.Counter)
    try:
        with writing(path):
            writer = tf.io.TFRecordWriter(draft)
        for sample in samples:
            if isinstance(sample, Skipped):
                skipped.append(dataclasses.asdict(sample))
                continue
            with clock.at(pace.WRITE), writing(path):
                writer.write(records.encode(sample))
            count, heard = count + 1, heard + sample.samples
            for name, values in sample.posteriors.items():
                top1[name][int(values.mean(axis=0).argmax())] += 1
        with writing(path):
            writer.close()
            # The summary first: a shard that is there is whole, summary included.
            with contextlib.suppress(tf.errors.NotFoundError):
                tf.io.gfile.remove(path)
            about = {'records': count, 'samples': heard, 'top1': top1, 'skipped': skipped}
            records.write_text(_summary(path), json.dumps(about, indent=1))
            tf.io.gfile.rename(draft, path, overwrite=True)
    finally:
        if _is_there(draft):
            tf.io.gfile.remove(draft)


def finish(
    folder: str, paths: Sequence[str], videos: int, teachers: Sequence[Teacher], settings: Settings, said: str
) -> Report:
    """Write the card and the list of what was skipped, once all shards are there."""
    count, heard, skipped = 0, 0, []
    top1: dict[str, collections.Counter[int]] = {teacher.name: collections.Counter() for teacher in teachers}
    for path in paths:
        about, skips = _read_summary(path)
        count, heard, skipped = count + about['records'], heard + about['samples'], skipped + skips
        for name, counts in about['top1'].items():
            top1[name].update({int(index): number for index, number in counts.items()})
    report = Report(folder, videos, count, round(heard / SAMPLE_RATE / 3600, 4), tuple(skipped), said)
    with writing(folder):
        for draft in tf.io.gfile.glob(f'{folder}/*.part'):
            tf.io.gfile.remove(draft)
        records.write_text(f'{folder}/{SKIPPED}', _table(skipped))
        labels = {teacher.name: teacher.labels for teacher in teachers}
        records.write_card(folder, _card(report, teachers, settings, len(paths), top1), labels)
    return report


def _card(
    report: Report,
    teachers: Sequence[Teacher],
    settings: Settings,
    shards: int,
    top1: Mapping[str, collections.Counter[int]],
) -> records.Card:
    about = {}
    for teacher in teachers:
        likeliest = top1[teacher.name].most_common()
        shares = {teacher.labels[index]: round(count / report.records, 6) for index, count in likeliest}
        about[teacher.name] = records.TeacherCard(len(teacher.labels), teacher.kind, teacher.source, top1=shares)
    return records.Card(
        about,
        settings.audio_format,
        settings.frame_every_s,
        settings.clip_s,
        report.records,
        shards,
        report.videos,
        report.hours,
        report.reasons,
    )


def _table(skipped: Sequence[Skipped]) -> str:
    text = io.StringIO(newline='')
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['id', 'path', 'reason', 'detail'])
    writer.writerows([skip.id, skip.path, skip.reason, skip.detail] for skip in skipped)
    return text.getvalue().encode(errors='replace').decode()

"""Write the files of a dataset: shards, their summaries, skipped.csv, the card.

A shard is written under a temporary name and renamed when it is complete, with a summary beside it.
Existing shards are finished: a stopped run resumes with the missing ones.
"""

import collections
import contextlib
import csv
import dataclasses
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from google.protobuf.message import EncodeError

from soundnet_tf import records, storage
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import BadRecord, SoundNetError
from soundnet_tf.prepare import cells, pace, stages
from soundnet_tf.prepare.manifest import Video
from soundnet_tf.prepare.pace import Clock
from soundnet_tf.prepare.plan import Layout, Part
from soundnet_tf.prepare.stages import Settings, Skipped
from soundnet_tf.records import Sample, gfiles, tfrecords
from soundnet_tf.teachers import Teacher

SKIPPED = 'skipped.csv'


@dataclasses.dataclass(frozen=True)
class Report:
    """The result of a finished run: its records, what was skipped, and how long each stage took."""

    folder: str
    videos: int
    records: int
    hours: float
    skipped: tuple[Skipped, ...]
    incomplete: int = 0
    """Records of whose sound something was missing."""
    removed: int = 0
    """Videos that are no longer listed; their records stay."""
    gone: int = 0
    """Videos that are no longer listed and have no records: their shard was damaged, or never written."""
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
        if self.incomplete:
            line += f'; {_count(self.incomplete, "record")} incomplete (clip/missing_s)'
        if self.removed:
            line += f'; {_count(self.removed, "video")} no longer listed, whose records stay'
        if self.gone:
            line += f'; {_count(self.gone, "video")} no longer listed, whose shards had to be written without them'
        return line


def _count(number: int, thing: str) -> str:
    return f'{number:,} {thing}' if number == 1 else f'{number:,} {thing}s'


def missing(
    parts: Iterable[Part], classes: Mapping[str, int], retry: bool = False
) -> tuple[dict[str, list[Video]], int]:
    """The shards to write, by path, with the videos of each; and how many unlisted videos will have no records there.

    Of a shard that lost its summary, the records stay, and only the videos without one are processed again. With
    `retry` also the shards with failures, with only those videos that failed and have no record.
    """
    todo: dict[str, list[Video]] = {}
    gone = 0
    for part in parts:
        failed, made = dict[str, set[str]](), dict[str, set[str]]()
        for path in part.paths:
            summary = _finished(path, classes)
            if summary is None:
                todo[path], made[path] = [], _made(path, classes)
            elif retry and (failures := _failed(path, summary)):
                failed[path] = failures
        for video in part.videos:
            path = _shard(video, part)
            if path in made and video.id not in made[path]:
                todo[path].append(video)
            elif video.id in failed.get(path, ()):
                todo.setdefault(path, []).append(video)
        gone += sum(video.id not in made.get(_shard(video, part), {video.id}) for video in part.removed)
    return todo, gone


def _shard(video: Video, part: Part) -> str:
    return part.paths[records.shard_of(video.id, len(part.paths))]


def _made(path: str, classes: Mapping[str, int]) -> set[str]:
    """The ids of the videos with records in a shard; none if it is missing or damaged."""
    try:
        return {stages.video_id(sample.id) for sample in records.read_shard(path, classes)}
    except (OSError, SoundNetError):
        return set()


def _failed(path: str, summary: '_Summary') -> set[str]:
    """The ids of videos that failed and have no record."""
    failures = {stages.video_id(skip.id) for skip in summary.skipped if skip.reason in stages.FAILURES}
    return failures and failures - {stages.video_id(sample.id) for sample in records.read_shard(path, {})}


def kept(path: str, classes: Mapping[str, int], retried: Sequence[Video]) -> Iterator[Sample | Skipped]:
    """The records and skips of an existing shard to keep when some of its videos are processed again."""
    summary = _finished(path, classes)
    if summary is None:
        if _made(path, classes):  # it can be read to its end
            yield from records.read_shard(path, classes)
        return
    yield from records.read_shard(path, classes)
    retrying = {video.id for video in retried}
    yield from (skip for skip in summary.skipped if stages.video_id(skip.id) not in retrying)


def _finished(path: str, classes: Mapping[str, int]) -> '_Summary | None':
    """The summary of a complete shard; None if the shard or its summary is missing or damaged."""
    try:
        summary = _Summary.read(path)
        if gfiles.size(path) == summary.bytes:
            return summary
        # A retry stopped between its two steps: the shard is complete, its summary is the old one.
        return _summarise_again(path, summary, classes)
    except (OSError, SoundNetError):
        return None


def _summarise_again(path: str, before: '_Summary', classes: Mapping[str, int]) -> '_Summary':
    summary, made = _Summary(), set()
    for sample in records.read_shard(path, classes):
        summary.add(sample, len(records.encode(sample)))
        made.add(stages.video_id(sample.id))
    summary.skipped = [skip for skip in before.skipped if stages.video_id(skip.id) not in made]
    summary.write(path)
    return summary


@dataclasses.dataclass
class _Summary:
    """The JSON file beside a shard."""

    records: int = 0
    samples: int = 0
    bytes: int = 0
    incomplete: int = 0
    sizes: list[int] = dataclasses.field(default_factory=list)
    """Of the records, in bytes: with them, any record can be read directly."""
    top1: dict[str, dict[int, int]] = dataclasses.field(default_factory=dict)
    """How many clips have each class as their top 1, by teacher."""
    skipped: list[Skipped] = dataclasses.field(default_factory=list)

    @classmethod
    def read(cls, path: str) -> '_Summary':
        """That of the shard `path`. Raises SoundNetError if it is damaged, and OSError if there is none."""
        values = storage.parse_json(gfiles.read(_summary(path)), _summary(path))
        with storage.readable(_summary(path)):
            return cls(
                int(values['records']),
                int(values['samples']),
                int(values['bytes']),
                int(values['incomplete']),
                [int(size) for size in values['sizes']],
                {name: {int(key): int(count) for key, count in top.items()} for name, top in values['top1'].items()},
                [
                    Skipped(*(str(skip[field.name]) for field in dataclasses.fields(Skipped)))
                    for skip in values['skipped']
                ],
            )

    def add(self, sample: Sample, size: int) -> None:
        self.records += 1
        self.samples += sample.samples
        self.bytes += size + tfrecords.FRAME
        self.incomplete += sample.missing_s is not None
        self.sizes.append(size)
        for name, values in sample.posteriors.items():
            likeliest, counts = int(values.mean(axis=0).argmax()), self.top1.setdefault(name, {})
            counts[likeliest] = counts.get(likeliest, 0) + 1

    def write(self, path: str) -> None:
        records.write_text(_summary(path), json.dumps(dataclasses.asdict(self)))


def classes_of(teachers: Iterable[Teacher]) -> dict[str, int]:
    """The number of classes of each teacher, by its name."""
    return {teacher.name: len(teacher.labels) for teacher in teachers}


def _summary(path: str) -> str:
    return f'{os.path.splitext(path)[0]}.json'


@contextlib.contextmanager
def writing(path: str) -> Iterator[None]:
    """Turn write errors, such as a full disk, into SoundNetError."""
    try:
        yield
    except OSError as error:
        raise SoundNetError(
            f'{path}: cannot be written ({records.words(error)}). Free some space or fix the path, '
            'and run the same command again: finished shards are kept'
        ) from error


def write(path: str, samples: Iterable[Sample | Skipped], clock: Clock) -> None:
    """Write one shard, whole or not at all, and its summary."""
    summary = _Summary()
    with contextlib.ExitStack() as draft:
        with writing(path):
            file = draft.enter_context(records.whole_file(path))
        for sample in samples:
            if isinstance(sample, Skipped):
                summary.skipped.append(sample)
                continue
            with clock.at(pace.WRITE), writing(path):
                try:
                    record = records.encode(sample)
                except (BadRecord, ValueError, TypeError, EncodeError) as error:
                    summary.skipped.append(stages.unexpected(sample.id, sample.source, error))
                    continue
                file.write(tfrecords.framed(record))
            summary.add(sample, len(record))
        with writing(path):
            # A new shard is renamed last, so that every shard has a summary. A rewritten one is renamed
            # first: its summary can be made again from it, but not the other way round.
            first = not gfiles.exists(path)
            if first:
                summary.write(path)
            draft.close()  # renames it
            if not first:
                summary.write(path)


def finish(
    folder: str,
    layout: Layout,
    videos: int,
    teachers: Sequence[Teacher],
    settings: Settings,
    timing: str,
    left_out: Sequence[Skipped] = (),
    gone: int = 0,
) -> Report:
    """Write the card and skipped.csv, which begins with what was `left_out` before, once all shards exist.

    `gone` is that of `missing`.
    """
    count, samples, incomplete, skipped = 0, 0, 0, list(left_out)
    top1: dict[str, collections.Counter[int]] = {teacher.name: collections.Counter() for teacher in teachers}
    for path in layout.paths:
        about = _finished(path, classes_of(teachers))
        if about is None:
            raise SoundNetError(f'{path}: missing or damaged. Run the same command again')
        count, samples, incomplete = count + about.records, samples + about.samples, incomplete + about.incomplete
        skipped.extend(about.skipped)
        for name, counts in about.top1.items():
            top1[name].update(counts)
    hours = round(samples / SAMPLE_RATE / 3600, 4)
    removed = sum(len(part.removed) for part in layout.parts) - gone
    report = Report(folder, videos, count, hours, tuple(skipped), incomplete, removed, gone, timing)
    with writing(folder):
        for draft in (*records.listed(folder, '*.part'), *records.listed(f'{folder}/labels', '*.part')):
            gfiles.remove(draft)
        records.write_text(f'{folder}/{SKIPPED}', _table(skipped))
        labels = {teacher.name: teacher.labels for teacher in teachers}
        records.write_card(folder, _card(report, teachers, settings, layout.ends, top1), labels)
    return report


def _card(
    report: Report,
    teachers: Sequence[Teacher],
    settings: Settings,
    ends: tuple[int, ...],
    top1: Mapping[str, collections.Counter[int]],
) -> records.Card:
    about = {}
    for teacher in teachers:
        named: collections.Counter[str] = collections.Counter()
        for index, count in top1[teacher.name].items():
            named[teacher.labels[index]] += count  # two classes may have the same name
        shares = {name: round(count / report.records, 6) for name, count in named.most_common()}
        about[teacher.name] = records.TeacherCard(len(teacher.labels), teacher.kind, teacher.source, top1=shares)
    return records.Card(
        about,
        settings.audio_format,
        settings.frame_every_s,
        settings.clip_s,
        report.records,
        ends[-1],
        report.videos,
        report.hours,
        report.reasons,
        incomplete=report.incomplete,
        parts=ends if len(ends) > 1 else (),
    )


def _table(skipped: Sequence[Skipped]) -> str:
    text = io.StringIO(newline='')
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['id', 'path', 'reason', 'detail'])
    writer.writerows(map(cells.neutral, (skip.id, skip.path, skip.reason, skip.detail)) for skip in skipped)
    return text.getvalue().encode(errors='replace').decode()

"""Preparation on one machine: threads take out sound and frames, the teachers look, shards are written.

A shard is written under a temporary name and renamed when it is whole, with a list of what it
skipped beside it. A stopped run goes on with the shards that are not there yet.
"""

import collections
import contextlib
import csv
import dataclasses
import itertools
import json
import os
import pathlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import tensorflow as tf
from tqdm import tqdm

from soundnet_tf import records
from soundnet_tf.prepare import plan, stages
from soundnet_tf.prepare.manifest import Video
from soundnet_tf.prepare.stages import Clip, Settings, Skipped
from soundnet_tf.teachers import Teacher

SKIPPED = 'skipped.csv'
FRAMES_PER_BATCH = 64
"""VGG16 takes some 15 MB of memory for each."""
VIDEOS_PER_SHARD = 256
LEAST_SHARDS = 8
"""Fewer would make a small run start over when it is stopped."""

A = TypeVar('A')
B = TypeVar('B')


@dataclasses.dataclass(frozen=True)
class Report:
    """How many records a finished run holds, and what became none."""

    folder: pathlib.Path
    records: int
    skipped: tuple[Skipped, ...]

    @property
    def reasons(self) -> dict[str, int]:
        return dict(collections.Counter(skip.reason for skip in self.skipped).most_common())

    @property
    def failures(self) -> int:
        return sum(skip.reason in stages.FAILURES for skip in self.skipped)

    def __str__(self) -> str:
        total = self.records + len(self.skipped)
        line = f'{self.records} of {total} videos became records in {self.folder}'
        if self.skipped:
            counts = ', '.join(f'{count} {reason}' for reason, count in self.reasons.items())
            line += f'; {len(self.skipped)} skipped: {counts} (listed in {self.folder / SKIPPED})'
        return line


def run(
    videos: Sequence[Video],
    teachers: Sequence[Teacher],
    out: str | os.PathLike[str],
    settings: Settings | None = None,
    *,
    shards: int | None = None,
    jobs: int | None = None,
) -> Report:
    """Make a dataset of the videos in the folder `out`; go on where an earlier run was stopped.

    `shards` is the number of files, `jobs` of threads that read videos. Raises SoundNetError if `out`
    was begun with other videos, teachers or settings, or if another run is writing there.
    """
    settings = settings or Settings()
    folder = pathlib.Path(out)
    shards = shards or max(LEAST_SHARDS, -(-len(videos) // VIDEOS_PER_SHARD))
    with plan.held(folder, plan.of(videos, teachers, settings, shards)):
        paths = records.shard_paths(folder, shards)
        _write_missing(paths, videos, teachers, settings, jobs or len(os.sched_getaffinity(0)))
        report = _report(folder, paths)
        _list_skipped(folder, report.skipped)
        labels = {teacher.name: teacher.labels for teacher in teachers}
        records.write_card(folder, stages.card(teachers, settings, shards, report.records, report.reasons), labels)
    return report


def _write_missing(
    paths: Sequence[pathlib.Path], videos: Sequence[Video], teachers: Sequence[Teacher], settings: Settings, jobs: int
) -> None:
    members: list[list[Video]] = [[] for _ in paths]
    for video in videos:
        members[records.shard_of(video.id, len(paths))].append(video)
    todo = [index for index, path in enumerate(paths) if not (path.exists() and path.with_suffix('.json').exists())]
    waiting = [video for index in todo for video in members[index]]
    side = max((teacher.side for teacher in teachers), default=0)
    bar = tqdm(total=len(videos), initial=len(videos) - len(waiting), unit='video', desc='preparing')
    with bar, ThreadPoolExecutor(jobs) as pool:
        taken = _ahead(pool, lambda video: stages.extract(video, settings, side), waiting, 2 * jobs)
        with contextlib.closing(taken):
            for index in todo:
                clips = _counted(itertools.islice(taken, len(members[index])), bar)
                _write_shard(paths[index], _labelled(clips, teachers, settings))


def _ahead(pool: ThreadPoolExecutor, function: Callable[[A], B], items: Iterable[A], depth: int) -> Generator[B]:
    """`map` in order, but with only `depth` results waiting: frames of videos are large."""
    waiting: collections.deque[Future[B]] = collections.deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        # Whatever stopped the run need not wait for more than the videos that are being read.
        for future in waiting:
            future.cancel()


def _counted(clips: Iterable[Clip | Skipped], bar: 'tqdm[Any]') -> Iterator[Clip | Skipped]:
    for clip in clips:
        yield clip
        bar.update()


def _labelled(
    clips: Iterable[Clip | Skipped], teachers: Sequence[Teacher], settings: Settings
) -> Iterator[records.Sample | Skipped]:
    """Clips go to the teachers once enough frames have come together."""
    batch: list[Clip] = []
    for clip in clips:
        if isinstance(clip, Skipped):
            yield clip
            continue
        batch.append(clip)
        if sum(len(waiting.frames) for waiting in batch) >= FRAMES_PER_BATCH:
            yield from stages.label(batch, teachers, settings)
            batch = []
    if batch:
        yield from stages.label(batch, teachers, settings)


def _write_shard(path: pathlib.Path, samples: Iterable[records.Sample | Skipped]) -> None:
    draft, skipped, count = path.with_suffix('.part'), [], 0
    try:
        with tf.io.TFRecordWriter(str(draft)) as writer:
            for sample in samples:
                if isinstance(sample, Skipped):
                    skipped.append(dataclasses.asdict(sample))
                else:
                    writer.write(records.encode(sample))
                    count += 1
        # The list first: a shard that is there is whole, list included.
        path.with_suffix('.json').write_text(json.dumps({'records': count, 'skipped': skipped}, indent=1))
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _report(folder: pathlib.Path, paths: Sequence[pathlib.Path]) -> Report:
    count, skipped = 0, []
    for path in paths:
        about = json.loads(path.with_suffix('.json').read_text())
        count += about['records']
        skipped += [Skipped(Video(**s['video']), s['reason'], s['detail']) for s in about['skipped']]
    return Report(folder, count, tuple(skipped))


def _list_skipped(folder: pathlib.Path, skipped: Sequence[Skipped]) -> None:
    draft = folder / f'{SKIPPED}.part'
    with draft.open('w', newline='', encoding='utf-8', errors='replace') as file:
        writer = csv.writer(file)
        writer.writerow(['id', 'path', 'reason', 'detail'])
        writer.writerows([s.video.id, s.video.path, s.reason, s.detail] for s in skipped)
    os.replace(draft, folder / SKIPPED)

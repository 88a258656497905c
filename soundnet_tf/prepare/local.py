"""Preparation on one machine: processes decode sound and frames, the teachers label them, shards are written."""

import contextlib
import functools
import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from tqdm import tqdm

from soundnet_tf import progress, storage
from soundnet_tf.parallel import threads
from soundnet_tf.prepare import pace, plan, shards, stages
from soundnet_tf.prepare.manifest import Video
from soundnet_tf.prepare.pace import Clock
from soundnet_tf.prepare.readers import Readers
from soundnet_tf.prepare.shards import Report
from soundnet_tf.prepare.stages import Settings, Skipped, VideoClip
from soundnet_tf.prepare.web.videos import Fetcher
from soundnet_tf.teachers import Teacher

CLIPS_WAITING = 4
"""Per video: frames are large."""

DOWNLOADS, AHEAD = 16, 256
"""Download threads, and how many videos they may be ahead, so that a slow one does not delay the others."""

A = TypeVar('A')


def run(
    videos: Sequence[Video],
    teachers: Sequence[Teacher],
    out: str | os.PathLike[str],
    settings: Settings | None = None,
    *,
    number: int | None = None,
    jobs: int | None = None,
    frames_per_batch: int = stages.FRAMES_PER_BATCH,
    downloads: str | None = None,
    fetches_per_s: float = 10.0,
    retry: bool = False,
    left_out: Sequence[Skipped] = (),
) -> Report:
    """Prepare a dataset of the videos in the folder `out`, resume a stopped run, or add videos to a dataset.

    `number` is the number of shards of videos that are new, `jobs` of videos that are read at once; a teacher's batch
    has about `frames_per_batch` frames. Downloads are kept in the folder `downloads`; by default they are in
    `out/downloads` until their shard is written. `retry` repeats the failed videos of finished shards.
    `left_out` is listed with the videos that give no record.
    Raises SoundNetError if `out` was started with other teachers or settings, if another run
    is writing to it, or if it cannot be written.
    """
    settings = settings or Settings()
    folder, jobs = os.fspath(out).rstrip('/'), jobs or len(os.sched_getaffinity(0))
    clock = Clock()
    with plan.lock(folder, videos, teachers, settings, number) as layout:
        classes, side = shards.classes_of(teachers), stages.side_of(teachers)
        todo, gone = shards.missing(layout.parts, classes, retry)
        waiting = [video for members in todo.values() for video in members]
        bar = progress.bar(
            total=len(videos), initial=len(videos) - len(waiting), unit='video', desc='preparing', keep=True
        )
        is_remote = storage.is_remote(folder)
        place = downloads or (tempfile.mkdtemp(prefix='soundnet') if is_remote else f'{folder}/downloads')
        files = _Files(Fetcher(place, keep=downloads is not None, per_second=fetches_per_s), clock)
        readers = Readers(settings, side, clock)
        with bar, contextlib.closing(readers), ThreadPoolExecutor(jobs) as pool, contextlib.closing(files):

            def extract(item: tuple[Video, Callable[[], str]]) -> Iterator[VideoClip | Skipped]:
                return stages.extract(*item, readers.read)

            clips_ahead = threads.iterate_ahead(pool, extract, files.ahead(waiting), 2 * jobs, CLIPS_WAITING)
            with contextlib.closing(clips_ahead) as taken:
                for path, members in todo.items():
                    clips = _counted(itertools.islice(taken, len(members)), bar)
                    samples = stages.labelled(clips, teachers, settings, clock, frames_per_batch)
                    before = shards.kept(path, classes, members)
                    shards.write(path, itertools.chain(before, samples), clock)
                    files.done_with(members)
        timing = pace.table(clock.seconds, {'fetching': DOWNLOADS, 'reading': jobs}, len(waiting))
        return shards.finish(folder, layout, len(videos), teachers, settings, timing, left_out, gone)


class _Files:
    """The files of videos; downloads run ahead."""

    def __init__(self, fetcher: Fetcher, clock: Clock) -> None:
        self._fetcher, self._clock = fetcher, clock
        self._pool = ThreadPoolExecutor(DOWNLOADS)

    def ahead(self, videos: Iterable[Video]) -> Iterator[tuple[Video, Callable[[], str]]]:
        """Each video with a function that returns its file, or raises Unusable; AHEAD downloads are started early."""
        return threads.begin_ahead(self._start, videos, AHEAD)

    def _start(self, video: Video) -> tuple[Video, Callable[[], str]]:
        fetch = functools.partial(stages.fetched, video, self._fetcher, self._clock)
        return video, self._pool.submit(fetch).result if storage.is_remote(video.path) else fetch

    def done_with(self, videos: Iterable[Video]) -> None:
        """Remove downloads: the shard of these videos is written."""
        for video in videos:
            self._fetcher.discard(video)

    def close(self) -> None:
        self._fetcher.close()
        self._pool.shutdown(cancel_futures=True)


def _counted(videos: Iterable[Iterable[A]], bar: 'tqdm[Any]') -> Iterator[A]:
    for results in videos:
        yield from results
        bar.update()

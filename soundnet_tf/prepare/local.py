"""Preparation on one machine: threads decode sound and frames, the teachers label them, shards are written."""

import collections
import contextlib
import functools
import itertools
import os
import queue
import tempfile
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar, cast

from tqdm import tqdm

from soundnet_tf.prepare import pace, plan, shards, stages
from soundnet_tf.prepare.manifest import Video, is_remote
from soundnet_tf.prepare.pace import Clock
from soundnet_tf.prepare.shards import Report
from soundnet_tf.prepare.stages import Settings, Skipped, VideoClip
from soundnet_tf.prepare.web.videos import Fetcher
from soundnet_tf.teachers import Teacher

CLIPS_WAITING = 4
"""Per video: frames are large."""

DOWNLOADS, AHEAD = 16, 256
"""Download threads, and how many videos they may be ahead, so that a slow one does not delay the others."""

A = TypeVar('A')
B = TypeVar('B')


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

    `number` is the number of shards of videos that are new, `jobs` of threads that read videos; a teacher's batch has
    about `frames_per_batch` frames. Downloads are kept in the folder `downloads`; by default they are in
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
        todo = shards.missing(layout.parts, classes, retry)
        waiting = [video for members in todo.values() for video in members]
        bar = tqdm(total=len(videos), initial=len(videos) - len(waiting), unit='video', desc='preparing')
        place = downloads or (tempfile.mkdtemp(prefix='soundnet') if is_remote(folder) else f'{folder}/downloads')
        files = _Files(Fetcher(place, keep=downloads is not None, per_second=fetches_per_s), clock)
        with bar, ThreadPoolExecutor(jobs) as pool, contextlib.closing(files):

            def extract(item: tuple[Video, Callable[[], str]]) -> Iterator[VideoClip | Skipped]:
                return stages.extract(*item, settings, side, clock)

            with contextlib.closing(_ahead(pool, extract, files.ahead(waiting), 2 * jobs)) as taken:
                for path, members in todo.items():
                    clips = _counted(itertools.islice(taken, len(members)), bar)
                    samples = stages.labelled(clips, teachers, settings, clock, frames_per_batch)
                    before = shards.kept(path, classes, members)
                    shards.write(path, itertools.chain(before, samples), clock)
                    files.done_with(members)
        timing = pace.table(clock.seconds, {'fetching': DOWNLOADS, 'reading': jobs}, len(waiting))
        return shards.finish(folder, layout, len(videos), teachers, settings, timing, left_out)


class _Files:
    """The files of videos; downloads run ahead."""

    def __init__(self, fetcher: Fetcher, clock: Clock) -> None:
        self._fetcher, self._clock = fetcher, clock
        self._pool = ThreadPoolExecutor(DOWNLOADS)

    def ahead(self, videos: Iterable[Video]) -> Iterator[tuple[Video, Callable[[], str]]]:
        """Each video with a function that returns its file, or raises Unusable; AHEAD downloads are started early."""
        videos = iter(videos)
        started = collections.deque(self._start(video) for video in itertools.islice(videos, AHEAD))
        while started:
            yield started.popleft()
            started.extend(self._start(video) for video in itertools.islice(videos, 1))

    def _start(self, video: Video) -> tuple[Video, Callable[[], str]]:
        fetch = functools.partial(stages.fetched, video, self._fetcher, self._clock)
        return video, self._pool.submit(fetch).result if is_remote(video.path) else fetch

    def done_with(self, videos: Iterable[Video]) -> None:
        """Remove downloads: the shard of these videos is written."""
        for video in videos:
            self._fetcher.discard(video)

    def close(self) -> None:
        self._fetcher.close()
        self._pool.shutdown(cancel_futures=True)


class _Results(Generic[B]):
    """The results of an iterator that runs in another thread, a few ahead of the consumer."""

    _END = object()

    def __init__(self) -> None:
        self._queue: queue.Queue[Any] = queue.Queue(CLIPS_WAITING)
        self._stopped = threading.Event()

    def make(self, function: Callable[[A], Iterator[B]], item: A) -> None:
        """Run in the other thread."""
        end: Any = self._END
        try:
            if not self._stopped.is_set():
                with contextlib.closing(cast(Any, function(item))) as results:
                    for result in results:
                        if not self._put(result):
                            break
        except BaseException as error:
            end = error
        self._put(end)

    def _put(self, result: Any) -> bool:
        """False after `stop`."""
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(result, timeout=0.1)
                return True
        return False

    def stop(self) -> None:
        """No more results are needed."""
        self._stopped.set()

    def __iter__(self) -> Iterator[B]:
        while (result := self._queue.get()) is not self._END:
            if isinstance(result, BaseException):
                raise result
            yield cast(B, result)


def _ahead(
    pool: ThreadPoolExecutor, function: Callable[[A], Iterator[B]], items: Iterable[A], depth: int
) -> Generator[_Results[B]]:
    """`function` of each item, in order; `depth` of them run at once, each a few results ahead.

    Unlike `threads.ahead`, it yields results before the function ends: all frames of a film do not fit in memory.
    """
    items, waiting = iter(items), collections.deque[_Results[B]]()

    def start(item: A) -> None:
        results = _Results[B]()
        waiting.append(results)
        pool.submit(results.make, function, item)

    try:
        for item in itertools.islice(items, depth):
            start(item)
        while waiting:
            yield waiting[0]
            waiting.popleft()
            for item in itertools.islice(items, 1):
                start(item)
    finally:
        # A stopped run waits only for the clips in progress.
        for results in waiting:
            results.stop()


def _counted(videos: Iterable[Iterable[A]], bar: 'tqdm[Any]') -> Iterator[A]:
    for results in videos:
        yield from results
        bar.update()

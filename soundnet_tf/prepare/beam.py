"""Preparation on a cluster: the stages of `local` as an Apache Beam pipeline."""

import contextlib
import functools
import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from soundnet_tf import cli
from soundnet_tf.errors import MissingTool
from soundnet_tf.prepare import pace, plan, shards, stages
from soundnet_tf.prepare.manifest import Video
from soundnet_tf.prepare.pace import Clock
from soundnet_tf.prepare.shards import Report
from soundnet_tf.prepare.stages import Settings, Skipped, VideoClip
from soundnet_tf.prepare.web.videos import Fetcher
from soundnet_tf.records import Sample
from soundnet_tf.teachers import Teacher

try:
    with cli.without_warnings():
        import apache_beam
        from apache_beam.metrics.metric import Metrics, MetricsFilter
        from apache_beam.transforms.window import GlobalWindow
        from apache_beam.utils.windowed_value import WindowedValue
except ImportError:
    raise MissingTool('apache-beam', 'preparing on a cluster', 'beam') from None

COUNTERS = 'soundnet'


def run(
    videos: Sequence[Video],
    teachers: Callable[[], Sequence[Teacher]],
    out: str,
    settings: Settings | None = None,
    *,
    number: int | None = None,
    frames_per_batch: int = stages.FRAMES_PER_BATCH,
    fetches_per_s: float = 10.0,
    retry: bool = False,
    left_out: Sequence[Skipped] = (),
    runner: str = 'DirectRunner',
    options: Sequence[str] = (),
) -> Report:
    """Prepare a dataset of the videos in `out`, a folder or bucket that all workers can access; see `local.run`.

    `teachers` loads the teachers, here and in every thread or process of the workers, which need the files
    at the same paths. `options` are passed to the runner. `fetches_per_s` applies to each worker. The records
    of a shard equal those of a local run, in another order.
    """
    settings, folder = settings or Settings(), out.rstrip('/')
    loaded = teachers()
    with plan.lock(folder, videos, loaded, settings, number) as layout:
        classes = shards.classes_of(loaded)
        todo, gone = shards.missing(layout.parts, classes, retry)
        waiting = [(path, video) for path, members in todo.items() for video in members]

        def build(pipeline: Any) -> None:
            samples = (
                pipeline
                | 'videos' >> apache_beam.Create(waiting)
                | 'spread' >> apache_beam.Reshuffle()
                | 'sound and frames' >> apache_beam.ParDo(_Extract(settings, stages.side_of(loaded), fetches_per_s))
                | 'teachers' >> apache_beam.ParDo(_Label(teachers, settings, frames_per_batch))
            )
            # Shards without videos are written too.
            empty = pipeline | 'shards' >> apache_beam.Create([(path, None) for path in todo])
            _ = (
                (samples, empty)
                | apache_beam.Flatten()
                | 'gather' >> apache_beam.GroupByKey()
                | 'write' >> apache_beam.ParDo(_Write(todo, classes))
            )

        result = cli.run_beam(runner, options, build)
        timing = pace.table(_seconds(result), {}, len(waiting))
        return shards.finish(folder, layout, len(videos), loaded, settings, timing, left_out, gone)


def _seconds(result: Any) -> dict[str, float]:
    """Seconds by stage, over all workers."""
    counters = result.metrics().query(MetricsFilter().with_namespace(COUNTERS))['counters']
    return {counter.key.metric.name: counter.result / 1e6 for counter in counters}


class _Clock(Clock):
    """Records times in the counters of the pipeline, in microseconds."""

    def add(self, stage: str, seconds: float) -> None:
        Metrics.counter(COUNTERS, stage).inc(round(1e6 * seconds))


class _Extract(apache_beam.DoFn):
    """`stages.extract`: (path, video) -> (path, clip or skipped) ..."""

    def __init__(self, settings: Settings, side: int, fetches_per_s: float) -> None:
        self._settings, self._side, self._fetches_per_s = settings, side, fetches_per_s

    def setup(self) -> None:
        self._open = contextlib.ExitStack()
        folder = self._open.enter_context(tempfile.TemporaryDirectory(prefix='soundnet'))
        self._fetcher = self._open.enter_context(Fetcher(folder, per_second=self._fetches_per_s))
        self._clock = _Clock()

    def teardown(self) -> None:
        self._open.close()

    def process(self, element: tuple[str, Video]) -> Iterator[tuple[str, VideoClip | Skipped]]:
        path, video = element
        file = functools.partial(stages.fetched, video, self._fetcher, self._clock)
        read = functools.partial(stages.read, settings=self._settings, side=self._side, clock=self._clock)
        for clip in stages.extract(video, file, read):
            yield path, clip
        self._fetcher.discard(video)


class _Label(apache_beam.DoFn):
    """`stages.label`: (path, clip or skipped) -> (shard, sample or skipped), frames of many clips together."""

    def __init__(self, teachers: Callable[[], Sequence[Teacher]], settings: Settings, frames: int) -> None:
        self._make, self._settings, self._frames = teachers, settings, frames

    def setup(self) -> None:
        self._teachers, self._clock = self._make(), _Clock()

    def start_bundle(self) -> None:
        self._waiting: list[tuple[str, VideoClip]] = []

    def process(self, element: tuple[str, VideoClip | Skipped]) -> Iterator[tuple[str, Sample | Skipped]]:
        path, clip = element
        if isinstance(clip, Skipped):
            yield path, clip
            return
        self._waiting.append((path, clip))
        if stages.is_full((clip for _, clip in self._waiting), self._frames):
            yield from self._label()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for labelled in self._label():
            yield WindowedValue(labelled, GlobalWindow().max_timestamp(), (GlobalWindow(),))

    def _label(self) -> Iterator[tuple[str, Sample | Skipped]]:
        if self._waiting:
            paths, clips = zip(*self._waiting, strict=True)
            self._waiting = []
            yield from zip(paths, stages.label(clips, self._teachers, self._settings, self._clock), strict=True)


class _Write(apache_beam.DoFn):
    """(shard, samples and skipped) -> a file."""

    def __init__(self, retried: Mapping[str, Sequence[Video]], classes: Mapping[str, int]) -> None:
        self._retried, self._classes = retried, classes

    def process(self, element: tuple[str, Iterable[Sample | Skipped | None]]) -> None:
        path, samples = element
        before = shards.kept(path, self._classes, self._retried[path])
        made = (sample for sample in samples if sample is not None)
        # A runner may run this twice at once: each run has its own draft, and the last one renames an equal file.
        shards.write(path, itertools.chain(before, made), _Clock())

"""Embedding on a cluster: the same functions as on one machine, as a pipeline of Apache Beam."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from soundnet_tf import cli
from soundnet_tf.errors import MissingTool
from soundnet_tf.inference import write
from soundnet_tf.inference.array_files import ArrayFile
from soundnet_tf.inference.embed import Embedder
from soundnet_tf.inference.files import SoundFile, Tally
from soundnet_tf.inference.listening import CLIPS_WAITING

try:
    with cli.without_warnings():
        import apache_beam
        from apache_beam.metrics.metric import Metrics, MetricsFilter
except ImportError:
    raise MissingTool('apache-beam', 'embedding on a cluster', 'beam') from None

COUNTERS = 'soundnet'

_FAILED = 'failed: '


def embed_files(
    load: Callable[[], Embedder],
    files: Sequence[SoundFile],
    out: str,
    format: str = 'npz',
    layers: Sequence[str] = (),
    pool: str = 'none',
    *,
    runner: str = 'DirectRunner',
    options: Sequence[str] = (),
) -> Tally:
    """`write.embed_files`, by workers that each `load` the net; they and this process see the same files and folders.

    A table is written here at the end. A bad file is reported in the logs of the worker that had it, and counted here.
    `options` are passed to the runner unchanged.
    """
    embedder = load()
    layers = embedder.listener.resolve_layers(layers)

    def to_arrays(facts: write.Facts, folder: str, arrays: ArrayFile) -> Tally:
        def build(pipeline: Any) -> None:
            _ = (
                pipeline
                | 'files' >> apache_beam.Create(list(files))
                | 'spread' >> apache_beam.Reshuffle()
                | 'embed' >> apache_beam.ParDo(_Embed(load, facts, folder, layers, arrays))
            )

        result = cli.run_beam(runner, options, build)
        counters = result.metrics().query(MetricsFilter().with_namespace(COUNTERS))['counters']
        return _tally({counter.key.metric.name: counter.result for counter in counters})

    return write.write(embedder, files, out, format, layers, pool, to_arrays)


def _tally(counted: Mapping[str, int]) -> Tally:
    tally = Tally(counted.get('done', 0), counted.get('skipped', 0), counted.get('elsewhere', 0))
    tally.hours = counted.get('seconds of sound', 0) / 3600
    tally.failed.update({name.removeprefix(_FAILED): n for name, n in counted.items() if name.startswith(_FAILED)})
    return tally


class _Embed(apache_beam.DoFn):
    """`write.to_folder` as a DoFn: a file to its output; it emits nothing."""

    def __init__(
        self, load: Callable[[], Embedder], facts: write.Facts, folder: str, layers: Sequence[str], arrays: ArrayFile
    ) -> None:
        self._load, self._settings = load, (facts, folder, layers, arrays)

    def setup(self) -> None:
        self._embedder = self._load()

    def start_bundle(self) -> None:
        self._waiting: list[SoundFile] = []

    def process(self, element: SoundFile) -> Iterator[None]:
        self._waiting.append(element)
        if len(self._waiting) >= CLIPS_WAITING:
            self._embed()
        yield from ()

    def finish_bundle(self) -> None:
        self._embed()

    def _embed(self) -> None:
        if not self._waiting:
            return
        tally = write.to_folder(self._embedder, self._waiting, *self._settings)
        self._waiting = []
        counts = {'done': tally.done, 'skipped': tally.skipped, 'elsewhere': tally.elsewhere}
        counts |= {'seconds of sound': round(3600 * tally.hours)}
        counts |= {_FAILED + reason: count for reason, count in tally.failed.items()}
        for name, count in counts.items():
            Metrics.counter(COUNTERS, name).inc(count)

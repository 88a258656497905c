"""Streaming: the same values as for the whole sound, each as soon as it is final, in constant memory.

A step of a layer is final when all samples in its receptive field have arrived (`geometry.final_frames`), so it comes
`geometry.latency` after the sound at its centre. Each part of the net keeps the end of its input that its next step
needs: less than one kernel, and a pool, of steps per layer. docs/streaming.md has the table.
"""

import contextlib
import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soundnet_tf import audio, geometry
from soundnet_tf.audio import SAMPLE_RATE, SILENCE_DBFS, Short, Waveform
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference.embedding import Embedding
from soundnet_tf.nets import forks
from soundnet_tf.parallel import threads
from soundnet_tf.spec import NetSpec

if TYPE_CHECKING:
    from soundnet_tf.nets.fast import Stage

BLOCK_S = 20
"""Seconds of sound that go through the net at once: conv1 outputs 14 MB for them, and longer blocks are no faster."""

Outputs = dict[str, NDArray[np.float32]]

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def blocks_of(pieces: Iterator[Waveform]) -> Generator[Waveform]:
    """The same sound in blocks of BLOCK_S; a thread prepares the next block while one is processed."""
    end: Waveform = np.zeros(0, np.float32)

    def gathered() -> Iterator[Waveform]:
        waiting, samples = [], 0
        for piece in pieces:
            waiting.append(piece)
            samples += len(piece)
            if samples >= BLOCK_S * SAMPLE_RATE:
                yield np.concatenate(waiting)
                waiting, samples = [], 0
        yield np.concatenate([end, *waiting])

    blocks = gathered()
    coming = threads.ahead(lambda _: next(blocks, end), itertools.repeat(None), threads=1)
    with contextlib.closing(coming):
        yield from itertools.takewhile(lambda block: block is not end, coming)


def rows_of(spec: NetSpec, layers: Sequence[str]) -> tuple[str, ...]:
    """The rows of the table for `layers`: the paper's conv8 stands for all heads."""
    alias = [] if spec.head_alias in spec.head_names else [spec.head_alias]
    rows = [spec.head_names if layer in alias else (layer,) for layer in layers]
    return tuple(dict.fromkeys(row for names in rows for row in names))


def joined(spec: NetSpec, outputs: Outputs, layers: Sequence[str]) -> Outputs:
    """The outputs of `layers` from those of their rows: conv8 is the concatenation of the heads."""
    return {
        layer: outputs[layer] if layer in outputs else np.concatenate([outputs[head] for head in spec.head_names], 1)
        for layer in layers
    }


class NetStream:
    """A net as a stream: samples in, the final time steps of its layers out.

    `stages` lead to all `layers`, each with its `run` on arrays `[1, time, channels]`.
    """

    def __init__(self, spec: NetSpec, layers: Sequence[str], stages: Sequence[tuple['Stage', Run]]) -> None:
        self._layers = tuple(layers)
        widths = {None: 1} | {stage.name: geometry.channels(spec, stage.name) for stage, _ in stages}
        self._steps = [_Step(stage, run, widths[stage.source], widths[stage.name]) for stage, run in stages]

    def push(self, waveform: Waveform, last: bool = False) -> Outputs:
        """`[samples]`, from 0 upward, to `[time, channels]` of each layer, for the steps that are final now.

        Raises SoundNetError in a process that was forked after TensorFlow was used.
        """
        forks.check()
        given: dict[str | None, NDArray[np.float32]] = {None: waveform[:, None]}
        for step in self._steps:
            given[step.stage.name] = step.push(given[step.stage.source], last)
        return {layer: given[layer] for layer in self._layers}

    def numbers(self) -> int:
        """How many values are kept between pushes."""
        return sum(step.kept.size for step in self._steps)


class _Step:
    """A stage, and the part of its input that it still needs."""

    def __init__(self, stage: 'Stage', run: Run, channels: int, outputs: int) -> None:
        self.stage, self._run = stage, run
        self.kept = np.zeros([stage.paddings[0], channels], np.float32)
        self._nothing = np.zeros([0, outputs], np.float32)
        self._skip = 0  # with a stride longer than the kernel: the samples between two steps
        self._begun = False

    def push(self, x: NDArray[np.float32], last: bool) -> NDArray[np.float32]:
        self._begun = self._begun or len(x) > 0
        if not self._begun:  # padding alone gives no step, as `geometry.frames` has it
            return self._nothing
        stage = self.stage
        behind = [np.zeros([stage.paddings[1], x.shape[1]], np.float32)] if last else []
        x = np.concatenate([self.kept, x, *behind])
        self._skip, x = max(0, self._skip - len(x)), x[self._skip :]
        steps = max(0, (len(x) - stage.kernel) // stage.stride + 1)
        used = steps * stage.stride
        y = self._run(x[None, : used - stage.stride + stage.kernel])[0] if steps else self._nothing
        # A copy: a view would keep the whole block in memory.
        self._skip, self.kept = self._skip + max(0, used - len(x)), x[used:].copy()
        return y


class _Open:
    """Holds the state of one sound, some of it in native memory: no copy could continue it."""

    def __reduce__(self) -> NoReturn:
        raise TypeError('a stream cannot be copied or pickled. Open another one with Embedder.stream')


class Streams(_Open):
    """Several layers and heads of one streamed sound; `NetListener.open_stream` opens it.

    The results of all pushes and of the finish, joined, are those of `NetListener.listen` for the whole sound.
    """

    def __init__(
        self,
        net: NetStream,
        spec: NetSpec,
        layers: Sequence[str],
        intake: audio.Intake,
        short: Short,
        name: str,
    ) -> None:
        self._net, self._spec, self._layers = net, spec, tuple(layers)
        self._intake, self._name = intake, name
        self._short: Short = short
        self._min_samples = max(geometry.min_samples(spec, layer) for layer in self._layers)
        # A sound that is too short is extended at the end, so it is kept until it is long enough.
        self._beginning = np.zeros(0 if short == 'error' else self._min_samples, np.float32)
        self._samples = 0
        self._meter = audio.LevelMeter(max(geometry.receptive_field(spec, layer) for layer in layers) / SAMPLE_RATE)
        self._given = dict.fromkeys(self._layers, 0)
        self._finished = False

    @property
    def seconds(self) -> float:
        """The length of the sound so far."""
        return self._samples / SAMPLE_RATE

    @property
    def silent(self) -> bool:
        """Whether the receptive fields of the steps of the last push were silent, whatever came before."""
        return self._meter.recent_dbfs < SILENCE_DBFS

    def push(self, samples: ArrayLike) -> dict[str, Embedding]:
        """The steps that become final with these samples, `[n]` or `[n, channels]` with n from 0 upward.

        Raises BadAudio for unusable samples, SoundNetError if the stream is finished.
        """
        return self._take(samples)

    def finish(self) -> dict[str, Embedding]:
        """The remaining steps, at the end of the sound. A sound that is too short is extended, or raises ShortClip."""
        return self._take([], last=True)

    def _take(self, samples: ArrayLike, last: bool = False) -> dict[str, Embedding]:
        if self._finished:
            raise SoundNetError('the stream is finished. Open another one for another sound')
        self._finished = last
        waveform = self._intake.push(samples, last)
        room = self._beginning[self._samples :]
        room[: len(waveform)] = waveform[: len(room)]
        self._samples += len(waveform)
        self._meter.push(waveform)
        filled = last and self._short != 'error' and 0 < self._samples < self._min_samples
        if filled:
            whole = audio.fill(self._beginning[: self._samples], self._min_samples, self._short)
            waveform = np.append(waveform, whole[self._samples :])
        elif last:
            for layer in self._layers:
                geometry.require(self._spec, layer, self._samples, self._name)
        outputs = self._through(waveform, last)
        return {
            layer: self._embedding(layer, values, self._short if filled else 'error')
            for layer, values in outputs.items()
        }

    def _through(self, waveform: Waveform, last: bool) -> Outputs:
        size = BLOCK_S * SAMPLE_RATE
        parts = [
            self._net.push(waveform[at : at + size], last and at + size >= len(waveform))
            for at in range(0, max(1, len(waveform)), size)
        ]
        rows = {row: np.concatenate([part[row] for part in parts]) for row in parts[0]}
        return joined(self._spec, rows, self._layers)

    def _embedding(self, layer: str, values: NDArray[np.float32], filled: Short) -> Embedding:
        before = self._given[layer]
        self._given[layer] += len(values)
        times = np.array(geometry.frame_times(self._spec, layer, len(values), before))
        return Embedding.of(values, times, layer, self._samples, filled, self._meter.dbfs)


class Stream(_Open):
    """One layer of a streamed sound; `Embedder.stream` opens it."""

    def __init__(self, streams: Streams, layer: str) -> None:
        self._streams, self._layer = streams, layer

    @property
    def seconds(self) -> float:
        """The length of the sound so far."""
        return self._streams.seconds

    def push(self, samples: ArrayLike) -> Embedding:
        """The steps that become final with these samples, maybe none; see `Streams.push`."""
        return self._streams.push(samples)[self._layer]

    def finish(self) -> Embedding:
        """The remaining steps at the end of the sound, maybe none; see `Streams.finish`."""
        return self._streams.finish()[self._layer]

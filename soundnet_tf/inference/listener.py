"""A net that listens: sound files, clips and streams of samples to the embeddings of several layers at once.

Users call an `Embedder`; the other subpackages use this, for several layers, for long sounds in constant memory, and
for batches of clips.
"""

import contextlib
import dataclasses
import itertools
import os
from collections.abc import Iterable, Sequence
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soundnet_tf import audio, geometry
from soundnet_tf.audio import SAMPLE_RATE, Channel, Short, Waveform, blocks, decoding, notes
from soundnet_tf.errors import BadAudio, MissingTool, SoundNetError, UnknownLayer
from soundnet_tf.inference.embedding import Clip, Embedding, Embeddings, Opened, Path, join
from soundnet_tf.inference.engines import Edges, Engine
from soundnet_tf.inference.stream import BLOCK_S, Streams, blocks_of, joined, rows_of
from soundnet_tf.spec import NetSpec


class NetListener:
    """Listens with an engine; see `Embedder` for the arguments. Implements `embedding.Listener`."""

    def __init__(
        self,
        engine: Engine,
        short: Short = 'tile',
        decoder: str = 'auto',
        channel: Channel = 'first',
        strict: bool = False,
    ) -> None:
        if short not in get_args(Short):
            raise SoundNetError(f"short={short!r}: must be 'error', 'tile' or 'pad'")
        if channel not in get_args(Channel):
            raise SoundNetError(f"channel={channel!r}: must be 'first' or 'mean'")
        if not isinstance(strict, bool):
            raise SoundNetError(f'strict={strict!r}: must be True or False')
        decoding.require(decoder)
        self._engine = engine
        self.short: Short = short
        self.decoder = decoder
        self.channel: Channel = channel
        self.strict = strict

    @property
    def spec(self) -> NetSpec:
        """The table of the net."""
        return self._engine.spec

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """The class names of each head."""
        return self._engine.labels

    @property
    def precision(self) -> str:
        """The number format of multiplications: float32, or bfloat16."""
        return self._engine.precision

    @property
    def edges(self) -> Edges:
        """Whether steps at a clip's end that training never used are dropped, if the net has such steps."""
        return 'keep' if self.spec == self.spec.with_edges() else 'drop'

    def resolve_layer(self, layer: str | None) -> str:
        """The layer itself, or the feature layer for None. Raises UnknownLayer, which lists all layers and heads."""
        layer = self.spec.feature_layer if layer is None else layer
        if not isinstance(layer, str):
            raise UnknownLayer(
                f'layer={layer!r}: must be one name, such as {self.spec.feature_layer!r}; use layers= for several'
            )
        rows = rows_of(self.spec, [layer])
        if not rows or not all(map(self._engine.serves, rows)):
            layers = ', '.join(filter(self._engine.serves, self.spec.layer_names))
            heads = ', '.join(filter(self._engine.serves, self.spec.head_names)) or 'none'
            raise UnknownLayer(f'{self.spec.name} has no layer {layer!r}; its layers are {layers}, its heads {heads}')
        if layer not in rows:  # heads of several geometries are not one layer
            geometry.path(self.spec, layer)
        return layer

    def resolve_layers(self, layers: Sequence[str]) -> list[str]:
        """`resolve_layer` of each, once and in the order of the net, or only the feature layer for none."""
        order = [*self.spec.layer_names, self.spec.head_alias, *self.spec.head_names]
        return sorted({self.resolve_layer(layer) for layer in layers or [None]}, key=order.index)

    def heads(self) -> tuple[str, ...]:
        """The heads to tag with. Raises SoundNetError if the net has none."""
        if not self.spec.heads:
            raise SoundNetError(f'{self.spec.name}: has no heads, so it cannot tag. Use a net with heads, or embed')
        return self.spec.head_names

    def open_file(self, path: Path, layers: Sequence[str]) -> Opened:
        """A sound file decoded: a clip, or the pieces of a file that is too long to be processed in one piece."""
        if not isinstance(path, str | os.PathLike):
            raise BadAudio(f'{path!r}: is not a path. Pass that of a sound file')
        layers = [self.resolve_layer(layer) for layer in layers]
        max_samples = SAMPLE_RATE * self._engine.max_clip_s(rows_of(self.spec, layers))
        sound = blocks.read(path, self.decoder, self.channel, notes.check_of(self.strict))
        taken, samples = [], 0
        for piece in sound:
            taken.append(piece)
            samples += len(piece)
            if samples > max_samples:
                return sound.through(itertools.chain(taken, sound))
        return dataclasses.replace(self.fit(blocks.joined(taken), layers, os.fspath(path)), notes=sound.notes)

    def open_samples(
        self, samples: ArrayLike, sample_rate: int, layers: Sequence[str], name: str = 'the clip'
    ) -> Opened:
        """The same of samples `[n]` or `[n, channels]` at `sample_rate` in Hz."""
        samples = audio.to_array(samples)
        audio.check_rate(sample_rate)
        if len(samples) <= sample_rate * self._engine.max_clip_s(rows_of(self.spec, layers)):
            return self.fit(audio.to_waveform(samples, sample_rate, self.channel, name), layers, name)
        intake, size = audio.Intake(sample_rate, self.channel, name), round(sample_rate * BLOCK_S)
        starts = range(0, len(samples), size)
        return (intake.push(samples[at : at + size], last=at + size >= len(samples)) for at in starts)

    def fit(self, waveform: Waveform, layers: Sequence[str], name: str = 'the clip') -> Clip:
        """A clip that is long enough for the layers. Raises ShortClip if it is not and `short='error'`."""
        layers = [self.resolve_layer(layer) for layer in layers]
        min_samples = max(geometry.min_samples(self.spec, layer) for layer in layers)
        extended = audio.fill(waveform, min_samples, self.short)
        for layer in layers:
            geometry.require(self.spec, layer, len(extended), name)
        return Clip(extended, len(waveform))

    def open_stream(self, layers: Sequence[str], sample_rate: int = SAMPLE_RATE, name: str = 'the sound') -> Streams:
        """For a sound that arrives piece by piece, in samples `[n]` or `[n, channels]` at `sample_rate` in Hz."""
        layers = [self.resolve_layer(layer) for layer in layers]
        intake = audio.Intake(sample_rate, self.channel, name)
        try:
            net = self._engine.open_stream(rows_of(self.spec, layers))
        except ModuleNotFoundError as error:  # TensorFlow
            purpose = f'{name}: a stream, or a sound of more than five minutes,'
            raise MissingTool(error.name or 'TensorFlow', purpose) from None
        return Streams(net, self.spec, layers, intake, self.short, name)

    def listen(self, opened: Opened, layers: Sequence[str], name: str = 'the clip') -> Embeddings:
        """The embeddings of what `open_file`, `open_samples` or `fit` gave."""
        if isinstance(opened, Clip):
            return self.listen_clips([opened], layers)[0]
        return self.listen_pieces(opened, layers, name)

    def listen_samples(self, samples: ArrayLike, sample_rate: int, layers: Sequence[str]) -> Embeddings:
        """The embeddings of samples, as `open_samples` takes them."""
        return self.listen(self.open_samples(samples, sample_rate, layers), layers)

    def listen_file(self, path: Path, layers: Sequence[str]) -> Embeddings:
        """The embeddings of a sound file. What of it is missing is logged."""
        opened = self.open_file(path, layers)
        embeddings = self.listen(opened, layers, os.fspath(path))
        notes.log(path, notes.of(opened))
        return embeddings

    def listen_clips(self, clips: Sequence[Clip], layers: Sequence[str]) -> list[Embeddings]:
        """The embeddings of each clip, as one batch; its memory is that of as many clips of the longest length."""
        outputs = self._engine.run_many([clip.waveform for clip in clips], rows_of(self.spec, layers))
        return [
            {layer: self._embedding(values, layer, clip) for layer, values in joined(self.spec, rows, layers).items()}
            for clip, rows in zip(clips, outputs, strict=True)
        ]

    def listen_pieces(self, pieces: Iterable[Waveform], layers: Sequence[str], name: str = 'the sound') -> Embeddings:
        """The embeddings of a sound that comes in pieces; memory is constant, apart from the result."""
        streams = self.open_stream(layers, name=name)
        with contextlib.closing(blocks_of(iter(pieces))) as sound:
            parts = [streams.push(block) for block in sound]
        parts.append(streams.finish())
        return {layer: join([part[layer] for part in parts]) for layer in layers}

    def _embedding(self, values: NDArray[np.float32], layer: str, clip: Clip) -> Embedding:
        times = np.array(geometry.frame_times(self.spec, layer, len(values)))
        filled = self.short if len(clip.waveform) > clip.samples else 'error'
        return Embedding.of(values, times, layer, clip.samples, filled, clip.level_dbfs)

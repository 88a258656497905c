"""The Embedder: sounds of any kind and length to the values of a layer over time, and to tags."""

import contextlib
import dataclasses
import functools
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soundnet_tf import audio, geometry
from soundnet_tf.audio import SAMPLE_RATE, Channel, Short, Waveform, blocks
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import tag as tags
from soundnet_tf.inference.embedding import Embedding, join
from soundnet_tf.inference.engine import Edges, Engine, engine_of
from soundnet_tf.inference.stream import BLOCK_S, Stream, Streams, blocks_of, joined, rows_of
from soundnet_tf.nets import lookup, saved
from soundnet_tf.spec import NetSpec

if TYPE_CHECKING:
    from soundnet_tf.inference.listening import Heard, Unusable
    from soundnet_tf.nets.fast import Precision

Path = str | os.PathLike[str]


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
    """A sound to be listened to whole: its waveform, filled up where it was too short, and its own length."""

    waveform: Waveform
    samples: int

    @functools.cached_property
    def level_dbfs(self) -> float:
        """Of the sound itself; see `audio.LevelMeter`."""
        return audio.level_dbfs(self.waveform[: self.samples])


class Embedder:
    """Listens with a net: embeddings of any of its layers, tags of its heads.

    Args:
      engine: what runs the net, such as `KerasEngine(net)`; `load` chooses one for a saved net.
      short: for a clip too short for a layer, 'error' raises ShortClip, 'tile' repeats the clip as the authors did,
        'pad' puts silence behind it.
      decoder: which library reads sound files; a name of `decoding.DECODERS`, or 'auto'.
      channel: which signal of several channels is taken, 'first' as the authors did, or 'mean'.
      facts: what is known of the net's origin; the model.json of a saved net.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        short: Short = 'error',
        decoder: str = 'auto',
        channel: Channel = 'first',
        facts: Mapping[str, Any] | None = None,
    ):
        if short not in get_args(Short):
            raise SoundNetError(f"short is 'error', 'tile' or 'pad', not {short!r}")
        if channel not in get_args(Channel):
            raise SoundNetError(f"channel is 'first' or 'mean', not {channel!r}")
        self.facts = dict(facts or {})
        self._engine = engine
        self.short: Short = short
        self.decoder = decoder
        self.channel: Channel = channel

    @property
    def spec(self) -> NetSpec:
        """The table of the net: layers, heads, and the layer to embed with when none is named."""
        return self._engine.spec

    @property
    def precision(self) -> str:
        """What the net multiplies in: float32, or bfloat16."""
        return self._engine.precision

    @property
    def edges(self) -> Edges:
        """Whether steps at a clip's end that the net never learned to give are left out, as far as it has such."""
        return 'keep' if self.spec == self.spec.with_edges() else 'drop'

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """The class names of each head."""
        return self._engine.labels

    @property
    def sure_from(self) -> dict[str, float]:
        """How probable a head's best class must be for an answer, of heads for which that was measured.

        Below, `soundnet-tag` says that it is not sure. Source: `sure_from` of model.json.
        """
        return dict(self.facts.get('sure_from', {}))

    def is_sure(self, tags_: Sequence[tags.Tag]) -> dict[str, bool]:
        """By head, whether the best of these tags is as probable as `sure_from` asks; of heads that it tells of."""
        return tags.sure(tags_, self.sure_from)

    def embed(self, waveform: ArrayLike, sample_rate: int, layer: str | None = None) -> Embedding:
        """The values of a layer, or of a head by its name, its probabilities; by default of `spec.feature_layer`.

        `waveform` is `[samples]` or `[samples, channels]`, an array, list or tensor, float in [-1, 1] or whole PCM
        numbers, at any `sample_rate` in Hz and of any length. Raises ShortClip, BadAudio where it holds no usable
        samples, SoundNetError for an unknown layer.
        """
        layer = self.known(layer)
        return self._heard(self._opened(waveform, sample_rate, [layer]), [layer])[layer]

    def embed_batch(
        self, waveforms: Iterable[ArrayLike], sample_rate: int, layer: str | None = None
    ) -> list[Embedding]:
        """`embed` of each, with the same numbers in less time: `[batch, samples]`, or clips of several lengths."""
        from soundnet_tf.inference import listening

        layer = self.known(layer)
        sounds = (
            (name := f'clip {number}', self._opened(waveform, sample_rate, [layer], name))
            for number, waveform in enumerate(waveforms)
        )
        return [_or_raise(heard)[layer] for heard in listening.together(self, sounds, [layer])]

    def embed_file(self, path: Path, layer: str | None = None) -> Embedding:
        """As `embed`, of a sound file of any length. Errors name it."""
        layer = self.known(layer)
        return self.listen_file(path, [layer])[layer]

    def embed_files(self, paths: Iterable[Path], layer: str | None = None) -> Iterator[Embedding]:
        """As `embed_file`, of each file in turn, decoded ahead and batched. The first bad file ends it."""
        from soundnet_tf.inference import listening

        if isinstance(paths, str | os.PathLike):
            raise SoundNetError(f'{paths}: give a list of paths')
        layer = self.known(layer)
        for heard in listening.each(self, (os.fspath(path) for path in paths), [layer]):
            yield _or_raise(heard)[layer]

    def tag(self, waveform: ArrayLike, sample_rate: int, top: int = 5) -> list[tags.Tag]:
        """The `top` most probable classes of each head, of the clip as a whole; arguments and errors as `embed`.

        Of silence (`Embedding.silent`) each head gives one tag, 'silence' with probability 1, in place of its classes.
        """
        heads = self.heads()
        return self._named(self._heard(self._opened(waveform, sample_rate, heads), heads), top)

    def tag_file(self, path: Path, top: int = 5) -> list[tags.Tag]:
        """As `tag`, of a sound file. Errors name it."""
        return self._named(self.listen_file(path, self.heads()), top)

    def stream(self, layer: str | None = None, sample_rate: int = SAMPLE_RATE) -> Stream:
        """For a sound that comes piece by piece: `push` samples, take the steps that are settled, `finish`.

        Joined they are what `embed` gives for the whole sound, in constant memory. Samples are as in `embed`.
        """
        layer = self.known(layer)
        return Stream(self.streams([layer], sample_rate), layer)

    def streams(self, layers: Sequence[str], sample_rate: int = SAMPLE_RATE, name: str = 'the sound') -> Streams:
        """`stream` for several layers and heads at once."""
        layers = [self.known(layer) for layer in layers]
        intake = audio.Intake(sample_rate, self.channel, name)
        return Streams(self._engine.flow(rows_of(self.spec, layers)), self.spec, layers, intake, self.short, name)

    def listen(self, waveform: Waveform, layers: Sequence[str], name: str = 'the clip') -> dict[str, Embedding]:
        """Several layers and heads at once, of a waveform `[samples]` (float32, mono, 22,050 Hz, in [-1, 1]).

        Too short a clip is filled up to the length that the most demanding of them needs, where `short` says so.
        """
        if len(waveform) > SAMPLE_RATE * self._engine.whole_s(rows_of(self.spec, layers)):
            size = SAMPLE_RATE * BLOCK_S
            return self.listen_pieces((waveform[at : at + size] for at in range(0, len(waveform), size)), layers, name)
        return self.listen_clips([self.fitted(waveform, layers, name)], layers)[0]

    def listen_file(self, path: Path, layers: Sequence[str]) -> dict[str, Embedding]:
        """As `listen`, of a sound file. Errors name it."""
        return self._heard(self.open_file(path, layers), layers, os.fspath(path))

    def open_file(self, path: Path, layers: Sequence[str]) -> Clip | Iterator[Waveform]:
        """A sound file decoded: a clip, or the pieces of a file that is too long to be listened to whole."""
        layers = [self.known(layer) for layer in layers]
        most = SAMPLE_RATE * self._engine.whole_s(rows_of(self.spec, layers))
        pieces, taken, samples = blocks.read(path, self.decoder, self.channel), [], 0
        for piece in pieces:
            taken.append(piece)
            samples += len(piece)
            if samples > most:
                return itertools.chain(taken, pieces)
        return self.fitted(np.concatenate(taken) if len(taken) > 1 else taken[0], layers, os.fspath(path))

    def fitted(self, waveform: Waveform, layers: Sequence[str], name: str = 'the clip') -> Clip:
        """A clip that is long enough for the layers. Raises ShortClip where it is not and may not be filled up."""
        layers = [self.known(layer) for layer in layers]
        least = max(geometry.min_samples(self.spec, layer) for layer in layers)
        filled = audio.fill(waveform, least, self.short)
        for layer in layers:
            geometry.require(self.spec, layer, len(filled), name)
        return Clip(filled, len(waveform))

    def listen_clips(self, clips: Sequence[Clip], layers: Sequence[str]) -> list[dict[str, Embedding]]:
        """`listen` of each clip, as one batch; its memory is that of as many of the longest."""
        heard = self._engine.run_many([clip.waveform for clip in clips], rows_of(self.spec, layers))
        return [
            {layer: self._embedding(values, layer, clip) for layer, values in joined(self.spec, rows, layers).items()}
            for clip, rows in zip(clips, heard, strict=True)
        ]

    def listen_pieces(
        self, pieces: Iterable[Waveform], layers: Sequence[str], name: str = 'the sound'
    ) -> dict[str, Embedding]:
        """`listen` of a sound that comes in pieces: beside its result it takes no more memory for more sound."""
        streams = self.streams(layers, name=name)
        with contextlib.closing(blocks_of(iter(pieces))) as sound:
            parts = [streams.push(block) for block in sound]
        parts.append(streams.finish())
        return {layer: join([part[layer] for part in parts]) for layer in layers}

    def tags_in(self, heard: Mapping[str, Embedding], top: int = 5) -> list[tags.Tag]:
        """The tags of the heads among what `listen` gave, by the net's classes alone."""
        return [
            tag
            for head in self.spec.heads
            if head.name in heard
            for tag in tags.top(head.name, self.labels[head.name], tags.over_time(head, heard[head.name].values), top)
        ]

    def known(self, layer: str | None) -> str:
        """The layer itself, or the default one for None. Raises SoundNetError, listing them all, if there is none."""
        layer = self.spec.feature_layer if layer is None else layer
        rows = rows_of(self.spec, [layer])
        if not rows or not all(map(self._engine.serves, rows)):
            layers = ', '.join(filter(self._engine.serves, self.spec.layer_names))
            heads = ', '.join(filter(self._engine.serves, self.spec.head_names)) or 'none'
            raise SoundNetError(f'{self.spec.name} has no layer {layer!r}; its layers are {layers}, its heads {heads}')
        if layer not in rows:  # heads of several geometries are not one layer
            try:
                geometry.path(self.spec, layer)
            except ValueError as error:
                raise SoundNetError(str(error)) from None
        return layer

    def heads(self) -> tuple[str, ...]:
        """The heads to tag with. Raises SoundNetError where the net has none."""
        if not self.spec.heads:
            raise SoundNetError(f'{self.spec.name} has no heads, so it cannot tag: use a net with heads, or embed')
        return self.spec.head_names

    def _named(self, heard: Mapping[str, Embedding], top: int) -> list[tags.Tag]:
        silent = any(embedding.silent for embedding in heard.values())
        return tags.silence(heard) if silent else self.tags_in(heard, top)

    def _heard(
        self, sound: Clip | Iterator[Waveform], layers: Sequence[str], name: str = 'the clip'
    ) -> dict[str, Embedding]:
        if isinstance(sound, Clip):
            return self.listen_clips([sound], layers)[0]
        return self.listen_pieces(sound, layers, name)

    def _opened(
        self, samples: ArrayLike, sample_rate: int, layers: Sequence[str], name: str = 'the clip'
    ) -> Clip | Iterator[Waveform]:
        """Samples as a clip, or as the pieces of a sound that is too long to be listened to whole."""
        samples = audio.to_array(samples)
        if len(samples) <= sample_rate * self._engine.whole_s(rows_of(self.spec, layers)):
            return self.fitted(audio.to_waveform(samples, sample_rate, self.channel, name), layers, name)
        intake, size = audio.Intake(sample_rate, self.channel, name), sample_rate * BLOCK_S
        starts = range(0, len(samples), size)
        return (intake.push(samples[at : at + size], last=at + size >= len(samples)) for at in starts)

    def _embedding(self, values: NDArray[np.float32], layer: str, clip: Clip) -> Embedding:
        times = np.array(geometry.frame_times(self.spec, layer, len(values)))
        filled = self.short if len(clip.waveform) > clip.samples else 'error'
        return Embedding.of(values, times, layer, clip.samples, filled, clip.level_dbfs)

    def __repr__(self) -> str:
        return (
            f'Embedder({self.spec.name}: {self.spec.feature_layer}, heads {", ".join(self.spec.head_names) or "none"})'
        )


def _or_raise(heard: 'Heard | Unusable') -> 'Heard':
    if isinstance(heard, Exception):
        raise heard
    return heard


def load(
    name_or_path: Path | None = None,
    *,
    short: Short = 'error',
    decoder: str = 'auto',
    channel: Channel = 'first',
    precision: 'Precision' = 'float32',
    edges: Edges = 'drop',
) -> Embedder:
    """An Embedder of a saved net, named by its folder, as it ships or as it was registered; options as in `Embedder`.

    Where none is named it is the default net, the original `soundnet8`, which is converted at the first use.

    Where the folder has `net.tflite` and ai-edge-litert is installed, the layers in it are served without
    TensorFlow. `precision='bfloat16'` is for processors that have it: up to 1.7 times as quick, for sounds of 20 s and
    more and for batches, cosine 0.9999. `edges='keep'` gives all steps of each layer and head, those too at the end of
    a clip that the net never learned to give (docs/edges.md).
    Raises SoundNetError where the folder is no saved net.
    """
    folder = lookup.find(name_or_path)
    engine = engine_of(folder, precision, edges)
    return Embedder(engine, short=short, decoder=decoder, channel=channel, facts=saved.read_facts(folder))

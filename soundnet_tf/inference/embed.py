"""The Embedder: sounds of any kind and length to the values of a layer over time, and to tags."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from numpy.typing import ArrayLike

from soundnet_tf.audio import SAMPLE_RATE, Channel, Short
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import listening
from soundnet_tf.inference.embedding import Embedding, Embeddings, InputError, Path
from soundnet_tf.inference.engines import Edges, Engine, EngineName, engine_of
from soundnet_tf.inference.listener import NetListener
from soundnet_tf.inference.speeds import AS_IT_IS, SpeedListener
from soundnet_tf.inference.stream import Stream
from soundnet_tf.inference.tags import Tag, clip_probabilities, confident_heads, silence, top_classes
from soundnet_tf.nets import lookup, saved
from soundnet_tf.spec import NetSpec

if TYPE_CHECKING:
    from soundnet_tf.nets.fast import Precision

Layers = Sequence[str] | None


class Embedder:
    """Embeddings of any layer of a net, and tags of its heads. Threads may share one; copies share the net.

    Args:
      engine: what runs the net, such as `KerasEngine(net)`; `load` chooses one for a saved net.
      short: for a clip too short for a layer, 'tile' repeats the clip as the authors did, 'pad' appends silence,
        'error' raises ShortClip.
      decoder: which library reads sound files; a name of `decoding.DECODERS`, or 'auto'.
      channel: which channel of several is used, 'first' as the authors did, or 'mean'.
      strict: whether files of which something is missing are refused; else what is there is used, with a warning.
      speeds: tags are the mean over these, such as (0.8, 1, 1.25), for sounds of up to a minute; each runs the net once
        more. Embeddings and streams are of the sound as it is.
      facts: what is known about the net's origin; the model.json of a saved net.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        short: Short = 'tile',
        decoder: str = 'auto',
        channel: Channel = 'first',
        strict: bool = False,
        speeds: Sequence[float] = AS_IT_IS,
        facts: Mapping[str, Any] | None = None,
    ):
        self.listener = NetListener(engine, short, decoder, channel, strict)
        """For several layers at once and long sounds in pieces, as the commands need them."""
        self.tagger = SpeedListener(engine, speeds, short, decoder, channel, strict)
        """The same for the tags of whole clips."""
        self.facts = dict(facts or {})

    @property
    def spec(self) -> NetSpec:
        """The net's table of layers and heads, with the feature layer, the default to embed with."""
        return self.listener.spec

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """The class names of each head."""
        return self.listener.labels

    @property
    def confidence_threshold(self) -> dict[str, float]:
        """How probable a head's best class must be for an answer, for heads for which that was measured.

        Below it, `soundnet-tag` prints "not sure". Source: model.json.
        """
        return dict(self.facts.get('confidence_threshold', {}))

    def confident_heads(self, tags: Sequence[Tag]) -> dict[str, bool]:
        """By head, whether the best of these tags reaches its `confidence_threshold`; only heads that have one."""
        return confident_heads(tags, self.confidence_threshold)

    @overload
    def embed(self, waveform: ArrayLike, sample_rate: int, layer: str | None = None) -> Embedding: ...
    @overload
    def embed(self, waveform: ArrayLike, sample_rate: int, *, layers: Sequence[str]) -> Embeddings: ...
    def embed(self, waveform: ArrayLike, sample_rate: int, layer: str | None = None, *, layers: Layers = None) -> Any:
        """The values of a layer, or the probabilities of a head by its name; by default of `spec.feature_layer`.

        `waveform` is `[samples]` or `[samples, channels]`, an array, list or tensor, float in [-1, 1] or integer PCM,
        at any `sample_rate` in Hz and of any length. Raises ShortClip, BadAudio for unusable samples, UnknownLayer.
        With `layers` instead of `layer`, one pass gives a dict with the embedding of each; the clip must be long enough
        for all of them, or is extended for all of them.
        """
        names = self._resolve(layer, layers)
        return _pick(self.listener.listen_samples(waveform, sample_rate, names), layers)

    @overload
    def embed_batch(
        self, waveforms: Iterable[ArrayLike], sample_rate: int, layer: str | None = None
    ) -> list[Embedding]: ...
    @overload
    def embed_batch(
        self, waveforms: Iterable[ArrayLike], sample_rate: int, *, layers: Sequence[str]
    ) -> list[Embeddings]: ...
    def embed_batch(
        self, waveforms: Iterable[ArrayLike], sample_rate: int, layer: str | None = None, *, layers: Layers = None
    ) -> list[Any]:
        """`embed` of each, with the same numbers in less time: `[batch, samples]`, or clips of several lengths."""
        names = self._resolve(layer, layers)
        sounds = (
            (name := f'clip {number}', self.listener.open_samples(waveform, sample_rate, names, name))
            for number, waveform in enumerate(waveforms)
        )
        return [_pick(result, layers) for result in listening.listen_opened(self.listener, sounds, names)]

    @overload
    def embed_file(self, path: Path, layer: str | None = None) -> Embedding: ...
    @overload
    def embed_file(self, path: Path, *, layers: Sequence[str]) -> Embeddings: ...
    def embed_file(self, path: Path, layer: str | None = None, *, layers: Layers = None) -> Any:
        """As `embed`, of a sound file of any length. Errors name it."""
        return _pick(self.listener.listen_file(path, self._resolve(layer, layers)), layers)

    @overload
    def embed_files(self, paths: Iterable[Path], layer: str | None = None) -> Iterator[Embedding]: ...
    @overload
    def embed_files(self, paths: Iterable[Path], *, layers: Sequence[str]) -> Iterator[Embeddings]: ...
    def embed_files(self, paths: Iterable[Path], layer: str | None = None, *, layers: Layers = None) -> Iterator[Any]:
        """As `embed_file`, of each file in turn, decoded ahead and batched. The first bad file ends it."""
        if isinstance(paths, str | bytes) or not isinstance(paths, Iterable):
            raise SoundNetError(f'{paths}: is not a list of paths. Pass several, or [path]')
        names = self._resolve(layer, layers)
        for result in listening.listen_paths(self.listener, map(_text, paths), names):
            yield _pick(result, layers)

    def tag(self, waveform: ArrayLike, sample_rate: int, top: int = 5) -> list[Tag]:
        """The `top` most probable classes of each head, of the clip as a whole; arguments and errors as `embed`.

        For silence (`Embedding.silent`) each head gives one tag, 'silence' with probability 1, instead of its classes.
        """
        return self.tags_of(self.tagger.listen_samples(waveform, sample_rate, self.tagger.heads()), top)

    def tag_file(self, path: Path, top: int = 5) -> list[Tag]:
        """As `tag`, of a sound file. Errors name it."""
        return self.tags_of(self.tagger.listen_file(path, self.tagger.heads()), top)

    def tags_of(self, embeddings: Embeddings, top: int = 5) -> list[Tag]:
        """The tags, as `tag` gives them, from the embeddings of the heads, by head."""
        if any(embedding.silent for embedding in embeddings.values()):
            return silence(embeddings)
        heads = [head for head in self.spec.heads if head.name in embeddings]
        return [
            tag
            for head in heads
            for tag in top_classes(
                head.name, self.labels[head.name], clip_probabilities(head, embeddings[head.name].values), top
            )
        ]

    def stream(self, layer: str | None = None, sample_rate: int = SAMPLE_RATE) -> Stream:
        """For a sound that comes piece by piece: `push` samples, receive the steps that are final, `finish`.

        Joined they are what `embed` gives for the whole sound, in constant memory. Samples are as in `embed`.
        """
        layer = self.listener.resolve_layer(layer)
        return Stream(self.listener.open_stream([layer], sample_rate), layer)

    def _resolve(self, layer: str | None, layers: Layers) -> list[str]:
        if layers is None:
            return [self.listener.resolve_layer(layer)]
        if layer is not None or isinstance(layers, str) or not layers:
            raise SoundNetError(f'layers={layers!r}: must be a list of layers, without layer=')
        return list(dict.fromkeys(map(self.listener.resolve_layer, layers)))

    def __sklearn_clone__(self) -> 'Embedder':
        # It has no parameters to fit, and copies would share the net anyway.
        return self

    def __repr__(self) -> str:
        heads = ', '.join(self.spec.head_names) or 'none'
        return f'Embedder({self.spec.name}: {self.spec.feature_layer}, heads {heads})'


def _text(path: Path) -> str:
    return os.fspath(path) if isinstance(path, os.PathLike) else path


def _pick(result: Embeddings | InputError, layers: Layers) -> Embedding | Embeddings:
    """The embedding of the only layer, or those of all `layers` if the user passed these."""
    if isinstance(result, Exception):
        raise result
    return next(iter(result.values())) if layers is None else result


def load(
    name_or_path: Path | None = None,
    *,
    short: Short = 'tile',
    decoder: str = 'auto',
    channel: Channel = 'first',
    precision: 'Precision' = 'float32',
    edges: Edges = 'drop',
    strict: bool = False,
    engine: EngineName = 'auto',
    speeds: Sequence[float] | None = None,
) -> Embedder:
    """An Embedder of a saved net, by its folder or name (see `list_models`); options as in `Embedder`.

    The default is the original net, `soundnet8`, which is converted at the first use; of `speeds` those that the net
    states, else 1 alone.

    `engine` is what runs the net: 'litert' (the layers in the folder's `net.tflite`) or 'openvino', without TensorFlow;
    'tensorflow'; or 'auto', the quickest that is installed. `precision='bfloat16'` is for processors that have it:
    up to twice as fast, for sounds of 20 s and more and for batches. The features' cosine is 0.9999; the top class of
    imagenet differs for 3 % of clips. `edges='keep'` gives all steps of each layer and head, including those at a
    clip's end that training never used (docs/edges.md).
    Raises SoundNetError where the folder is not a saved net.
    """
    folder = lookup.find(name_or_path)
    runs = engine_of(folder, precision, edges, engine)
    facts = saved.read_facts(folder)
    return Embedder(
        runs,
        short=short,
        decoder=decoder,
        channel=channel,
        strict=strict,
        speeds=facts.get('speeds', AS_IT_IS) if speeds is None else speeds,
        facts=facts,
    )

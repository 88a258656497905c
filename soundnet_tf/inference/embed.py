"""The Embedder: sounds of any kind to the values of a layer over time, and to tags."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soundnet_tf import audio, decoding, geometry, registry, saved
from soundnet_tf.audio import SAMPLE_RATE, Channel, Waveform
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import tag as tags
from soundnet_tf.inference.engine import Engine, engine_of
from soundnet_tf.spec import NetSpec

Path = str | os.PathLike[str]

Short = Literal['error', 'tile']
"""What to do with a clip that is too short: refuse it, or repeat it as the authors did."""


@dataclasses.dataclass(frozen=True, eq=False)
class Embedding:
    """What a layer gave for a sound.

    `values` is float32 `[time, channels]`, `times` the centre of each step in seconds from the first
    sample. `seconds` is the length of the sound itself; `tiled` says that it was repeated to be long enough.
    """

    values: NDArray[np.float32]
    times: NDArray[np.float64]
    layer: str
    seconds: float = 0.0
    tiled: bool = False

    def mean(self) -> NDArray[np.float32]:
        """`[channels]`: the average over time."""
        return self.values.mean(axis=0)

    def max(self) -> NDArray[np.float32]:
        """`[channels]`: the maximum over time."""
        return self.values.max(axis=0)

    def __repr__(self) -> str:
        time, channels = self.values.shape
        steps = f'{time} {"step" if time == 1 else "steps"} x {channels} channels'
        return f'Embedding({self.layer}: {steps} of {self.seconds:.2f} s{", tiled" if self.tiled else ""})'


class Embedder:
    """Listens with a net: embeddings of any of its layers, tags of its heads.

    Args:
      engine: what runs the net, such as `KerasEngine(net)`; `load` chooses one for a saved net.
      short: for a clip too short for a layer, 'error' raises ShortClip, 'tile' repeats the clip.
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
        if short not in ('error', 'tile'):
            raise SoundNetError(f"short is 'error' or 'tile', not {short!r}")
        self.facts = dict(facts or {})
        self._engine = engine
        self.short: Short = short
        self.decoder = decoder
        self._channel: Channel = channel

    @property
    def spec(self) -> NetSpec:
        """The table of the net: layers, heads, and the layer to embed with when none is named."""
        return self._engine.spec

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """The class names of each head."""
        return self._engine.labels

    def embed(self, waveform: ArrayLike, sample_rate: int, layer: str | None = None) -> Embedding:
        """The values of a layer, or of a head by its name, its probabilities; by default of `spec.feature_layer`.

        `waveform` is `[samples]` or `[samples, channels]`, float in [-1, 1] or whole PCM numbers, at any `sample_rate`
        in Hz. Raises ShortClip, BadAudio where it holds no usable samples, SoundNetError for an unknown layer.
        """
        layer = self.known(layer)
        return self.listen(self._waveform(waveform, sample_rate), [layer])[layer]

    def embed_file(self, path: Path, layer: str | None = None) -> Embedding:
        """As `embed`, of a sound file. Errors name it."""
        layer = self.known(layer)
        return self.listen_file(path, [layer])[layer]

    def tag(self, waveform: ArrayLike, sample_rate: int, top: int = 5) -> list[tags.Tag]:
        """The `top` most probable classes of each head, by their mean over time; arguments and errors as `embed`."""
        return self.tags_in(self.listen(self._waveform(waveform, sample_rate), self.heads()), top)

    def tag_file(self, path: Path, top: int = 5) -> list[tags.Tag]:
        """As `tag`, of a sound file. Errors name it."""
        return self.tags_in(self.listen_file(path, self.heads()), top)

    def listen(self, waveform: Waveform, layers: Sequence[str], name: str = 'the clip') -> dict[str, Embedding]:
        """Several layers and heads at once, of a waveform `[samples]` (float32, mono, 22,050 Hz, in [-1, 1]).

        With `short='tile'` the clip is repeated to the length that the most demanding of them needs.
        """
        layers = [self.known(layer) for layer in layers]
        samples = len(waveform)
        least = max(geometry.min_samples(self.spec, layer) for layer in layers)
        tiled = self.short == 'tile' and 0 < samples < least
        if tiled:
            waveform = audio.fit_length(waveform, least)
        for layer in layers:
            geometry.require(self.spec, layer, len(waveform), name)
        outputs = self._engine.run(waveform, layers)
        return {layer: self._embedding(values, layer, samples, tiled) for layer, values in outputs.items()}

    def listen_file(self, path: Path, layers: Sequence[str]) -> dict[str, Embedding]:
        """As `listen`, of a sound file. Errors name it."""
        layers = [self.known(layer) for layer in layers]
        return self.listen(decoding.read(os.fspath(path), self.decoder, self._channel), layers, os.fspath(path))

    def tags_in(self, heard: Mapping[str, Embedding], top: int = 5) -> list[tags.Tag]:
        """The tags of the heads among what `listen` gave."""
        return [
            tag
            for head in self.spec.head_names
            if head in heard
            for tag in tags.top(head, self.labels[head], heard[head].mean(), top)
        ]

    def known(self, layer: str | None) -> str:
        """The layer itself, or the default one for None. Raises SoundNetError, listing them all, if there is none."""
        layer = self.spec.feature_layer if layer is None else layer
        if not self._engine.serves(layer):
            layers = ', '.join(filter(self._engine.serves, self.spec.layer_names))
            heads = ', '.join(filter(self._engine.serves, self.spec.head_names)) or 'none'
            raise SoundNetError(f'{self.spec.name} has no layer {layer!r}; its layers are {layers}, its heads {heads}')
        return layer

    def heads(self) -> tuple[str, ...]:
        """The heads to tag with. Raises SoundNetError where the net has none."""
        if not self.spec.heads:
            raise SoundNetError(f'{self.spec.name} has no heads, so it cannot tag: use a net with heads, or embed')
        return self.spec.head_names

    def _waveform(self, samples: ArrayLike, sample_rate: int) -> Waveform:
        return audio.to_waveform(samples, sample_rate, self._channel, 'the clip')

    def _embedding(self, values: NDArray[np.float32], layer: str, samples: int, tiled: bool) -> Embedding:
        times = np.array(geometry.frame_times(self.spec, layer, len(values)))
        return Embedding(values, times, layer, samples / SAMPLE_RATE, tiled)

    def __repr__(self) -> str:
        return (
            f'Embedder({self.spec.name}: {self.spec.feature_layer}, heads {", ".join(self.spec.head_names) or "none"})'
        )


def load(
    name_or_path: Path | None = None, *, short: Short = 'error', decoder: str = 'auto', channel: Channel = 'first'
) -> Embedder:
    """An Embedder of a saved net, named by its folder or as it was registered; options as in `Embedder`.

    Where the folder has `net.tflite` and ai-edge-litert is installed, the layers in it are served without
    TensorFlow. Raises SoundNetError where the folder is no saved net.
    """
    if name_or_path is None:
        example = "load('runs/first/net'), or --model=runs/first/net"
        raise SoundNetError(f'no net ships with this version: name the folder of a saved net, such as {example}')
    folder = registry.find(name_or_path)
    engine = engine_of(folder)
    try:
        facts = saved.read_facts(folder)
    except (OSError, ValueError) as error:
        raise SoundNetError(f'{folder}: model.json cannot be read ({error}): save the net again') from error
    return Embedder(engine, short=short, decoder=decoder, channel=channel, facts=facts)

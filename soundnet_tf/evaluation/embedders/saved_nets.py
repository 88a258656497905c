"""Saved nets, nets in memory, and nets with random weights."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from soundnet_tf import config, geometry
from soundnet_tf.audio import SAMPLE_RATE, Waveform
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation.embedders.kinds import Values
from soundnet_tf.inference import Embedder, embed
from soundnet_tf.inference.engines import KerasEngine
from soundnet_tf.nets import lookup, model, saved
from soundnet_tf.spec import NetSpec


class Net:
    """A net of this package; too short a clip is repeated as far as the layer needs."""

    def __init__(self, embedder: Embedder, name: str, fingerprint: str, origin: Mapping[str, Any]):
        self.name, self.fingerprint, self.origin = name, fingerprint, origin
        self._embedder = embedder

    def resolve_layer(self, layer: str | None) -> str:
        """The layer itself, or the net's feature layer."""
        return self._embedder.listener.resolve_layer(layer)

    def hop_s(self, layer: str) -> float:
        return geometry.hop(self._embedder.spec, layer) / SAMPLE_RATE

    def embed(self, waveforms: Sequence[Waveform], layer: str) -> list[Values]:
        return self.embed_layers(waveforms, [layer])[layer]

    def embed_layers(self, waveforms: Sequence[Waveform], layers: Sequence[str]) -> dict[str, list[Values]]:
        """`embed` of each layer, by name, from one pass; a clip is repeated as far as each layer alone needs."""
        listener = self._embedder.listener
        alike: dict[tuple[int, ...], list[str]] = {}
        for layer in layers:
            lengths = tuple(len(listener.fit(waveform, [layer]).waveform) for waveform in waveforms)
            alike.setdefault(lengths, []).append(layer)
        found: dict[str, list[Values]] = {}
        for together in alike.values():
            clips = [listener.fit(waveform, together[:1]) for waveform in waveforms]
            outputs = listener.listen_clips(clips, together)
            found |= {layer: [own[layer].values for own in outputs] for layer in together}
        return found


def saved_net(folder: saved.Path) -> Net:
    """The net of a saved folder, or one that is registered under that name."""
    embedder = embed.load(folder, short='tile')
    about = saved.fingerprint(lookup.find(folder)), embedder.spec.to_dict()
    digest = hashlib.sha256(repr(about).encode()).hexdigest()
    return Net(embedder, str(folder), f'net {digest}', embedder.facts.get('origin', {}))


def in_memory(net: model.SoundNet, name: str) -> Net:
    """A net as it is now; its weights must not change later, since features are cached."""
    digest = hashlib.sha256(repr(net.spec.to_dict()).encode())
    for key, variable in sorted(model.variables_of(net).items()):
        digest.update(key.encode() + np.asarray(variable).tobytes())
    return Net(Embedder(KerasEngine(net), short='tile'), name, f'net {digest.hexdigest()}', {})


def random_net(net: str = 'soundnet8', seed: int = 0, spec: NetSpec | None = None) -> Net:
    """A fresh net, its weights drawn from `seed`; of `spec`, or else the paper's of that name."""
    import keras

    if net not in config.NETS:
        raise SoundNetError(f'net must be {" or ".join(config.NETS)}, got {net!r}')
    keras.utils.set_random_seed(seed)
    seeded = f', seed {seed}' if seed else ''
    return in_memory(model.build(spec or config.NETS[net]), f'{net}, random weights{seeded}')

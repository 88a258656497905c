"""The three functions of the HEAR benchmark (Holistic Evaluation of Audio Representations), for its tools to import.

    hear-validator soundnet_tf.hear --model=runs/first/net

Timestamp embeddings are the deepest layer whose hop is at most 50 ms: conv4 of the 8-layer net, conv3 of the 5-layer
one. A scene embedding is the mean over time of the net's feature layer. Sounds of any length are taken: those of a
minute and more through a stream, in constant memory; those too short for a layer are repeated.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from soundnet_tf import geometry
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import Embedder, Embedding
from soundnet_tf.inference.engines import MAX_CLIP_S, KerasEngine
from soundnet_tf.inference.listening import BATCH_S
from soundnet_tf.nets import lookup, saved
from soundnet_tf.spec import NetSpec

LONGEST_HOP = round(0.05 * SAMPLE_RATE)
"""Maximum samples between timestamps, since the benchmark locates events within 50 ms."""


class Model(tf.Module):
    """A net with the attributes that the benchmark requires. `sample_rate` is in Hz."""

    sample_rate = SAMPLE_RATE

    def __init__(self, net: Any) -> None:
        super().__init__(name='soundnet_hear')
        spec = net.spec
        self.net = net
        self.embedder = Embedder(KerasEngine(net), short='tile')
        self.timestamp_layer = timestamp_layer(spec)
        self.scene_layer = spec.feature_layer
        self.timestamp_embedding_size = geometry.channels(spec, self.timestamp_layer)
        self.scene_embedding_size = geometry.channels(spec, self.scene_layer)


def timestamp_layer(spec: NetSpec) -> str:
    """The deepest layer of a net with a hop of at most 50 ms. Raises SoundNetError where there is none."""
    fine = [row.name for row in spec.layers if geometry.hop(spec, row.name) <= LONGEST_HOP]
    if not fine:
        raise SoundNetError(
            f'{spec.name}: has no layer with a hop of 50 ms or less, which HEAR requires. Use another net'
        )
    return fine[-1]


def load_model(path: str = '') -> Model:
    """The saved net in the folder `path`, or of that name; by default the original."""
    return Model(saved.load_net(lookup.find(path or None)))


def get_timestamp_embeddings(audio: Any, model: Model) -> tuple[tf.Tensor, tf.Tensor]:
    """`[sounds, samples]` in [-1, 1] at 22,050 Hz to float32 embeddings and timestamps.

    `[sounds, time, timestamp_embedding_size]` and `[sounds, time]`, milliseconds from the start: the centres of the
    steps, at regular distances, those that lie within the sound.
    """
    embeddings = _embeddings(audio, model, model.timestamp_layer)
    inside = _inside(embeddings[0])
    values = np.stack([embedding.values[inside] for embedding in embeddings])
    times = np.clip(1000 * embeddings[0].times[inside], 0, 1000 * embeddings[0].seconds)
    return tf.constant(values), tf.constant(np.tile(times, (len(embeddings), 1)), tf.float32)


def get_scene_embeddings(audio: Any, model: Model) -> tf.Tensor:
    """`[sounds, samples]` in [-1, 1] at 22,050 Hz to float32 `[sounds, scene_embedding_size]`."""
    return tf.constant(np.stack([embedding.mean() for embedding in _embeddings(audio, model, model.scene_layer)]))


def _embeddings(audio: Any, model: Model, layer: str) -> list[Embedding]:
    sounds = np.asarray(audio, np.float32)
    if sounds.ndim != 2 or not sounds.size:
        raise SoundNetError(f'audio has shape {list(sounds.shape)}: pass [sounds, samples]')
    embedder, seconds = model.embedder, sounds.shape[1] / SAMPLE_RATE
    if seconds > MAX_CLIP_S:
        return [embedder.embed(sound, SAMPLE_RATE, layer) for sound in sounds]
    together = max(1, int(BATCH_S / seconds))
    batches = [sounds[at : at + together] for at in range(0, len(sounds), together)]
    return [embedding for batch in batches for embedding in embedder.embed_batch(batch, SAMPLE_RATE, layer)]


def _inside(embedding: Embedding) -> np.ndarray[Any, Any]:
    """Indices of the steps centred in the sound; if there are none, the nearest one."""
    times = embedding.times
    inside = np.flatnonzero((times >= 0) & (times <= embedding.seconds))
    return inside if inside.size else np.abs(times - embedding.seconds / 2).argmin(keepdims=True)

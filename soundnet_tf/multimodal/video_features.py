"""Sound and vision features of a video: one vector each."""

import contextlib
import itertools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import progress
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import SoundNetError, UnknownLayer
from soundnet_tf.evaluation.embedders.kinds import AnyEmbedder
from soundnet_tf.multimodal.videos import Videos
from soundnet_tf.prepare import media, sound
from soundnet_tf.prepare.pictures import Pictures, unit_middles
from soundnet_tf.teachers import Frame, centre
from soundnet_tf.teachers.networks import SCALES

CLIP_S, FRAME_EVERY_S = 20.0, 5.0
"""Of each video the first 20 s, and one frame per 5 s, as in training."""

Vectors = NDArray[np.float32]
"""`[videos, channels]`."""


class VisionModel:
    """A vision network's penultimate layer, or another layer.

    `path` is a Keras file, whose pictures are `[n, size, size, 3]` RGB; `scale` a name of `networks.SCALES`.
    """

    def __init__(self, path: str, layer: str | None = None, scale: str = '0..255'):
        import keras

        if scale not in SCALES:
            raise SoundNetError(f'scale must be one of {", ".join(SCALES)}, got {scale!r}')
        if not pathlib.Path(path).is_file():
            raise SoundNetError(f'{path}: no such file. Use a Keras image model')
        net: Any = keras.saving.load_model(path, compile=False)
        if not isinstance(net.input_shape, tuple) or len(net.input_shape) != 4 or not net.input_shape[1]:
            raise SoundNetError(
                f'{path}: input shape must be [n, size, size, 3] with a fixed size, got {net.input_shape}'
            )
        names = [own.name for own in net.layers]
        layer = names[-2:][0] if layer is None else layer
        if layer not in names:
            raise UnknownLayer(f'{path}: no layer {layer!r}; its last layers are {", ".join(names[-5:])}')
        self.name, self.layer = path, layer
        self._net: Any = keras.Model(net.input, net.get_layer(layer).output)
        self.size = int(net.input_shape[1])
        self._scale: Callable[[Any], Any] = SCALES[scale]

    def embed(self, frames: Sequence[Frame]) -> NDArray[np.float32]:
        """`[channels]`: the mean over the frames, and over space if the layer has spatial axes."""
        pictures = np.stack([centre(frame, self.size, self.size) for frame in frames]).astype(np.float32)
        values = np.asarray(self._net(self._scale(pictures), training=False))
        return values.reshape(len(values), -1, values.shape[-1]).mean(axis=(0, 1))


def embed(
    videos: Videos, embedder: AnyEmbedder, model: VisionModel, layer: str | None = None
) -> tuple[Vectors, Vectors]:
    """Sound features (a layer's mean over time) and vision features of each video.

    Raises SoundNetError for damaged videos and those without sound or pictures.
    """
    layer, sounds, pictures = embedder.resolve_layer(layer), [], []
    for video in progress.bar(videos.videos, unit='video'):
        samples = round(CLIP_S * SAMPLE_RATE)
        try:
            with media.reading(video.path):
                with contextlib.closing(sound.waveforms(video.path, samples)) as waveforms:
                    (waveform,) = itertools.islice(waveforms, 1)
                with contextlib.closing(Pictures(video.path, model.size)) as stream:
                    frames = stream.at(unit_middles(len(waveform) / SAMPLE_RATE, FRAME_EVERY_S))
        except media.Unusable as error:
            raise SoundNetError(f'{video.path}: {error}. Fix it, or remove it from the list') from error
        sounds.append(embedder.embed([waveform], layer)[0].mean(axis=0))
        pictures.append(model.embed(frames))
    return np.stack(sounds), np.stack(pictures)

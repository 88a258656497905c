"""What is heard and what is seen of a video: one vector each."""

import contextlib
import itertools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tqdm
from numpy.typing import NDArray

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation.embedders.kinds import AnyEmbedder
from soundnet_tf.multimodal.videos import Videos
from soundnet_tf.prepare import media, sound
from soundnet_tf.prepare.pictures import Pictures, unit_middles
from soundnet_tf.teachers import Frame, centre
from soundnet_tf.teachers.networks import SCALES

CLIP_S, FRAME_EVERY_S = 20.0, 5.0
"""Of each video the first 20 s and a frame each 5 s, as the teachers saw them in training."""

Vectors = NDArray[np.float32]
"""`[videos, channels]`."""


class Sight:
    """A vision network's penultimate layer, or another by its name.

    `path` is a Keras file, whose pictures are `[n, size, size, 3]` RGB; `scale` a name of `networks.SCALES`.
    """

    def __init__(self, path: str, layer: str | None = None, scale: str = '0..255'):
        import keras

        if scale not in SCALES:
            raise SoundNetError(f'scale is one of {", ".join(SCALES)}, not {scale!r}')
        if not pathlib.Path(path).is_file():
            raise SoundNetError(f'there is no file {path}: give a Keras model that names what is in a picture')
        net: Any = keras.saving.load_model(path, compile=False)
        if not isinstance(net.input_shape, tuple) or len(net.input_shape) != 4 or not net.input_shape[1]:
            raise SoundNetError(f'{path} takes {net.input_shape}, not pictures [n, size, size, 3] of one size')
        names = [own.name for own in net.layers]
        layer = names[-2:][0] if layer is None else layer
        if layer not in names:
            raise SoundNetError(f'{path} has no layer {layer!r}; its last ones are {", ".join(names[-5:])}')
        self.name, self.layer = path, layer
        self._net: Any = keras.Model(net.input, net.get_layer(layer).output)
        self.size = int(net.input_shape[1])
        self._scale: Callable[[Any], Any] = SCALES[scale]

    def look(self, frames: Sequence[Frame]) -> NDArray[np.float32]:
        """`[channels]`: the mean over the frames, and over the places of a picture where the layer has any."""
        pictures = np.stack([centre(frame, self.size, self.size) for frame in frames]).astype(np.float32)
        values = np.asarray(self._net(self._scale(pictures), training=False))
        return values.reshape(len(values), -1, values.shape[-1]).mean(axis=(0, 1))


def perceive(videos: Videos, embedder: AnyEmbedder, sight: Sight, layer: str | None = None) -> tuple[Vectors, Vectors]:
    """What is heard (a layer's mean over time) and what is seen in each video.

    Raises SoundNetError, which names the file, for a video without sound or picture, or a damaged one.
    """
    layer, heard, seen = embedder.resolve_layer(layer), [], []
    for video in tqdm.tqdm(videos.videos, unit='video', leave=False, disable=None):
        samples = round(CLIP_S * SAMPLE_RATE)
        try:
            with media.reading(video.path):
                with contextlib.closing(sound.waveforms(video.path, samples)) as waveforms:
                    (waveform,) = itertools.islice(waveforms, 1)
                with contextlib.closing(Pictures(video.path, sight.size)) as pictures:
                    frames = pictures.at(unit_middles(len(waveform) / SAMPLE_RATE, FRAME_EVERY_S))
        except media.Unusable as error:
            raise SoundNetError(f'{video.path}: {error}. Mend it, or take it off the list') from error
        heard.append(embedder.embed([waveform], layer)[0].mean(axis=0))
        seen.append(sight.look(frames))
    return np.stack(heard), np.stack(seen)

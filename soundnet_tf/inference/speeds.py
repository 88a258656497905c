"""Clips at several speeds, and the mean of what the heads say of them: augmentation at test time."""

from collections.abc import Sequence

import numpy as np

from soundnet_tf import audio, geometry
from soundnet_tf.audio import SAMPLE_RATE, Channel, Short
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference.embedding import Clip, Embedding, Embeddings
from soundnet_tf.inference.engines import Engine
from soundnet_tf.inference.listener import NetListener
from soundnet_tf.inference.tags import pool_inputs, pooled_probabilities
from soundnet_tf.nets import facts

AS_IT_IS = (1.0,)
"""The one speed of a net that states no others."""

MAX_S = 60.0
"""Seconds up to which a sound is heard at several speeds: the memory is that of one twice as long."""


class SpeedListener(NetListener):
    """Listens for tags: a head's only time step is its mean over the speeds, each of which runs the net once.

    As on a tape, pitch changes with speed. Speeds at which a clip would become too short for the heads are left out,
    and sounds longer than MAX_S are heard at their own speed alone. Other arguments are those of `Embedder`. Raises
    SoundNetError for no speeds, and for one that is no number from 0.5 to 2.
    """

    def __init__(
        self,
        engine: Engine,
        speeds: Sequence[float] = AS_IT_IS,
        short: Short = 'tile',
        decoder: str = 'auto',
        channel: Channel = 'first',
        strict: bool = False,
    ) -> None:
        super().__init__(engine, short, decoder, channel, strict)
        self.speeds = check(speeds)

    def listen_clips(self, clips: Sequence[Clip], layers: Sequence[str]) -> list[Embeddings]:
        """As of any listener; `layers` are heads."""
        if self.speeds == AS_IT_IS:
            return super().listen_clips(clips, layers)
        heard: list[list[Embeddings]] = [[] for _ in clips]
        own = [self._speeds_of(clip, layers) for clip in clips]
        # One speed after the other, so that a batch has clips of similar lengths.
        for speed in {*self.speeds, *AS_IT_IS}:
            chosen = [index for index, speeds in enumerate(own) if speed in speeds]
            copies = [self._copy(clips[index], speed, layers) for index in chosen]
            for index, found in zip(chosen, super().listen_clips(copies, layers) if copies else (), strict=True):
                heard[index].append(found)
        return [
            {name: self._mean(clip, name, [found[name] for found in copies]) for name in layers}
            for clip, copies in zip(clips, heard, strict=True)
        ]

    def _speeds_of(self, clip: Clip, layers: Sequence[str]) -> tuple[float, ...]:
        if clip.samples > MAX_S * SAMPLE_RATE:
            return AS_IT_IS
        needed = max(geometry.min_samples(self.spec, layer) for layer in layers)
        # A clip that is itself too short is filled at every speed.
        served = self.speeds if clip.samples < needed else (one for one in self.speeds if clip.samples // one >= needed)
        return tuple(served) or AS_IT_IS

    def _copy(self, clip: Clip, speed: float, layers: Sequence[str]) -> Clip:
        if speed == 1:
            return clip
        return self.fit(audio.to_waveform(clip.waveform[: clip.samples], round(SAMPLE_RATE * speed)), layers)

    def _mean(self, clip: Clip, name: str, copies: Sequence[Embedding]) -> Embedding:
        head = next(head for head in self.spec.heads if head.name == name)
        mean = np.mean([pool_inputs(head, copy.values).mean(axis=0) for copy in copies], axis=0)
        filled = self.short if len(clip.waveform) > clip.samples else 'error'
        middle = np.array([clip.samples / SAMPLE_RATE / 2])
        return Embedding.of(pooled_probabilities(head, mean)[None], middle, name, clip.samples, filled, clip.level_dbfs)


def check(speeds: Sequence[float | str]) -> tuple[float, ...]:
    """The speeds, each once, if they are some."""
    try:
        found = tuple(dict.fromkeys(map(float, () if isinstance(speeds, str) else speeds)))
    except (TypeError, ValueError, OverflowError):
        found = ()
    if not found or not all(map(facts.is_speed, found)):
        least, most = facts.SPEEDS
        raise SoundNetError(f'speeds={speeds!r}: must be numbers from {least:g} to {most:g}, such as 0.8, 1 and 1.25')
    return found

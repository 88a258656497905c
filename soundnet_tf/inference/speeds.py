"""Clips at several speeds, and the mean of what the heads say of them: augmentation at test time."""

from collections.abc import Sequence

import numpy as np

from soundnet_tf import audio
from soundnet_tf.audio import SAMPLE_RATE, Channel, Short
from soundnet_tf.errors import ShortClip, SoundNetError
from soundnet_tf.inference.embedding import Clip, Embedding, Embeddings
from soundnet_tf.inference.engines import Engine
from soundnet_tf.inference.listener import NetListener
from soundnet_tf.inference.tags import pool_inputs, pooled_probabilities

AS_IT_IS = (1.0,)
"""The one speed of a net that states no others."""

MIN, MAX = 0.5, 2.0


class SpeedListener(NetListener):
    """Listens for tags: a head's only time step is its mean over the speeds, each of which runs the net once.

    As on a tape, pitch changes with speed. Speeds at which a clip would be too short are left out. Sounds that are too
    long for one piece are heard at their own speed alone. Other arguments are those of `Embedder`. Raises SoundNetError
    for no speeds, and for one that is no number from 0.5 to 2.
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
        copies = [self._copies(clip, layers) for clip in clips]
        found = iter(super().listen_clips([copy for own in copies for copy in own], layers))
        heard = [[next(found) for _ in own] for own in copies]
        return [
            {name: self._mean(clip, name, [one[name] for one in own]) for name in layers}
            for clip, own in zip(clips, heard, strict=True)
        ]

    def _copies(self, clip: Clip, layers: Sequence[str]) -> list[Clip]:
        copies = list[Clip]()
        for speed in self.speeds:
            waveform = audio.to_waveform(clip.waveform[: clip.samples], round(SAMPLE_RATE * speed))
            try:
                copies.append(self.fit(waveform, layers))
            except ShortClip:
                continue
        return copies or [clip]

    def _mean(self, clip: Clip, name: str, copies: Sequence[Embedding]) -> Embedding:
        (head,) = (head for head in self.spec.heads if head.name == name)
        mean = np.mean([pool_inputs(head, copy.values).mean(axis=0) for copy in copies], axis=0)
        filled = self.short if len(clip.waveform) > clip.samples else 'error'
        middle = np.array([clip.samples / SAMPLE_RATE / 2])
        return Embedding.of(pooled_probabilities(head, mean)[None], middle, name, clip.samples, filled, clip.level_dbfs)


def check(speeds: Sequence[float | str]) -> tuple[float, ...]:
    """The speeds, if they are some."""
    try:
        found = tuple(map(float, speeds))
    except (TypeError, ValueError):
        found = ()
    if not found or not all(MIN <= speed <= MAX for speed in found):
        raise SoundNetError(f'speeds={speeds!r}: must be numbers from {MIN:g} to {MAX:g}, such as 0.8, 1 and 1.25')
    return found

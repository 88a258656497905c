"""Models of others: a waveform at a rate of their own, of any length or a fixed one, to outputs by name."""

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from soundnet_tf import audio, storage
from soundnet_tf.audio import SAMPLE_RATE, Waveform
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation.embedders import kinds
from soundnet_tf.evaluation.embedders.kinds import Values

MAX_WINDOWS = 10_000
"""Of one clip, of a model with a fixed input length: those of more are no models of sounds, and fill the memory."""


class Foreign(abc.ABC):
    """One with a fixed input length processes a clip in consecutive windows of that length (`audio.windows`)."""

    name: str
    rate: int
    """The sample rate in Hz."""
    hint: ClassVar[str]
    """What to do if an output cannot be computed."""

    @abc.abstractmethod
    def samples(self, layer: str) -> int:
        """The length of the input of an output; 0 for any."""

    @abc.abstractmethod
    def wants(self, layer: str) -> str:
        """The input in words."""

    @abc.abstractmethod
    def run(self, waveform: Waveform, layer: str) -> Any:
        """An output for `[samples]`. Raises ValueError or RuntimeError."""

    def hop_s(self, layer: str) -> float:
        """Of a model with a fixed input length, that length over the time steps of its output."""
        if samples := self.samples(layer):
            return samples / self.rate / self._steps(samples, layer)
        return kinds.measured_hop_s(lambda samples: self._steps(samples, layer), self.rate)

    def embed(self, waveforms: Sequence[Waveform], layer: str) -> list[Values]:
        return [self._values(audio.resample(waveform, SAMPLE_RATE, self.rate), layer) for waveform in waveforms]

    def _steps(self, samples: int, layer: str) -> int:
        return len(self._values(np.zeros(samples, np.float32), layer))

    def _values(self, waveform: Waveform, layer: str) -> Values:
        """An output for a sound at the model's own rate."""
        length = self.samples(layer)
        if length * MAX_WINDOWS < len(waveform) and length:
            raise SoundNetError(
                f'{self.name}: {layer} accepts {length} samples, so that {len(waveform) / self.rate:.1f} s are '
                f'{len(waveform) // length:,} windows, more than {MAX_WINDOWS:,}. Use a model with a longer input'
            )
        pieces = audio.windows(waveform, length) if length else waveform[None]
        try:
            values = [self.run(piece, layer) for piece in pieces]
        except (ValueError, RuntimeError) as error:
            raise SoundNetError(
                f'{self.name}: {layer} cannot be computed for {len(waveform):,} samples at {self.rate:,} Hz '
                f'({storage.reason(error)}); it accepts {self.wants(layer)}. {self.hint}'
            ) from None
        return np.concatenate([kinds.over_time(one, f'{self.name}: {layer}') for one in values])

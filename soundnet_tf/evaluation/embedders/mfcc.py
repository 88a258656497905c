"""The baseline before learned features: mel-frequency cepstral coefficients, by TensorFlow's own signal processing."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from soundnet_tf.audio import SAMPLE_RATE, Waveform
from soundnet_tf.errors import UnknownLayer
from soundnet_tf.evaluation.embedders.kinds import Values

FRAME, HOP, BANDS, COEFFICIENTS = 1024, 512, 64, 20
"""Samples of a frame (46 ms) and from one to the next, mel bands between 50 Hz and 11 kHz, coefficients kept."""

BLOCK = 16
"""Frames per time step: 8,192 samples, the hop of pool5, so that windows have the same length."""

LAYER = 'mfcc'


class Mfcc:
    """Mean and deviation, over each 0.37 s, of 20 coefficients and of their change from frame to frame: 80 values."""

    name = 'MFCC, mean and std'
    origin: Mapping[str, Any] = {}
    fingerprint = f'mfcc {FRAME} {HOP} {BANDS} {COEFFICIENTS} {BLOCK}'

    def resolve_layer(self, layer: str | None) -> str:
        """The only layer."""
        if layer not in (None, LAYER):
            raise UnknownLayer(f'mfcc: no layer {layer!r}. Leave layer out')
        return LAYER

    def hop_s(self, layer: str) -> float:
        return BLOCK * HOP / SAMPLE_RATE

    def embed(self, waveforms: Sequence[Waveform], layer: str) -> list[Values]:
        return [summarise(coefficients(waveform)) for waveform in waveforms]


def coefficients(waveform: Waveform) -> Values:
    """`[samples]` to `[frames, 20]`; a clip too short for one block is filled up with silence."""
    import tensorflow as tf

    # More padding would add a frame of silence.
    padded = np.pad(waveform, (0, max(0, BLOCK * HOP + FRAME - len(waveform))))
    spectra = tf.abs(tf.signal.stft(padded, FRAME, HOP)) ** 2
    mel = tf.signal.linear_to_mel_weight_matrix(BANDS, FRAME // 2 + 1, SAMPLE_RATE, 50.0, SAMPLE_RATE / 2)
    # Below the noise floor of 16-bit recordings, so that the log of silence is finite.
    log_mel = tf.math.log(tf.matmul(spectra, mel) + 1e-6)
    return tf.signal.mfccs_from_log_mel_spectrograms(log_mel)[:, :COEFFICIENTS].numpy()


def summarise(frames: Values) -> Values:
    """`[frames, 20]` to `[blocks, 80]`; frames after the last whole block are left out."""
    change = np.diff(frames, axis=0, prepend=frames[:1])
    both = np.concatenate([frames, change], axis=1)
    blocks = both[: len(both) // BLOCK * BLOCK].reshape(-1, BLOCK, both.shape[1])
    return np.concatenate([blocks.mean(axis=1), blocks.std(axis=1)], axis=1)

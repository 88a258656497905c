"""Random filters: what another microphone, room or loudspeaker would make of a sound."""

import math

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.finetune.loudness import OCTAVES_HZ

TAPS = 127
"""Samples of a filter's response to an impulse: what it does may change within the lowest octave."""

_BLOCK = 64
"""Samples that one product of matrices makes: of 16 to 128 the quickest here."""

_FINE = 1024
"""A filter is made so long, then cut: that moves what it does by a few tenths of a dB, where making it short from the
start leaves gaps of any depth between the frequencies that it is made from."""


def filters(gains_db: NDArray[np.floating]) -> NDArray[np.float32]:
    """`[..., octaves]` to `[..., TAPS]`: symmetric, which shift nothing in time.

    At OCTAVES_HZ the gain is about what it is there, below the first too; between them it goes straight over the
    octave.
    """
    place = np.log2(np.maximum(np.fft.rfftfreq(_FINE, 1 / SAMPLE_RATE), OCTAVES_HZ[0]) / OCTAVES_HZ[0])
    share = np.maximum(0, 1 - np.abs(place - np.arange(len(OCTAVES_HZ))[:, None]))
    response = np.fft.fftshift(np.fft.irfft(10 ** (gains_db @ share / 20)), axes=-1)
    return response[..., _FINE // 2 - TAPS // 2 :][..., :TAPS].astype(np.float32)


def mixed(voices: tf.Tensor, filters: tf.Tensor) -> tf.Tensor:
    """`[batch, voices, samples]`, each through its own of `filters` `[batch, voices, taps]`, added: `[batch, samples]`.

    Around them is silence; `taps` is odd. Block by block, as products with matrices that hold a filter in each
    column, one lower each: far quicker than to add up a product of waveforms for each tap.
    """
    samples, taps = int(voices.shape[2] or 0), int(filters.shape[2] or 0)
    blocks = math.ceil(samples / _BLOCK)
    behind = math.ceil((taps - 1) / _BLOCK)
    end = (blocks + behind) * _BLOCK - samples - taps // 2
    pieces = tf.pad(voices, [[0, 0], [0, 0], [taps // 2, end]])
    pieces = tf.reshape(pieces, [-1, voices.shape[1], blocks + behind, _BLOCK])
    windows = tf.concat([pieces[:, :, k : k + blocks] for k in range(behind + 1)], axis=-1)
    tap = taps - 1 + np.arange(_BLOCK) - np.arange((behind + 1) * _BLOCK)[:, None]
    inside = ((tap >= 0) & (tap < taps)).astype(np.float32)
    matrices = tf.gather(filters, np.clip(tap, 0, taps - 1), axis=2) * inside
    return tf.reshape(tf.reduce_sum(windows @ matrices, axis=1), [-1, blocks * _BLOCK])[:, :samples]

"""Random filters, as of other microphones, rooms and loudspeakers."""

import math

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.finetune.loudness import OCTAVES_HZ

TAPS = 127
"""Length of a filter's impulse response, enough to resolve the lowest octave."""

_BLOCK = 64
"""Samples per matrix product: the fastest of 16 to 128."""

_FINE = 1024
"""A filter is designed at this length, then truncated, which changes its response by a few tenths of a dB. Designed at
the short length, it could have deep notches between the design frequencies."""


def filters(gains_db: NDArray[np.floating]) -> NDArray[np.float32]:
    """`[..., octaves]` to `[..., TAPS]`: symmetric filters, without delay.

    The gains hold at OCTAVES_HZ, the first one also below it; between them the gain is linear in log frequency.
    """
    place = np.log2(np.maximum(np.fft.rfftfreq(_FINE, 1 / SAMPLE_RATE), OCTAVES_HZ[0]) / OCTAVES_HZ[0])
    share = np.maximum(0, 1 - np.abs(place - np.arange(len(OCTAVES_HZ))[:, None]))
    response = np.fft.fftshift(np.fft.irfft(10 ** (gains_db @ share / 20)), axes=-1)
    return response[..., _FINE // 2 - TAPS // 2 :][..., :TAPS].astype(np.float32)


def mixed(voices: tf.Tensor, filters: tf.Tensor) -> tf.Tensor:
    """`[batch, voices, samples]`, filtered by `filters` `[batch, voices, taps]` and summed: `[batch, samples]`.

    The voices are padded with silence; `taps` is odd. Computed in blocks, as products with Toeplitz matrices of the
    filters: much faster than a sum over the taps.
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

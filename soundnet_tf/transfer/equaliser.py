"""Random filters: what another microphone, room or loudspeaker would make of a sound."""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

TAPS = 15
"""Samples of a filter's response to an impulse: its bands are a fifteenth of the sampling rate wide, 1.5 kHz."""


def draw(chance: np.random.Generator, count: int, most_db: float) -> NDArray[np.float32]:
    """`[count, TAPS]`: symmetric filters, which shift nothing in time, each band up or down by up to `most_db`."""
    bands_db = chance.uniform(-most_db, most_db, [count, TAPS // 2 + 1])
    filters = np.fft.fftshift(np.fft.irfft(10 ** (bands_db / 20), TAPS, axis=1), axes=1)
    return filters.astype(np.float32)


def filtered(waveform: tf.Tensor, filters: tf.Tensor) -> tf.Tensor:
    """`[batch, samples]`, each through its own of `filters` `[batch, TAPS]`, silence around it."""
    samples = int(waveform.shape[1] or 0)
    around = tf.pad(waveform, [[0, 0], [TAPS // 2, TAPS // 2]])
    return tf.add_n([around[:, tap : tap + samples] * filters[:, tap, None] for tap in range(TAPS)])

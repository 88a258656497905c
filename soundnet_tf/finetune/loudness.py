"""Perceived loudness: A-weighted power over time, by octave, so that the effect of a filter can be computed."""

import functools

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import SAMPLE_RATE, Waveform

Gains = NDArray[np.floating] | float
"""In dB: `[octaves]`, or one value for all."""

WINDOW = 2048
"""Samples per level, 93 ms."""

STEP = WINDOW // 2

OCTAVES_HZ = SAMPLE_RATE / 2 / 2.0 ** np.arange(5, -1, -1)
"""From 345 Hz to the Nyquist frequency; lower frequencies belong to the first."""

SILENCE_DB = -80.0
"""The floor of all levels, so that mixing does not depend on the last bit of near silence."""


def a_weighting(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weight of power at a frequency (IEC 61672): about 1 at 1 kHz, small below 100 Hz."""
    f2 = np.square(hz)
    amplitude = 12194.0**2 * f2**2 / (
        (f2 + 20.6**2) * np.sqrt((f2 + 107.7**2) * (f2 + 737.9**2)) * (f2 + 12194.0**2)
    )  # fmt: skip
    return np.square(amplitude) * 10**0.2


@functools.cache
def _weights() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    window = np.hanning(WINDOW + 1)[:-1]
    hz = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE)
    # Twice, since each frequency except the first and the last also stands for its negative.
    power = 2 * a_weighting(hz) / (WINDOW * np.square(window).sum())
    octave = np.rint(np.log2(np.maximum(hz, OCTAVES_HZ[0]) / OCTAVES_HZ[0]))
    return window, power[:, None] * (octave[:, None] == np.arange(len(OCTAVES_HZ)))


def powers(waveform: Waveform) -> NDArray[np.float32]:
    """`[samples]` to `[frames, octaves]`: around each STEP-th sample, by the nearest of OCTAVES_HZ."""
    window, weights = _weights()
    padded = np.pad(waveform, (STEP, WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[: len(waveform) + STEP : STEP]
    return (np.square(np.abs(np.fft.rfft(frames * window))) @ weights).astype(np.float32)


def levels(powers: NDArray[np.float32], gains_db: Gains = 0.0) -> NDArray[np.floating]:
    """`[frames, octaves]` to `[frames]` in dB, with gains per octave; a sine of amplitude 1 has about -3 dB."""
    power = powers @ (10 ** (gains_db / 10) * np.ones(len(OCTAVES_HZ)))
    return np.maximum(10 * np.log10(power + 1e-30), SILENCE_DB)


def loudest(powers: NDArray[np.float32], start: int, samples: int, gains_db: Gains = 0.0) -> float:
    """The max level, in dB, in a part of the sound; SILENCE_DB outside of it."""
    inside = powers[max(0, start // STEP) : max(0, (start + samples) // STEP + 1)]
    return float(levels(inside, gains_db).max(initial=SILENCE_DB))

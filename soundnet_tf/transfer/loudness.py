"""How loud a sound is to an ear: A-weighted levels over time."""

import functools

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import SAMPLE_RATE, Waveform

WINDOW = 2048
"""Samples of one level, 93 ms."""

STEP = WINDOW // 2

SILENCE_DB = -80.0
"""The level of silence, and of all that is softer: a mixture must not wait for the last bit."""


def a_weighting(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """The factor by which power at a frequency counts (IEC 61672): about 1 at 1 kHz, little below 100 Hz."""
    f2 = np.square(hz)
    amplitude = 12194.0**2 * f2**2 / (
        (f2 + 20.6**2) * np.sqrt((f2 + 107.7**2) * (f2 + 737.9**2)) * (f2 + 12194.0**2)
    )  # fmt: skip
    return np.square(amplitude) * 10**0.2


@functools.cache
def _weights() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    window = np.hanning(WINDOW + 1)[:-1]
    # Twice, since each frequency but the first and the last stands for its negative too.
    power = 2 * a_weighting(np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE)) / (WINDOW * np.square(window).sum())
    return window, power


def levels(waveform: Waveform) -> NDArray[np.float32]:
    """`[samples]` to `[frames]` in dB: of the sound around each STEP-th sample; a sine of amplitude 1 has about -3."""
    window, power = _weights()
    padded = np.pad(waveform, (STEP, WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[: len(waveform) + STEP : STEP]
    spectra = np.square(np.abs(np.fft.rfft(frames * window)))
    return np.maximum(10 * np.log10(spectra @ power + 1e-30), SILENCE_DB).astype(np.float32)


def loudest(levels: NDArray[np.float32], start: int, samples: int) -> float:
    """The loudest level, in dB, between two samples of the sound; SILENCE_DB where they lie outside of it."""
    inside = levels[max(0, start // STEP) : max(0, (start + samples) // STEP + 1)]
    return float(inside.max(initial=SILENCE_DB))

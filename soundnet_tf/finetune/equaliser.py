"""Random filters, as of other microphones, rooms and loudspeakers."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import MissingTool
from soundnet_tf.finetune.loudness import OCTAVES_HZ

TAPS = 127
"""Length of a filter's impulse response, enough to resolve the lowest octave."""

_BLOCK = 1024
"""Samples per transform: the fastest of 512 to 4096."""

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


def mixed(voices: NDArray[np.float32], filters: NDArray[np.float32]) -> NDArray[np.float32]:
    """`[voices, samples]`, filtered by `filters` `[voices, taps]` and summed: `[samples]`.

    The voices are padded with silence; `taps` is odd. Computed by overlapping blocks in the frequency domain
    (overlap-save); the voices are added there, so one inverse transform serves all.

    Raises MissingTool without scipy, whose transforms of float32 are twice as fast as numpy's.
    """
    fft, samples, taps = transforms(), voices.shape[1], filters.shape[1]
    hop = _BLOCK - taps + 1
    blocks = math.ceil(samples / hop)
    padded = np.pad(voices, [(0, 0), (taps // 2, (blocks - 1) * hop + _BLOCK - samples - taps // 2)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, _BLOCK, axis=1)[:, ::hop]
    spectrum = (fft.rfft(windows) * fft.rfft(filters, _BLOCK)[:, None]).sum(axis=0)
    # The first outputs of a block are wrapped around.
    return fft.irfft(spectrum, _BLOCK)[:, taps - 1 :].ravel()[:samples]


def transforms() -> Any:
    """The module of Fourier transforms. Raises MissingTool."""
    try:
        import scipy.fft
    except ImportError:
        raise MissingTool('scipy', 'training with random filters', 'transfer') from None
    return scipy.fft

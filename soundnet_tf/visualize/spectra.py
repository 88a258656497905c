"""Mel spectrograms as PNG, and waveform outlines."""

import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soundnet_tf.audio import SAMPLE_RATE, Waveform, encoding

WINDOW = 1024
"""FFT window of a spectrogram in samples, 46 ms."""

MIN_HZ, MAX_HZ = 50.0, SAMPLE_RATE / 2
RANGE_DB = 60.0
"""Dynamic range: levels this far below the loudest point are drawn as silence."""

SILENCE_DB = -30.0
"""Levels below this, such as those of a sine at -80 dBFS, are always drawn as silence."""

SHADES = 64
_ANCHORS = np.array([(0, 0, 4), (59, 15, 112), (140, 41, 129), (222, 73, 104), (254, 159, 109), (252, 253, 191)])
"""Black to purple, orange and cream, with increasing lightness: safe for colour blindness and print."""

PALETTE = np.stack([np.interp(np.linspace(0, 5, SHADES), range(6), channel) for channel in _ANCHORS.T], axis=1).astype(
    np.uint8
)
"""`[SHADES, 3]` RGB."""


def mel(hz: ArrayLike) -> Any:
    """Frequency on the mel scale (O'Shaughnessy's formula)."""
    return 2595 * np.log10(1 + np.asarray(hz) / 700)


def height(hz: float) -> float:
    """Vertical position of a frequency in a spectrogram, from 0 (bottom) to 1 (top)."""
    low, high, at = (float(mel(f)) for f in (MIN_HZ, MAX_HZ, hz))
    return (at - low) / (high - low)


@functools.cache
def _bands(rows: int) -> NDArray[np.float64]:
    """`[bins, rows]`: each row's share of each bin's power, a triangle on the mel scale, from low to high."""
    bins = mel(np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE))
    centres = np.linspace(mel(MIN_HZ), mel(MAX_HZ), rows)
    # At least the bin spacing, or a row could fall between two bins.
    apart = np.interp(centres, bins[1:], np.diff(bins))
    width = np.maximum(centres[1] - centres[0], apart)
    shares = np.maximum(1 - abs(bins[:, None] - centres) / width, 0)
    return shares / shares.sum(0)


def levels(waveform: Waveform, start: int, samples: int, columns: int, rows: int) -> NDArray[np.floating]:
    """`[rows, columns]` in dB, low frequencies first, of `samples` of a waveform from `start` on.

    A column's window is centred on its own time and may reach beyond the part; beyond the waveform is silence.
    """
    centres = start + (np.arange(columns) + 0.5) * samples / columns
    firsts = np.round(centres).astype(int)  # in the padded waveform a window begins where its centre was
    padded = np.pad(waveform[max(0, start - WINDOW) : start + samples + WINDOW], WINDOW // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[firsts - max(0, start - WINDOW)]
    power: Any = abs(np.fft.rfft(windows * np.hanning(WINDOW))) ** 2
    return 10 * np.log10((power @ _bands(rows)).T + 1e-12)


def picture(waveform: Waveform, start: int, samples: int, columns: int = 256, rows: int = 96) -> bytes:
    """The spectrogram of a part of a waveform as a PNG file, low frequencies at the bottom."""
    db = levels(waveform, start, samples, columns, rows)
    shade = np.clip((db - max(db.max(), SILENCE_DB + RANGE_DB)) / RANGE_DB + 1, 0, 1) * (SHADES - 1)
    return encoding.png(shade.round().astype(np.uint8)[::-1], PALETTE)


def outline(waveform: Waveform, columns: int = 96) -> str:
    """The min and max sample of each column as two bytes in hexadecimal digits: 0 is -1, 255 is 1."""
    # Two columns may share a sample where there are fewer of them.
    starts = (np.arange(columns) * len(waveform)) // columns
    low, high = (reduce.reduceat(waveform, starts) for reduce in (np.minimum, np.maximum))
    pairs = np.clip(np.stack([low, high], 1) * 127.5 + 127.5, 0, 255).round().astype(np.uint8)
    return pairs.tobytes().hex()

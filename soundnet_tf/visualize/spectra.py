"""Pictures of sound: spectrograms on the mel scale, and the outline of a waveform."""

import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soundnet_tf.audio import SAMPLE_RATE, Waveform, encoding

WINDOW = 1024
"""Samples that one column of a spectrogram is taken from: 46 ms."""

MIN_HZ, MAX_HZ = 50.0, SAMPLE_RATE / 2
RANGE_DB = 60.0
"""What is so much below the loudest place of a picture is drawn as silence."""

MIN_PEAK_DB = -30.0
"""What stays below, as a sine of a ten-thousandth of full scale does, is drawn as silence, loudest place or not."""

SHADES = 64
_ANCHORS = np.array([(0, 0, 4), (59, 15, 112), (140, 41, 129), (222, 73, 104), (254, 159, 109), (252, 253, 191)])
"""Black to purple, orange and cream, lighter all the way: read alike with any colour vision, and in print."""

PALETTE = np.stack([np.interp(np.linspace(0, 5, SHADES), range(6), channel) for channel in _ANCHORS.T], axis=1).astype(
    np.uint8
)
"""`[SHADES, 3]` RGB."""


def mel(hz: ArrayLike) -> Any:
    """Frequency as the ear spaces it (O'Shaughnessy's formula)."""
    return 2595 * np.log10(1 + np.asarray(hz) / 700)


def height(hz: float) -> float:
    """How high a frequency stands in a spectrogram, from 0 at its foot to 1 at its top."""
    low, high, at = (float(mel(f)) for f in (MIN_HZ, MAX_HZ, hz))
    return (at - low) / (high - low)


@functools.cache
def _bands(rows: int) -> NDArray[np.float64]:
    """`[bins, rows]`: each row's share of each bin's power, a triangle on the mel scale, from low to high."""
    bins = mel(np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE))
    centres = np.linspace(mel(MIN_HZ), mel(MAX_HZ), rows)
    # No narrower than the bins stand apart there, or a row would fall between two of them.
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
    """The spectrogram of a part of a waveform as a PNG file, the lowest frequency at its foot."""
    db = levels(waveform, start, samples, columns, rows)
    shade = np.clip((db - max(db.max(), MIN_PEAK_DB + RANGE_DB)) / RANGE_DB + 1, 0, 1) * (SHADES - 1)
    return encoding.png(shade.round().astype(np.uint8)[::-1], PALETTE)


def outline(waveform: Waveform, columns: int = 96) -> str:
    """The least and greatest sample of each column as two bytes in hexadecimal digits: 0 is -1, 255 is 1."""
    # Two columns may share a sample where there are fewer of them.
    starts = (np.arange(columns) * len(waveform)) // columns
    low, high = (reduce.reduceat(waveform, starts) for reduce in (np.minimum, np.maximum))
    pairs = np.clip(np.stack([low, high], 1) * 127.5 + 127.5, 0, 255).round().astype(np.uint8)
    return pairs.tobytes().hex()

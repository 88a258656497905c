"""How each kind sounds: `[samples]` float32 at SAMPLE_RATE, synthesised around a list of onsets.

Picture and sound share the onsets: the drumstick falls where the drum is heard. The rate of the
onsets, the pitch and the loudness are random, from ranges that overlap between the kinds, so that no single one of
them identifies the kind.
"""

import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import SAMPLE_RATE, Waveform

Onsets = NDArray[np.float64]
Random = np.random.Generator

PERIOD_S = {
    'bell': (0.5, 1.6),
    'bird': (0.4, 1.5),
    'clock': (0.3, 1.1),
    'dog': (0.4, 1.5),
    'drum': (0.25, 1.1),
    'engine': (0.8, 2.5),
    'fire': (0.3, 1.2),
    'rain': (0.4, 1.5),
    'siren': (0.5, 2.0),
    'waves': (1.6, 3.5),
}
"""Range of the mean time between two onsets."""

JITTER = {'clock': 0.0, 'siren': 0.0, 'drum': 0.1, 'bell': 0.1}
"""How uneven the onsets are, as a share of the period; 0.45 for the other kinds."""


def random(seed: int, purpose: str) -> Random:
    """An independent random generator for one purpose of one scene."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


def onsets(kind: str, seed: int, seconds: float) -> Onsets:
    """Onset times in seconds; the onsets for a longer duration start with those for a shorter one."""
    rng = random(seed, f'onsets of {kind}')
    low, high = PERIOD_S[kind]
    period, start = log_uniform(rng, low, high), rng.uniform(0, 0.8)
    uneven = JITTER.get(kind, 0.45)
    gaps = period * (1 + uneven * rng.uniform(-1, 1, int(seconds / period / (1 - uneven)) + 2))
    times = start + np.concatenate([[0.0], np.cumsum(gaps)])
    return times[times < seconds]


def log_uniform(rng: Random, low: float, high: float) -> float:
    """A random number, uniform on a logarithmic scale."""
    return float(low * (high / low) ** rng.random())


def moments(seconds: float) -> Waveform:
    """The time of each sample, in seconds."""
    return np.arange(int(seconds * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE


def sine(phase_turns: NDArray[np.floating]) -> Waveform:
    """A sine; the phase is reduced modulo 1 first, because float32 is too coarse for large phases."""
    return np.sin((2 * np.pi * (phase_turns % 1)).astype(np.float32))


def shaped_noise(rng: Random, samples: int, gain: Callable[[Waveform], NDArray[np.floating]]) -> Waveform:
    """Noise whose spectrum follows `gain(frequencies in Hz)`, with a root mean square of 1."""
    # A loop of 2 ** 16 samples (3.0 s) takes a sixth of the time of a transform of the whole length.
    length = min(1 << 16, 1 << (samples - 1).bit_length())
    frequencies = np.linspace(1, SAMPLE_RATE / 2, length // 2 + 1, dtype=np.float32)
    spectrum = rng.standard_normal(2 * frequencies.size, dtype=np.float32).view(np.complex64) * gain(frequencies)
    loop = np.fft.irfft(spectrum).astype(np.float32)
    return np.resize(loop / loop.std(), samples)


def band(middle_hz: float, octaves: float) -> Callable[[Waveform], Waveform]:
    """A bump in a spectrum, `octaves` to either side of its middle."""
    return lambda hz: np.exp(-((np.log2(hz / np.float32(middle_hz)) / np.float32(octaves)) ** 2))


def strike(times: Onsets, hits: list[Waveform], rng: Random, samples: int, uneven: float = 0.3) -> Waveform:
    """A randomly chosen hit with a random gain at each of the times."""
    sound = np.zeros(samples + max(map(len, hits)), np.float32)
    choices = rng.integers(len(hits), size=times.size)
    gains = np.exp(uneven * rng.standard_normal(times.size)).astype(np.float32)
    for start, choice, gain in zip((times * SAMPLE_RATE).astype(int), choices, gains, strict=True):
        sound[start : start + hits[choice].size] += gain * hits[choice]
    return sound[:samples]


def table_tone(hz: NDArray[np.floating], loudness: NDArray[np.floating]) -> Waveform:
    """A tone of changing pitch, with the given loudness of its harmonics, by wavetable synthesis."""
    turns = np.arange(1024) / 1024
    period = sum(gain * np.sin(2 * np.pi * (k * turns + k * k * 0.31)) for k, gain in enumerate(loudness, start=1))
    return np.asarray(period, np.float32)[
        (np.cumsum(hz, dtype=np.float64) * (1024 / SAMPLE_RATE)).astype(np.int64) & 1023
    ]


def sway(times: Onsets, samples: int, low: float, high: float) -> Waveform:
    """A curve that rises from low to high towards each onset and falls after it."""
    if not times.size:
        return np.full(samples, low, np.float32)
    knots = np.concatenate([times, (times[1:] + times[:-1]) / 2])
    heights = np.concatenate([np.full(times.size, high), np.full(max(times.size - 1, 0), low)])
    order = np.argsort(knots)
    coarse = np.interp(np.arange(0, samples + 64, 64) / SAMPLE_RATE, knots[order], heights[order])
    return np.interp(np.arange(samples) / 64, np.arange(coarse.size), coarse).astype(np.float32)


def _bell(rng: Random, times: Onsets, samples: int) -> Waveform:
    t, pitch_hz, ring_s = moments(2.0), log_uniform(rng, 220, 1500), log_uniform(rng, 0.25, 0.8)
    partials = np.array([0.5, 1, 1.19, 1.5, 2, 2.74, 3.76]) * rng.uniform(0.98, 1.02, 7)
    gains = rng.uniform(0.3, 1, 7) / np.sqrt(partials)
    hit = sum(g * sine(p * pitch_hz * t) * np.exp(-t / (ring_s / p**0.6)) for p, g in zip(partials, gains, strict=True))
    return strike(times, [np.asarray(hit, np.float32)], rng, samples)


def _bird(rng: Random, times: Onsets, samples: int) -> Waveform:
    pitch_hz = log_uniform(rng, 1300, 4500)

    def song() -> Waveform:
        notes = []
        for _ in range(rng.integers(2, 6)):
            t = moments(rng.uniform(0.04, 0.14))
            u = t / t[-1]
            hz = pitch_hz * (
                rng.uniform(0.8, 1.25) + rng.uniform(-0.35, 0.35) * u + 0.05 * np.sin(rng.uniform(60, 250) * t)
            )
            notes += [
                sine(np.cumsum(hz) / SAMPLE_RATE) * np.sin(np.pi * u),
                np.zeros(int(rng.uniform(200, 1200)), np.float32),
            ]
        return np.concatenate(notes).astype(np.float32)

    return strike(times, [song() for _ in range(3)], rng, samples)


def _clock(rng: Random, times: Onsets, samples: int) -> Waveform:
    t = moments(0.12)

    def tick(high_hz: float, low_hz: float) -> Waveform:
        click = rng.standard_normal(t.size, dtype=np.float32) * np.exp(-t / 0.0015)
        return click + sine(high_hz * t) * np.exp(-t / 0.008) + 0.6 * sine(low_hz * t) * np.exp(-t / 0.02)

    high_hz, low_hz, lower = log_uniform(rng, 1200, 4500), log_uniform(rng, 250, 1000), rng.uniform(0.7, 0.95)
    tick_tock = strike(times[::2], [tick(high_hz, low_hz)], rng, samples, 0.05)
    return tick_tock + strike(times[1::2], [tick(lower * high_hz, lower * low_hz)], rng, samples, 0.05)


def _dog(rng: Random, times: Onsets, samples: int) -> Waveform:
    pitch_hz, formant_hz = log_uniform(rng, 180, 600), log_uniform(rng, 600, 1800)
    harmonics = np.arange(1, 15) * pitch_hz
    loudness = np.exp(-((np.log2(harmonics / formant_hz)) ** 2)) + 0.1

    def bark() -> Waveform:
        t = moments(rng.uniform(0.12, 0.3))
        u = t / t[-1]
        voice = table_tone(pitch_hz * (0.7 + 0.6 * np.sin(np.pi * u**0.7)) * rng.uniform(0.9, 1.1), loudness)
        breath = rng.standard_normal(t.size, dtype=np.float32) * 0.4
        return ((voice + breath) * np.sin(np.pi * u**0.5) ** 2).astype(np.float32)

    return strike(times, [bark() for _ in range(3)], rng, samples)


def _drum(rng: Random, times: Onsets, samples: int) -> Waveform:
    t, pitch_hz, ring_s = moments(0.7), log_uniform(rng, 60, 260), log_uniform(rng, 0.06, 0.2)
    thud = sine(pitch_hz * (t + 0.03 * (1 - np.exp(-t / 0.04)))) * np.exp(-t / ring_s)
    slap = shaped_noise(rng, t.size, band(log_uniform(rng, 500, 3000), 1.0)) * np.exp(-t / log_uniform(rng, 0.01, 0.06))
    return strike(times, [thud + rng.uniform(0.1, 0.6) * slap], rng, samples)


def _engine(rng: Random, times: Onsets, samples: int) -> Waveform:
    pitch_hz = log_uniform(rng, 28, 110)
    revs = sway(times, samples, 1, rng.uniform(1.05, 1.6))
    k = np.arange(1, 40)
    loudness = rng.uniform(0.2, 1, k.size) * (
        1 / k**0.5 + np.exp(-((np.log2(k * pitch_hz / log_uniform(rng, 200, 1500))) ** 2))
    )
    return table_tone(pitch_hz * revs, loudness) * revs


def _fire(rng: Random, times: Onsets, samples: int) -> Waveform:
    roar = shaped_noise(rng, samples, band(log_uniform(rng, 120, 700), 1.2)) * sway(times, samples, 0.5, 1.3)
    t = moments(0.02)
    cracks = [
        (rng.standard_normal(t.size, dtype=np.float32) * np.exp(-t / log_uniform(rng, 0.0006, 0.005))) for _ in range(6)
    ]
    crackle_times = np.sort(rng.uniform(0, samples / SAMPLE_RATE, int(samples / SAMPLE_RATE * log_uniform(rng, 8, 40))))
    return roar + rng.uniform(1.5, 4) * strike(crackle_times, cracks, rng, samples, 0.9)


def _rain(rng: Random, times: Onsets, samples: int) -> Waveform:
    hiss = shaped_noise(rng, samples, band(log_uniform(rng, 1200, 6000), 1.3)) * sway(times, samples, 0.75, 1.15)
    t = moments(0.03)
    drops = [
        sine(log_uniform(rng, 700, 5000) * (t + rng.uniform(0, 15) * t * t)) * np.exp(-t / rng.uniform(0.003, 0.009))
        for _ in range(10)
    ]
    drop_times = np.sort(rng.uniform(0, samples / SAMPLE_RATE, int(samples / SAMPLE_RATE * log_uniform(rng, 15, 60))))
    return hiss + rng.uniform(0.8, 2.5) * strike(drop_times, drops, rng, samples, 0.6)


def _siren(rng: Random, times: Onsets, samples: int) -> Waveform:
    low_hz = log_uniform(rng, 350, 1300)
    height = sway(times, samples, 0, 1)
    if rng.random() < 0.3:
        height = (height > 0.5).astype(np.float32)
    loudness = rng.uniform(0.05, 0.6, 6) / np.arange(1, 7)
    loudness[0] = 1
    return table_tone(low_hz * rng.uniform(1.25, 2.2) ** height, loudness)


def _waves(rng: Random, times: Onsets, samples: int) -> Waveform:
    swell = sway(times, samples, 0, 1)
    deep = shaped_noise(rng, samples, band(log_uniform(rng, 200, 900), 1.5))
    spray = shaped_noise(rng, samples, band(log_uniform(rng, 1200, 5000), 1.3))
    return deep * (0.25 + swell) + spray * swell**2 * rng.uniform(0.5, 1.5)


SOUNDS: dict[str, Callable[[Random, Onsets, int], Waveform]] = {
    'bell': _bell,
    'bird': _bird,
    'clock': _clock,
    'dog': _dog,
    'drum': _drum,
    'engine': _engine,
    'fire': _fire,
    'rain': _rain,
    'siren': _siren,
    'waves': _waves,
}


def surroundings(rng: Random, samples: int) -> Waveform:
    """Background sound: white, pink or brown noise, and in some scenes the hum of the mains."""
    slope = rng.choice([0.0, 0.5, 1.0])
    noise = shaped_noise(rng, samples, lambda hz: np.maximum(hz, 60) ** np.float32(-slope))
    if rng.random() < 0.25:
        noise = noise + table_tone(np.full(samples, rng.choice([50.0, 60.0])), 1 / np.arange(1, 8)) * rng.uniform(
            0.3, 1
        )
    return noise


def echo(rng: Random, sound: Waveform) -> Waveform:
    """The sound with three delayed, softer copies."""
    delay, decay = int(log_uniform(rng, 0.03, 0.2) * SAMPLE_RATE), rng.uniform(0.2, 0.5)
    echoed = sound.copy()
    for bounce in (1, 2, 3):
        echoed[bounce * delay :] += decay**bounce * sound[: max(sound.size - bounce * delay, 0)]
    return echoed

"""Sounds for probing a net: synthetic ones of none of its classes, and corrupted clips.

Waveforms are `[samples]` float32 at 22,050 Hz in [-1, 1].
"""

from collections.abc import Callable, Mapping

import numpy as np

from soundnet_tf import audio
from soundnet_tf.audio import SAMPLE_RATE, Waveform
from soundnet_tf.demo import synthesis as world
from soundnet_tf.demo.synthesis import Random, band, moments, random, shaped_noise, sine, table_tone

SECONDS = 5.0
"""Length of a synthetic sound, the same as the clips of ESC-10."""


def speech_like(rng: Random, samples: int) -> Waveform:
    """Syllables: a gliding voice through three formants that change with each, with noisy consonants in between."""
    sound, at, pitch_hz = np.zeros(samples, np.float32), 0, world.log_uniform(rng, 90, 240)
    while at < samples:
        length = min(int(rng.uniform(0.1, 0.28) * SAMPLE_RATE), samples - at)
        u = np.linspace(0, 1, length, dtype=np.float32)
        envelope = np.sqrt(np.maximum(np.sin(np.pi * u), 0))
        if rng.random() < 0.3:
            syllable = 0.3 * shaped_noise(rng, length, band(rng.uniform(3000, 7000), 0.5)) * envelope
        else:
            formants = [(rng.uniform(280, 850), 0.25), (rng.uniform(850, 2300), 0.2), (rng.uniform(2300, 3200), 0.15)]
            partials_hz = pitch_hz * np.arange(1, int(5000 / pitch_hz))
            loudness = sum(band(middle, octaves)(partials_hz) for middle, octaves in formants) / np.sqrt(partials_hz)
            glide = pitch_hz * (1 + rng.uniform(-0.15, 0.15) * (u - 0.5) + 0.01 * np.sin(2 * np.pi * 5 * u))
            voiced = table_tone(glide, loudness)
            syllable = voiced / max(float(np.abs(voiced).max()), 1e-6) * envelope
        sound[at : at + length] = syllable
        at += length + int(rng.choice([0.01, 0.05, 0.35], p=[0.6, 0.3, 0.1]) * SAMPLE_RATE)
    return sound


def music_like(rng: Random, samples: int) -> Waveform:
    """A melody over chords, in a key and at a steady beat; notes of a few decaying harmonics."""
    sound = np.zeros(samples, np.float32)
    beat, root_hz = int(rng.uniform(0.2, 0.5) * SAMPLE_RATE), world.log_uniform(rng, 110, 220)
    scale, harmonics = np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16]), rng.uniform(0.1, 1, 6) / np.arange(1, 7)
    for index, at in enumerate(range(0, samples, beat)):
        degrees = [int(rng.integers(len(scale)))]
        if index % 4 == 0:
            first = int(rng.integers(5))
            degrees += [first, first + 2, first + 4]
        for voice, degree in enumerate(degrees):
            length = min(beat * (4 if voice else 1), samples - at)
            t = moments(length / SAMPLE_RATE)
            hz = root_hz * 2 ** (scale[degree] / 12) * (1 if voice else 2)
            note = sum(gain * sine(hz * k * t) for k, gain in enumerate(harmonics, start=1) if hz * k < SAMPLE_RATE / 2)
            sound[at : at + t.size] += (0.5 if voice else 1.0) * np.asarray(note) * np.exp(-t / 0.35)
    return sound


def _noise(slope: float) -> Callable[[Random, int], Waveform]:
    return lambda rng, samples: shaped_noise(rng, samples, lambda hz: np.maximum(hz, 20) ** np.float32(-slope))


def _tone(rng: Random, samples: int) -> Waveform:
    return sine(world.log_uniform(rng, 100, 5000) * moments((samples + 1) / SAMPLE_RATE))[:samples]


def _hum(rng: Random, samples: int) -> Waveform:
    return table_tone(np.full(samples, rng.choice([50.0, 60.0])), rng.uniform(0.2, 1, 8) / np.arange(1, 9))


def _demo_object(kind: str) -> Callable[[Random, int], Waveform]:
    def make(rng: Random, samples: int) -> Waveform:
        return world.SOUNDS[kind](rng, world.onsets(kind, int(rng.integers(1 << 31)), samples / SAMPLE_RATE), samples)

    return make


SYNTHETIC: Mapping[str, Callable[[Random, int], Waveform]] = {
    'silence': lambda rng, samples: np.zeros(samples, np.float32),
    'white noise': _noise(0.0),
    'pink noise': _noise(0.5),
    'brown noise': _noise(1.0),
    'a steady tone': _tone,
    'mains hum': _hum,
    'speech-like': speech_like,
    'music-like': music_like,
    **{f'a synthetic {kind}': _demo_object(kind) for kind in ('bell', 'bird', 'drum', 'engine', 'siren')},
}
"""Sounds of none of ESC-10's classes: functions of a random generator and a number of samples."""


def synthetic(kind: str, seed: int) -> Waveform:
    """One synthetic sound, SECONDS long, at a random RMS level between -36 and -12 dB; silence stays silent."""
    rng = random(seed, kind)
    sound = SYNTHETIC[kind](rng, int(SECONDS * SAMPLE_RATE)).astype(np.float32)
    level = world.log_uniform(rng, 10 ** (-36 / 20), 10 ** (-12 / 20))
    return np.clip(sound * np.float32(level / max(float(sound.std()), 1e-6)), -1, 1)


def _quiet(waveform: Waveform) -> Waveform:
    return (np.rint(0.01 * waveform * 32767) / 32767).astype(np.float32)


def _telephone(waveform: Waveform) -> Waveform:
    narrow = audio.resample(waveform, SAMPLE_RATE, 8000)
    return audio.fit_length(audio.resample(narrow, 8000, SAMPLE_RATE), len(waveform))


def _noisy(waveform: Waveform) -> Waveform:
    noise = np.random.default_rng(0).standard_normal(len(waveform)).astype(np.float32)
    return np.clip(waveform + waveform.std() * noise, -1, 1)


def _piece(waveform: Waveform) -> Waveform:
    size = SAMPLE_RATE // 2
    if len(waveform) <= size:
        return waveform
    energy = np.cumsum(np.append(0.0, np.square(waveform, dtype=np.float64)))
    start = int(np.argmax(energy[size:] - energy[:-size]))
    return waveform[start : start + size]


CORRUPTIONS: Mapping[str, Callable[[Waveform], Waveform]] = {
    'as it is': lambda waveform: waveform,
    'very quiet: -40 dB, in 16 bits': _quiet,
    'clipped: 20 dB too loud': lambda waveform: np.clip(10 * waveform, -1, 1),
    'at 8 kHz': _telephone,
    'under white noise as loud as itself': _noisy,
    'its loudest half second alone': _piece,
}
"""What cheap microphones, telephone lines and careless recordings do to a clip."""

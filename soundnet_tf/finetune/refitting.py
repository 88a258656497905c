"""What a refitted head hears besides the training clips: copies of them that differ, and noise."""

import numpy as np

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.finetune.waveforms import Samples, to_int16

SLOPES = 0.0, 1.0
"""Exponents of the amplitude over frequency: white noise has 0, pink 0.5, brown 1."""

LEVELS_DB = -40.0, -10.0
"""RMS, of full scale."""


def moved(samples: Samples, span: tuple[int, int], stretch: float, rng: np.random.Generator) -> Samples:
    """A copy of the same length: the sound within `span` at a random speed and place, and silence around it.

    The speed differs by at most a factor of `stretch`; what is longer than the clip then is cut off.
    """
    begin, end = span
    places = np.arange(0, end - begin, stretch ** rng.uniform(-1, 1))
    sound = np.interp(places, np.arange(end - begin), samples[begin:end])
    room = len(samples) - len(sound)
    start = int(rng.integers(min(0, room), max(0, room), endpoint=True))
    copy = np.zeros_like(samples)
    sound = sound[max(0, -start) :][: len(samples)]
    copy[max(0, start) :][: len(sound)] = sound.round()
    return copy


def noises(count: int, samples: int, seed: int) -> list[Samples]:
    """Digital silence, and then noise of random colours and levels, which are sounds of no class.

    A head that learned from labelled sounds alone takes noise for rain.
    """
    rng, found = np.random.default_rng(seed), [np.zeros(samples, np.int16)][:count]
    hertz = np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE), 20)
    while len(found) < count:
        spectrum = np.fft.rfft(rng.standard_normal(samples)) * hertz ** -rng.uniform(*SLOPES)
        noise = np.fft.irfft(spectrum, samples)
        level = 10 ** (rng.uniform(*LEVELS_DB) / 20)
        found.append(to_int16(np.clip(noise * (level / noise.std()), -1, 1).astype(np.float32)))
    return found

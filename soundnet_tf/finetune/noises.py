"""Noise, which is a sound of no class: a head that learned from labelled sounds alone takes it for rain."""

import numpy as np

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.finetune.waveforms import Samples, to_int16

SLOPES = 0.0, 1.0
"""Exponents of the amplitude over frequency: white noise has 0, pink 0.5, brown 1."""

LEVELS_DB = -40.0, -10.0
"""RMS, of full scale."""


def noises(count: int, samples: int, seed: int) -> list[Samples]:
    """Digital silence, and then noise of random colours and levels."""
    rng, found = np.random.default_rng(seed), [np.zeros(samples, np.int16)][:count]
    hertz = np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE), 20)
    while len(found) < count:
        spectrum = np.fft.rfft(rng.standard_normal(samples)) * hertz ** -rng.uniform(*SLOPES)
        noise = np.fft.irfft(spectrum, samples)
        level = 10 ** (rng.uniform(*LEVELS_DB) / 20)
        found.append(to_int16(np.clip(noise * (level / noise.std()), -1, 1).astype(np.float32)))
    return found

"""Clips of a few classes to calibrate with: notes, noise, clicks; loud and soft."""

import numpy as np

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.export.representative import CalibrationClip


def clips(per_class=8, seconds=2.0, seed=0):
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    made = []
    for _ in range(per_class):
        loudness = rng.uniform(0.05, 0.9)
        note = np.sin(2 * np.pi * rng.uniform(200, 2000) * times) * np.exp(-times * rng.uniform(0, 3))
        clicks = (rng.uniform(size=len(times)) < 2e-4) * rng.uniform(-1, 1, len(times))
        for label, sound in {'note': note, 'noise': rng.uniform(-1, 1, len(times)), 'clicks': clicks}.items():
            made.append(CalibrationClip((loudness * sound).astype(np.float32), label))
    return made

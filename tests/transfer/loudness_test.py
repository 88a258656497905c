"""Loudness: the A curve's known points, and levels of known sounds."""

import numpy as np
import pytest

from soundnet_tf.testing import noise, tone
from soundnet_tf.transfer import loudness


@pytest.mark.parametrize(('hz', 'db'), [(31.5, -39.4), (100, -19.1), (1000, 0), (2500, 1.3), (8000, -1.1)])
def test_the_a_curve(hz, db):
    assert 10 * np.log10(loudness.a_weighting(np.array([float(hz)]))) == pytest.approx(db, abs=0.15)


@pytest.mark.parametrize(('hz', 'db'), [(1000, -3.01), (100, -22.1)])
def test_a_sine_has_its_power_weighed(hz, db):
    levels = loudness.levels(tone(1, hz, amplitude=1.0))
    assert levels[5:15] == pytest.approx(db, abs=0.3)
    softer = loudness.levels(tone(1, hz, amplitude=0.1))
    assert softer[5:15] == pytest.approx(db - 20, abs=0.3)


def test_silence_has_a_level_too():
    assert (loudness.levels(np.zeros(10_000, np.float32)) == loudness.SILENCE_DB).all()
    assert len(loudness.levels(np.zeros(10, np.float32))) == 2


def test_the_loudest_moment_is_found_where_it_is():
    waveform = np.zeros(10 * loudness.STEP, np.float32)
    waveform[5 * loudness.STEP : 6 * loudness.STEP] = noise(1)[: loudness.STEP]
    levels = loudness.levels(waveform)
    assert loudness.loudest(levels, 0, len(waveform)) == levels.max() > -40
    assert levels.argmax() in (5, 6)
    assert loudness.loudest(levels, 0, 3 * loudness.STEP) == loudness.SILENCE_DB
    assert loudness.loudest(levels, 4 * loudness.STEP, 3 * loudness.STEP) == levels.max()
    # In the silence around the clip.
    assert loudness.loudest(levels, -5000, 4000) == loudness.SILENCE_DB
    assert loudness.loudest(levels, len(waveform) + 5000, 4000) == loudness.SILENCE_DB

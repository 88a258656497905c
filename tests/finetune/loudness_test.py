"""Loudness: the A curve's known points, and levels of known sounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundnet_tf.finetune import equaliser, loudness
from soundnet_tf.testing import noise, tone


@pytest.mark.parametrize(('hz', 'db'), [(31.5, -39.4), (100, -19.1), (1000, 0), (2500, 1.3), (8000, -1.1)])
def test_the_a_curve(hz, db):
    assert 10 * np.log10(loudness.a_weighting(np.array([float(hz)]))) == pytest.approx(db, abs=0.15)


@pytest.mark.parametrize(('hz', 'db'), [(1000, -3.01), (100, -22.1)])
def test_a_sine_has_its_power_weighed(hz, db):
    levels = loudness.levels(loudness.powers(tone(1, hz, amplitude=1.0)))
    assert levels[5:15] == pytest.approx(db, abs=0.3)
    softer = loudness.levels(loudness.powers(tone(1, hz, amplitude=0.1)))
    assert softer[5:15] == pytest.approx(db - 20, abs=0.3)


@given(seed=st.integers(0, 10_000), db=st.floats(1, 20))
def test_the_loudness_after_a_filter_is_predicted(seed, db):
    """By the powers of the octaves, within a third (0.34 in 6,000 seeds): filters do not go up and down in steps."""
    gains_db = np.random.default_rng(seed).uniform(-db, db, len(loudness.OCTAVES_HZ))
    waveform = noise(0.5, 0.1, seed)
    taps = equaliser.filters(gains_db)
    predicted = loudness.loudest(loudness.powers(waveform), 0, len(waveform), gains_db)
    heard = loudness.powers(np.convolve(waveform, taps, 'same').astype(np.float32))
    assert loudness.loudest(heard, 0, len(waveform)) == pytest.approx(predicted, abs=0.5 + db / 3)


@given(hz=st.floats(60, 10_500), amplitude=st.floats(1e-3, 1))
def test_octaves_sum_to_the_whole_and_a_tone_lies_in_one(hz, amplitude):
    powers = loudness.powers(tone(0.5, hz, amplitude=amplitude))[3:-3]
    near = np.abs(np.log2(max(hz, loudness.OCTAVES_HZ[0]) / loudness.OCTAVES_HZ))
    if np.sort(near)[0] < 0.4:
        np.testing.assert_allclose(powers[:, near.argmin()], powers.sum(axis=1), rtol=0.05)


def test_silence_has_a_level_too():
    assert (loudness.levels(loudness.powers(np.zeros(10_000, np.float32))) == loudness.SILENCE_DB).all()
    assert len(loudness.powers(np.zeros(10, np.float32))) == 2


def test_the_loudest_moment_is_found():
    waveform = np.zeros(10 * loudness.STEP, np.float32)
    waveform[5 * loudness.STEP : 6 * loudness.STEP] = noise(1)[: loudness.STEP]
    powers = loudness.powers(waveform)
    levels = loudness.levels(powers)
    assert loudness.loudest(powers, 0, len(waveform)) == levels.max() > -40
    assert levels.argmax() in (5, 6)
    assert loudness.loudest(powers, 0, 3 * loudness.STEP) == loudness.SILENCE_DB
    assert loudness.loudest(powers, 4 * loudness.STEP, 3 * loudness.STEP) == levels.max()
    # In the silence around the clip.
    assert loudness.loudest(powers, -5000, 4000) == loudness.SILENCE_DB
    assert loudness.loudest(powers, len(waveform) + 5000, 4000) == loudness.SILENCE_DB

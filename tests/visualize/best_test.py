"""The running choice is that of sorting everything; digests of parts are those of the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundnet_tf import geometry
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.inference import Embedding
from soundnet_tf.testing import thin_spec
from soundnet_tf.visualize.best import Best, Digest

SPEC = thin_spec()
UNITS = geometry.channels(SPEC, 'conv5')


def heard(values, seconds=10.0, tiled=False):
    return Embedding(values, np.arange(len(values), dtype=float), 'conv5', seconds, tiled)


def digest(*parts):
    one = Digest(SPEC, 'conv5')
    for part in parts:
        one.add(part)
    return one


def activations(seed, steps):
    return np.maximum(np.random.default_rng(seed).normal(size=(steps, UNITS)), 0).astype(np.float32)


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 5), st.integers(1, 12))
def test_the_running_choice_is_that_of_sorting(steps, top, recorded):
    recordings = [number % recorded for number in range(len(steps))]
    best, sounds = Best(UNITS, top), [activations(seed, count) for seed, count in enumerate(steps)]
    for number, values in enumerate(sounds):
        best.add(digest(heard(values)), number, recordings[number])
    for unit in range(UNITS):
        ranked = sorted(((-values[:, unit].max(), number) for number, values in enumerate(sounds)))
        ranked = [(number, -value) for value, number in ranked if value < 0]
        heard_before = [{recordings[number] for number, _ in ranked[:place]} for place in range(len(ranked))]
        ranked = [one for one, before in zip(ranked, heard_before, strict=True) if recordings[one[0]] not in before]
        ranked = ranked[:top]
        kept = best.sounds[unit] >= 0
        assert best.sounds[unit, kept].tolist() == [number for number, _ in ranked]
        np.testing.assert_array_equal(best.values[unit, kept], [value for _, value in ranked])
        for number, frame in zip(best.sounds[unit, kept], best.frames[unit, kept], strict=True):
            assert frame == sounds[number][:, unit].argmax()


@given(st.integers(1, 30), st.integers(0, 30))
def test_a_digest_of_parts_is_that_of_the_whole(steps, at):
    values = activations(1, steps)
    whole, parts = digest(heard(values)), digest(heard(values[:at]), heard(values[at:]))
    np.testing.assert_array_equal(whole.best, parts.best)
    np.testing.assert_array_equal(whole.frame, parts.frame)
    np.testing.assert_allclose(whole.mean, parts.mean, rtol=1e-6)
    np.testing.assert_allclose(whole.mean, values.mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize('cut', [0, 3, 40])
def test_of_a_repeated_sound_only_its_own_steps_count(cut):
    """Where its end meets its beginning there is a click that nobody made."""
    seconds = 2.0
    own = geometry.final_frames(SPEC, 'conv5', round(seconds * SAMPLE_RATE))
    values = activations(2, 60)
    values[own] = 99
    found = digest(heard(values[:cut], seconds, True), heard(values[cut:], seconds, True))
    assert (found.steps, found.best.max()) == (own, values[:own].max())
    assert digest(heard(values, 0.01, True)).best.max() == 99, 'it has no step of its own'


def test_a_recording_excites_a_unit_once():
    best = Best(UNITS, 3)
    for sound, (recording, value) in enumerate([(0, 2), (1, 1), (0, 3), (0, 1), (2, 4)]):
        best.add(digest(heard(np.full([5, UNITS], value, np.float32))), sound, recording)
    assert best.values[0].tolist() == [4, 3, 1]
    assert best.sounds[0].tolist() == [4, 2, 1]
    assert best.recordings[0].tolist() == [2, 0, 1]

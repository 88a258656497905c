"""Intervals by the bootstrap: against theory, and recordings are drawn whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundnet_tf.evaluation.bootstrap import interval
from soundnet_tf.evaluation.datasets import LabelledClip


def clips(count, takes=0):
    """In recordings of so many takes; 0: of unknown recordings."""
    return [LabelledClip(f'{n}.wav', 'a', 1, f'r{n // takes}' if takes else '') for n in range(count)]


def test_of_many_clips_the_interval_is_the_normal_one():
    correct = np.arange(1000) % 10 < 8
    found = interval(correct, np.full(1000, 0.001), clips(1000))
    margin = 1.96 * np.sqrt(0.8 * 0.2 / 1000)
    assert (found.low, found.high) == pytest.approx((0.8 - margin, 0.8 + margin), abs=0.002)
    assert found.about() == '95% interval, bootstrap over 1,000 clips'
    assert found == interval(correct, np.full(1000, 0.001), clips(1000))


def test_clips_of_one_recording_are_drawn_together():
    """Four equal takes say no more than one: the interval is twice as wide."""
    correct = np.repeat(np.arange(250) % 10 < 8, 4)
    alone, whole = (interval(correct, np.ones(1000), clips(1000, takes)) for takes in (0, 4))
    assert (whole.units, whole.over) == (250, 'recordings')
    assert (whole.high - whole.low) / (alone.high - alone.low) == pytest.approx(2, rel=0.1)


def test_one_recording_has_no_interval():
    assert interval([True, False], [1, 1], clips(2, takes=2)) is None


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0.1, 2)), min_size=2, max_size=30))
def test_a_paired_interval_is_within_bounds_and_of_one_sign_if_the_nets_are(rows):
    one, other, weights = map(np.array, zip(*rows, strict=True))
    found = interval(other.astype(float) - one, weights, clips(len(rows)), resamples=200)
    assert -1 <= found.low <= found.high <= 1
    assert interval(one, weights, clips(len(rows)), resamples=200).low >= 0
    assert interval(one.astype(float) - one, weights, clips(len(rows)), resamples=200).high == 0


def test_text():
    found = interval([1.0, 1.0, -1.0, 1.0], np.ones(4), clips(4))
    assert (found.text(signed=True), found.text()) == ('-50.0 to +100.0', '-50.0 to 100.0')
    assert found.to_dict() == {
        'low': -0.5, 'high': 1.0, 'units': 4, 'over': 'clips', 'level': 0.95, 'resamples': 10_000,
    }  # fmt: skip

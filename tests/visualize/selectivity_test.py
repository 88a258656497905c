"""What a person would call selective comes first: strong responses to few sounds, and no unit twice."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from soundnet_tf.visualize import selectivity

SOUNDS, TOP = 40, 6


def best_of(responses):
    """`[units, top]`: as `Best` keeps them of responses `[sounds, units]`."""
    values = -np.sort(-responses.T, axis=1)[:, :TOP]
    return np.where(values > 0, values, -np.inf).astype(np.float32)


def ranked(responses, count=99):
    return selectivity.ranking(best_of(responses), responses, count).tolist()


def scored(responses):
    return selectivity.scores(best_of(responses), responses)


def made(seed=0):
    """Responses `[sounds, units]`, by unit: see the names below."""
    noise = np.abs(np.random.default_rng(seed).normal(size=(SOUNDS, 8))).astype(np.float32)
    responses = np.zeros([SOUNDS, 8], np.float32)
    responses[:, EVERYTHING] = 5 + 0.1 * noise[:, EVERYTHING]
    responses[:10, KIND] = 5 + noise[:10, KIND]
    responses[:, FAINT_KIND] = 0.01 * responses[::-1, KIND]
    responses[20, WEAK_ONCE] = 0.5
    responses[21, STRONG_ONCE] = 20
    responses[22, SUBNORMAL] = 3e-38
    responses[:, HALF] = np.where(np.arange(SOUNDS) % 2, 5 + 0.1 * noise[:, HALF], 0)
    return responses


KIND, FAINT_KIND, EVERYTHING, WEAK_ONCE, STRONG_ONCE, SUBNORMAL, DEAD, HALF = range(8)


@given(st.integers(0, 1000))
def test_strong_and_for_one_kind_comes_first(seed):
    scores = scored(made(seed))
    assert scores.argmax() == KIND
    assert scores[KIND] > 0.3
    assert scores[HALF] > scores[EVERYTHING]
    others = [FAINT_KIND, EVERYTHING, WEAK_ONCE, STRONG_ONCE, SUBNORMAL, DEAD]
    assert (scores[others] < 0.05).all()
    assert scores[DEAD] == scores.min() == 0


def test_silent_units_are_left_out():
    order = ranked(made())
    assert order[:2] == [KIND, HALF]
    assert sorted(order) == [KIND, FAINT_KIND, EVERYTHING, WEAK_ONCE, STRONG_ONCE, HALF]
    assert ranked(made(), 1) == [KIND]
    assert ranked(np.zeros([SOUNDS, 3], np.float32)) == []


@given(st.integers(0, 1000), st.floats(2**-20, 2**20))
def test_the_scale_of_a_layer_changes_nothing(seed, factor):
    responses = made(seed)[:, [KIND, FAINT_KIND, EVERYTHING, HALF]]
    np.testing.assert_allclose(scored(responses * np.float32(factor)), scored(responses), rtol=1e-4, atol=1e-6)


@given(st.integers(0, 1000), st.integers(1, 200))
def test_units_that_never_respond_change_nothing(seed, dead):
    responses = made(seed)
    more = np.concatenate([responses, np.zeros([SOUNDS, dead], np.float32)], axis=1)
    np.testing.assert_allclose(scored(more)[:8], scored(responses), rtol=1e-5)


@given(st.integers(0, 1000), st.floats(0.3, 0.9))
def test_of_two_units_alike_the_stronger_stays(seed, weaker):
    responses = made(seed)
    noise = 0.05 * np.random.default_rng(seed).normal(size=SOUNDS)
    twin = (weaker * responses[:, KIND] * (1 + noise)).astype(np.float32)
    order = ranked(np.column_stack([twin, responses]))
    assert 0 not in order
    assert order[0] == KIND + 1


def test_sparseness():
    responses = np.zeros([10, 4], np.float32)
    responses[:, 0], responses[3, 1], responses[:5, 2] = 1, 5, 1  # always; once; half of the time; never
    np.testing.assert_allclose(selectivity.sparseness(responses), [0, 1, 5 / 9, 0])


def test_few_sounds():
    """Fewer than there are places for, or none that is on the map."""
    few = np.array([[5, 1, 1], [5, 5, 0], [5, 0, 1], [5, 0, 0]], np.float32)
    assert ranked(few) == [1, 2, 0]
    one = np.array([[1, 2, 0]], np.float32)
    assert ranked(one)[:1] == [1]
    assert np.isfinite(scored(one)).all()
    nothing = np.zeros([0, 3], np.float32)
    assert selectivity.ranking(best_of(one), nothing, 9).tolist() == [0, 1]

"""Calibration, checked by properties that hold for any predictions."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import optimize, special

from soundnet_tf.errors import SoundNetError
from soundnet_tf.shipping import calibration
from soundnet_tf.shipping.calibration import NEVER, Answers, Goal, calibrate, calibration_error, fit_temperature


def planted(temperature, clips=4000, classes=10, seed=0):
    """Logits whose softmax at this temperature is the truth's own distribution."""
    rng = np.random.default_rng(seed)
    logits = 3 * rng.normal(size=[clips, classes])
    truth = [rng.choice(classes, p=p) for p in special.softmax(logits / temperature, axis=1)]
    return logits, np.array(truth)


def loss(logits, truth, temperature):
    return -special.log_softmax(logits / temperature, axis=1)[np.arange(len(truth)), truth].mean()


@pytest.mark.parametrize('temperature', [0.5, 1.0, 2.5])
def test_a_planted_temperature_is_found(temperature):
    assert fit_temperature(*planted(temperature)) == pytest.approx(temperature, rel=0.06)


@given(st.integers(0, 1000), st.floats(0.2, 4.0))
def test_it_is_the_min_loss_by_another_search(seed, temperature):
    logits, truth = planted(temperature, clips=60, classes=4, seed=seed)
    found = fit_temperature(logits, truth)
    other = optimize.minimize_scalar(
        lambda log_t: loss(logits, truth, math.exp(log_t)),
        bounds=(math.log(calibration.COLDEST), math.log(calibration.HOTTEST)),
        method='bounded',
        options={'xatol': 1e-9},
    )
    assert loss(logits, truth, found) <= other.fun + 1e-7
    assert calibration.COLDEST <= found <= calibration.HOTTEST * 1.001


@given(st.integers(0, 1000), st.floats(0.5, 2.0))
def test_logits_that_are_scaled_have_a_scaled_temperature(seed, factor):
    logits, truth = planted(1.0, clips=80, classes=3, seed=seed)
    found = fit_temperature(logits, truth)
    assume(2 * calibration.COLDEST < found < calibration.HOTTEST / 2)
    assert fit_temperature(factor * logits, truth) == pytest.approx(factor * found, rel=1e-3)
    np.testing.assert_allclose(
        calibration.probabilities(factor * logits, factor * found), calibration.probabilities(logits, found), atol=1e-12
    )


def test_all_right_and_all_wrong_stay_within_bounds():
    logits = 5 * np.eye(3)
    assert calibration.COLDEST <= fit_temperature(logits, np.arange(3)) < 0.2  # from where on the loss is 0
    assert fit_temperature(logits, (np.arange(3) + 1) % 3) == pytest.approx(calibration.HOTTEST, rel=1e-4)


ANSWERS = st.integers(1, 60).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.float64, n, elements=st.one_of(st.floats(0, 1), st.sampled_from([0.2, 0.5, 1.0]))),
        hnp.arrays(np.bool_, n),
    )
)


@given(ANSWERS)
def test_the_error_is_a_share(answers):
    confidences, right = answers
    found = calibration_error(confidences, right)
    assert 0 <= found <= 1
    # Never less than what is left when all bins are one.
    assert found >= abs(confidences.mean() - right.mean()) - 1e-12


def test_the_error_by_hand():
    confidences = np.array([0.95, 0.95, 0.95, 0.95, 0.35, 0.35])
    right = np.array([True, True, True, False, False, True])
    assert calibration_error(confidences, right) == pytest.approx((4 * 0.2 + 2 * 0.15) / 6)
    assert calibration_error(np.array([1.0, 1.0]), np.array([True, True])) == 0


@given(ANSWERS, st.floats(0.05, 1.0))
def test_the_threshold_is_the_smallest_with_the_target_precision(answers, wanted):
    confidences, right = answers
    good = [c for c in confidences if right[confidences >= c].mean() >= wanted]
    assert Goal(wanted).threshold(confidences, right, np.zeros(0)) == min(good, default=NEVER)


@given(ANSWERS, st.lists(st.floats(0, 1), min_size=1), st.floats(0, 1))
def test_few_sounds_of_no_class_are_above_the_threshold(answers, ood, most):
    confidences, right = answers
    ood = np.array(ood)
    good = [c for c in confidences if right[confidences >= c].mean() >= 0.5 and (ood >= c).sum() <= most * len(ood)]
    assert Goal(0.5, most).threshold(confidences, right, ood) == min(good, default=NEVER)


def test_sounds_of_no_class_are_measured_by_other_folds():
    """Each fold's net is asked for a third of them, with the threshold of the other two thirds."""
    ood = 2 * np.random.default_rng(0).normal(size=[600, 10])
    folds = [Answers(fold, *planted(1.0, clips=400, seed=fold), ood + fold) for fold in range(3)]
    strict, free = calibrate(folds, 0.5, 0.1), calibrate(folds, 0.5)
    assert strict.confidence_threshold > free.confidence_threshold
    assert strict.ood_confident == pytest.approx(0.1, abs=0.04)
    assert free.ood_confident > 0.5
    assert strict.confident < free.confident
    assert strict.rule.endswith(', and at most 10% of other sounds above it')
    assert 'of the out-of-distribution sounds' in str(strict)


def test_losses_of_a_calibration():
    """A fold's own values give a loss at most that of the other folds' values; both losses are reported."""
    folds = [Answers(fold, *planted(2.0, clips=300, seed=fold)) for fold in range(4)]
    found = calibrate(folds, 0.6)
    assert found.temperature == pytest.approx(2.0, rel=0.1)
    assert found.error_after < found.error_before
    assert found.loss_after < found.loss_before
    logits = np.concatenate([own.logits for own in folds])
    truth = np.concatenate([own.truth for own in folds])
    assert found.loss_before == pytest.approx(loss(logits, truth, 1.0))
    assert found.loss_after >= loss(logits, truth, found.temperature) - 1e-9
    confidences = special.softmax(logits / found.temperature, axis=1).max(axis=1)
    above = confidences >= found.confidence_threshold
    assert (logits.argmax(axis=1) == truth)[above].mean() >= 0.6
    assert 0 < found.confident < 1
    assert found.accuracy_when_confident == pytest.approx(0.6, abs=0.05)
    assert found.accuracy_when_not_confident < found.accuracy_when_confident
    assert '60%' in found.rule


def test_what_is_measured_on_a_fold_comes_from_the_others():
    """Folds that differ much, each measured here by hand with what the others alone give."""
    wanted, own = 0.6, [planted(t, clips=200 + 40 * fold, seed=fold) for fold, t in enumerate([0.5, 1.0, 2.0, 4.0])]
    found = calibrate([Answers(fold, *answers) for fold, answers in enumerate(own)], wanted)
    confidences, right, confident, losses = [], [], [], []
    for fold, (logits, truth) in enumerate(own):
        others = [np.concatenate(parts) for parts in zip(*(o for f, o in enumerate(own) if f != fold), strict=True)]
        temperature = fit_temperature(*others)
        of_others = special.softmax(others[0] / temperature, axis=1)
        best, theirs = of_others.max(axis=1), of_others.argmax(axis=1) == others[1]
        least = min(c for c in best if theirs[best >= c].mean() >= wanted)
        said = special.softmax(logits / temperature, axis=1)
        confidences.append(said.max(axis=1))
        right.append(said.argmax(axis=1) == truth)
        confident.append(said.max(axis=1) >= least)
        losses.append(np.full(len(truth), loss(logits, truth, temperature)))
    confidences, right, confident, losses = map(np.concatenate, (confidences, right, confident, losses))
    assert found.loss_after == pytest.approx(losses.mean())
    assert found.error_after == pytest.approx(calibration_error(confidences, right))
    assert found.confident == pytest.approx(confident.mean())
    assert found.accuracy_when_confident == pytest.approx(right[confident].mean())
    assert found.accuracy_when_not_confident == pytest.approx(right[~confident].mean())
    assert ', with accuracy ' in str(found)


@given(st.lists(st.tuples(st.integers(0, 1000), st.floats(0.3, 3.0)), min_size=2, max_size=4))
def test_the_temperature_never_raises_the_error(folds):
    answers = [Answers(number, *planted(t, clips=30, classes=4, seed=seed)) for number, (seed, t) in enumerate(folds)]
    found = calibrate(answers, 0.6)
    assert found.error_after < found.error_before or found.temperature == 1
    if found.temperature == 1:
        assert (found.error_after, found.loss_after) == (found.error_before, found.loss_before)


def test_one_fold_is_too_few():
    with pytest.raises(SoundNetError, match='calibration: needs at least 2 held-out folds, got 1'):
        calibrate([Answers(1, *planted(1.0, clips=20)), Answers(1, *planted(1.0, clips=20))], 0.5)


def test_no_accuracy_below_the_threshold_if_all_are_confident():
    logits = 9 * np.eye(4)
    folds = [Answers(fold, logits, np.arange(4)) for fold in (1, 2)]
    found = calibrate(folds, 0.95)
    assert (found.confident, found.accuracy_when_confident, found.accuracy_when_not_confident) == (1.0, 1.0, None)

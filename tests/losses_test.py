"""The losses against plain numpy, and at the points where they must be zero or finite."""

import numpy as np
import pytest

from soundnet_tf import losses


def distributions(shape, seed=0, sharp=1.0):
    logits = sharp * np.random.default_rng(seed).normal(size=shape)
    return (np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(('frames', 'steps'), [(4, 4), (4, 1), (2, 5)])
def test_against_numpy(frames, steps):
    teacher, logits = distributions((3, frames, 7)), np.log(distributions((3, steps, 7), seed=1)) + 2.5
    student = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    pairs = min(frames, steps)
    p, q = teacher[:, :pairs], student[:, :pairs]
    np.testing.assert_allclose(losses.kl(teacher, logits), (p * np.log(p / q)).sum(-1).mean(-1), rtol=1e-4)
    np.testing.assert_allclose(losses.l2(teacher, logits), ((p - q) ** 2).sum(-1).mean(-1), rtol=1e-4)
    same = (p.argmax(-1) == q.argmax(-1)).mean(-1)
    np.testing.assert_allclose(losses.agreement(teacher, logits), same)


@pytest.mark.parametrize('name', losses.LOSSES)
def test_zero_where_student_is_teacher_and_more_elsewhere(name):
    teacher = distributions((2, 4, 9))
    loss = losses.LOSSES[name]
    np.testing.assert_allclose(loss(teacher, np.log(teacher)), 0, atol=1e-6)
    assert (np.asarray(loss(teacher, np.log(distributions((2, 4, 9), seed=3)))) > 1e-3).all()


def test_certainty_is_finite():
    certain = np.eye(5, dtype=np.float32)[None, :2]
    logits = np.array([[[80.0, -80, 0, 0, 0], [80, -80, 0, 0, 0]]], np.float32)
    assert np.isfinite(losses.kl(certain, logits)).all()
    # One frame is named rightly (0 nats), the other at odds of e to the 160.
    np.testing.assert_allclose(losses.kl(certain, logits), [80], rtol=1e-5)

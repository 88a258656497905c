"""The losses against plain numpy, and at the points where they must be zero or finite."""

import numpy as np
import pytest

from soundnet_tf import geometry
from soundnet_tf.nets import losses
from soundnet_tf.spec import SOUNDNET8


def distributions(shape, seed=0, sharp=1.0):
    logits = sharp * np.random.default_rng(seed).normal(size=shape)
    return (np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)).astype(np.float32)


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


def test_against_numpy():
    p, logits = distributions((3, 4, 7)), np.log(distributions((3, 4, 7), seed=1)) + 2.5
    q = softmax(logits)
    np.testing.assert_allclose(losses.kl(p, logits), (p * np.log(p / q)).sum(-1).mean(-1), rtol=1e-4)
    np.testing.assert_allclose(losses.l2(p, logits), ((p - q) ** 2).sum(-1).mean(-1), rtol=1e-4)
    for top in (1, 3, 7):
        rows = zip(p.argmax(-1).ravel(), q.reshape(12, 7), strict=True)
        among = [first in row.argsort()[::-1][:top] for first, row in rows]
        np.testing.assert_allclose(losses.agreement(p, logits, top), np.reshape(among, (3, 4)).mean(-1))


def test_temperature():
    p, logits = distributions((3, 4, 7), sharp=3), 4 * distributions((3, 4, 7), seed=1)
    soft, q = softmax(np.log(p) / 2.5), softmax(logits / 2.5)
    expected = 2.5**2 * (soft * np.log(soft / q)).sum(-1).mean(-1)
    np.testing.assert_allclose(losses.softened(losses.kl, 2.5)(p, logits), expected, rtol=1e-4)
    assert losses.softened(losses.kl, 1) is losses.kl


def test_pairs():
    assert losses.pairs(4, 6) == [0, 1, 2, 3]
    assert losses.pairs(4, 1) == [0]
    # The 8-layer net's steps for 20 s, and frames from the middles of 5 s: the first two steps hear the first 10 s.
    steps = geometry.frame_times(SOUNDNET8, 'conv8', 4)
    assert losses.pairs(4, 4, (2.5, 7.5, 12.5, 17.5), steps) == [0, 1, 2, 2]


def test_scales():
    assert losses.scales('per_example', {'a': 4, 'b': 4}, {'a': 1000, 'b': 401}) == {'a': 0.5, 'b': 0.5}
    # The authors' 250 / 8, for each of four outputs, averaged over classes too.
    torch = losses.scales('torch', {'a': 4, 'b': 4}, {'a': 1000, 'b': 401})
    assert torch == pytest.approx({'a': 250 / 8 * 4 / 1000, 'b': 250 / 8 * 4 / 401})


@pytest.mark.parametrize('name', losses.LOSSES)
def test_zero_where_student_is_teacher_and_more_elsewhere(name):
    teacher = distributions((2, 4, 9))
    loss = losses.LOSSES[name]
    np.testing.assert_allclose(loss(teacher, np.log(teacher)), 0, atol=1e-6)
    assert (np.asarray(loss(teacher, np.log(distributions((2, 4, 9), seed=3)))) > 1e-3).all()


def test_certain_targets_give_a_finite_loss():
    certain = np.eye(5, dtype=np.float32)[None, :2]
    logits = np.array([[[80.0, -80, 0, 0, 0], [80, -80, 0, 0, 0]]], np.float32)
    assert np.isfinite(losses.kl(certain, logits)).all()
    # One frame is named rightly (0 nats), the other at odds of e to the 160.
    np.testing.assert_allclose(losses.kl(certain, logits), [80], rtol=1e-5)

"""Newton's method against liblinear, which minimises the same function in another way."""

import os
import pathlib
import warnings

import numpy as np
import pytest
import threadpoolctl
from hypothesis import given, settings
from hypothesis import strategies as some
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from soundnet_tf.evaluation import newton, svm

SEEDS = some.integers(0, 2**32 - 1)


def liblinear(windows, targets, c):
    """Until it is at the optimum, which its default tolerance is not."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', ConvergenceWarning)
        machine = LinearSVC(C=c, dual=len(windows) < windows.shape[1], tol=1e-9, random_state=0, max_iter=200_000)
        return machine.fit(windows.astype(np.float64), targets)


def made(seed, count, features, classes, scale=1.0):
    """`classes` of very different sizes, two windows of each at least, some of them twice."""
    rng = np.random.default_rng(seed)
    targets = np.concatenate([np.repeat(np.arange(classes), 2), rng.geometric(0.5, count) % classes])
    windows = scale * rng.normal(size=[len(targets), features]) + (np.arange(features) == targets[:, None])
    twice = rng.integers(0, len(targets), len(targets) // 3)
    return np.concatenate([windows, windows[twice]]).astype(np.float32), np.concatenate([targets, targets[twice]])


def signs(targets):
    return np.where(targets[:, None] == np.unique(targets), 1, -1)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(SEEDS, some.integers(0, 300), some.integers(1, 40), some.integers(2, 5), some.sampled_from([0.001, 0.01, 0.3]))
def test_the_optimum_is_that_of_liblinear(seed, count, features, classes, c):
    windows, targets = made(seed, count, features, classes)
    wanted = liblinear(windows, targets, c).decision_function(windows)
    weights = newton.fit(windows, signs(targets), c)
    own = windows @ weights[:-1] + weights[-1]
    np.testing.assert_allclose(own if classes > 2 else own[:, 1], wanted, atol=3e-4)


@pytest.mark.parametrize(('scale', 'c'), [(1.0, 10.0), (300.0, 0.01), (1e-4, 0.01)])
def test_features_of_any_scale(scale, c):
    windows, targets = made(1, 200, 8, 3)
    scaled = (scale * windows).astype(np.float32)
    own, wanted = svm.linear_svm(scaled, targets, c), liblinear(scaled, targets, c)
    np.testing.assert_allclose(own.decision_function(scaled), wanted.decision_function(scaled), atol=1e-3)


def test_constant_features_and_groups_of_classes(monkeypatch):
    windows, targets = made(2, 400, 12, 7)
    windows[:, 3:6] = 0
    together = newton.fit(windows, signs(targets), 0.05)
    monkeypatch.setattr(newton, 'GROUP_BYTES', 4 * 13**2 * 3)
    np.testing.assert_allclose(newton.fit(windows, signs(targets), 0.05), together, atol=1e-5)
    assert not together[3:6].any()


def test_liblinear_fits_what_does_not_converge(monkeypatch):
    windows, targets = made(3, 60, 5, 3)
    monkeypatch.setattr(newton, 'MAX_STEPS', 0)
    monkeypatch.setattr(newton, 'MIN_CONDITION', 0)
    with pytest.raises(newton.NotConverged):
        newton.fit(windows, signs(targets), 0.1)
    own = svm.linear_svm(windows, targets, 0.1).decision_function(windows)
    np.testing.assert_allclose(own, liblinear(windows, targets, 0.1).decision_function(windows), atol=1e-2)


def test_the_threads_of_blas_are_as_before():
    before = [own['num_threads'] for own in threadpoolctl.threadpool_info()]
    windows, targets = made(4, 50, 6, 3)
    newton.fit(windows, signs(targets), 0.01)
    assert [own['num_threads'] for own in threadpoolctl.threadpool_info()] == before


@pytest.mark.slow
@pytest.mark.skipif('SOUNDNET_DATA' not in os.environ, reason='SOUNDNET_DATA names no folder of real data')
def test_esc10(tmp_path):
    from soundnet_tf.evaluation import datasets, embedders
    from soundnet_tf.evaluation.protocol import PROTOCOLS, evaluate_layers

    dataset = datasets.load(pathlib.Path(os.environ['SOUNDNET_DATA']) / 'esc10')
    # The others of the paper's table are liblinear's own.
    embedder, layers, protocol = embedders.make('soundnet8'), ['pool5', 'conv6'], PROTOCOLS['esc']
    options = {'test_folds': [1], 'cache': tmp_path}
    ours = list(evaluate_layers(dataset, embedder, protocol, layers, **options))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(svm.PROBES, 'svm', liblinear)
        theirs = list(evaluate_layers(dataset, embedder, protocol, layers, **options))
    assert [found.embedder['layer'] for found in ours] == layers
    for own, wanted in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(own.scores.values, wanted.scores.values, atol=1e-3)
        assert own.accuracy == wanted.accuracy

"""Similar embeddings lie close together."""

import sys

import numpy as np
import pytest

from soundnet_tf.errors import MissingTool
from soundnet_tf.visualize import tsne

pytest.importorskip('sklearn')


def groups(seed=0, each=20, channels=80):
    rng = np.random.default_rng(seed)
    middles = rng.uniform(0, 1, (3, channels))
    return (np.repeat(middles, each, axis=0) + rng.normal(0, 0.02, (3 * each, channels))).astype(np.float32)


def test_clips_that_are_alike_lie_together():
    placed = tsne.places(groups(), 0)
    assert (placed.min(axis=0), placed.max(axis=0)) == (pytest.approx([0, 0]), pytest.approx([1, 1]))
    middles = placed.reshape(3, 20, 2).mean(axis=1)
    for number, (x, y) in enumerate(placed):
        assert np.hypot(*(middles - (x, y)).T).argmin() == number // 20


def test_loudness_does_not_move_a_clip():
    vectors = groups()
    louder = vectors * 2.0 ** (np.arange(len(vectors), dtype=np.float32)[:, None] % 7)  # so that no bit is rounded
    np.testing.assert_array_equal(tsne.places(louder, 0), tsne.places(vectors, 0))


def test_the_same_seed_gives_the_same_map():
    np.testing.assert_array_equal(tsne.places(groups(), 3), tsne.places(groups(), 3))


def test_clips_without_a_vector_have_no_place():
    vectors = groups()
    vectors[[0, 7]] = np.nan
    assert np.flatnonzero(np.isnan(tsne.places(vectors, 0)).any(axis=1)).tolist() == [0, 7]
    assert tsne.places(vectors[: tsne.MIN_CLIPS], 0) is None


def test_clips_that_are_all_alike_make_no_map():
    assert tsne.places(np.ones([20, 80], np.float32) * np.arange(1, 21, dtype=np.float32)[:, None], 0) is None


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(MissingTool, match=r"the map of clips needs scikit-learn.*'soundnet_tf\[visualize\]'"):
        tsne.require()
    assert 'sklearn' in sys.modules

"""Clips that are alike lie together; vision is found by the sounds' names."""

import pathlib
import sys

import numpy as np
import pytest

from soundnet_tf.errors import MissingTool, SoundNetError
from soundnet_tf.inference.files import SoundFile
from soundnet_tf.visualize import maps

pytest.importorskip('sklearn')


def groups(seed=0, each=20, channels=80):
    rng = np.random.default_rng(seed)
    middles = rng.uniform(0, 1, (3, channels))
    return (np.repeat(middles, each, axis=0) + rng.normal(0, 0.02, (3 * each, channels))).astype(np.float32)


def test_clips_that_are_alike_lie_together():
    placed = maps.places(groups(), 0)
    assert (placed.min(axis=0), placed.max(axis=0)) == (pytest.approx([0, 0]), pytest.approx([1, 1]))
    middles = placed.reshape(3, 20, 2).mean(axis=1)
    for number, (x, y) in enumerate(placed):
        assert np.hypot(*(middles - (x, y)).T).argmin() == number // 20


def test_loudness_does_not_move_a_clip():
    vectors = groups()
    louder = vectors * 2.0 ** (np.arange(len(vectors), dtype=np.float32)[:, None] % 7)  # so that no bit is rounded
    np.testing.assert_array_equal(maps.places(louder, 0), maps.places(vectors, 0))


def test_the_same_seed_gives_the_same_map():
    np.testing.assert_array_equal(maps.places(groups(), 3), maps.places(groups(), 3))


def test_clips_without_a_vector_have_no_place():
    vectors = groups()
    vectors[[0, 7]] = np.nan
    assert np.flatnonzero(np.isnan(maps.places(vectors, 0)).any(axis=1)).tolist() == [0, 7]
    assert maps.places(vectors[: maps.FEWEST], 0) is None


@pytest.fixture
def files():
    return [SoundFile(f'/x/{name}', pathlib.PurePath(name)) for name in ('a/1.wav', 'a/2.wav', 'b/1.wav')]


def test_vision_by_name(tmp_path, files):
    (tmp_path / 'a').mkdir()
    rows = np.arange(8, dtype=np.float32).reshape(4, 2)
    np.save(tmp_path / 'a' / '1.npy', rows)
    np.save(tmp_path / 'a' / '2.wav.npy', rows[:1])
    found = maps.vision(tmp_path, files)
    np.testing.assert_array_equal(found, [[3, 4], [0, 1], [np.nan, np.nan]])


def test_what_is_wrong_with_vision(tmp_path, files):
    with pytest.raises(SoundNetError, match=r'has vision features of none of the sounds: there is no .*b/1.wav.npy'):
        maps.vision(tmp_path, files)
    (tmp_path / 'a').mkdir()
    np.save(tmp_path / 'a' / '1.npy', np.zeros([2, 3]))
    np.save(tmp_path / 'a' / '2.npy', np.zeros([2, 4]))
    with pytest.raises(SoundNetError, match=r'features of 3 and of 4 channels. Give those of one layer'):
        maps.vision(tmp_path, files)


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(MissingTool, match=r"the map of clips needs scikit-learn.*'soundnet_tf\[visualize\]'"):
        maps.require()
    assert 'sklearn' in sys.modules

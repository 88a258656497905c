"""The included net on the synthetic world, which it was not trained on: it is not confident, and reports that."""

import pytest

from soundnet_tf.demo import shipped, world
from soundnet_tf.demo.shipped import Prediction
from soundnet_tf.demo.stage import KINDS, scenes


@pytest.fixture(scope='module')
def said(tmp_path_factory):
    folder = tmp_path_factory.mktemp('videos')
    made = scenes(12, 2)
    world.write_world(folder, made, 5.0)
    return shipped.listen(folder, made)


def test_it_is_not_confident(said):
    assert [one.kind for one in said] == sorted(KINDS)
    assert sum(not one.confident for one in said) >= 3
    for one in said:
        assert str(one).startswith('not sure (best guess ') != one.confident


def test_in_words():
    assert str(Prediction('bird', 'Rooster', 0.4, False)) == 'not sure (best guess Rooster)'
    assert str(Prediction('bird', 'Rooster', 0.9, True)) == 'Rooster'

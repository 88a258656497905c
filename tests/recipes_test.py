"""Recipes: the authors' numbers, the learning rate over time, and errors for invalid settings."""

import dataclasses

import pytest

from soundnet_tf.errors import SoundNetError
from soundnet_tf.experiments.recipes import RECIPES, Recipe


def test_the_authors_recipe_adds_nothing():
    recipe = RECIPES['authors']
    assert (recipe.epochs, recipe.batch, recipe.crop_s, recipe.head_kernel) == (50, 256, 5.0, 4)
    assert {recipe.rate(epoch) for epoch in range(51)} == {1e-3}
    added = ('weight_decay', 'dropout', 'mix', 'gain_db', 'flip', 'trim_db', 'pad_s')
    assert not any(getattr(recipe, name) for name in (*added, 'filter_db', 'freeze', 'refit'))
    assert (recipe.schedule, recipe.precision) == ('constant', 'float32')
    assert recipe.stretch == 1


def test_the_learning_rate_falls():
    recipe = Recipe(epochs=9, schedule='cosine', learning_rate=0.01)
    assert [recipe.rate(epoch) for epoch in (0, 3, 4.5, 6, 9)] == pytest.approx([0.01, 0.0075, 0.005, 0.0025, 0])


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'epochs': 0}, 'epochs must be at least 1, got 0'),
        ({'dropout': 1.5}, 'dropout must be from 0 to 0.99, got 1.5'),
        ({'stretch': 0.8}, 'stretch must be from 1 to 4, got 0.8'),
        ({'learning_rate': float('nan')}, 'learning_rate must be from 1e-09 to 1, got nan'),
        ({'batch': 2.5}, 'batch must be of type int, got 2.5'),
        ({'mix': 'yes'}, "mix must be of type bool, got 'yes'"),
        ({'schedule': 'linear'}, "schedule must be constant or cosine, got 'linear'"),
        ({'noises': 5}, 'noises=5 has an effect on a refitted head only: set refit, or noises=0'),
        ({'freeze': 'all', 'precision': 'bfloat16'}, 'precision=bfloat16 has no effect with freeze=all: leave one'),
    ],
)
def test_invalid_settings_are_reported(change, words):
    with pytest.raises(SoundNetError, match=words):
        dataclasses.replace(Recipe(), **change)


def test_a_whole_number_is_a_share_too():
    assert Recipe(crop_s=3, pad_s=1).to_dict()['crop_s'] == 3

"""Every experiment runs, on a thin net."""

import dataclasses

import pytest

from soundnet_tf import experiments
from soundnet_tf.nets import saved
from soundnet_tf.testing import make_records
from soundnet_tf.training import trainer


@pytest.fixture(scope='module')
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp('records')
    make_records(folder, count=6, seconds=10, teachers={'imagenet': 5, 'places': 4}, shards=3)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize('name', experiments.EXPERIMENTS)
def test_it_runs(name, records, tmp_path):
    smoke = experiments.smoke(experiments.named(name))
    whole = experiments.named(name)
    # Small, and otherwise the same.
    changed = {'steps', 'batch', 'clip_s', 'save_every', 'warmup_steps', 'validate_every', 'held_out'}
    for field in dataclasses.fields(smoke.training):
        if field.name not in changed:
            assert getattr(smoke.training, field.name) == getattr(whole.training, field.name)
    trained = trainer.train(records, smoke, tmp_path / 'run')
    heads = saved.read_spec(trained.net).head_names
    assert heads == (smoke.training.teachers or ('imagenet', 'places'))
    assert all(len(losses) == 2 for losses in trained.history.values())
    assert (tmp_path / 'run' / 'best').exists() == bool(smoke.training.held_out)

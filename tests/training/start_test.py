"""Training that continues from a saved net."""

import dataclasses
import json

import numpy as np
import pytest

from soundnet_tf.config import Experiment, Training
from soundnet_tf.errors import SoundNetError
from soundnet_tf.nets import model, saved
from soundnet_tf.spec import SOUNDNET5, Head, thin
from soundnet_tf.testing import make_records
from soundnet_tf.training import runs, start, trainer

CONFIG = Training(steps=1, batch=2, clip_s=3, learning_rate=1e-12)


@pytest.fixture(scope='module')
def net(tmp_path_factory):
    """A saved net with the heads places and sounds, which was trained on a clip."""
    spec = thin(SOUNDNET5, 1 / 8)
    spec = dataclasses.replace(spec, heads=(Head('places', 4, 8, 2), Head('sounds', 3, 8, 2)))
    folder = tmp_path_factory.mktemp('nets') / 'net'
    return saved.save_net(model.build(spec), folder, origin={'clips': ['a clip']})


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp('records')
    make_records(folder, count=4, seconds=5, teachers={'imagenet': 5, 'places': 4})
    return folder


def train(made, run, net, config=CONFIG):
    return trainer.train(made, Experiment('test', '', 'soundnet8', training=config), run, start=start.Start.find(net))


def test_layers_and_heads_that_fit_are_kept(made, net, tmp_path, capsys):
    trained = train(made, tmp_path / 'run', net)
    kept = f'run: begins with {net}; kept: conv1, conv2, conv3, conv4, places; new: imagenet\n'
    assert kept in capsys.readouterr().out
    before, after = (model.variables_of(saved.load_net(folder)) for folder in (net, trained.net))
    kept = [key for key in after if not key.startswith('imagenet') and 'moving' not in key]
    assert {key.split('/')[0] for key in kept} >= {'conv1', 'conv4', 'places'}
    for key in kept:
        np.testing.assert_allclose(after[key], before[key], rtol=1e-5, atol=1e-9, err_msg=key)
    origin = saved.read_facts(trained.net)['origin']
    assert origin['before'] == {'clips': ['a clip']}
    assert origin['start_sha256'] == saved.fingerprint(net)


def test_layers_of_another_architecture_that_fit_are_kept_and_frozen(made, net, tmp_path, capsys):
    """A thinner last layer is new; what is below it stays as it is to the bit."""
    whole = saved.read_spec(net)
    *below, last = whole.layers
    spec = dataclasses.replace(whole, layers=(*below, dataclasses.replace(last, filters=5)))
    config = dataclasses.replace(CONFIG, steps=2, learning_rate=1e-2, freeze='conv3')
    begun, run = start.Start.find(net), tmp_path / 'run'
    trained = trainer.train(made, Experiment('test', '', training=config), run, spec, start=begun)
    assert 'kept: conv1, conv2, conv3; new: conv4, imagenet, places\n' in capsys.readouterr().out
    before, after = (model.variables_of(saved.load_net(folder)) for folder in (net, trained.net))
    same = {key for key in after if key in before and np.array_equal(after[key], before[key])}
    assert {key.split('/')[0] for key in same} >= {'conv1', 'conv2', 'conv3'}
    assert not [key for key in set(after) - same if key.split('/')[0] in {'conv1', 'conv2', 'conv3'}]
    assert {'conv4/kernel', 'conv4/moving_mean', 'places/kernel'} <= set(after) - same


def test_a_start_of_which_no_layer_fits(made, net, tmp_path):
    with pytest.raises(
        SoundNetError, match=r'net: no layer of it fits soundnet5-thin\. Use one of more similar layers'
    ):
        trainer.train(
            made,
            Experiment('t', '', training=CONFIG),
            tmp_path / 'run',
            thin(SOUNDNET5, 1 / 4),
            start=start.Start.find(net),
        )


def test_an_unknown_layer_to_freeze(made, tmp_path):
    config = dataclasses.replace(CONFIG, freeze='conv9')
    with pytest.raises(SoundNetError, match=r'freeze: no layer \'conv9\'\. Use conv1, pool1, conv2'):
        trainer.train(made, Experiment('t', '', 'soundnet5', 1 / 8, config), tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_a_run_keeps_to_its_start(made, net, tmp_path):
    train(made, tmp_path / 'run', net)
    other = saved.save_net(model.build(saved.read_spec(net)), tmp_path / 'other')
    with pytest.raises(SoundNetError, match=r'started with other settings \(model differs\)'):
        train(made, tmp_path / 'run', other, dataclasses.replace(CONFIG, steps=2))
    longer = train(made, tmp_path / 'run', net, dataclasses.replace(CONFIG, steps=2))
    assert runs.saved_origin(longer.net)['steps'] == 2


def test_what_is_no_net_is_refused_before_the_run_begins(made, tmp_path):
    with pytest.raises(SoundNetError, match=r'nothing is not a saved net: there is no such folder'):
        train(made, tmp_path / 'run', tmp_path / 'nothing')
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('text', ['{}', '[', '{"layers": [{"kind": "round"}]}', '[1]'])
def test_a_file_that_is_no_architecture_is_one_line(text, tmp_path):
    path = tmp_path / 'mine.json'
    path.write_text(text)
    with pytest.raises(SoundNetError, match=r'^[^\n]*mine\.json: cannot be read \([^\n]*\)\. Use a file like the spec'):
        start.read_spec(path)


def test_an_architecture_of_ones_own(tmp_path):
    spec = thin(SOUNDNET5, 1 / 16)
    (tmp_path / 'mine.json').write_text(json.dumps(spec.to_dict()))
    assert start.read_spec(tmp_path / 'mine.json') == spec

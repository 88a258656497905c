"""The autoencoder learns to reconstruct its input, and a stopped training resumes."""

import dataclasses

import numpy as np
import pytest

from soundnet_tf import geometry
from soundnet_tf.config import Experiment, Training
from soundnet_tf.errors import SoundNetError
from soundnet_tf.nets import model, saved
from soundnet_tf.spec import SOUNDNET5, SOUNDNET8, Conv, NetSpec, Pool
from soundnet_tf.study import autoencoder
from soundnet_tf.testing import make_records, thin_spec

SMALL = Experiment('small', 'small', training=Training(steps=6, batch=2, clip_s=1.0, save_every=2, learning_rate=3e-3))
SPEC = NetSpec('small', (Conv('conv1', 8, 64, 32), Pool('pool1', 4), Conv('conv2', 8, 4, 2)), (), 'pool1')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp('records')
    make_records(made, count=4, seconds=1.0, audio_format='pcm16')
    return str(made)


@pytest.mark.parametrize('base', [SOUNDNET5, SOUNDNET8])
def test_the_mirror_is_as_long_as_the_sound(base):
    spec = autoencoder.trunk_of(thin_spec(base))
    assert (spec.layer_names[-1], spec.heads) == (base.feature_layer, ())
    frames = geometry.frames(spec, base.feature_layer, 30_000)
    values = np.zeros([2, frames, geometry.channels(spec, base.feature_layer)], np.float32)
    given = autoencoder.decoder(spec)(values)
    assert given.shape == (2, frames * geometry.hop(spec, base.feature_layer))


def after(steps):
    return dataclasses.replace(SMALL, training=dataclasses.replace(SMALL.training, steps=steps))


def error(net):
    return saved.read_facts(net)['origin']['squared_error']


def test_it_learns_and_a_stopped_run_resumes_exactly(folder, tmp_path):
    whole = autoencoder.train(folder, SMALL, tmp_path / 'whole', SPEC)
    first = error(whole)
    autoencoder.train(folder, after(4), tmp_path / 'parts', SPEC)
    parts = autoencoder.train(folder, SMALL, tmp_path / 'parts', SPEC)
    one, other = (model.variables_of(saved.load_net(net)) for net in (whole, parts))
    assert set(one) == {f'conv1/{k}' for k in ['kernel', 'bias', 'gamma', 'beta', 'moving_mean', 'moving_variance']}
    for key, variable in one.items():
        np.testing.assert_allclose(np.asarray(variable), np.asarray(other[key]), rtol=1e-4, atol=1e-6, err_msg=key)
    assert error(parts) == pytest.approx(first, rel=1e-4)
    # Silence would be off by the power of the tones, an eighth.
    assert error(autoencoder.train(folder, after(60), tmp_path / 'whole', SPEC)) < 0.08
    with pytest.raises(SoundNetError, match=r'started with other settings \('):
        autoencoder.train(folder, SMALL, tmp_path / 'parts')

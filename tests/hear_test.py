"""What the HEAR benchmark asks of a module, as its published validator checks it, and a little more."""

import numpy as np
import pytest
import tensorflow as tf

from soundnet_tf import geometry, hear
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import load
from soundnet_tf.nets import model, registry, saved
from soundnet_tf.spec import SOUNDNET5, SOUNDNET8, Conv, NetSpec
from soundnet_tf.testing import enliven, noise, thin_spec


@pytest.fixture(scope='module', params=[SOUNDNET8, SOUNDNET5], ids=lambda spec: spec.name)
def folder(request, tmp_path_factory):
    net = enliven(model.build(thin_spec(request.param)))
    return str(saved.save_net(net, tmp_path_factory.mktemp('hear') / 'net'))


@pytest.fixture(scope='module')
def loaded(folder):
    return hear.load_model(folder)


def sounds(count, seconds):
    return tf.random.stateless_uniform([count, int(seconds * SAMPLE_RATE)], [1, 2], -1.0, 1.0)


def test_the_model(loaded):
    assert isinstance(loaded, tf.Module)
    assert loaded.sample_rate == 22_050
    assert loaded.sample_rate in (16_000, 22_050, 32_000, 44_100, 48_000)
    assert type(loaded.scene_embedding_size) is type(loaded.timestamp_embedding_size) is int


@pytest.mark.parametrize(('count', 'seconds'), [(16, 2.0), (2, 1.07), (2, 1.98), (2, 4.0), (1, 0.3), (3, 0.02)])
def test_timestamp_embeddings(loaded, count, seconds):
    values, times = hear.get_timestamp_embeddings(sounds(count, seconds), loaded)
    assert values.dtype == times.dtype == tf.float32
    assert values.shape[0] == count
    assert values.shape[:2] == times.shape
    assert values.shape[2] == loaded.timestamp_embedding_size
    assert values.shape[1] >= 1
    assert np.isfinite(values).all()
    distances = np.diff(times.numpy())
    if distances.size:
        assert distances.mean() <= 50
        assert np.abs(distances - distances.mean()).max() < 1e-3
    assert times.numpy().min() >= 0
    assert times.numpy().max() <= 1000 * seconds


@pytest.mark.parametrize(('count', 'seconds'), [(8, 3.74), (4, 2.74), (2, 0.05)])
def test_scene_embeddings(loaded, count, seconds):
    values = hear.get_scene_embeddings(sounds(count, seconds), loaded)
    assert values.dtype == tf.float32
    assert values.shape == [count, loaded.scene_embedding_size]
    assert np.isfinite(values).all()


def test_the_numbers_are_those_of_the_embedder(folder, loaded):
    embedder, sound = load(folder), noise(2)
    layer = loaded.timestamp_layer
    assert geometry.hop(embedder.spec, layer) <= 0.05 * SAMPLE_RATE
    wanted = embedder.embed(sound, SAMPLE_RATE, layer)
    inside = (wanted.times >= 0) & (wanted.times <= 2)
    values, times = hear.get_timestamp_embeddings(sound[None], loaded)
    np.testing.assert_allclose(values[0], wanted.values[inside], atol=1e-5 * np.abs(wanted.values).max())
    np.testing.assert_allclose(times[0], 1000 * wanted.times[inside], rtol=1e-6)
    scene = hear.get_scene_embeddings(sound[None], loaded)
    np.testing.assert_allclose(scene[0], embedder.embed(sound, SAMPLE_RATE).mean(), rtol=1e-4, atol=1e-5)


def test_a_sound_does_not_depend_on_its_batch(loaded, monkeypatch):
    batch = sounds(5, 1.5)
    together = hear.get_scene_embeddings(batch, loaded)
    monkeypatch.setattr(hear, 'BATCH_S', 3)
    np.testing.assert_allclose(hear.get_scene_embeddings(batch, loaded), together, rtol=1e-4, atol=1e-5)


def test_long_sounds_go_through_a_stream(loaded, monkeypatch):
    long = np.stack([noise(62, seed=1), noise(62, seed=2)])
    values, times = hear.get_timestamp_embeddings(long, loaded)
    assert values.shape[:2] == times.shape
    alone, _ = hear.get_timestamp_embeddings(long[1:, : 5 * SAMPLE_RATE], loaded)
    np.testing.assert_allclose(values[1, :90], alone[0, :90], atol=1e-4 * np.abs(alone).max())


def test_the_layers():
    assert hear.timestamp_layer(SOUNDNET8) == 'conv4'
    assert hear.timestamp_layer(SOUNDNET5) == 'conv3'
    with pytest.raises(SoundNetError, match='coarse: has no layer with a hop of 50 ms or less'):
        hear.timestamp_layer(NetSpec('coarse', (Conv('a', 2, 5000, 0, 5000),), (), 'a'))


def test_mistakes(loaded, monkeypatch):
    monkeypatch.setattr(registry, 'lists', lambda: ())
    with pytest.raises(SoundNetError, match=r'this version includes no net\. Pass the folder of a saved net'):
        hear.load_model()
    for wrong in (noise(1), np.zeros([2, 0]), np.zeros([1, 2, 3])):
        with pytest.raises(SoundNetError, match=r'audio has shape .*: pass \[sounds, samples\]'):
            hear.get_scene_embeddings(wrong, loaded)

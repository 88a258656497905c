"""The TF-Hub module: Keras' numbers however it is loaded, before and after fine-tuning."""

import json
import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from soundnet_tf import geometry
from soundnet_tf.errors import ShortClip, SoundNetError
from soundnet_tf.export import exporter, hub, truth
from soundnet_tf.export.layer import SoundNetLayer
from soundnet_tf.nets import model
from soundnet_tf.spec import SOUNDNET5, Conv, Head, NetSpec
from soundnet_tf.testing import enliven, noise, thin_spec
from tests.export.conftest import PLACES
from tests.nets.model_test import ODD

BATCH = np.stack([noise(10, amplitude=0.3, seed=seed) for seed in range(3)])


@pytest.fixture
def module(hub_folder):
    return tf.saved_model.load(str(hub_folder))


@pytest.fixture(scope='module')
def shared(hub_folder):
    return tf.saved_model.load(str(hub_folder))


@pytest.fixture(scope='module')
def plain(net):
    return model.features(net, ['pool5', 'conv7', 'imagenet', 'imagenet_logits', 'places', 'places_logits'])


def close(given, wanted):
    assert given.shape == wanted.shape
    np.testing.assert_allclose(given, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_a_batch_and_a_single_clip(shared, plain, net):
    wanted, given = plain(BATCH, training=False), shared(BATCH)
    assert set(given) == set(truth.every_output(net.spec))
    for name, values in wanted.items():
        close(given[name], np.array(values))
        close(given['embedding'], np.mean(wanted['pool5'], 1))
        close(shared(BATCH[1])[name], np.array(values)[1])
    for head in ('imagenet', 'places'):
        close(given[f'{head}_clip'], np.mean(wanted[head], 1))
        assert given[f'{head}_frames'] == wanted[head].shape[1]
    frames = geometry.frames(net.spec, 'pool5', BATCH.shape[1])
    np.testing.assert_allclose(given['times'], geometry.frame_times(net.spec, 'pool5', frames), atol=1e-6)
    assert shared(BATCH[0])['times'].shape == (frames,)


def test_signatures(shared, net):
    whole, wave = shared(BATCH), tf.constant(BATCH)
    for name, values in shared.signatures['serving_default'](waveform=wave).items():
        np.testing.assert_array_equal(values, whole[name])
    embedded = shared.signatures['embed'](waveform=wave)
    assert set(embedded) == {'embedding', 'times', 'pool5'}
    close(embedded['embedding'], whole['embedding'].numpy())
    rows = [row.name for row in net.spec.rows]
    layers = shared.signatures['layers'](waveform=wave)
    assert set(layers) == {*rows, 'imagenet_logits', 'places_logits'}
    for name, values in model.features(net, rows)(BATCH, training=False).items():
        close(layers[name], np.array(values))


@settings(max_examples=12, deadline=None)
@example(samples=4573, training=False, single=True)
@example(samples=4574, training=False, single=False)
@example(samples=209_373, training=False, single=False)
@example(samples=209_374, training=False, single=True)
@given(samples=st.integers(0, 230_000), training=st.booleans(), single=st.booleans())
def test_short_clips_have_the_frames_that_count_and_no_nan(shared, net, samples, training, single):
    waveform = noise(11)[:samples]
    before = [variable.numpy() for variable in shared.variables]
    given = shared(waveform if single else waveform[None], training=training)
    for variable, value in zip(shared.variables, before, strict=True):
        variable.assign(value)
    lead = () if single else (1,)
    for name, values in given.items():
        assert np.isfinite(values).all(), name
    for layer in ('pool5', 'conv7', 'imagenet', 'places', 'imagenet_logits'):
        frames = geometry.frames(net.spec, layer.removesuffix('_logits'), samples)
        assert given[layer].shape[:-1] == (*lead, frames)
        if layer in net.spec.head_names:
            assert given[f'{layer}_frames'] == frames
            assert np.any(given[f'{layer}_clip']) == bool(frames)
    assert np.any(given['embedding']) == (samples >= geometry.min_samples(net.spec, 'pool5'))
    for layer in ('pool5', 'conv7', 'imagenet'):
        if not training and given[layer].shape[-2]:
            wanted = np.array(model.features(net, [layer])(waveform[None], training=False)[layer])
            close(np.reshape(given[layer], wanted.shape), wanted)


def test_class_names_are_assets(shared):
    path = shared.label_path('places').numpy().decode()
    assert pathlib.Path(path).read_text().splitlines() == list(PLACES)
    assert shared.label_path('imagenet') != shared.label_path('places')


def test_variables(shared, net):
    assert len(shared.variables) == len(net.variables)
    assert len(shared.trainable_variables) == len(net.trainable_variables)
    assert list(shared.regularization_losses) == []


def loss_of(outputs):
    """Of something that depends on all layers, and is not blind to any of them as a norm would be."""
    return sum(tf.reduce_mean(tf.square(outputs[name] - 0.5)) for name in ('imagenet_logits', 'places_logits'))


def check_after_learning(module, before, net):
    # A convolution's bias is moved by rounding alone: batch norm takes the mean away again.
    idle = {f'{row.name}_conv/bias' for row in net.spec.layers}
    for variable, value, named in zip(module.variables, before, net.variables, strict=True):
        if named.path not in idle:
            assert not np.array_equal(variable, value), named.path
    quick, plain = module(BATCH), module.signatures['layers'](waveform=tf.constant(BATCH))
    for name in ('pool5', 'conv7', 'imagenet', 'places'):
        close(quick[name], plain[name].numpy())


def test_fine_tuning_in_a_loop(module, net):
    before = [variable.numpy() for variable in module.variables]
    first = module(BATCH)['conv7'].numpy()
    for _ in range(2):
        with tf.GradientTape() as tape:
            loss = loss_of(module(BATCH, training=True))
        gradients = tape.gradient(loss, list(module.trainable_variables))
        assert all(gradient is not None for gradient in gradients)
        for variable, gradient in zip(module.trainable_variables, gradients, strict=True):
            variable.assign_sub(0.05 * gradient)
    assert not np.allclose(module(BATCH)['conv7'], first, rtol=1e-3)
    check_after_learning(module, before, net)


def test_training_is_training_of_keras(module, net):
    """The module and the Keras net that it was made of have the same outputs, gradients and moving statistics."""
    twin = enliven(model.build(net.spec))
    with tf.GradientTape() as tape:
        wanted = model.features(twin, ['conv7', 'imagenet_logits', 'places_logits'])(BATCH, training=True)
        loss = loss_of(wanted)
    own = tape.gradient(loss, [variable.value for variable in twin.trainable_variables])
    with tf.GradientTape() as tape:
        given = module(BATCH, training=True)
        loss = loss_of(given)
    gradients = tape.gradient(loss, list(module.trainable_variables))
    for name, values in wanted.items():
        close(given[name], np.array(values))
    idle = {f'{row.name}_conv/bias' for row in net.spec.layers}
    for mine, theirs, variable in zip(gradients, own, twin.trainable_variables, strict=True):
        if variable.path not in idle:  # whose gradient is nothing but rounding
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=2e-3 * np.abs(theirs).max(), err_msg=variable.path)
    for mine, theirs in zip(module.variables, twin.variables, strict=True):
        np.testing.assert_allclose(mine, np.array(theirs), rtol=1e-5, atol=1e-6)


def test_gradients_through_the_folded_form(module):
    with tf.GradientTape() as tape:
        loss = loss_of(module(BATCH))
    gradients = tape.gradient(loss, list(module.trainable_variables))
    assert all(gradient is not None and np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.slow
def test_hub_and_its_layer_in_tf_keras(hub_folder, net):
    tensorflow_hub, tf_keras = pytest.importorskip('tensorflow_hub'), pytest.importorskip('tf_keras')
    module = tensorflow_hub.load(str(hub_folder))
    wanted = module(BATCH)['embedding'].numpy()
    layer = tensorflow_hub.KerasLayer(str(hub_folder), trainable=True)
    waveform = tf_keras.Input([None], dtype=tf.float32)
    outputs = layer(waveform)
    logits = [outputs['imagenet_logits'], outputs['places_logits']]
    learner = tf_keras.Model(waveform, [tf.reduce_mean(part, 1) for part in logits])
    close(layer(BATCH)['embedding'], wanted)
    before = [variable.numpy() for variable in layer.resolved_object.variables]
    learner.compile(tf_keras.optimizers.SGD(0.01), 'mse')
    learner.fit(BATCH, [np.ones([3, 10]), np.ones([3, 4])], epochs=2, verbose=0)
    check_after_learning(layer.resolved_object, before, net)


@pytest.mark.slow
@pytest.mark.parametrize('ours', [False, True], ids=['TFSMLayer', 'SoundNetLayer'])
def test_layers_of_keras_3(hub_folder, shared, ours):
    waveform = keras.Input([None])
    if ours:
        layer = SoundNetLayer(hub_folder, 'conv7', trainable=True)
        values = layer(waveform)
    else:
        layer = keras.layers.TFSMLayer(
            str(hub_folder), call_endpoint='infer', call_training_endpoint='train', trainable=True
        )
        values = layer(waveform)['conv7']
    learner = keras.Model(waveform, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling1D()(values)))
    close(keras.Model(waveform, values)(BATCH), shared(BATCH)['conv7'].numpy())
    weights = [np.array(weight) for weight in layer.weights]
    learner.compile(keras.optimizers.Adam(1e-3) if ours else keras.optimizers.SGD(0.01), 'mse')
    learner.fit(BATCH, np.ones([3, 2]), epochs=2, verbose=0)
    moving = [not np.array_equal(weight, old) for weight, old in zip(layer.weights, weights, strict=True)]
    # All but the heads, on which this loss does not depend, and biases before a batch norm.
    still = {weight.name for weight, moves in zip(layer.weights, moving, strict=True) if not moves}
    assert sum(moving) >= 5 * 7
    assert len(still) <= 4 + 7, still


def test_our_layer_frozen_saved_and_misused(hub_folder, tmp_path):
    layer = SoundNetLayer(hub_folder)
    before = [np.array(weight) for weight in layer.weights]
    values = layer(BATCH, training=True)
    assert values.shape == (3, 16)
    for weight, old in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)
    waveform = keras.Input([None])
    keras.Model(waveform, SoundNetLayer(hub_folder)(waveform)).save(tmp_path / 'own.keras')
    again: Any = keras.saving.load_model(tmp_path / 'own.keras', safe_mode=False)
    close(again(BATCH), np.array(values))
    with pytest.raises(ShortClip, match=r'the clip is 1.00 s; imagenet of soundnet8-thin needs 9.50 s'):
        SoundNetLayer(hub_folder, 'imagenet_clip')(BATCH[:, :22_050])
    with pytest.raises(SoundNetError, match="has no output 'conv3'; it has embedding, times, pool5, "):
        SoundNetLayer(hub_folder, 'conv3')
    with pytest.raises(SoundNetError, match=r'not a TF-Hub module of this package\. Write one with soundnet-export'):
        SoundNetLayer(tmp_path)


@pytest.mark.slow
def test_any_other_table(tmp_path):
    spec = ODD
    net = enliven(model.build(spec))
    measured = exporter.carry_out(net, hub.plan(net), tmp_path / 'hub').measured
    assert max(measured.difference.values()) < 1e-5
    assert json.loads((tmp_path / 'hub' / 'model.json').read_text())['spec'] == json.loads(json.dumps(spec.to_dict()))


@pytest.mark.parametrize('heads', [{}, {'esc10': 10}], ids=['no heads', 'one'])
def test_outputs_of_a_module(heads):
    names = [f'{head}{kind}' for head in heads for kind in ('', '_logits', '_clip', '_frames')]
    # The feature layer of this net is its last.
    assert truth.every_output(thin_spec(SOUNDNET5, heads)) == ('embedding', 'times', 'conv4', *names)


def test_ambiguous_names(net):
    spec = NetSpec('n', (Conv('a', 2, 3, 1),), (Head('times', 2, 1),), 'a')
    with pytest.raises(SoundNetError, match=r"two outputs 'times'\. Rename the head or layer"):
        hub.plan(model.build(spec))

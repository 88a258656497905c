"""The Keras nets against the paper's counts and against an independent numpy net."""

import dataclasses

import keras
import numpy as np
import pytest

from soundnet_tf import geometry
from soundnet_tf.errors import ShortClip, SoundNetError, UnknownLayer
from soundnet_tf.nets import applications, model, predictions, saved
from soundnet_tf.spec import SOUNDNET5, SOUNDNET8, Conv, Head, NetSpec, Pool
from soundnet_tf.testing import dense_spec, enliven, noise, thin_spec, tone
from tests import numpy_net


def weights_of(net):
    return {key: np.asarray(value) for key, value in model.variables_of(net).items()}


def assert_close(ours, truth):
    """Within 1e-4 of the layer's largest value."""
    assert ours.shape == truth.shape
    np.testing.assert_allclose(ours, truth, rtol=1e-4, atol=1e-4 * np.abs(truth).max())


NETS = [(applications.SoundNet8, 14_356_777), (applications.SoundNet5, 6_203_097)]


@pytest.mark.parametrize(('make', 'parameters'), NETS)
def test_parameters(make, parameters):
    assert make().count_params() == parameters


@pytest.mark.parametrize(
    ('spec', 'samples'),
    # Odd lengths that leave remainders in every pool; the shortest; a prime.
    [(SOUNDNET8, 209_374), (SOUNDNET8, 275_003), (SOUNDNET5, 56_798), (SOUNDNET5, 163_337)],
)
def test_every_layer_equals_numpy(spec, samples):
    net = enliven(model.build(spec))
    waveform = noise(20)[:samples]
    truth = numpy_net.forward(spec, weights_of(net), waveform)
    names = [*truth]
    ours = model.features(net, names)(waveform[None])
    for name in names:
        assert_close(np.asarray(ours[name])[0], truth[name])
        layer = name.removesuffix('_logits')
        assert len(truth[name]) == geometry.frames(spec, layer, samples)
        # A net whose layers all died would agree with anything.
        assert np.abs(truth[name]).max() > 1e-3
        assert np.asarray(truth[name]).std() > 0


ODD = NetSpec(
    'odd',
    (Conv('in', 3, 5, 1, 3), Pool('half', 2), Conv('mid', 4, 3, 0, 1), Conv('out', 5, 2, 3, 2)),
    (Head('x', 2, 3, 1, 1), Head('y', 3, 1, 0, 1)),
    'half',
)
OTHERS = [
    thin_spec(heads={'only': 3}),
    thin_spec(SOUNDNET5, heads={'a': 2, 'b': 3, 'c': 4}),
    geometry.trim_edges(thin_spec(), 441_000),
    geometry.trim_edges(thin_spec(SOUNDNET5), 441_000),
    ODD,
    dense_spec(),
]


@pytest.mark.parametrize('spec', OTHERS, ids=lambda spec: spec.name)
def test_any_other_table_builds(spec):
    net = enliven(model.build(spec))
    waveform = noise(12)[: max(geometry.min_samples(spec, head) for head in spec.head_names) + 77]
    truth = numpy_net.forward(spec, weights_of(net), waveform)
    ours = net(waveform[None])
    assert set(ours) == set(spec.head_names)
    for head in spec.head_names:
        assert_close(np.asarray(ours[head])[0], truth[head])


def test_batch_norm_moves_as_in_torch():
    net = model.build(thin_spec())
    norm = net.get_layer('conv1_bn')
    assert (norm.epsilon, norm.momentum) == (1e-5, 0.9)
    assert norm.synchronized


def test_without_top():
    x = noise(3)[None]
    assert applications.SoundNet8(include_top=False)(x).shape == (1, 3, 1024)
    conv4 = applications.SoundNet5(include_top=False)(x)
    means = applications.SoundNet5(include_top=False, pooling='avg')
    peaks = applications.SoundNet5(include_top=False, pooling='max')
    assert conv4.shape == (1, geometry.frames(SOUNDNET5, 'conv4', 66_150), 256)
    assert means(x).shape == peaks(x).shape == (1, 256)


@pytest.mark.parametrize(('pooling', 'reduce'), [('avg', np.mean), ('max', np.max)])
def test_heads_pool_by_their_clip_mean(pooling, reduce, tmp_path):
    """Probabilities, or logits before the softmax; `features` and `logits` still give the time steps."""
    spec = dataclasses.replace(thin_spec(), heads=(*thin_spec().heads, model.new_head('predictions', 3)))
    net, plain = enliven(model.build(spec, pooling=pooling)), enliven(model.build(spec))
    x = np.stack([noise(11, seed=seed) for seed in range(2)])
    steps, logits, pooled = plain(x), model.logits(plain)(x), net(x)
    assert {head: tuple(values.shape) for head, values in pooled.items()} == {
        'imagenet': (2, 10),
        'places': (2, 4),
        'predictions': (2, 3),
    }
    for head in ('imagenet', 'places'):
        np.testing.assert_allclose(pooled[head], reduce(steps[head], axis=1), rtol=1e-5)
    mean_logits = reduce(logits['predictions'], axis=1)
    np.testing.assert_allclose(pooled['predictions'], keras.ops.softmax(mean_logits), rtol=1e-5)
    for head, values in model.features(net, [*spec.head_names, 'conv7'])(x).items():
        np.testing.assert_allclose(values, steps[head] if head in steps else model.features(plain, head)(x)[head])
    np.testing.assert_allclose(model.logits(net)(x)['predictions'], logits['predictions'])
    net.save(tmp_path / 'net.keras')
    again = keras.saving.load_model(tmp_path / 'net.keras')
    np.testing.assert_array_equal(again(x)['predictions'], pooled['predictions'])


def test_compile_and_fit_with_new_classes(tmp_path):
    net = applications.SoundNet5(weights='soundnet5-esc10', classes=3, pooling='avg')
    net.compile(keras.optimizers.Adam(1e-4), loss='sparse_categorical_crossentropy', metrics=['accuracy'])
    x = np.stack([tone(1, 200 * 4 ** (index % 3)) for index in range(12)])
    losses = net.fit(x, np.arange(12) % 3, epochs=4, verbose=0).history['loss']
    assert losses[-1] < losses[0]
    outputs = net.predict(x, verbose=0)
    assert outputs['predictions'].shape == (12, 3)
    np.testing.assert_allclose(outputs['predictions'].sum(axis=1), 1, rtol=1e-5)
    decoded = predictions.decode_predictions(outputs, top=1, names={'predictions': ['low', 'mid', 'high']})
    assert [[tag[:2] for tag in sound] for sound in decoded] == [
        [('predictions', ['low', 'mid', 'high'][best])] for best in outputs['predictions'].argmax(axis=1)
    ]
    # A saved net has the table and weights: it gives the time steps, from which the rest of the package pools.
    again = saved.load_net(saved.save_net(net, tmp_path / 'learned'))
    steps = model.logits(again)(x)['predictions']
    wanted = keras.ops.softmax(keras.ops.mean(steps, axis=1))
    np.testing.assert_allclose(outputs['predictions'], wanted, rtol=1e-4)


def test_on_other_tensors_and_fixed_lengths():
    whole = keras.Input((44_100,))
    net = applications.SoundNet8(include_top=False, input_tensor=keras.layers.Cropping1D(1)(whole[..., None])[..., 0])
    assert net.inputs[0] is whole
    assert net(noise(2)[None]).shape == (1, 2, 1024)
    assert applications.SoundNet8(include_top=False, input_shape=(44_100,)).output_shape == (None, 2, 1024)


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ({'pooling': 'sum', 'include_top': False}, "None, 'avg' or 'max', got 'sum'"),
        (
            {'teachers': {'a': 1}, 'include_top': False},
            'teachers and classes make heads. Use them with include_top=True',
        ),
        ({'input_shape': (44_100, 1)}, r'input_shape must be \(samples,\)'),
        ({'input_shape': (44_100,)}, 'input_shape is 2.00 s; imagenet of soundnet8 needs 9.50 s'),
    ],
)
def test_refused_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        applications.SoundNet8(**arguments)


def test_short_clips_are_refused():
    net = applications.SoundNet8()
    words = (
        r"^the clip is 5\.00 s; imagenet of soundnet8 needs 9\.50 s\. Use a longer clip, or features\(net, 'conv7'\)\.$"
    )
    for use in (net, lambda x: net.predict(x, verbose=0)):
        with pytest.raises(ShortClip, match=words):
            use(noise(5)[None])
    with pytest.raises(ShortClip, match=r"^the clip is 0\.10 s; conv7 of soundnet8 needs 0\.21 s.*'conv5'\)\.$"):
        model.features(net, ['conv7'])(noise(0.1)[None])
    with pytest.raises(ShortClip, match=r'^the clip is 0\.00 s; .*\. Use a longer clip\.$'):
        net(np.zeros([1, 0], np.float32))
    # The layers below the heads take less.
    assert model.features(net, ['pool5'])(noise(5)[None])['pool5'].shape == (1, 13, 256)


def test_features_and_logits():
    net = enliven(model.build(thin_spec()))
    x = noise(10)[None]
    part = model.features(net, ['pool5', 'places_logits', 'places'])
    assert list(part(x)) == ['pool5', 'places_logits', 'places']
    np.testing.assert_allclose(part(x)['places_logits'], model.logits(net)(x)['places'])
    np.testing.assert_allclose(keras.ops.softmax(part(x)['places_logits']), net(x)['places'], rtol=1e-6)
    assert model.spec_of(part).layers == net.spec.layers
    assert list(model.labels_of(part)) == ['places']  # the heads that it computes
    with pytest.raises(UnknownLayer, match="no layer 'pool9'; it has conv1, pool1"):
        model.features(net, ['pool9'])


def test_labels_come_with_the_head():
    assert model.build(thin_spec()).labels['places'] == ('class 0', 'class 1', 'class 2', 'class 3')
    labels = applications.SoundNet5().labels
    assert (labels['imagenet'][0], labels['places'][0]) == ('tench, Tinca tinca', 'abbey')
    assert (len(labels['imagenet']), len(labels['places'])) == (1000, 401)
    with pytest.raises(SoundNetError, match='head places: 1 labels for 4 classes'):
        model.build(thin_spec(), labels={'places': ['a']})
    with pytest.raises(SoundNetError, match=r"head places: label 'b\\nc' has a control character. Use another name"):
        model.build(thin_spec(), labels={'places': ['a', 'b\nc', 'd', 'e']})


def test_foreign_models_are_refused():
    with pytest.raises(SoundNetError, match="model 'mine' was not built by soundnet_tf"):
        model.spec_of(keras.Sequential(name='mine'))

"""Keras' own tools on the nets: each gives the net's numbers, or a one-line error that says what to do."""

import copy
import pickle

import keras
import numpy as np
import pytest

from soundnet_tf.errors import BadAudio, ShortClip, SoundNetError
from soundnet_tf.nets import model, saved
from soundnet_tf.spec import Conv, Head, NetSpec, Pool
from soundnet_tf.testing import enliven, noise

# Small, so that each tool is quick; 20 samples give one step of each head.
SPEC = NetSpec(
    'small',
    (Conv('conv1', 4, 4, 1, 2), Pool('pool1', 2), Conv('conv2', 6, 3, 0, 2)),
    (Head('things', 3, 2, 0, 1), Head('places', 2, 2, 0, 1)),
    'pool1',
)
LABELS = {'things': ('a', 'b', 'c'), 'places': ('sea', 'wood')}
X = np.stack([noise(1, seed=seed)[:500] for seed in range(2)])
SHORT = X[:, :9]
SHORT_WORDS = (
    r"^the clip is 9 samples; things of small needs 20 samples\. Use a longer clip, or features\(net, 'pool1'\)\.$"
)


@pytest.fixture(scope='module')
def net():
    return enliven(model.build(SPEC, labels=LABELS))


def close(ours, truth, tolerance=1e-6):
    assert set(ours) == set(truth)
    for head, values in truth.items():
        np.testing.assert_allclose(ours[head], values, atol=tolerance)


def cloned(net):
    twin = keras.models.clone_model(net)
    twin.set_weights(net.get_weights())
    return twin


def through_file(name):
    def twin(net, folder):
        net.save(folder / name)
        return keras.saving.load_model(folder / name)

    return twin


def from_weights(net, folder):
    net.save_weights(folder / 'net.weights.h5')
    twin = keras.models.clone_model(net)
    twin.load_weights(folder / 'net.weights.h5')
    return twin


def from_json(net, folder):
    twin = keras.models.model_from_json(net.to_json())
    twin.set_weights(net.get_weights())
    return twin


TWINS = {
    'clone': lambda net, folder: cloned(net),
    'clone of a clone': lambda net, folder: cloned(cloned(net)),
    'keras file': through_file('net.keras'),
    'hdf5 file': through_file('net.h5'),
    'weights file': from_weights,
    'json': from_json,
    'deepcopy': lambda net, folder: copy.deepcopy(net),
    'pickle': lambda net, folder: pickle.loads(pickle.dumps(net)),
}


@pytest.mark.parametrize('tool', TWINS)
def test_twins(net, tmp_path, tool):
    """The same numbers, table, names, and check of lengths; and a saved net."""
    twin = TWINS[tool](net, tmp_path)
    close(twin(X), net(X))
    assert (twin.spec, twin.labels) == (SPEC, LABELS)
    with pytest.raises(ShortClip, match=SHORT_WORDS):
        twin(SHORT)
    close(saved.load_net(saved.save_net(twin, tmp_path / 'saved'))(X), net(X))


@pytest.mark.parametrize('policy', ['float16', 'bfloat16', 'float64', 'mixed_float16', 'mixed_bfloat16'])
def test_dtype_policies(net, tmp_path, policy):
    """Half precision only where the variables stay float32; probabilities are float32 always."""
    keras.config.set_dtype_policy(policy)
    try:
        folder = saved.save_net(net, tmp_path / 'net')
        twin = saved.load_net(folder)
        saved.save_net(twin, folder)
    finally:
        keras.config.set_dtype_policy('float32')
    outputs = twin(X)
    assert {keras.backend.standardize_dtype(v.dtype) for v in [*twin.weights, *outputs.values()]} == {'float32'}
    close(outputs, net(X), 0.02 if policy.startswith('mixed') else 1e-6)
    assert twin.get_layer('conv1_conv').compute_dtype == (policy[6:] if policy.startswith('mixed') else 'float32')
    close(saved.load_net(folder)(X), net(X))


def test_other_settings(net, tmp_path):
    net.save(tmp_path / 'net.keras')
    keras.config.set_image_data_format('channels_first')
    keras.config.set_floatx('float16')
    try:
        pooled = model.build(SPEC, pooling='avg')
        pooled.set_weights(net.get_weights())
        close(pooled(X), {head: values.numpy().mean(axis=1) for head, values in net(X).items()})
        for twin in (cloned(net), keras.saving.load_model(tmp_path / 'net.keras')):
            close(twin(X), net(X))
    finally:
        keras.config.set_image_data_format('channels_last')
        keras.config.set_floatx('float32')


def test_predict_of_all_shapes(net):
    """In any order: a graph that Keras once made for clips of any length calls no check of the net's."""
    twin = cloned(net)
    for x in (X, X[..., None], X[:1, :77]):
        flat = x.reshape(x.shape[:2])
        close(twin.predict(x, verbose=0), net(flat), 1e-5)
        close(twin.predict_on_batch(x), net(flat), 1e-5)
        close(twin(x), net(flat), 1e-5)
        for use in (lambda x: twin.predict(x, verbose=0), twin.predict_on_batch, twin):
            with pytest.raises(ShortClip, match=SHORT_WORDS):
                use(SHORT)


def test_predict_checks_generators_and_datasets(net):
    tf = pytest.importorskip('tensorflow')
    signature = (tf.TensorSpec([None, None], tf.float32),)
    wanted = net(X)
    for sounds in ([X, X], [X, SHORT]):
        rows = [(sound,) for sound in sounds]
        for source in (
            (row for row in rows),
            tf.data.Dataset.from_generator(rows.__iter__, output_signature=signature),
        ):
            if sounds[-1] is SHORT:
                with pytest.raises(ShortClip, match=SHORT_WORDS):
                    net.predict(source, verbose=0)
            else:
                outputs = net.predict(source, verbose=0)
                close({head: values[2:] for head, values in outputs.items()}, wanted)


def test_fit_and_evaluate_check_each_length():
    net = model.build(SPEC, pooling='avg')
    net.compile('sgd', loss='sparse_categorical_crossentropy')
    y = {'things': np.array([0, 1]), 'places': np.array([0, 1])}
    for x in (X, X[:, :99]):
        net.fit(x, y, verbose=0)
        net.test_on_batch(x, y)
    for use in (net.fit, net.evaluate, net.train_on_batch, net.test_on_batch):
        with pytest.raises(ShortClip, match=SHORT_WORDS):
            use(SHORT, y)


@pytest.mark.parametrize(
    ('x', 'words'),
    [
        (X[0], r'^a waveform of shape \[500\]: small needs \[batch, samples\]\. Pass x\[None\] for one sound'),
        (np.stack([X, X], -1), r'^a waveform of shape \[2, 500, 2\]: .* x\[\.\.\., 0\] for the first'),
        (
            (X * 32767).astype(np.int16),
            r'^a waveform of int16: small needs floats in \[-1, 1\]\. Use preprocess_input$',
        ),
    ],
)
def test_other_inputs(net, x, words):
    net.predict(X, verbose=0)
    with pytest.raises(BadAudio, match=words):
        net(x)
    with pytest.raises(BadAudio, match=r'^a waveform of '):
        net.predict(x, verbose=0)


def test_new_class_names_stay(tmp_path):
    net = model.build(SPEC)
    net.labels['places'] = ('in', 'out')
    for twin in (cloned(net), saved.load_net(saved.save_net(net, tmp_path / 'net'))):
        assert model.labels_of(twin) == {'things': ('class 0', 'class 1', 'class 2'), 'places': ('in', 'out')}


def test_models_of_nets(net, tmp_path):
    part = keras.Model(net.input, net.get_layer('pool1').output)
    np.testing.assert_array_equal(part(X), model.features(net, 'pool1')(X)['pool1'])
    trunk = enliven(model.build(SPEC.with_heads({}), pooling='max'))
    windows = X.reshape(2, 5, 100)
    time_distributed = keras.Sequential([keras.Input((5, 100)), keras.layers.TimeDistributed(trunk)])
    np.testing.assert_allclose(
        time_distributed.predict(windows, verbose=0), np.stack([trunk(clip) for clip in windows]), rtol=1e-5
    )
    stacked = keras.Sequential([trunk, keras.layers.Dense(3)])
    with pytest.raises(ShortClip, match=r'^the clip is 4 samples; conv2 of small needs'):
        stacked(X[:, :4])
    wanted = stacked(X)
    for name in ('stacked.keras', 'stacked.h5'):
        stacked.save(tmp_path / name)
        np.testing.assert_array_equal(keras.saving.load_model(tmp_path / name)(X), wanted)


def test_export_and_quantize(net, tmp_path):
    net.summary(print_fn=lambda *args, **kwargs: None)
    if keras.backend.backend() == 'tensorflow':
        import tensorflow as tf

        net.export(tmp_path / 'exported', verbose=False)
        exported = tf.saved_model.load(str(tmp_path / 'exported'))
        close(exported.serve(X), net(X))
    with pytest.raises(SoundNetError, match=r'^small: Keras cannot quantize conv.*soundnet-export --format=tflite'):
        net.quantize('int8')

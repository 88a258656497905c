"""The quick forms are the plain net: same outputs, same gradients, same moving statistics."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from soundnet_tf import geometry
from soundnet_tf.nets import fast, model
from soundnet_tf.spec import SOUNDNET5, SOUNDNET8, Conv, Head, NetSpec, Pool
from soundnet_tf.testing import dense_spec, enliven, noise, thin_spec

SPECS = [
    thin_spec(SOUNDNET8),
    thin_spec(SOUNDNET5),
    dataclasses.replace(geometry.trim_edges(thin_spec(SOUNDNET8), 441_000), name='8, trimmed'),
    dataclasses.replace(geometry.trim_edges(thin_spec(SOUNDNET5), 441_000), name='5, trimmed'),
    # Pools behind pools, and a kernel that its stride does not divide.
    NetSpec(
        'odd',
        (Conv('a', 3, 7, 2, 2), Pool('b', 2), Pool('c', 3), Conv('d', 4, 3, 1, 1), Conv('e', 4, 4, 1, 2)),
        (Head('x', 2, 3, 1, 1),),
        'd',
    ),
    dense_spec(),
]
nets = {spec.name: enliven(model.build(spec)) for spec in SPECS}


def learn(net, run, x):
    with tf.GradientTape() as tape:
        logits = run(x)
        loss = tf.add_n([tf.reduce_sum(tf.nn.softmax(value)[..., 0] ** 2) for value in logits.values()])
    gradients = tape.gradient(loss, net.trainable_variables)
    return logits, gradients, [np.array(v) for v in net.non_trainable_variables]


# Of the trimmed nets the one whose heads 10 s suffice for.
@pytest.mark.parametrize('spec', [spec for spec in SPECS if spec.name != '8, trimmed'], ids=lambda spec: spec.name)
@pytest.mark.parametrize('samples', [220_500, 231_113])
def test_training_form_is_the_plain_net(spec, samples):
    x = np.stack([noise(12, seed=seed)[:samples] for seed in range(3)])
    plain, quick = enliven(model.build(spec)), enliven(model.build(spec))
    wanted = learn(plain, lambda x: model.logits(plain)(x, training=True), x)
    got = learn(quick, fast.training_form(quick), x)
    for head in spec.head_names:
        np.testing.assert_allclose(got[0][head], wanted[0][head], rtol=1e-3, atol=1e-4)
    for mine, plain_one, variable in zip(got[1], wanted[1], plain.trainable_variables, strict=True):
        # Behind a batch norm a bias has no gradient but rounding.
        if '_conv/bias' not in variable.path:
            scale = np.abs(plain_one).max()
            np.testing.assert_allclose(mine, plain_one, rtol=5e-3, atol=5e-3 * scale, err_msg=variable.path)
    before = [np.array(v) for v in enliven(model.build(spec)).non_trainable_variables]
    for mine, plain_one, old in zip(got[2], wanted[2], before, strict=True):
        np.testing.assert_allclose(mine, plain_one, rtol=1e-4, atol=1e-5)
        assert mine.dtype != np.float32 or not np.array_equal(mine, old)


def rows_of(spec):
    return [row.name for row in spec.rows]


def close(given, wanted, relative=1e-4):
    assert given.shape == wanted.shape
    np.testing.assert_allclose(given, wanted, rtol=0, atol=relative * np.abs(wanted).max())


@pytest.mark.parametrize('spec', SPECS, ids=lambda spec: spec.name)
def test_inference_form_is_the_plain_net_in_every_layer(spec):
    net, x = enliven(model.build(spec)), np.stack([noise(11, seed=seed) for seed in range(2)])
    wanted = model.features(net, rows_of(spec))(x, training=False)
    together = fast.inference_form(net, rows_of(spec))(x)
    assert list(together) == rows_of(spec)
    for layer in rows_of(spec):
        close(together[layer], wanted[layer])
        # Alone, a layer behind a pool is computed by another road than with all others.
        close(fast.inference_form(net, [layer])(x)[layer], wanted[layer])


def test_inference_form_gives_the_heads_by_default():
    net = enliven(model.build(SPECS[0]))
    assert list(fast.inference_form(net)(noise(10)[None])) == ['imagenet', 'places']
    trunk = enliven(model.build(thin_spec(heads={})))
    assert list(fast.inference_form(trunk)(noise(1)[None])) == ['conv7']


def test_inference_form_sees_new_weights():
    net, x = enliven(model.build(SPECS[0])), noise(1)[None]
    run = tf.function(fast.inference_form(net, ['conv7']))
    before = run(x)['conv7'].numpy()
    enliven(net, seed=1)
    close(run(x)['conv7'], model.features(net, ['conv7'])(x, training=False)['conv7'])
    assert not np.allclose(before, run(x)['conv7'], rtol=0.1)


@settings(max_examples=15, deadline=None)
@given(
    spec=st.sampled_from(SPECS),
    lengths=st.lists(st.integers(20_000, 80_000), min_size=1, max_size=5),
    layer=st.sampled_from(['feature', 'last', 'conv4']),
)
def test_clips_of_several_lengths_in_one_batch(spec, lengths, layer):
    net = nets[spec.name]
    layer = {'feature': spec.feature_layer, 'last': spec.layer_names[-1]}.get(layer, spec.layer_names[3])
    batch = np.zeros([len(lengths), max(lengths)], np.float32)
    for row, length in zip(batch, lengths, strict=True):
        row[:length] = noise(4, seed=length)[:length]
    given = fast.inference_form(net, [layer])(batch, np.array(lengths, np.int32))[layer]
    for values, row, length in zip(given, batch, lengths, strict=True):
        alone = fast.inference_form(net, [layer])(row[None, :length])[layer][0]
        assert len(alone) == geometry.frames(spec, layer, length)
        close(values[: len(alone)], alone.numpy(), 1e-5)


def test_pools_before_any_convolution():
    spec = NetSpec('pools first', (Pool('a', 3), Pool('b', 2), Conv('c', 4, 5, 2)), (Head('x', 2, 3),), 'c')
    net, x = enliven(model.build(spec)), noise(0.1)[None]
    wanted = model.features(net, rows_of(spec))(x, training=False)
    for layer, values in fast.inference_form(net, rows_of(spec))(x).items():
        close(values, wanted[layer])


def test_half_precision_is_as_close_as_the_docs_say():
    net, x = enliven(model.build(SPECS[0])), noise(10)[None]
    layers = ['pool5', 'conv7', 'imagenet']
    wanted = fast.inference_form(net, layers)(x)
    for layer, values in fast.inference_form(net, layers, 'bfloat16')(x).items():
        assert values.dtype == tf.float32
        a, b = values.numpy().ravel(), wanted[layer].numpy().ravel()
        assert not np.array_equal(a, b)
        assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.9999

"""The quick form is the plain net: same outputs, same gradients, same moving statistics."""

import numpy as np
import pytest
import tensorflow as tf

from soundnet_tf import fast, model
from soundnet_tf.spec import SOUNDNET5, SOUNDNET8, Conv, Head, NetSpec, Pool
from soundnet_tf.testing import enliven, noise, thin_spec

SPECS = [
    thin_spec(SOUNDNET8),
    thin_spec(SOUNDNET5),
    # Pools behind pools, and a kernel that its stride does not divide.
    NetSpec(
        'odd',
        (Conv('a', 3, 7, 2, 2), Pool('b', 2), Pool('c', 3), Conv('d', 4, 3, 1, 1), Conv('e', 4, 4, 1, 2)),
        (Head('x', 2, 3, 1, 1),),
        'd',
    ),
]


def learn(net, run, x):
    with tf.GradientTape() as tape:
        logits = run(x)
        loss = tf.add_n([tf.reduce_sum(tf.nn.softmax(value)[..., 0] ** 2) for value in logits.values()])
    gradients = tape.gradient(loss, net.trainable_variables)
    return logits, gradients, [np.array(v) for v in net.non_trainable_variables]


@pytest.mark.parametrize('spec', SPECS, ids=lambda spec: spec.name)
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

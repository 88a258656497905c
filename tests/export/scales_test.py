"""Channels of one size: the same net, with values that 8 bits can be shared among."""

import numpy as np
import pytest

from soundnet_tf.export import scales
from soundnet_tf.export.folded import Operations, folded
from soundnet_tf.export.verify import difference
from soundnet_tf.nets import model
from soundnet_tf.testing import enliven, noise, thin_spec
from tests.nets.model_test import ODD


@pytest.mark.parametrize('spec', [thin_spec(), ODD], ids=['soundnet8', 'odd'])
def test_the_net_is_the_same(spec):
    net = enliven(model.build(spec))
    sounds = [noise(10, seed=seed)[None] for seed in range(2)]
    weights = folded(net)
    factors = scales.factors(spec, weights, sounds)
    plain, even = Operations(spec, weights), Operations(spec, scales.balanced(spec, weights, factors))
    given, wanted = (
        {
            name: np.asarray(values)
            for name, values in run(noise(10, seed=5)[None], (*factors, *spec.head_names)).items()
        }
        for run in (plain, even)
    )
    for name in given:
        assert difference(given[name], wanted[name] * factors.get(name, np.float32(1))) < 1e-5, name


def test_ranges_come_closer():
    spec = thin_spec()
    weights = folded(enliven(model.build(spec)))
    kernel, bias = weights['conv5']
    uneven = np.geomspace(1e-3, 1, len(bias), dtype=np.float32)
    uneven[0] = 0  # silent whatever is heard
    weights['conv5'] = kernel * uneven, bias * uneven
    sounds = [noise(2)[None]]
    factors = scales.factors(spec, weights, sounds)
    assert factors['conv5'][0] == 1
    np.testing.assert_array_equal(factors['pool5'], factors['conv5'])

    def peaks(weights):
        return np.asarray(Operations(spec, weights)(sounds[0], ['conv5'])['conv5']).max((0, 1))

    before, after = peaks(weights), peaks(scales.balanced(spec, weights, factors))
    rated = before > scales.FLOOR * before.max()
    assert rated.sum() > 1
    assert not before[0]
    np.testing.assert_allclose(after[rated], np.sqrt(before[rated] * before.max()), rtol=1e-4)

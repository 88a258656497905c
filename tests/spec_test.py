"""The tables: what they hold, what they refuse, and that they survive JSON."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundnet_tf.spec import SOUNDNET5, SOUNDNET8, Conv, Head, NetSpec, Pool, thin


@pytest.mark.parametrize('spec', [SOUNDNET8, SOUNDNET5, SOUNDNET8.with_heads({'esc10': 10}), SOUNDNET5.with_heads({})])
def test_json_round_trip(spec):
    assert NetSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@given(st.integers(1, 64), st.integers(1, 9), st.integers(0, 4), st.integers(1, 3), st.integers(1, 5))
def test_json_round_trip_of_any_table(filters, kernel, padding, stride, classes):
    layers = (Conv('a', filters, kernel, padding, stride), Pool('b', kernel), Conv('c', 1, 1, 0))
    spec = NetSpec('any', layers, (Head('x', classes, kernel, padding, stride),), 'b')
    assert NetSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_thin_keeps_the_geometry():
    assert thin(SOUNDNET8, 1) is SOUNDNET8
    spec = thin(SOUNDNET8, 1 / 16)
    assert [row.filters for row in spec.layers if isinstance(row, Conv)] == [1, 2, 4, 8, 16, 32, 64]
    assert [(r.kernel, r.stride, r.padding) for r in spec.rows] == [
        (r.kernel, r.stride, r.padding) for r in SOUNDNET8.rows
    ]


def test_heads_have_the_names_of_their_teachers():
    spec = SOUNDNET5.with_heads({'places': 365})
    assert [(h.name, h.classes, h.kernel, h.stride, h.padding) for h in spec.heads] == [('places', 365, 16, 12, 4)]
    assert (SOUNDNET8.head_alias, SOUNDNET5.head_alias) == ('conv8', 'conv5')


@pytest.mark.parametrize(
    ('broken', 'words'),
    [
        (lambda: Conv('conv1', filters=0, kernel=4, padding=0), 'conv1: filters must be an integer of at least 1'),
        (lambda: Conv('conv1', filters=4, kernel=4, padding=-1), 'conv1: padding must be an integer of at least 0'),
        (
            lambda: Conv('conv1', filters=4, kernel=4, padding=0, stride=2**31),
            'conv1: stride must be at most 1,048,576, got 2,147,483,648',
        ),
        (lambda: Pool('pool1', kernel=10**12), 'pool1: kernel must be at most 1,048,576, got 1,000,000,000,000'),
        (lambda: Head('places', classes=10**12, kernel=8), 'places: classes must be at most 1,048,576'),
        (
            lambda: dataclasses.replace(SOUNDNET8, trained_samples=10**12),
            'trained_samples must be at most 2,147,483,648',
        ),
        (lambda: Pool('pool1', kernel=2.0), 'pool1: kernel must be an integer'),
        (lambda: Pool('pool1', kernel=2, step=0), 'pool1: step must be an integer of at least 1, got 0'),
        (lambda: Conv('a', 1, 4, 0, 2, dilation=2), 'a: with a dilation the stride must be 1, got 2'),
        (lambda: Conv('a', 1, 1001, 0, 1, dilation=10_000), 'a: extent must be at most 1,048,576, got 10,000,001'),
        (lambda: Head('places', classes=True, kernel=8), 'places: classes must be an integer'),
        (
            lambda: dataclasses.replace(SOUNDNET8, feature_layer='pool9'),
            "feature_layer 'pool9' is not one of its layers",
        ),
        (lambda: dataclasses.replace(SOUNDNET8, heads=SOUNDNET8.heads * 2), 'duplicate row names: imagenet, places'),
        (lambda: NetSpec('pools', (Pool('p', 2),), (), 'p'), 'a net needs a convolution'),
        (lambda: SOUNDNET8.with_heads({}).with_heads({'a': 1}), 'no head to copy kernel'),
        (lambda: NetSpec.from_dict({'name': 'x'}), "not a NetSpec: 'layers'"),
        (lambda: NetSpec.from_dict({'layers': [{'kind': 'lstm'}]}), "not a NetSpec: 'lstm'"),
        (
            lambda: NetSpec.from_dict({'name': 'x', 'layers': [{'kind': 'pool', 'name': 'p', 'size': 2}]}),
            'not a NetSpec: .*size',
        ),
    ],
)
def test_invalid_specs(broken, words):
    with pytest.raises(ValueError, match=words):
        broken()

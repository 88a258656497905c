"""The records' message: TensorFlow's own, without TensorFlow."""

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from soundnet_tf.records import example

FLOATS = arrays.arrays(np.float32, arrays.array_shapes(max_dims=2, max_side=5, min_side=0))
VALUES = st.binary(max_size=9) | st.integers(-(2**63), 2**63 - 1) | FLOATS
FIELDS = st.dictionaries(st.text(max_size=8), VALUES, min_size=1)


def theirs(value):
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    return tf.train.Feature(float_list=tf.train.FloatList(value=value.ravel()))


@given(fields=FIELDS)
@settings(deadline=None)
def test_tensorflow_has_the_same_message(fields):
    twin = tf.train.Example(features=tf.train.Features(feature={key: theirs(value) for key, value in fields.items()}))
    written = example.serialise(fields)
    assert written == twin.SerializeToString(deterministic=True)
    features = example.Example.FromString(written).features.feature
    assert set(features) == set(fields)
    for name, value in fields.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(example.floats(features[name]), value.ravel())

"""Windows as the authors count them, against loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundnet_tf import geometry
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import ShortClip
from soundnet_tf.evaluation.windows import steps, windows
from soundnet_tf.spec import SOUNDNET8

HOP_S = geometry.hop(SOUNDNET8, 'pool5') / SAMPLE_RATE


def test_the_authors_windows():
    assert (steps(1, HOP_S), steps(5, HOP_S)) == (3, 14)
    for clip_s, window_s, shape in ((10, 1, (25, 768)), (30, 5, (68, 14 * 256))):
        values = np.zeros([geometry.frames(SOUNDNET8, 'pool5', clip_s * SAMPLE_RATE), 256], np.float32)
        assert windows(values, window_s, 0, HOP_S).shape == shape


@given(
    time=st.integers(1, 20), channels=st.integers(1, 4), size=st.integers(1, 20), move=st.integers(0, 5),
    hop_s=st.sampled_from([0.1, 0.5, HOP_S]),
)  # fmt: skip
def test_windows_are_what_a_loop_gives(time, channels, size, move, hop_s):
    values = np.random.default_rng(time).normal(size=[time, channels]).astype(np.float32)
    # Whole steps, also where their seconds are no round numbers.
    assert steps(size * hop_s, hop_s) == size
    if size > time:
        with pytest.raises(ShortClip, match=rf'x: {time} time steps?, a window of .* s needs {size}\. Increase clip_s'):
            windows(values, size * hop_s, move * hop_s, hop_s, 'x')
        return
    looped = [values[begin : begin + size].ravel() for begin in range(0, time - size + 1, max(1, move))]
    np.testing.assert_array_equal(windows(values, size * hop_s, move * hop_s, hop_s), looped)


def test_without_a_window_the_mean():
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(windows(values, 0, 0, HOP_S), [[2, 3]])

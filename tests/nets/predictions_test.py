"""What goes into a net, and the names that come out."""

import pathlib

import numpy as np
import pytest

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import BadAudio, SoundNetError
from soundnet_tf.nets.predictions import decode_predictions, preprocess_input


def test_sounds_are_resampled_one_by_one():
    resampled = preprocess_input(np.zeros([2, 16_000]), 16_000)
    assert (resampled.shape, resampled.dtype) == ((2, SAMPLE_RATE), np.float32)
    assert preprocess_input(np.zeros(16_000, np.int16), 16_000).shape == (SAMPLE_RATE,)
    # A batch of more sounds than a recording has channels.
    assert preprocess_input(np.zeros([20, 100])).shape == (20, 100)


@pytest.mark.parametrize(
    ('sounds', 'words'),
    [
        (np.zeros([0, 9]), r'sounds of shape \[0, 9\]: pass \[samples\] or \[batch, samples\]'),
        (
            np.zeros([44_100, 2]),
            r'sounds of shape \[44100, 2\] are \[samples, channels\]: pass mono sounds, such as x\[:, 0\]',
        ),
        (np.zeros([44_100, 1]), r'are \[samples, channels\]'),
        ('rain.wav', r"rain\.wav: pass samples, not a path: soundnet_tf\.audio\.decoding\.read\('rain\.wav'\)"),
        (pathlib.Path('rain.wav'), 'pass samples, not a path'),
    ],
)
def test_what_preprocessing_refuses(sounds, words):
    with pytest.raises(BadAudio, match=words):
        preprocess_input(sounds)


@pytest.mark.parametrize(
    ('outputs', 'words'),
    [
        ({'imagenet': np.ones(3)}, r'head imagenet: outputs of shape \[3\], not \[batch, time, classes\] or \['),
        ({'imagenet': np.ones([2, 0, 3])}, r'head imagenet: outputs of shape \[2, 0, 3\] hold no time step'),
        (np.ones([2, 3]), 'outputs must be those of a net with heads'),
    ],
)
def test_what_decoding_refuses(outputs, words):
    with pytest.raises(SoundNetError, match=words):
        decode_predictions(outputs)


@pytest.mark.parametrize('top', [0, -3, 2.5, None])
def test_an_invalid_top_is_reported(top):
    with pytest.raises(SoundNetError, match=f'top={top}: must be a whole number, at least 1'):
        decode_predictions({'pets': np.ones([1, 3])}, top=top)


def test_steps_are_averaged_and_clips_are_not():
    steps = np.array([[[0.2, 0.8], [0.6, 0.4]]])
    for outputs in (steps, steps.mean(axis=1)):
        (decoded,) = decode_predictions({'pets': outputs}, top=1, names={'pets': ['cat', 'dog']})
        assert decoded == [('pets', 'dog', pytest.approx(0.6))]

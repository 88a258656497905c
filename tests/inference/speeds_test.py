import re

import numpy as np
import pytest
import soundfile
import soxr
from scipy import special

from soundnet_tf import geometry, storage
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import Embedder, load
from soundnet_tf.inference.speeds import SpeedListener
from soundnet_tf.nets import saved
from soundnet_tf.testing import noise
from tests.inference.embed_test import FakeEngine

SPEEDS = 0.8, 1, 1.25
CLIP = noise(12)


@pytest.fixture(scope='module')
def fast_folder(net, tmp_path_factory):
    """A saved net that states speeds."""
    folder = saved.save_net(net, tmp_path_factory.mktemp('fast') / 'net')
    storage.write_json(folder / 'model.json', saved.read_facts(folder) | {'speeds': SPEEDS})
    return folder


def by_hand(embedder, head):
    """The mean over the speeds, by clips that are resampled outside, as the head averages over time."""
    found = []
    for rate in (17_640, 22_050, 27_562):
        clip = CLIP if rate == SAMPLE_RATE else soxr.resample(CLIP, rate, SAMPLE_RATE)
        found.append(embedder.embed(np.clip(clip, -1, 1), SAMPLE_RATE, head.name).values.astype(float))
    if head.clip_mean == 'probabilities':
        return np.mean([values.mean(axis=0) for values in found], axis=0)
    return special.softmax(np.mean([np.log(values).mean(axis=0) for values in found], axis=0))


def test_the_mean_over_the_speeds(fast_folder, tmp_path):
    embedder = load(fast_folder)
    tags = embedder.tag(CLIP, SAMPLE_RATE, top=99)
    for head in embedder.spec.heads:
        wanted = dict(zip(embedder.labels[head.name], by_hand(embedder, head), strict=True))
        assert {tag.name: tag.probability for tag in tags if tag.head == head.name} == pytest.approx(wanted, abs=1e-5)
    soundfile.write(tmp_path / 'clip.wav', CLIP, SAMPLE_RATE, subtype='FLOAT')
    of_file = embedder.tag_file(tmp_path / 'clip.wav', top=99)
    assert [(tag.name, pytest.approx(tag.probability, abs=1e-5)) for tag in of_file] == [
        (tag.name, tag.probability) for tag in tags
    ]


def test_by_default_those_that_the_net_states(fast_folder, plain_folder):
    once = load(plain_folder).tag(CLIP, SAMPLE_RATE)
    assert load(fast_folder, speeds=[1]).tag(CLIP, SAMPLE_RATE) == once
    several = load(fast_folder).tag(CLIP, SAMPLE_RATE)
    assert several != once
    assert load(plain_folder, speeds=SPEEDS).tag(CLIP, SAMPLE_RATE) == several


def test_embeddings_and_streams_are_of_the_sound_as_it_is(fast_folder, plain_folder):
    at_speeds, plain = load(fast_folder), load(plain_folder)
    np.testing.assert_array_equal(
        at_speeds.embed(CLIP, SAMPLE_RATE, 'imagenet').values, plain.embed(CLIP, SAMPLE_RATE, 'imagenet').values
    )
    long = SpeedListener(FakeEngine(), SPEEDS).listen_samples(noise(61), SAMPLE_RATE, ['imagenet'])['imagenet']
    assert len(long) == geometry.frames(FakeEngine().spec, 'imagenet', len(noise(61)))


@pytest.mark.parametrize(('short', 'filled'), [('tile', 'tiled'), ('pad', 'padded')])
def test_facts_are_of_the_clip_itself(short, filled):
    quiet = noise(2, amplitude=1e-5)
    found = SpeedListener(FakeEngine(), SPEEDS, short).listen_samples(quiet, SAMPLE_RATE, ['imagenet'])['imagenet']
    assert (found.seconds, len(found), found.silent) == (2.0, 1, True)
    assert getattr(found, filled)


def test_speeds_at_which_a_clip_is_too_short_are_left_out(plain_folder):
    samples = geometry.min_samples(load(plain_folder).spec, 'imagenet')
    clip = CLIP[:samples]
    once = load(plain_folder, short='error').tag(clip, SAMPLE_RATE)
    assert load(plain_folder, short='error', speeds=[1, 1.5]).tag(clip, SAMPLE_RATE) == once
    assert load(plain_folder, short='error', speeds=[1.5]).tag(clip, SAMPLE_RATE) == once
    assert load(plain_folder, speeds=[1, 1.5]).tag(clip, SAMPLE_RATE) != once


@pytest.mark.parametrize('speeds', [[], [0.4, 1], [1, 2.5], ['fast'], [float('nan')], 5, None])
def test_wrong_speeds(speeds):
    message = rf'speeds={re.escape(repr(speeds))}: must be numbers from 0\.5 to 2, such as 0\.8, 1 and 1\.25'
    with pytest.raises(SoundNetError, match=message):
        Embedder(FakeEngine(), speeds=speeds)

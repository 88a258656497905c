import json
import re
import shutil

import numpy as np
import pytest
import soundfile
import soxr
from scipy import special

from soundnet_tf import geometry, storage
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import Embedder, files, load, printing
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


def test_sounds_of_more_than_a_minute_are_heard_once(fast_folder, plain_folder, tmp_path, capsys):
    """Whatever the engine's own limit is."""
    several, once = load(fast_folder), load(plain_folder)
    assert several.tag(noise(61), SAMPLE_RATE) == once.tag(noise(61), SAMPLE_RATE)
    assert several.tag(noise(59), SAMPLE_RATE) != once.tag(noise(59), SAMPLE_RATE)
    soundfile.write(tmp_path / 'long.wav', noise(61), SAMPLE_RATE)
    printing.tag_files(several, files.find([str(tmp_path)]))
    assert (
        f'{tmp_path}/long.wav: is longer than 60 s, so its tags are of its own speed alone' in capsys.readouterr().err
    )


@pytest.mark.parametrize('per', ['clip', 'step'])
def test_soundnet_tag_takes_the_mean_of_clips_alone(fast_folder, tmp_path, capsys, per):
    soundfile.write(tmp_path / 'clip.wav', CLIP, SAMPLE_RATE, subtype='FLOAT')

    def printed(**speeds):
        printing.tag_files(load(fast_folder, **speeds), files.find([str(tmp_path)]), 'json', per=per)
        return json.loads(capsys.readouterr().out)

    assert (printed() != printed(speeds=[1])) == (per == 'clip')
    if per == 'clip':
        own = load(fast_folder).tag(CLIP, SAMPLE_RATE)
        given = {(head, tag['name']): tag['probability'] for head, tags in printed()['tags'].items() for tag in tags}
        assert given == {(tag.head, tag.name): pytest.approx(tag.probability, abs=1e-5) for tag in own}


@pytest.mark.parametrize(('short', 'filled'), [('tile', 'tiled'), ('pad', 'padded')])
def test_facts_are_of_the_clip_itself(short, filled):
    quiet = noise(2, amplitude=1e-5)
    found = SpeedListener(FakeEngine(), SPEEDS, short).listen_samples(quiet, SAMPLE_RATE, ['imagenet'])['imagenet']
    assert (found.seconds, len(found), found.silent) == (2.0, 1, True)
    assert getattr(found, filled)


@pytest.mark.parametrize('short', ['error', 'tile'])
def test_speeds_at_which_a_clip_becomes_too_short_are_left_out(plain_folder, short):
    samples = geometry.min_samples(load(plain_folder).spec, 'imagenet')
    clip = CLIP[:samples]
    once = load(plain_folder, short=short).tag(clip, SAMPLE_RATE)
    assert load(plain_folder, short=short, speeds=[1, 1.5]).tag(clip, SAMPLE_RATE) == once
    assert load(plain_folder, short=short, speeds=[1.5]).tag(clip, SAMPLE_RATE) == once
    for more in range(-3, 4):
        load(plain_folder, short=short, speeds=[1, 1.25]).tag(CLIP[: round(samples * 1.25) + more], SAMPLE_RATE)
    # Filled in any case.
    assert load(plain_folder, speeds=[1, 1.5]).tag(clip[:-1], SAMPLE_RATE) != once


def test_each_speed_once():
    assert Embedder(FakeEngine(), speeds=[1, 0.8, 1.0]).tagger.speeds == (1.0, 0.8)


@pytest.mark.parametrize('speeds', [None, [], 1.5, [3], '1', [True], [10**400], {'1': 1}])
def test_a_net_that_states_wrong_speeds(plain_folder, tmp_path, speeds):
    folder = shutil.copytree(plain_folder, tmp_path / 'net')
    storage.write_json(folder / 'model.json', saved.read_facts(folder) | {'speeds': speeds})
    with pytest.raises(
        SoundNetError, match=rf'{folder}/model\.json: .*speeds must be a list of numbers from 0\.5 to 2'
    ):
        load(folder)


@pytest.mark.parametrize('speeds', [[], [0.4, 1], [1, 2.5], ['fast'], [float('nan')], [10**400], '12', 5, None])
def test_wrong_speeds(speeds):
    message = rf'speeds={re.escape(repr(speeds))}: must be numbers from 0\.5 to 2, such as 0\.8, 1 and 1\.25'
    with pytest.raises(SoundNetError, match=message):
        Embedder(FakeEngine(), speeds=speeds)

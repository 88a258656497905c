"""Real videos become records, a net learns from them, and it listens to real sounds."""

import os
import pathlib

import numpy as np
import pytest

import soundnet_tf
from soundnet_tf import teachers
from soundnet_tf.config import Experiment, Training
from soundnet_tf.prepare import local, manifest
from soundnet_tf.training import trainer

DATA = os.environ.get('SOUNDNET_DATA')

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA, reason='SOUNDNET_DATA names no folder of real videos, teachers and sounds'),
]


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    data, folder = pathlib.Path(DATA or ''), tmp_path_factory.mktemp('story')
    seeing = [
        teachers.parse(f'{name}={data}/teachers/{file}.tflite,labels={data}/teachers/{labels}_labels.txt')
        for name, file, labels in (
            ('imagenet', 'imagenet_mobilenet_v2_uint8', 'imagenet'),
            ('places', 'places365_squeezenet_fp16', 'places365'),
        )
    ]
    report = local.run(manifest.videos([str(data / 'videos')]), seeing, folder / 'records')
    assert report.records == 23
    assert report.reasons == {'silent': 1, 'no sound track': 1}
    config = Training(steps=100, batch=4, save_every=100)
    return trainer.train(folder / 'records', Experiment('story', '', width=1 / 4, training=config), folder / 'run')


def test_the_kl_of_both_heads_falls(trained):
    for head, losses in trained.history.items():
        assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10]), head


def test_it_embeds_and_tags_every_clip_of_esc10(trained):
    clips = sorted(pathlib.Path(DATA or '', 'esc10').rglob('*.ogg'))
    assert len(clips) == 320
    embedder = soundnet_tf.load(trained.net, short='tile')
    for clip in clips:
        embedding = embedder.embed_file(clip)
        assert embedding.values.shape[1] == 64
        assert len(embedding.times) == len(embedding.values) >= 1
        assert np.isfinite(embedding.values).all()
    tags = embedder.tag_file(clips[0], top=3)
    assert [head for head, _, _ in tags] == ['imagenet'] * 3 + ['places'] * 3
    # The head of 365 scenes keeps its own names.
    assert 'airfield' in embedder.labels['places']
    assert len(embedder.labels['places']) == 365

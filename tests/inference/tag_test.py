"""Tags: the best of each head, for people and for programs."""

import json

import numpy as np
import pytest
import soundfile

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.inference import Embedder
from soundnet_tf.inference.files import find
from soundnet_tf.inference.tag import Tag, _Text, tag_files, top
from soundnet_tf.testing import noise
from tests.inference.embed_test import FakeEngine


def test_top():
    names = ['sea', 'street', 'wood']
    given = top('places', names, np.array([0.25, 0.5, 0.25], np.float32), 2)
    assert given == [('places', 'street', 0.5), ('places', 'sea', 0.25)]
    assert len(top('places', names, np.zeros(3, np.float32), 9)) == 3


def test_as_text():
    tags = [Tag('imagenet', 'bell', 0.5), Tag('imagenet', 'dog, hound', 0.0312), Tag('esc10', 'rain', 1.0)]
    assert _Text()({'path': 'rain.wav', 'tiled': False}, [(None, tags)]).splitlines() == [
        'rain.wav',
        '  imagenet   50.0%  bell',
        '              3.1%  dog, hound',
        '  esc10     100.0%  rain',
    ]


@pytest.mark.parametrize('format', ['text', 'json'])
def test_tiled_clips_are_told(tmp_path, capsys, format):
    path = str(tmp_path / 'rain.wav')
    soundfile.write(path, noise(5), SAMPLE_RATE)
    tally = tag_files(Embedder(FakeEngine(), short='tile'), find([path]), format, 1)
    out, err = capsys.readouterr()
    assert tally.done == 1
    if format == 'text':
        assert err == f'{path} is 5.00 s, too short for the heads of soundnet8-thin: it was tiled\n'
        assert out.splitlines()[0] == path
        assert len(out.splitlines()) == 3
    else:
        facts = json.loads(out)
        assert (facts['path'], facts['seconds'], facts['tiled'], err) == (path, 5.0, True, '')
        assert [(head, tags[0]['name']) for head, tags in facts['tags'].items()] == [
            ('imagenet', 'imagenet 9'),
            ('places', 'places 3'),
        ]


def test_odd_names_are_printed(tmp_path, capsys):
    path = str(tmp_path / 'r\udce4in.wav')  # a name that is not UTF-8, as Python gives it
    soundfile.write(tmp_path / 'x.wav', noise(10), SAMPLE_RATE)
    (tmp_path / 'x.wav').rename(path)
    for format in ('text', 'json'):
        assert tag_files(Embedder(FakeEngine()), find([path]), format, 1).done == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0].endswith('r\\udce4in.wav')
    assert json.loads(out[-1])['path'] == path

"""What works without TensorFlow, in an environment of requirements/light.txt alone; and what is said of the rest."""

import os
import pathlib
import subprocess

import pytest
import soundfile

from soundnet_tf import clips, inference
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.testing import noise

ROOT = pathlib.Path(__file__).parents[1]
COMMANDS = ROOT / '.venv-light' / 'bin'
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not COMMANDS.exists(), reason='the light environment is not there: make .venv-light/made'),
]


@pytest.fixture
def call(tmp_path):
    def run(command, *arguments):
        environment = {**os.environ, 'SOUNDNET_HOME': str(tmp_path / 'home')}
        words = [COMMANDS / f'soundnet-{command}', *arguments]
        done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=tmp_path)
        return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()

    return run


def test_tags_embeddings_searches_and_records_need_no_tensorflow(call):
    sound = clips.path('rooster')
    status, out, _ = call('tag', '--model=soundnet8-esc10', '--top=1', sound)
    (tag,) = inference.load('soundnet8-esc10').tag_file(sound, top=1)
    assert (status, out[1].split()) == (0, ['esc10', f'{tag.probability:.1%}', tag.name])
    folder = str(sound.parent)
    assert call('embed', '--model=soundnet8-small', '--pool=mean', '--out=index', folder)[:2] == (0, ['index: 5 done'])
    status, out, _ = call('search', '--model=soundnet8-small', '--index=index', '--top=4', sound)
    assert (status, len(out)) == (0, 5)
    assert call('models')[0] == 0
    status, out, _ = call('prepare', '--teacher=places=hear:soundnet8-small', '--out=records', folder)
    assert (status, out) == (0, ['5 records (0.01 h) of 5 videos in records'])
    status, out, _ = call('prepare', '--inspect=records')
    assert (status, sum('places    at' in line for line in out)) == (0, 5)


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['tag', clips.path('rooster')], 'soundnet8: needs TensorFlow once, to convert its weights. Install it; or'),
        (
            ['embed', '--model=soundnet8-small', '--layer=conv3', '--out=out', clips.path('rooster')],
            'conv3 of soundnet8-small, whose net.tflite has pool5, conv8, imagenet, places, needs tensorflow',
        ),
        (['export', '--model=soundnet8-small', '--out=out'], 'keras is not installed, and this needs it. Install'),
        (
            ['live', '--model=soundnet8-small', '--out=out', '--noserve'],
            'keras is not installed, and this needs it. Install',
        ),
        (['prepare', '--teacher=a=keras:VGG16', '--out=out', clips.path('rooster')], 'keras is not installed'),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else '',
)
def test_the_rest_says_what_is_missing(call, arguments, words):
    status, out, err = call(*arguments)
    assert (status, out) == (2, [])
    assert err[-1].startswith(f'soundnet-{arguments[0]}: {words}')


def test_a_file_that_is_too_long_does_not_stop_the_others(call, tmp_path):
    for name, seconds in (('a', 1), ('b', 301), ('c', 1)):
        soundfile.write(tmp_path / f'{name}.wav', noise(seconds), SAMPLE_RATE)
    status, out, err = call('tag', '--model=soundnet8-esc10', '--top=1', 'a.wav', 'b.wav', 'c.wav')
    assert (status, [line for line in out if line.endswith('.wav')]) == (1, ['a.wav', 'c.wav'])
    assert err[0] == (
        'b.wav: a stream, or a sound of more than five minutes, needs tensorflow, which is not installed: pip install '
        "'tensorflow'"
    )
    assert err[-1] == '2 done; 1 failed (1 without a library)'

"""The command soundnet-visualize, as a user runs it."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.nets import model, saved
from soundnet_tf.testing import enliven, noise, thin_spec

COMMAND = "import sys; from soundnet_tf.bin import visualize; sys.argv[0] = 'soundnet-visualize'; visualize.run()"


def call(*arguments, cwd):
    done = subprocess.run([sys.executable, '-c', COMMAND, *arguments], cwd=cwd, capture_output=True, text=True)
    # TensorFlow's newest releases have things of their own to say on stderr.
    err = [line for line in done.stderr.splitlines() if line.startswith(('soundnet-visualize', 'sounds/', 'Traceback'))]
    return done.returncode, done.stdout.splitlines(), err


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp('home')
    saved.save_net(enliven(model.build(thin_spec())), home / 'net')
    for number in range(7):
        folder = home / 'sounds' / 'ab'[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f'{number}.wav', noise(3, seed=number) * np.float32(number + 1) / 8, SAMPLE_RATE)
    (home / 'sounds' / 'a' / 'bad.wav').write_text('dear sir')
    return home


ASKED = ('--model=net', '--sounds=sounds', '--out=report', '--units=2', '--top=2', '--layers=conv7,places')


@pytest.mark.slow
def test_the_command(home):
    status, out, err = call(*ASKED, cwd=home)
    assert (status, out) == (1, ['report/index.html: 7 done; 1 failed (1 unreadable)'])
    assert err == [
        "sounds/a/bad.wav: not a sound file, it begins with the text 'dear sir'. "
        'Use a sound or video file that FFmpeg reads'
    ]
    assert call(*ASKED, cwd=home)[:2] == (
        1,
        ['report/index.html: 0 done; 7 skipped, finished before; 1 failed (1 unreadable)'],
    )
    assert '"name":"places"' in (home / 'report' / 'index.html').read_text()
    (home / 'sounds' / 'a' / 'bad.wav').unlink()
    assert call(*ASKED, cwd=home)[:2] == (0, ['report/index.html: 7 done'])
    assert call(*ASKED, cwd=home)[:2] == (0, ['report/index.html: 0 done; 7 skipped, finished before'])


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        (['--layers=conv9'], "soundnet8-thin has no layer 'conv9'; its layers are conv1, pool1"),
        (['--sounds=nowhere/'], 'nowhere/: there is no such file or folder. Check the path'),
        (['--model=nowhere'], 'nowhere'),
        (['more.wav'], "unexpected argument 'more.wav'. Pass the sounds as --sounds"),
        (['--units=0'], '--units'),
    ],
)
def test_mistakes(home, changes, words):
    status, out, err = call(*ASKED[:2], '--out=other', *changes, cwd=home)
    assert (status, out, len(err)) == (2, [], 1)
    assert err[0].startswith('soundnet-visualize: ')
    assert words in err[0]
    assert not (home / 'other').exists()

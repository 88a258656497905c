"""The command soundnet-export, as a user runs it."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
import soundfile

from soundnet_tf.nets import model, saved
from soundnet_tf.testing import enliven, noise, thin_spec

RUN = "import sys; from soundnet_tf.bin import export; sys.argv[0] = 'soundnet-export'; export.run()"
ROOT = pathlib.Path(__file__).parents[2]


def call(*arguments, cwd):
    environment = os.environ | {'SOUNDNET_HOME': str(cwd / 'home'), 'PYTHONPATH': str(ROOT)}
    command = [sys.executable, '-c', RUN, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp('home')
    saved.save_net(enliven(model.build(thin_spec())), home / 'net')
    soundfile.write(home / 'rain.wav', noise(3), 22_050)
    return home


@pytest.mark.slow
def test_a_tflite_file(home):
    arguments = ['--model=net', '--format=tflite', '--out=out/tags', '--clip=rain.wav', '--precision=float16']
    status, out, _ = call(*arguments, cwd=home)
    assert status == 0
    assert out[0].startswith('out/tags: 0.0')
    assert out[0].endswith(' MB, for clips of 10 s')
    assert out[1].endswith('top-1 agrees: imagenet 100%, places 100%; on silence, noise, 440 Hz, clip, quiet clip')
    assert {path.name for path in (home / 'out' / 'tags').iterdir()} == {'model.tflite', 'model.json'}
    assert json.loads((home / 'out' / 'tags' / 'model.json').read_text())['samples'] == 220_500


@pytest.mark.slow
def test_an_export_that_is_refused_ends_with_1(home, tmp_path):
    spoiled = """
from soundnet_tf.export import verify
verify.difference = lambda given, wanted: 0.5
"""
    environment = os.environ | {'PYTHONPATH': str(ROOT)}
    command = [sys.executable, '-c', spoiled + RUN, '--model=net', '--format=tflite', '--out=refused']
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, '')
    err = done.stderr.splitlines()[-1]
    assert err.startswith('soundnet-export: refused: not kept, since imagenet_clip differs by 5.0e-01')
    assert not (home / 'refused').exists()


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--model=net'], '--out is missing'),
        (
            ['--model=net', '--out=x', 'net'],
            "unexpected argument 'net'. Pass the net as --model and the folder to write as",
        ),
        (['--model=net', '--out=x', '--precision=int8'], '--precision is for TFLite files. Leave it out'),
        (
            ['--model=net', '--out=x', '--format=tflite', '--length_s=long'],
            '--length_s=long: not a number. Use seconds',
        ),
        (['--model=net', '--out=x', '--format=tflite', '--length_s=5'], 'length_s=5 is 5.00 s; imagenet of soundnet8'),
        (['--model=net', '--out=x', '--format=tflite', '--calibration=home2'], 'home2'),
        (['--model=nowhere', '--out=x'], 'nowhere is not a saved net'),
        (['--model=net', '--out=net', '--format=keras'], 'net: exists and is not an export. Use another folder'),
        (['--model=net', '--out=x', '--clip=gone.wav'], 'gone.wav'),
    ],
)
def test_a_mistake_is_one_line_and_status_2(home, arguments, words):
    status, out, err = call(*arguments, cwd=home)
    assert (status, out) == (2, [])
    assert err[-1].startswith('soundnet-export: ')
    assert words in err[-1]
    assert not (home / 'x').exists()

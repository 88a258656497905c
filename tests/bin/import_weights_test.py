"""The command soundnet-import-weights, as a user runs it."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from soundnet_tf.nets import saved
from soundnet_tf.testing import noise
from tests.importing import made
from tests.importing.made import TINY5

RUN = "import sys; from soundnet_tf.bin import {0}; sys.argv[0] = 'bin/{0}.py'; {0}.run()"
ROOT = pathlib.Path(__file__).parents[2]


def call(*arguments, cwd, name='import_weights'):
    environment = os.environ | {'SOUNDNET_HOME': str(cwd / 'home'), 'PYTHONPATH': str(ROOT)}
    command = [sys.executable, '-c', RUN.format(name), *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def test_a_file_becomes_a_net_that_other_commands_find_by_name(tmp_path):
    import soundfile

    weights = made.weights(TINY5)
    (tmp_path / 'sound5.npy').write_bytes(made.npy(TINY5, weights))
    status, out, _ = call('sound5.npy', 'nets/five', '--register=five', cwd=tmp_path)
    assert status == 0
    assert out[0].startswith('sound5.npy: numpy, ')
    assert out[-2] == 'nets/five: soundnet5-thin, 28 tensors'
    assert out[-1].startswith('five: registered in ')
    net = saved.load_net(tmp_path / 'nets' / 'five')
    np.testing.assert_array_equal(net.get_layer('conv1_conv').kernel, weights['conv1/kernel'])
    soundfile.write(tmp_path / 'noise.wav', noise(5), 22_050)
    status, out, _ = call('--model=five', '--top=1', 'noise.wav', cwd=tmp_path, name='tag')
    assert (status, len(out)) == (0, 3)


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (
            [],
            'SOURCE and TARGET are needed, got 0 arguments. Example: soundnet-import-weights soundnet8_final.t7 nets/',
        ),
        (['letter.t7'], 'SOURCE and TARGET are needed, got 1 arguments'),
        (
            ['nowhere.t7', 'net'],
            'nowhere.t7: no such file. Pass a weight file, or the name of published weights (soundnet8, soundnet5)',
        ),
        (['letter.t7', 'net'], "letter.t7: unknown kind of weight file (it begins with b'dear sir'). Pass a"),
        (['letter.t7', 'net', '--register=a/b'], "'a/b': invalid model name"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(tmp_path, arguments, words):
    (tmp_path / 'letter.t7').write_text('dear sir')
    status, out, err = call(*arguments, cwd=tmp_path)
    assert (status, out, len(err)) == (2, [], 1)
    assert err[0].startswith(f'soundnet-import-weights: {words}')
    assert [path.name for path in tmp_path.iterdir()] == ['letter.t7']

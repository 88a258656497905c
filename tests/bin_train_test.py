"""The door of training: exits and words."""

import subprocess
import sys

import pytest

from soundnet_tf.testing import make_records

FLAGS = ['--net=soundnet5', '--width=0.125', '--clip_s=5', '--batch=4', '--steps=2']


def train(*arguments):
    command = [sys.executable, '-m', 'soundnet_tf.bin.train', *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_run_ends_with_a_net(tmp_path):
    make_records(tmp_path / 'records', count=4, seconds=5)
    done = train(f'--records={tmp_path / "records"}', f'--out={tmp_path / "run"}', *FLAGS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f'the net is in {tmp_path / "run" / "net"}'
    assert (tmp_path / 'run' / 'net' / 'weights.npz').is_file()


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--out=x'], '--records is missing. See'),
        (['--records=x', '--out=y', '--loss=mse'], 'value should be one of <kl|l2>'),
        (['--records=x', '--out=y', '--colour=red'], "Unknown command line flag 'colour'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(arguments, words):
    done = train(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ''


def test_no_records_is_one_line_and_exit_2(tmp_path):
    done = train(f'--records={tmp_path}', f'--out={tmp_path / "run"}')
    assert done.returncode == 2
    assert 'holds no dataset.json: give a folder that soundnet-prepare wrote' in done.stderr.splitlines()[-1]
    assert 'Traceback' not in done.stderr

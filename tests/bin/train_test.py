"""The command soundnet-train: exit statuses and messages."""

import functools
import json
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from soundnet_tf import records
from soundnet_tf.testing import make_records

NET = ['--net=soundnet5', '--width=0.125', '--clip_s=5', '--batch=4']
FLAGS = [*NET, '--steps=2']


def train(*arguments):
    command = [sys.executable, '-m', 'soundnet_tf.bin.train', *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_run_ends_with_a_net(tmp_path):
    for name in ('records', 'more, of it'):
        make_records(tmp_path / name, count=2, seconds=5)
    folders = [f'--records={tmp_path / name}' for name in ('records', 'more, of it')]
    done = train(*folders, f'--out={tmp_path / "run"}', *FLAGS)
    assert done.returncode == 0, done.stderr
    assert 'AutoGraph' not in done.stderr  # which tells of code that it could not read
    device, net = done.stdout.splitlines()
    assert device.startswith(f'{tmp_path / "run"}: training on ')
    assert net == f'the net is in {tmp_path / "run" / "net"}'
    assert (tmp_path / 'run' / 'net' / 'weights.npz').is_file()


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--out=x'], '--records is missing. See'),
        (['--records=x', '--out=y', '--loss=mse'], 'value should be one of <kl|l2>'),
        (['--records=x', '--out=y', '--colour=red'], "Unknown command line flag 'colour'"),
        (
            ['--records=x', '--out=y', '--model=z', '--set=net=soundnet5'],
            '--model and --net: each chooses a net. Use one',
        ),
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
    assert 'no dataset.json. Pass a folder that soundnet-prepare wrote' in done.stderr.splitlines()[-1]
    assert 'Traceback' not in done.stderr


def test_an_experiment_is_changed_by_flags_and_set(tmp_path):
    make_records(tmp_path / 'records', count=6, seconds=10, shards=3)
    where = [f'--records={tmp_path / "records"}', f'--out={tmp_path / "run"}']
    done = train(*where, '--experiment=modern', '--smoke', '--net=soundnet5', '--set=clip_norm=2')
    assert done.returncode == 0, done.stderr
    assert re.search(r'step 2: held-out loss \d', done.stderr + done.stdout)
    about = json.loads((tmp_path / 'run' / 'experiment.json').read_text())
    assert (about['experiment']['net'], about['experiment']['training']['clip_norm']) == ('soundnet5', 2)
    assert about['command'][-1] == '--set=clip_norm=2'


def test_help_names_experiments_and_values():
    done = train('--help')
    assert re.search(r'^  modern +warm-up and cosine', done.stdout, re.MULTILINE)
    assert 'temperature' in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_says_how_to_resume(tmp_path, number):
    make_records(tmp_path / 'records', count=4, seconds=5)
    command = [sys.executable, '-m', 'soundnet_tf.bin.train', f'--records={tmp_path / "records"}']
    command += [f'--out={tmp_path / "run"}', *NET, '--save_every=1']
    # A shell's background jobs, whose children inherit it, ignore SIGINT.
    mind = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, preexec_fn=mind)
    while not list(tmp_path.glob('run/checkpoints/*.index')):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    last = err.splitlines()[-1]
    step = re.fullmatch(r'\S+: stopped; saved at step (\d+) of 100000. Run the same command to resume', last)[1]
    assert (tmp_path / 'run' / 'checkpoints' / f'step-{step}.index').exists()


@pytest.mark.slow
@pytest.mark.parametrize('skip', [False, True])
def test_a_damaged_shard_stops_the_run_or_is_left_out(tmp_path, skip):
    make_records(tmp_path / 'records', count=8, seconds=5)
    path = pathlib.Path(records.shard_paths(tmp_path / 'records', 2)[0])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    more = ['--skip_bad_records'] if skip else []
    done = train(f'--records={tmp_path / "records"}', f'--out={tmp_path / "run"}', *FLAGS, '--steps=4', *more)
    words = f'{path}, record'
    if skip:
        assert done.returncode == 0, done.stderr
        assert f'1 record could not be used: {words}' in done.stdout
        assert (tmp_path / 'run' / 'net' / 'weights.npz').is_file()
    else:
        assert done.returncode == 2
        assert words in done.stderr.splitlines()[-1]
        assert 'damaged, wrong checksum. Remove it and run soundnet-prepare again' in done.stderr.splitlines()[-1]
        assert 'Traceback' not in done.stderr

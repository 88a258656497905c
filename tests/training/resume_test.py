"""A killed run resumes and ends with the same result as one that was not killed."""

import csv
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from soundnet_tf.testing import make_records

pytestmark = pytest.mark.slow

STEPS = 60
FLAGS = ['--net=soundnet5', '--width=0.125', '--clip_s=5', '--batch=4', '--save_every=3', '--seed=5']
EVERYTHING = ['ema=0.9', 'gain_db=6', 'schedule=cosine', 'warmup_steps=4', 'clip_norm=1']
TIMES = {'clips_per_s', 'share_of_time_waiting_for_data'}


@pytest.fixture(scope='module')
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp('records')
    make_records(folder, count=14, seconds=5, teachers={'imagenet': 5, 'places': 4}, shards=3)
    return folder


def begin(records, run, *more):
    command = [sys.executable, '-m', 'soundnet_tf.bin.train', f'--records={records}', f'--out={run}', *FLAGS, *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return out


def weights(run):
    with np.load(run / 'net' / 'weights.npz') as file:
        return {key: file[key] for key in file.files}


def curve(run):
    with (run / 'log.csv').open() as file:
        return [{key: value for key, value in row.items() if key not in TIMES} for row in csv.DictReader(file)]


def killed(process, run):
    """Between the first checkpoint and the last step, whenever that is."""
    while not list((run / 'checkpoints').glob('*.index')) and process.poll() is None:
        time.sleep(0.01)
    wait_s = random.uniform(0, 0.6)
    print(f'killed {wait_s} s after the first checkpoint')
    time.sleep(wait_s)
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_the_same_to_the_bit(records, tmp_path):
    more = [f'--steps={STEPS}', '--deterministic', *(f'--set={setting}' for setting in EVERYTHING)]
    finish(begin(records, tmp_path / 'whole', *more))
    killed(begin(records, tmp_path / 'parts', *more), tmp_path / 'parts')
    assert not (tmp_path / 'parts' / 'net').exists()
    finish(begin(records, tmp_path / 'parts', *more))
    wanted, got = weights(tmp_path / 'whole'), weights(tmp_path / 'parts')
    assert all(np.array_equal(got[key], value) for key, value in wanted.items())
    assert curve(tmp_path / 'parts') == curve(tmp_path / 'whole')
    assert [int(row['step']) for row in curve(tmp_path / 'whole')] == list(range(1, STEPS + 1))

"""Two workers on this machine give the results of one, and end in one line when one of them dies."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.training.resume_test import FLAGS, curve, records, weights

__all__ = ['records']  # a fixture

pytestmark = pytest.mark.slow


def ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(('localhost', 0))
    found = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return found


def begin(records, run, *more):
    """Both workers, each with its parent that watches it."""
    cluster = {'worker': [f'localhost:{port}' for port in ports(2)]}
    command = [sys.executable, '-m', 'soundnet_tf.bin.train', f'--records={records}', f'--out={run}', *FLAGS, *more]
    return [
        subprocess.Popen(
            [*command, '--distribution=multiworker'],
            env=os.environ
            | {'TF_CONFIG': json.dumps({'cluster': cluster, 'task': {'type': 'worker', 'index': index}})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for index in range(2)
    ]


@pytest.fixture(scope='module')
def alone(records, tmp_path_factory):
    run = tmp_path_factory.mktemp('alone') / 'run'
    command = [
        sys.executable,
        '-m',
        'soundnet_tf.bin.train',
        f'--records={records}',
        f'--out={run}',
        *FLAGS,
        '--steps=6',
    ]
    subprocess.run(command, check=True, capture_output=True)
    return run


def same(run, other):
    for ours, theirs in zip(curve(run), curve(other), strict=True):
        for key, value in theirs.items():
            assert float(ours[key]) == pytest.approx(float(value), rel=5e-3, abs=1e-6), key
    wanted, got = weights(other), weights(run)
    for key, value in wanted.items():
        # Six steps of Adam at 1e-3; a bias behind batch norm moves by the sign of rounding alone.
        near = 1.3e-2 if key.endswith('/bias') else 3e-3 * max(1, abs(value).max())
        np.testing.assert_allclose(got[key], value, atol=near, err_msg=key)


def finish(workers):
    """What each printed."""
    outputs = []
    for worker in workers:
        out, said = worker.communicate(timeout=180)
        assert worker.returncode == 0, said
        outputs.append(out)
    return outputs


@pytest.fixture(scope='module')
def half_way(records, tmp_path_factory):
    """The first three of the six steps."""
    run = tmp_path_factory.mktemp('half') / 'run'
    finish(begin(records, run, '--steps=3'))
    return run


@pytest.mark.parametrize('dies', [0, 1])
def test_when_one_worker_dies_the_other_exits_and_a_restart_resumes(records, alone, half_way, tmp_path, dies):
    run = tmp_path / 'run'
    shutil.copytree(half_way, run)
    workers = begin(records, run, '--steps=100000', '--save_every=100000')
    while len(curve(run)) < 5:
        assert all(worker.poll() is None for worker in workers)
        time.sleep(0.05)
    os.killpg(workers[dies].pid, signal.SIGKILL)
    began = time.monotonic()
    _, said = workers[1 - dies].communicate(timeout=180)
    assert time.monotonic() - began < 180
    assert workers[1 - dies].returncode == 1
    last = said.strip().splitlines()[-1]
    assert 'Start all workers with the same command to resume from the last checkpoint' in last
    assert 'failed or cannot be reached' in last
    assert 'Traceback' not in said
    # From the last checkpoint on, to the same end as alone. One of them writes, and says so.
    outputs = finish(begin(records, run, '--steps=6'))
    same(run, alone)
    resuming, device, net = outputs[0].splitlines()
    assert (resuming, net) == (f'{run}: resuming from step 3 of 6', f'the net is in {run / "net"}')
    assert device.endswith(', 2 replicas')
    assert outputs[1] == ''

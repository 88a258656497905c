"""Claims: one process at a time makes an output, however the last one ended."""

import os
import signal
import subprocess
import sys

from soundnet_tf import locks


def test_one_at_a_time(tmp_path):
    output = tmp_path / 'deep' / ('x' * 240 + '.npz')
    first = locks.Claim.of(output)
    assert locks.Claim.of(output) is None
    other = locks.Claim.of(output.with_name('other.npz'))
    assert len(os.listdir(output.parent)) == 2
    first.release()
    other.release()
    assert os.listdir(output.parent) == []
    second = locks.Claim.of(output)
    assert second is not None
    second.release()


def test_a_claim_dies_with_its_process(tmp_path):
    code = """
import pathlib, sys, time
from soundnet_tf import locks
claim = locks.Claim.of(pathlib.Path(sys.argv[1]))
print('taken', flush=True)
time.sleep(60)
"""
    output = tmp_path / 'x.npz'
    with subprocess.Popen([sys.executable, '-c', code, str(output)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == 'taken\n'
        assert locks.Claim.of(output) is None
        other.send_signal(signal.SIGKILL)
    claim = locks.Claim.of(output)
    assert claim is not None
    claim.release()
    assert os.listdir(tmp_path) == []


def test_a_file_that_its_owner_removed_meanwhile_is_no_claim(tmp_path, monkeypatch):
    """Between our opening the file and our locking it, the other finished and removed it."""
    output, take, looks = tmp_path / 'x.npz', locks.take, []

    def late(file):
        looks.append(file.name)
        if len(looks) == 1:
            os.unlink(file.name)
        return take(file)

    monkeypatch.setattr(locks, 'take', late)
    claim = locks.Claim.of(output)
    assert len(looks) == 2
    assert os.path.exists(looks[1])
    claim.release()

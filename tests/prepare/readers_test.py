"""Videos read in processes: as in this one, and without harm to it."""

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from soundnet_tf.prepare import local, readers, stages
from soundnet_tf.prepare.manifest import Video
from soundnet_tf.prepare.pace import Clock
from soundnet_tf.prepare.stages import Settings, Skipped
from tests.prepare import made

SETTINGS = Settings(clip_s=2, frame_every_s=1)


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    return Video('a.mp4', str(made.video(tmp_path_factory.mktemp('videos') / 'a.mp4', 6)))


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def reading(clock):
    processes = readers.Readers(SETTINGS, 32, clock)
    yield processes
    processes.close()


def same(one, other):
    for field in dataclasses.fields(one):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))
    return True


def test_the_clips_of_a_process_are_those_of_this_one(reading, clock, video):
    here = list(stages.read(video, video.path, SETTINGS, 32, Clock()))
    for _ in range(2):
        there = list(reading.read(video, video.path))
        assert len(there) == len(here) == 3
        assert all(map(same, here, there))
    assert set(clock.seconds) == {'sound', 'frames', 'encode'}
    missing = Video('b.mp4', 'b.mp4')
    (skipped,) = reading.read(missing, missing.path)
    assert (skipped.id, skipped.reason) == ('b.mp4', 'missing')


def test_a_crash_costs_one_video(reading, video):
    clips = reading.read(video, video.path)
    next(clips)
    (pid,) = children()
    os.kill(pid, signal.SIGSEGV)
    *some, last = clips
    assert isinstance(last, Skipped)
    assert (last.id, last.reason) == (f'a.mp4#t={2 * (1 + len(some))}', 'error')
    assert last.detail == 'the decoder crashed: the process was ended by SIGSEGV'
    assert len(list(reading.read(video, video.path))) == 3
    os.kill(*children(), signal.SIGKILL)  # while it has nothing to do
    assert len(list(reading.read(video, video.path))) == 3


def test_a_crash_in_a_run_is_listed(video, tmp_path, monkeypatch):
    (tmp_path / 'module').mkdir()
    # Runs in every process of this environment, and crashes on one path, as a decoder would.
    (tmp_path / 'module' / 'sitecustomize.py').write_text(CRASHING)
    monkeypatch.setenv('PYTHONPATH', str(tmp_path / 'module'))
    crashing = tmp_path / 'crash.mp4'
    crashing.write_bytes(pathlib.Path(video.path).read_bytes())
    videos = [Video(f'{index}.mp4', video.path) for index in range(4)]
    videos += [Video('crash.mp4', str(crashing)), Video('none.mp4', str(tmp_path / 'none.mp4'))]
    report = local.run(videos, [made.teacher()], tmp_path / 'out', SETTINGS, number=1)
    assert (report.records, report.reasons) == (12, {'error': 1, 'missing': 1})
    assert {skip.id for skip in report.skipped if skip.detail.startswith('the decoder crashed: ')} == {'crash.mp4'}


CRASHING = """
import os, sys
if sys.argv[:1] == ['-m']:
    def hook(event, arguments):
        if event == 'open' and str(arguments[0]).endswith('crash.mp4'):
            os.abort()
    sys.addaudithook(hook)
"""


def test_a_reader_that_is_stopped_leaves_no_process(reading, video):
    clips = reading.read(video, video.path)
    next(clips)
    assert len(children()) == 1
    clips.close()
    assert children() == []


def children():
    """The processes of this one that read videos."""
    found = []
    for folder in pathlib.Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(OSError):  # it has just ended
            parent = (folder / 'stat').read_text().rpartition(')')[2].split()[1]
            if int(parent) == os.getpid() and b'soundnet_tf.prepare.readers' in (folder / 'cmdline').read_bytes():
                found.append(int(folder.name))
    return found


ORPHANED = """
import os, signal, sys
from soundnet_tf.prepare import readers
from soundnet_tf.prepare.manifest import Video
from tests.prepare.readers_test import SETTINGS, Clock, children
clips = readers.Readers(SETTINGS, 32, Clock()).read(Video('a', sys.argv[1]), sys.argv[1])
next(clips)
print(*children(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_process_of_a_killed_run_ends(video):
    done = subprocess.run([sys.executable, '-c', ORPHANED, video.path], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, '')
    until = time.monotonic() + 20
    while is_running(int(done.stdout)):
        assert time.monotonic() < until
        time.sleep(0.05)


def is_running(pid):
    try:
        state = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except OSError:
        return False
    return state != 'Z'  # its new parent may not have seen its end

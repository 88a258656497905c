"""Files and folders are written atomically, runs resume, and a lock ends with its process."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import sys

import pytest

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError


def test_one_at_a_time(tmp_path):
    output = tmp_path / 'deep' / ('x' * 240 + '.npz')
    first = storage.Claim.of(output)
    assert storage.Claim.of(output) is None
    other = storage.Claim.of(output.with_name('other.npz'))
    assert len(os.listdir(output.parent)) == 2
    first.release()
    other.release()
    assert os.listdir(output.parent) == []
    second = storage.Claim.of(output)
    assert second is not None
    second.release()


def test_a_claim_dies_with_its_process(tmp_path):
    code = """
import pathlib, sys, time
from soundnet_tf import storage
claim = storage.Claim.of(pathlib.Path(sys.argv[1]))
print('taken', flush=True)
time.sleep(60)
"""
    output = tmp_path / 'x.npz'
    with subprocess.Popen([sys.executable, '-c', code, str(output)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == 'taken\n'
        assert storage.Claim.of(output) is None
        other.send_signal(signal.SIGKILL)
    claim = storage.Claim.of(output)
    assert claim is not None
    claim.release()
    assert os.listdir(tmp_path) == []


def test_a_claim_file_removed_by_its_owner_meanwhile_is_not_claimed(tmp_path, monkeypatch):
    """Between our opening the file and our locking it, the other finished and removed it."""
    output, lock, looks = tmp_path / 'x.npz', storage.lock, []

    def late(file):
        looks.append(file.name)
        if len(looks) == 1:
            os.unlink(file.name)
        return lock(file)

    monkeypatch.setattr(storage.claims, 'lock', late)
    claim = storage.Claim.of(output)
    assert len(looks) == 2
    assert os.path.exists(looks[1])
    claim.release()


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / 'deep' / 'x.txt'
    storage.write_text(path, 'old')
    with pytest.raises(BrokenPipeError), storage.whole_file(path) as file:
        raise BrokenPipeError(file.write(b'new'))
    assert path.read_text() == 'old'
    assert os.listdir(path.parent) == ['x.txt']


def test_the_target_of_a_link_is_replaced(tmp_path):
    (tmp_path / 'disk').mkdir()
    for link, target in (('x.txt', 'disk/y.txt'), ('folder', 'disk/other')):
        (tmp_path / link).symlink_to(target)
    storage.write_text(tmp_path / 'x.txt', 'new')
    with storage.whole_folder(tmp_path / 'folder') as draft:
        (draft / 'z').write_text('z')
    assert (tmp_path / 'x.txt').is_symlink()
    assert (tmp_path / 'disk' / 'y.txt').read_text() == 'new'
    assert (tmp_path / 'folder').is_symlink()
    assert os.listdir(tmp_path / 'disk' / 'other') == ['z']


def test_a_link_to_a_folder_that_is_to_be_made(tmp_path):
    (tmp_path / 'link').symlink_to('disk/new')
    with storage.claimed(tmp_path / 'link'):
        storage.write_text(tmp_path / 'link' / 'x', 'x')
    assert os.listdir(tmp_path / 'disk' / 'new') == ['x']
    (tmp_path / 'other').symlink_to('disk/other')
    storage.Claim.of(tmp_path / 'other' / 'x').release()
    assert (tmp_path / 'disk' / 'other').is_dir()


@pytest.mark.skipif(not os.path.isdir('/proc/self'), reason='no /proc, where even root cannot write')
def test_errors_name_the_output_and_no_hidden_file():
    def claim(path):
        with storage.exclusive(path.with_name('.x.parts'), path):
            pass

    file = pathlib.Path('/proc/x.csv')
    writes = [storage.Claim.of, claim, lambda path: storage.write_text(path, '')]
    for write, path in (*((write, file) for write in writes), (storage.claimed, file.parent)):
        with pytest.raises((FileNotFoundError, PermissionError)) as raised, contextlib.ExitStack() as held:
            held.enter_context(write(path))
        assert raised.value.filename == str(path)


def test_an_output_is_no_input(tmp_path):
    path = tmp_path / 'a.wav'
    storage.refuse_input(path, [path])  # neither exists
    path.touch()
    (tmp_path / 'link').symlink_to('a.wav')
    storage.refuse_input(path, ['gone', 'a\0b', tmp_path])
    storage.refuse_input(tmp_path, [tmp_path])  # what is made in a folder may have other names
    with pytest.raises(SoundNetError, match=r'/link: is one of the inputs\. Use another --out$'):
        storage.refuse_input(tmp_path / 'link', ['gone', path])


def test_a_pipe_is_written_to(tmp_path):
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    with subprocess.Popen(['cat', str(pipe)], stdout=subprocess.PIPE, text=True) as reader:
        storage.write_text(pipe, 'through')
        assert reader.stdout.read() == 'through'
    assert pipe.is_fifo()


@pytest.mark.skipif(os.geteuid() != 0, reason='only root makes devices')
def test_a_device_stays_one(tmp_path):
    device = tmp_path / 'null'
    try:
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip('this container makes no devices')
    storage.write_text(device, 'gone')
    assert device.is_char_device()


WRITE = "from soundnet_tf import storage; storage.write_text('{}', 'through\\n')"


@pytest.mark.parametrize('path', ['/dev/stdout', '/dev/fd/1', '/proc/self/fd/1', 'link'])
def test_an_open_file_is_written_to(tmp_path, path):
    """A pipe, and a file that a shell appends to, which must not be replaced."""
    (tmp_path / 'link').symlink_to('/dev/stdout')
    (tmp_path / 'file').write_text('before\n')
    env = os.environ | {'PYTHONPATH': os.getcwd()}
    run = [sys.executable, '-c', WRITE.format(path)]
    assert subprocess.run(run, check=True, stdout=subprocess.PIPE, cwd=tmp_path, env=env).stdout == b'through\n'
    with (tmp_path / 'file').open('a') as file:
        subprocess.run(run, check=True, stdout=file, cwd=tmp_path, env=env)
    assert (tmp_path / 'file').read_text() == 'before\nthrough\n'
    assert sorted(os.listdir(tmp_path)) == ['file', 'link']


@pytest.mark.parametrize('write', [storage.whole_file, storage.whole_folder])
def test_a_link_to_itself_is_not_replaced(tmp_path, write):
    (tmp_path / 'loop').symlink_to('loop')
    with pytest.raises(OSError, match='Too many levels') as failed, write(tmp_path / 'loop'):
        pass
    assert failed.value.filename == str(tmp_path / 'loop')
    assert os.listdir(tmp_path) == ['loop']
    assert (tmp_path / 'loop').is_symlink()


def test_kinds_of_paths(tmp_path):
    for name, target in (('loop', 'loop'), ('null', os.devnull), ('gone', 'none'), ('link', 'file')):
        (tmp_path / name).symlink_to(target)
    (tmp_path / 'file').touch()
    os.mkfifo(tmp_path / 'pipe')
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / 'socket'))
    kinds = {name: storage.not_a_file(tmp_path / name) for name in (*os.listdir(tmp_path), '.', 'none')}
    assert kinds == {
        'loop': 'a link to itself',
        'null': 'a device',
        'gone': 'a link to a missing file',
        'link': '',
        'file': '',
        'pipe': 'a pipe',
        'socket': 'a socket',
        '.': 'a folder',
        'none': 'a missing file',
    }


def test_a_full_disk_is_reported(tmp_path):
    with pytest.raises(OSError, match='No space left') as failed, storage.whole_file(tmp_path / 'x'):
        raise OSError(28, 'No space left on device')
    assert failed.value.filename == str(tmp_path / 'x')


def test_a_run_resumes_with_the_settings_it_began_with(tmp_path):
    path = tmp_path / 'run' / 'run.json'
    storage.begin(path, {'training': {'steps': 40, 'rates': (1, 2)}})
    storage.begin(path, {'training': {'steps': 40, 'rates': (1, 2)}})
    line = (
        f'{path.parent}: started with other settings (training steps was 40, is 48; seed was unset, is 1). '
        'Use another --out, or the same settings'
    )
    with pytest.raises(SoundNetError, match=f'^{re.escape(line)}$'):
        storage.begin(path, {'training': {'steps': 48, 'rates': (1, 2)}, 'seed': 1})
    storage.begin(path, {'training': {'steps': 48, 'rates': (1, 2)}}, fixed=lambda s: {'rates': s['training']['rates']})
    assert json.loads(path.read_text())['training']['steps'] == 48


def test_a_folder_that_is_not_a_run_is_refused(tmp_path):
    (tmp_path / 'notes.txt').write_text('mine')
    with pytest.raises(SoundNetError, match=r'exists and has no run\.json, so it is not a run. Use another --out$'):
        storage.begin(tmp_path / 'run.json', {})
    (tmp_path / 'run.json').write_text('{')
    with pytest.raises(SoundNetError, match=r'run\.json: cannot be read \(.*\)\. Use another --out, or remove '):
        storage.begin(tmp_path / 'run.json', {})


def test_only_a_runs_own_drafts_are_removed(tmp_path):
    run, draft = tmp_path / 'run', '.0123456789abcdef.part'
    for folder in (run, run / '.fedcba9876543210.part', run / 'net', run / '.keep.part', tmp_path / 'elsewhere'):
        folder.mkdir()
        (folder / draft).touch()
    (run / '.aaaaaaaaaaaaaaaa.part').symlink_to(tmp_path / 'elsewhere')
    storage.sweep(run, 'net')
    assert sorted(os.listdir(run)) == ['.keep.part', 'net']
    assert all((folder / draft).exists() for folder in (run / 'net', run / '.keep.part', tmp_path / 'elsewhere'))


def test_a_run_that_was_killed_at_its_first_file_begins(tmp_path):
    (tmp_path / '.0123456789abcdef.part').touch()
    storage.begin(tmp_path / 'run.json', {'a': 1})
    assert storage.read_json(tmp_path / 'run.json') == {'a': 1}


@pytest.mark.parametrize('name', ['net', 'n[*]' + 'ä' * 100])
@pytest.mark.parametrize(('renames', 'left'), [(0, 'old'), (1, 'old'), (2, 'new'), (3, 'new')])
def test_a_folder_outlives_a_kill_while_it_is_replaced(tmp_path, name, renames, left, monkeypatch):
    """The kill is before the rename of that number; the third one puts the old folder out of the way."""
    _write(tmp_path / name, 'old')
    with contextlib.suppress(_Killed), monkeypatch.context() as patched:
        _die_at(patched, renames)
        _write(tmp_path / name, 'new')
    assert (tmp_path / name).exists() == (renames != 1)
    storage.sweep(tmp_path, name)
    assert (tmp_path / name / 'x').read_text() == left
    assert os.listdir(tmp_path) == [name]


def test_the_next_writer_of_a_folder_brings_the_old_one_back(tmp_path, monkeypatch):
    _write(tmp_path / 'net', 'old')
    with contextlib.suppress(_Killed), monkeypatch.context() as patched:
        _die_at(patched, 1)
        _write(tmp_path / 'net', 'new')
    assert not (tmp_path / 'net').exists()
    with pytest.raises(ZeroDivisionError), storage.whole_folder(tmp_path / 'net'):
        raise ZeroDivisionError
    assert (tmp_path / 'net' / 'x').read_text() == 'old'


def _write(folder, text):
    with storage.whole_folder(folder) as draft:
        (draft / 'x').write_text(text)


class _Killed(BaseException):
    pass


def _die_at(patched, renames):
    """From so many renames on, nothing is done any more."""
    rename, left = os.rename, iter(range(renames))

    def until(old, new):
        if next(left, None) is None:
            raise _Killed
        rename(old, new)

    patched.setattr(os, 'rename', until)
    patched.setattr(storage, '_remove', lambda path: None)


def test_the_hash_is_that_of_the_content(tmp_path):
    (tmp_path / 'x').write_bytes(b'abc')
    assert storage.sha256(tmp_path / 'x') == hashlib.sha256(b'abc').hexdigest()

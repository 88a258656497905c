"""A wheel carries the included nets, and works where it is unpacked."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest
import soundfile

from soundnet_tf import clips
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.testing import noise

ROOT = pathlib.Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """Built of a copy, as building leaves things behind."""
    copy, out = tmp_path_factory.mktemp('copy'), tmp_path_factory.mktemp('wheel')
    for name in ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / name, copy)
    for name in ('soundnet_tf', 'bin', 'savedmodels'):
        links = [path.name for path in (ROOT / name).iterdir() if path.is_symlink()]
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns(*links))
    command = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', '--wheel-dir', out, copy]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert not done.returncode, done.stderr[-2000:]
    return next(out.glob('*.whl'))


def test_it_holds_every_file_of_the_nets(wheel):
    with zipfile.ZipFile(wheel) as file:
        listed = json.loads(file.read('soundnet_tf/savedmodels/models.json'))
        ours = [own.removeprefix('soundnet_tf/savedmodels/') for own in file.namelist() if '/savedmodels/' in own]
        nets = [f'{name}/{path}' for name, net in listed['nets'].items() for path in net['files']]
        assert sorted(ours) == sorted([*nets, '__init__.py', 'README.md', 'models.json'])
        for name, net in listed['nets'].items():
            for path, sha256 in net['files'].items():
                held = file.read(f'soundnet_tf/savedmodels/{name}/{path}')
                assert hashlib.sha256(held).hexdigest() == sha256, f'{name}/{path}'


def test_it_holds_the_clips_and_their_credits(wheel):
    with zipfile.ZipFile(wheel) as file:
        held = [own for own in file.namelist() if '/clips/' in own]
        assert len(held) == len(clips.names()) + 2
        for name in [*(f'{clip}.ogg' for clip in clips.names()), 'CREDITS.md']:
            assert file.read(f'soundnet_tf/clips/{name}') == (ROOT / 'soundnet_tf' / 'clips' / name).read_bytes()


def test_it_holds_the_live_page(wheel):
    page = ROOT / 'soundnet_tf' / 'export' / 'page'
    with zipfile.ZipFile(wheel) as file:
        for path in page.rglob('*.*'):
            assert file.read(f'soundnet_tf/export/page/{path.relative_to(page)}') == path.read_bytes()


def test_it_tags_where_it_is_unpacked(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path / 'site')
    soundfile.write(tmp_path / 'noise.wav', noise(12), SAMPLE_RATE)
    code = 'import soundnet_tf; print(soundnet_tf.__file__, soundnet_tf.load().tag_file("noise.wav", top=1)[0].head)'
    own = {**os.environ, 'PYTHONPATH': str(tmp_path / 'site')}
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=tmp_path, env=own)
    assert not done.returncode, done.stderr[-2000:]
    assert done.stdout.split() == [str(tmp_path / 'site' / 'soundnet_tf' / '__init__.py'), 'imagenet']

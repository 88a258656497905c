"""Nets are found by path and name, downloaded from a local server, and verified."""

import concurrent.futures
import dataclasses
import hashlib
import json
import pathlib
import re

import pytest

from soundnet_tf.errors import SoundNetError
from soundnet_tf.nets import lookup, registry, saved
from soundnet_tf.web import fetch
from tests.prepare import served
from tests.prepare.served import Fault, File

FILES = {'spec.json': b'{}', 'labels/pets.txt': b'cat\ndog\n', 'weights.npz': bytes(range(256)) * 400}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv('SOUNDNET_HOME', str(tmp_path / 'home'))
    monkeypatch.chdir(tmp_path)
    return tmp_path / 'home'


@pytest.fixture
def server():
    with served.files() as server:
        server.files |= {f'/pets/{name}': File(body, kind='application/octet-stream') for name, body in FILES.items()}
        yield server


def write_list(home, source, **more):
    home.mkdir(exist_ok=True)
    files = {name: hashlib.sha256(body).hexdigest() for name, body in FILES.items()}
    pets = {'spec': 'soundnet5', 'origin': 'pets', 'licence': 'CC0', 'source': source, 'files': files}
    (home / 'models.json').write_text(json.dumps({'nets': {'pets': pets}, **more}))


def write_files(folder):
    for name, body in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)


def test_a_path_overrides_a_name(tmp_path, monkeypatch):
    monkeypatch.setenv('SOUNDNET_HOME', str(tmp_path / 'home'))
    monkeypatch.chdir(tmp_path)
    registry.place('mine').mkdir(parents=True)
    assert lookup.find('mine') == tmp_path / 'home' / 'nets' / 'mine'
    assert lookup.find('other') == pathlib.Path('other')
    assert lookup.find('../mine') == pathlib.Path('../mine')
    (tmp_path / 'mine').mkdir()
    assert lookup.find('mine') == pathlib.Path('mine')
    assert lookup.find(tmp_path / 'mine') == tmp_path / 'mine'


@pytest.mark.parametrize('exists', [False, True])
def test_an_empty_folder_is_not_the_original_net(home, monkeypatch, exists):
    place = home / 'nets' / 'soundnet8'
    if exists:
        place.mkdir(parents=True)
    calls = []
    monkeypatch.setattr(lookup.processes, 'run', lambda *arguments: calls.append(arguments))
    assert lookup.find('soundnet8') == place
    assert calls == [('soundnet_tf.importing.original', 'soundnet8')]


def test_a_folder_of_something_else_in_the_place_of_the_original_net(home, monkeypatch):
    place = home / 'nets' / 'soundnet8'
    place.mkdir(parents=True)
    (place / 'thesis.txt').touch()
    monkeypatch.setattr(lookup.processes, 'run', lambda *_: pytest.fail('it would be lost'))
    expected = f'{place}: has thesis.txt, but no spec.json, so it is not a saved net. Delete or move it'
    with pytest.raises(SoundNetError, match=f'^{re.escape(expected)}$'):
        lookup.find('soundnet8')


def test_an_empty_folder_does_not_hide_a_listed_net(home):
    (home / 'nets' / 'soundnet8-esc10').mkdir(parents=True)
    assert lookup.find('soundnet8-esc10') == registry.listed()['soundnet8-esc10'].folder


def test_a_published_net_that_is_not_imported_reports_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv('SOUNDNET_HOME', str(tmp_path))
    with pytest.raises(SoundNetError) as caught:
        lookup.find('soundnet5')
    assert str(caught.value) == (
        'soundnet5 is not registered on this machine: '
        'soundnet-import-weights soundnet5 FOLDER --register=soundnet5 fetches the published weights'
    )


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('soundnet-8', r'soundnet-8 is not a saved net: there is no such folder, nor a net of that name\. Did you mean '
         r'soundnet8\? Pass the folder `net` that training wrote, or a name: .*soundnet5-esc10, soundnet8, so'),
        ('soundnet9-esc10', r'Did you mean soundnet8-esc10\?'),
        ('mime', r'Did you mean mine\? .*or a name: mine, '),
        ('elsewhere/x', r'nor a net of that name\. Pass the folder'),
        ('rain.wav', r'rain\.wav is not a saved net: it is a file\. Pass the folder of a saved net, or a name: mine'),
        ('run', r'run is not a saved net: it holds no spec\.json\. Pass run/net$'),
        ('empty', r'empty is not a saved net: it holds no spec\.json\. Pass the folder `net` that training wrote$'),
        ('', r"the model name is empty. Pass the folder of a saved net, or a name such as soundnet8"),
    ],
)  # fmt: skip
def test_paths_that_are_not_a_saved_net(home, tmp_path, name, words):
    for folder in (home / 'nets' / 'mine', tmp_path / 'run' / 'net', tmp_path / 'empty'):
        folder.mkdir(parents=True)
    for folder in (home / 'nets' / 'mine', tmp_path / 'run' / 'net'):
        (folder / 'spec.json').write_text('{}')
    (tmp_path / 'rain.wav').write_bytes(b'RIFF')
    with pytest.raises(SoundNetError, match=words):
        saved.read_spec(lookup.find(name))


def test_a_listed_url_is_downloaded_once(home, server):
    write_list(home, f'{server.url}/pets', default='pets')
    folder = lookup.find('pets')
    assert folder == home / 'fetched' / 'pets'
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    assert sorted(path.name for path in folder.rglob('*') if path.is_file()) == ['pets.txt', 'spec.json', 'weights.npz']
    assert len(server.asked) == 3
    assert lookup.find() == folder
    assert len(server.asked) == 3


def test_an_interrupted_download_resumes(home, server):
    write_list(home, f'{server.url}/pets')
    server.files['/pets/weights.npz'].faults = [Fault(drop_after=50_000)]
    lookup.find('pets')
    ranges = [asked.headers.get('Range') for asked in server.asked if asked.path.endswith('npz')]
    assert ranges == [None, 'bytes=50000-']


def test_a_failed_download_reports_where_to_put_the_file(home, server, monkeypatch):
    monkeypatch.setattr(fetch, 'LIMITS', dataclasses.replace(fetch.LIMITS, tries=1))
    write_list(home, f'{server.url}/pets/')
    server.files['/pets/weights.npz'].always = Fault(503)
    folder = home / 'fetched' / 'pets'
    with pytest.raises(SoundNetError) as caught:
        lookup.find('pets')
    assert str(caught.value) == (
        f'{server.url}/pets/weights.npz: download failed (HTTP 503 Service Unavailable). '
        f'Try again later, or put the file at {folder}/weights.npz'
    )
    (folder / 'weights.npz').write_bytes(FILES['weights.npz'])
    assert lookup.find('pets') == folder


def test_a_file_with_another_hash_is_refused(home, server):
    write_list(home, f'{server.url}/pets')
    server.files['/pets/spec.json'].body = b'{"name": "evil"}'
    for _ in range(2):
        with pytest.raises(SoundNetError, match=r'spec\.json of pets has sha256 \w{64}, not \w{64}, and was removed'):
            lookup.find('pets')
    server.files['/pets/spec.json'].body = FILES['spec.json']
    folder = lookup.find('pets')
    (folder / 'spec.json').write_text('{"name": "evil"}')
    with pytest.raises(SoundNetError, match=r'spec\.json of pets has sha256 \w{64}, not \w{64}. Delete it and try'):
        lookup.find('pets')


def test_an_unlisted_file_is_refused(home, tmp_path):
    write_list(home, str(tmp_path / 'disk'))
    write_files(tmp_path / 'disk')
    (tmp_path / 'disk' / 'notes.txt').touch()
    assert lookup.find('pets').is_dir()
    (tmp_path / 'disk' / 'net.tflite').touch()
    with pytest.raises(SoundNetError, match=r'net\.tflite: not listed for pets\. List its sha256'):
        lookup.find('pets')


def test_a_listed_folder_is_verified(home, tmp_path):
    write_list(home, '../disk/pets')
    with pytest.raises(
        SoundNetError, match=r'spec\.json of pets: cannot be read \(No such file .*\)\. Put the right file there'
    ):
        lookup.find('pets')
    write_files(tmp_path / 'disk' / 'pets')
    assert lookup.find('pets').samefile(tmp_path / 'disk' / 'pets')
    (tmp_path / 'disk' / 'pets' / 'labels' / 'pets.txt').write_text('cat\ncow\n')
    with pytest.raises(SoundNetError, match=r'pets\.txt of pets has sha256'):
        lookup.find('pets')


def test_concurrent_lookups_download_once(home, server):
    write_list(home, f'{server.url}/pets')
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lookup.find, ['pets'] * 4))
    assert {folder.is_dir() for folder in found} == {True}
    assert len(server.asked) == 3


def test_the_default_net_is_not_a_folder_of_that_name(home, tmp_path):
    write_list(home, str(tmp_path / 'disk'), default='pets')
    write_files(tmp_path / 'disk')
    (tmp_path / 'pets').mkdir()
    assert lookup.find() == tmp_path / 'disk'
    assert lookup.find('pets') == pathlib.Path('pets')

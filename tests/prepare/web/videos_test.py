import email.utils
import errno
import hashlib
import itertools
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from urllib3.exceptions import MaxRetryError, SSLError

from soundnet_tf import storage
from soundnet_tf.prepare import manifest
from soundnet_tf.prepare.manifest import Video
from soundnet_tf.prepare.media import Unusable
from soundnet_tf.prepare.web.videos import Fetcher
from soundnet_tf.web import client, download
from tests.prepare import served
from tests.prepare.served import Fault, File

BODY = np.random.default_rng(1).bytes(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
QUICK = {'per_second': 1e6, 'timeout_s': 2, 'backoff_s': 0.001}
# A server and a folder for all examples: each example has a file of its own.
EXAMPLES = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
number = itertools.count()


@pytest.fixture
def files():
    with served.files() as server:
        yield server


def video(server, path='/v.mp4', id=None, sha256=''):
    return Video(id or server.url + path, server.url + path, sha256)


def fetch(server, folder, path='/v.mp4', sha256='', **options):
    with Fetcher(folder, **(QUICK | options)) as fetcher:
        return fetcher.fetch(video(server, path, sha256=sha256))


def why_not(*arguments, **options):
    with pytest.raises(Unusable) as caught:
        fetch(*arguments, **options)
    assert caught.value.reason == 'not fetched'
    return caught.value.detail


def left(folder):
    return sorted(path.suffix for path in folder.rglob('*') if path.is_file())


def test_a_file_comes_whole_and_once(files, tmp_path):
    files.files['/v.mp4'] = File(BODY)
    path = fetch(files, tmp_path / 'deep' / 'folder', sha256=SHA256)
    assert (path.read_bytes(), path.suffix) == (BODY, '.mp4')
    assert left(tmp_path) == ['.mp4']
    assert files.asked[0].headers['User-Agent'].startswith(f'soundnet_tf/{client.__version__} python-requests/')
    assert files.sent() == len(BODY)
    assert fetch(files, tmp_path / 'deep' / 'folder', sha256=SHA256) == path
    assert files.sent() == 0 == len(files.asked)


@pytest.mark.parametrize(
    ('path', 'extension'),
    [
        ('/a/b.MP4?sig=../../x', '.mp4'),
        ('/watch?v=1', ''),
        ('/..%2f..%2fetc', ''),
        ('/' + 'x' * 3000 + '.webm', '.webm'),
        ('/größe 猫.mkv', '.mkv'),
        ('/x.tar/', ''),
    ],
)
def test_any_address_gives_a_safe_name(files, tmp_path, path, extension):
    name = Fetcher(tmp_path, **QUICK)._path(video(files, path))
    assert name.parent.parent == tmp_path
    assert len(name.name) < 60
    assert name.suffix == extension


def test_what_is_not_kept_is_shared_with_no_other_video(files, tmp_path):
    files.files['/v.mp4'] = File(BODY)
    one, other = video(files, id='one'), video(files, id='other')
    with Fetcher(tmp_path, **QUICK) as fetcher:
        paths = [fetcher.fetch(one), fetcher.fetch(other)]
        fetcher.discard(one)
        assert [path.exists() for path in paths] == [False, True]
        fetcher.discard(one)
    assert paths[1].exists()
    with Fetcher(tmp_path / 'out', **QUICK) as fetcher:
        fetcher.fetch(one)
        fetcher.discard(one)
    assert not (tmp_path / 'out').exists()
    with Fetcher(tmp_path, keep=True, **QUICK) as fetcher:
        path = fetcher.fetch(one)
        fetcher.discard(one)
        assert path.exists()
        assert fetcher.fetch(other) == path


def test_discard_touches_nothing_else(tmp_path):
    (tmp_path / 'a.mp4').touch()
    with Fetcher(tmp_path / 'out', **QUICK) as fetcher:
        for path in (str(tmp_path / 'a.mp4'), 'http://[bad', 'http://x/y.mp4'):
            fetcher.discard(Video('a', path))
    assert (tmp_path / 'a.mp4').exists()


@EXAMPLES
@given(data=st.data())
def test_wherever_it_breaks_off_the_file_arrives_byte_for_byte(files, tmp_path, data):
    size = data.draw(st.integers(1, len(BODY)))
    drops = data.draw(st.lists(st.integers(0, size), max_size=6))
    chunked = data.draw(st.booleans())
    path = f'/{next(number)}.mp4'
    modified = email.utils.formatdate(1e9, usegmt=True)
    whose = data.draw(st.sampled_from([('"one"', None), (None, modified), ('W/"weak"', modified)]))
    files.files[path] = File(BODY[:size], *whose, faults=[Fault(drop_after=n, chunked=chunked) for n in drops])
    files.sent()
    got = fetch(files, tmp_path, path, tries=len(drops) + 1)
    assert got.read_bytes() == BODY[:size]
    assert files.sent() == size, 'no byte is asked for twice'


@EXAMPLES
@given(data=st.data())
def test_whatever_the_server_does_what_arrives_is_right(files, tmp_path, data):
    """Versions of a file come and go with faults of all kinds: a whole one arrives, or none."""
    fault = st.builds(
        Fault,
        status=st.sampled_from([0, 0, 0, 0, 503, 429]),
        drop_after=st.one_of(st.none(), st.integers(0, 300_000)),
        ignore_range=st.booleans(),
        ignore_if_range=st.booleans(),
        more=st.sampled_from([0, 0, 7]),
        chunked=st.booleans(),
    )
    versions = [BODY[: data.draw(st.integers(1, len(BODY)))], BODY[::-1][: data.draw(st.integers(1, len(BODY)))]]
    path = f'/{next(number)}.mp4'
    file = files.files[path] = File(versions[0])
    for version in data.draw(st.lists(st.integers(0, 1), min_size=1, max_size=4)):
        file.body, file.etag = versions[version], f'"{version}"'
        file.faults = data.draw(st.lists(fault, max_size=3))
        try:
            assert fetch(files, tmp_path, path, tries=2).read_bytes() in versions
        except Unusable:
            continue
        break
    else:
        file.faults = []
        assert fetch(files, tmp_path, path).read_bytes() == file.body


@pytest.mark.parametrize(
    ('always', 'words'),
    [
        (Fault(404), 'HTTP 404 Not Found'),
        (Fault(403), 'HTTP 403 Forbidden'),
        (Fault(204, body=b''), 'HTTP 204 No Content'),
        (Fault(503), 'HTTP 503 Service Unavailable, 3 times'),
        (Fault(hang_up=True), 'cannot be reached (remote end closed connection without response), 3 times'),
        (Fault(drop_after=0), 'the connection was closed after 0 of 300,000 bytes, 3 times'),
        (Fault(drop_after=0, chunked=True), 'the connection was closed after 0 bytes, 3 times'),
        (Fault(drop_after=1234, ignore_range=True), 'the connection was closed after 1,234 of 300,000 bytes, 3 times'),
        (Fault(more=5, ignore_range=True), 'the connection was closed after 300,000 of 300,005 bytes, 3 times'),
        (Fault(429, {'Retry-After': '7200'}),
         'HTTP 429 Too Many Requests; retry after 7,200 s'),
        (Fault(302, {'Location': '/v.mp4'}), 'too many redirects'),
        (Fault(302, {'Location': 'ftp://x/v.mp4'}), 'redirected to an address that is not http:// or https://'),
        (Fault(headers={'Content-Type': 'text/html; charset=utf-8'}),
         'the server sent an HTML page instead of the file'),
        (Fault(headers={'Content-Encoding': 'gzip'}), 'the server compressed it (gzip), which was not requested'),
    ],
)  # fmt: skip
def test_failures_are_reported(files, tmp_path, always, words):
    files.files['/v.mp4'] = File(BODY, always=always)
    assert why_not(files, tmp_path, tries=3) == words
    for_good = not words.endswith(('times', ' s'))
    assert for_good is (not left(tmp_path)), 'a failed download leaves no file'


def test_slow_progress_is_not_a_failure(files, tmp_path):
    files.files['/v.mp4'] = File(BODY, always=Fault(drop_after=10_000))
    assert fetch(files, tmp_path, tries=2).read_bytes() == BODY
    assert len(files.asked) == 30


def test_a_stalled_server_fails(files, tmp_path):
    files.files['/v.mp4'] = File(BODY, always=Fault(stall_after=100, ignore_range=True))
    assert (
        why_not(files, tmp_path, timeout_s=0.2, tries=2) == 'timed out after 0.2 s, with 100 of 300,000 bytes, 2 times'
    )
    files.files['/v.mp4'] = File(BODY, faults=[Fault(stall_after=50_000)])
    files.sent()
    assert fetch(files, tmp_path, timeout_s=0.2).read_bytes() == BODY
    assert files.sent() == len(BODY) - 100


def test_a_download_has_a_max_time(files, tmp_path):
    files.files['/v.mp4'] = File(BODY, always=Fault(slow_s=0.05))
    assert why_not(files, tmp_path, max_s=0.3).endswith(' bytes in 0.3 s')


def test_no_server(files, tmp_path):
    for address, words in (
        ('http://127.0.0.1:9/v.mp4', 'cannot be reached (connection refused), 2 times'),
        ('https://[bad/v.mp4', 'invalid address'),
        ('http:///v.mp4', 'invalid address'),
        ('file:///v.mp4', 'file:// is not supported. Use a path, or http://, https://, gs://, s3://, hdfs://'),
    ):
        with Fetcher(tmp_path, tries=2, **QUICK) as fetcher, pytest.raises(Unusable) as caught:
            fetcher.fetch(Video('v', address))
        assert caught.value.detail == words


def test_an_invalid_proxy(files, tmp_path, monkeypatch):
    monkeypatch.setenv('https_proxy', files.url)
    with Fetcher(tmp_path, tries=1, **QUICK) as fetcher, pytest.raises(Unusable) as caught:
        fetcher.fetch(Video('v', 'https://example.invalid/v.mp4'))
    assert caught.value.detail.startswith('cannot be reached (tunnel connection failed: 501 unsupported method')


def test_a_certificate_that_is_not_accepted():
    cause = ssl.SSLCertVerificationError(1, 'certificate verify failed')
    cause.verify_message = 'self-signed certificate'
    error = requests.exceptions.SSLError(MaxRetryError(mock.Mock(), 'https://x/?key=1', SSLError(cause)))
    failure = client.Client(per_second=1, timeout_s=1).failure(error)
    assert isinstance(failure, client.PermanentError)
    assert str(failure) == 'certificate not accepted (self-signed certificate)'


def test_temporary_faults(files, tmp_path):
    files.files['/v.mp4'] = File(BODY, faults=[Fault(500), Fault(429, {'Retry-After': '1'}), Fault(502)])
    assert fetch(files, tmp_path).read_bytes() == BODY
    times = [asked.at for asked in files.asked]
    assert times[2] - times[1] > 0.9, 'the server said 1 s'
    assert times[3] - times[2] < 0.9
    soon = email.utils.formatdate(time.time() + 2, usegmt=True)
    files.asked.clear()
    files.files['/w.mp4'] = File(BODY, faults=[Fault(503, {'Retry-After': soon}), Fault(503, {'Retry-After': 'soon'})])
    assert fetch(files, tmp_path, '/w.mp4').read_bytes() == BODY
    assert 0.5 < files.asked[1].at - files.asked[0].at < 2.5


def broken_off(server, folder, at, etag='"one"'):
    """What a run that got so far has left."""
    server.files['/v.mp4'] = File(BODY, etag, always=Fault(drop_after=at))
    why_not(server, folder, tries=1)
    assert left(folder) == ['.part', '.tag']
    server.sent()


def test_the_next_run_resumes(files, tmp_path):
    broken_off(files, tmp_path, 200_000)
    files.files['/v.mp4'] = File(BODY)
    assert fetch(files, tmp_path).read_bytes() == BODY
    assert files.asked[0].headers['Range'] == 'bytes=200000-'
    assert files.sent() == 100_000
    assert left(tmp_path) == ['.mp4']


@pytest.mark.parametrize(
    ('file', 'sent'),
    [
        (File(BODY[::-1], '"two"'), 300_000),
        (File(BODY[::-1], '"two"', always=Fault(ignore_if_range=True)), 400_000),
        (File(BODY[:1000], '"two"'), 1000),
        (File(BODY[:1000], '"two"', always=Fault(ignore_if_range=True)), 1000),
        (File(BODY, always=Fault(ignore_range=True)), 300_000),
        (File(BODY, None), 300_000),
        (File(BODY[:200_000]), 0),
    ],
)
def test_a_changed_file_is_downloaded_from_the_start(files, tmp_path, file, sent):
    broken_off(files, tmp_path, 200_000)
    files.files['/v.mp4'] = file
    assert fetch(files, tmp_path).read_bytes() == file.body
    assert files.sent() == sent


def test_without_an_etag_nothing_is_resumed(files, tmp_path):
    files.files['/v.mp4'] = File(BODY, None, faults=[Fault(drop_after=1000)])
    assert fetch(files, tmp_path).read_bytes() == BODY
    assert not any('Range' in asked.headers for asked in files.asked)
    assert files.sent() == len(BODY) + 1000


def test_another_length_is_another_file(files, tmp_path):
    lie = Fault(ignore_if_range=True, headers={'ETag': None, 'Content-Range': 'bytes 1000-299999/300007'})
    files.files['/v.mp4'] = File(BODY, faults=[Fault(drop_after=1000), lie])
    assert fetch(files, tmp_path).read_bytes() == BODY
    assert [asked.headers.get('Range') for asked in files.asked] == [None, 'bytes=1000-', None]


def test_an_unknown_length(files, tmp_path):
    files.files['/v.mp4'] = File(BODY, always=Fault(bare=True))
    assert fetch(files, tmp_path).read_bytes() == BODY


def test_another_sha256(files, tmp_path):
    files.files['/v.mp4'] = File(BODY)
    assert why_not(files, tmp_path, sha256='0' * 64) == f'sha256 is {SHA256}, expected {"0" * 64}'
    assert left(tmp_path) == []
    fetch(files, tmp_path)
    why_not(files, tmp_path, sha256='0' * 64)
    assert left(tmp_path) == ['.mp4']
    here = tmp_path / 'here.mp4'
    here.write_bytes(BODY)
    with Fetcher(tmp_path / 'out') as fetcher:
        assert fetcher.fetch(Video('v', str(here), SHA256)) == here
        with pytest.raises(Unusable, match='not fetched: sha256 is '):
            fetcher.fetch(Video('v', str(here), '0' * 64))
    assert here.read_bytes() == BODY


def test_too_large(files, tmp_path):
    files.files['/v.mp4'] = File(BODY)
    assert why_not(files, tmp_path, max_bytes=1000) == '300,000 bytes, more than the limit of 1,000'
    files.files['/v.mp4'] = File(BODY, always=Fault(chunked=True))
    assert why_not(files, tmp_path, max_bytes=1000).endswith(' bytes, more than the limit of 1,000')
    assert left(tmp_path) == []


def test_local_files_are_used_in_place(tmp_path):
    (tmp_path / 'a.mp4').touch()
    (tmp_path / 'link.mp4').symlink_to('a.mp4')
    with Fetcher(tmp_path / 'out') as fetcher:
        for name in ('a.mp4', 'link.mp4'):
            assert fetcher.fetch(Video('v', str(tmp_path / name))) == tmp_path / name
    assert not (tmp_path / 'out').exists()


def test_only_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / 'pipe.mp4')
    (tmp_path / 'device.mp4').symlink_to('/dev/zero')
    (tmp_path / 'memory.mp4').symlink_to('/proc/self/maps')
    (tmp_path / 'circle.mp4').symlink_to('circle.mp4')
    (tmp_path / 'list.M3U8').touch()
    (tmp_path / 'folder.mp4').mkdir()
    for name, said in (
        ('pipe.mp4', 'refused: a pipe$'),
        ('device.mp4', 'refused: a device or a file of the system'),
        ('memory.mp4', 'refused: a device or a file of the system'),
        ('list.M3U8', r'refused: a list of other files \(\.m3u8\), which are not opened\. List the files themselves'),
        ('folder.mp4', 'refused: a folder$'),
        ('circle.mp4', 'unreadable: '),
        ('none.mp4', 'missing: No such file'),
        ('a\0.mp4', 'unreadable: '),
    ):
        with Fetcher(tmp_path / 'out') as fetcher, pytest.raises(Unusable, match=said):
            fetcher.fetch(Video('v', str(tmp_path / name)))


def test_file_systems_of_tensorflow(tmp_path, monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(manifest, 'SCHEMES', ('ram', 'gopher'))
    tf.io.gfile.makedirs('ram://films')
    with tf.io.gfile.GFile('ram://films/v.mp4', 'wb') as file:
        file.write(BODY)
    with Fetcher(tmp_path, **QUICK) as fetcher:
        assert fetcher.fetch(Video('v', 'ram://films/v.mp4', SHA256)).read_bytes() == BODY
        for address, words in (
            ('ram://films/none.mp4', 'no such file'),
            ('gopher://x/v.mp4', 'TensorFlow has no file system for gopher:// here'),
        ):
            with pytest.raises(Unusable) as caught:
                fetcher.fetch(Video('v', address))
            assert caught.value.detail == words
    assert left(tmp_path) == ['.mp4']


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='this system has no /dev/full')
def test_a_full_disk_is_not_the_videos_fault(files, tmp_path, monkeypatch):
    files.files['/v.mp4'] = File(BODY)
    draft = Fetcher(tmp_path)._path(video(files)).with_suffix('.mp4.part')
    draft.parent.mkdir()
    draft.symlink_to('/dev/full')
    monkeypatch.setattr(download.Download, '_discard', lambda self: None)  # a device cannot be truncated
    with pytest.raises(OSError, match='No space left') as caught:
        fetch(files, tmp_path)
    assert caught.value.errno == errno.ENOSPC


def test_many_threads_share_one_rate_limit(files, tmp_path):
    for index in range(20):
        files.files[f'/{index}.mp4'] = File(BODY[:1000])
    with Fetcher(tmp_path, per_second=40) as fetcher:
        threads = [threading.Thread(target=fetcher.fetch, args=(video(files, f'/{index}.mp4'),)) for index in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    times = sorted(asked.at for asked in files.asked)
    assert len(times) == 20
    assert times[-1] - times[0] > 19 / 40 * 0.8
    assert left(tmp_path) == ['.mp4'] * 20


def test_many_threads_download_the_same_video_once(files, tmp_path):
    files.files['/v.mp4'] = File(BODY[:50_000], always=Fault(slow_s=0.005))
    got = []
    with Fetcher(tmp_path, keep=True, **QUICK) as fetcher:
        threads = [threading.Thread(target=lambda: got.append(fetcher.fetch(video(files)))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [path.read_bytes() for path in got] == [BODY[:50_000]] * 8
    assert files.sent() == 50_000
    assert left(tmp_path) == ['.mp4']


def test_a_claim_released_before_we_lock_it_is_claimed_again(files, tmp_path, monkeypatch):
    files.files['/v.mp4'] = File(BODY)
    lock, calls = storage.lock, []

    def late(file):
        if not calls:
            os.unlink(file.name)
        calls.append(file)
        return lock(file)

    monkeypatch.setattr(storage.claims, 'lock', late)
    assert fetch(files, tmp_path).read_bytes() == BODY
    assert len(calls) == 2


def test_close_stops_downloads(files, tmp_path):
    files.files['/v.mp4'] = File(BODY, always=Fault(slow_s=0.02))
    files.files['/w.mp4'] = File(BODY, always=Fault(503, {'Retry-After': '60'}))
    fetcher, ends = Fetcher(tmp_path, **QUICK), []

    def work(path):
        try:
            fetcher.fetch(video(files, path))
        except client.Stopped:
            ends.append(path)

    threads = [threading.Thread(target=work, args=(path,)) for path in ('/v.mp4', '/w.mp4')]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    fetcher.close()
    for thread in threads:
        thread.join(2)
    assert sorted(ends) == ['/v.mp4', '/w.mp4']
    assert '.mp4' not in left(tmp_path)


def test_a_killed_download_resumes(files, tmp_path):
    files.files['/v.mp4'] = File(BODY, always=Fault(slow_s=0.01))
    code = (
        'from soundnet_tf.prepare import manifest; from soundnet_tf.prepare.web import videos; '
        f'videos.Fetcher({str(tmp_path)!r}).fetch(manifest.videos([{files.url + "/v.mp4"!r}])[0])'
    )
    process = subprocess.Popen([sys.executable, '-c', code], cwd=Path(__file__).parents[3])
    draft = Fetcher(tmp_path)._path(video(files)).with_suffix('.mp4.part')
    while not (draft.exists() and draft.stat().st_size > 50_000):
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = draft.stat().st_size
    assert 50_000 < there < len(BODY)
    time.sleep(0.1)
    files.sent()
    files.files['/v.mp4'].always = Fault()
    assert fetch(files, tmp_path, sha256='').read_bytes() == BODY
    assert files.sent() == len(BODY) - there


@pytest.mark.parametrize(
    ('text', 'seconds'),
    [
        ('9' * 5000, 21_600),
        ('99999999', 21_600),
        ('120', 120),
        ('-5', 0),
        ('nan', 0),
        ('inf', 0),
        ('Fri, 31 Dec 99999 23:59:59 GMT', 0),
        ('Fri, 31 Dec 9999 23:59:59 GMT', 21_600),
        ('Fri, 31 Dec 1901 23:59:59 GMT', 0),
        ('\u0663', 0),
        ('', 0),
    ],
)
def test_absurd_waits_are_bounded(text, seconds):
    response = requests.Response()
    response.headers['Retry-After'] = text
    assert client._retry_after_s(response) == seconds


@pytest.mark.parametrize(
    ('text', 'count'),
    [('12', 12), ('9' * 5000, download.MAX_BYTES), ('-1', None), ('1e3', None), ('\u0663', None), ('', None)],
)
def test_absurd_lengths_are_bounded(text, count):
    assert download._count(text) == count
    assert download._range(f'bytes 0-5/{text}')[1] in (count, None)


def test_only_the_web_is_requested(files, tmp_path):
    with pytest.raises(client.PermanentError, match='not an address that starts with http:// or https://'):
        client.Client(per_second=1, timeout_s=1).request('GET', 'file:///etc/passwd')
    for address in ('file:///etc/passwd', 'ftp://x/y', 'data:,x'):
        files.files['/v.mp4'] = File(BODY, always=Fault(302, {'Location': address}))
        assert why_not(files, tmp_path) == 'redirected to an address that is not http:// or https://'

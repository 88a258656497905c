"""The command soundnet-collect, against a local imitation of Flickr."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from soundnet_tf.prepare import manifest
from tests.prepare import served
from tests.prepare.served import Fault, Upload

RUN = "import sys; from soundnet_tf.bin import collect; sys.argv[0] = 'soundnet-collect'; collect.run()"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv('FLICKR_API_KEY', 'secret-key')
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    monkeypatch.chdir(tmp_path)
    with served.flickr() as server:
        yield server


def begin(server, *arguments):
    command = [sys.executable, '-c', RUN, *arguments, f'--api={server.url}/rest/', '--per_hour=1e9']
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def call(server, *arguments):
    process = begin(server, *arguments)
    out, err = process.communicate(timeout=60)
    return process.returncode, out.splitlines(), err.splitlines()


def test_words_become_a_manifest(server):
    server.uploads = [Upload('1', 'dog'), Upload('2', 'dog cat'), Upload('3', 'cow', licence=0)]
    Path('words.txt').write_text('cat\ncow  # and no more\n')
    status, out, _ = call(server, 'dog', 'words.txt', '--out=v.csv')
    assert (status, out) == (0, ['2 videos from 3 words in v.csv; 1 skipped: 1 duplicate'])
    assert [video.path for video in manifest.videos(['v.csv'])] == ['https://f/1/play/site/', 'https://f/2/play/site/']
    flags_of_all = ['--licences=all', '--prefer=large', '--max_videos=2', '--max_per_word=1']
    assert call(server, 'dog', 'words.txt', '--out=all.csv', *flags_of_all)[0] == 0
    assert [video.path for video in manifest.videos(['all.csv'])] == ['https://f/1/play/hd/', 'https://f/2/play/hd/']


def test_a_word_that_fails_gives_exit_status_1(server):
    status, out, _ = call(server, '???', '--out=v.csv')
    assert (status, out) == (1, ['0 videos from 0 of 1 word in v.csv; 1 word failed'])


@pytest.mark.parametrize(
    ('key', 'arguments', 'words'),
    [
        ('', ['dog'], 'FLICKR_API_KEY: not set. Get a key from https://www.flickr.com/services/apps/create/'),
        ('wrong', ['dog'], 'Flickr: the key in FLICKR_API_KEY is rejected (Invalid API Key'),
        ('secret-key', [], 'no words: pass words to search for'),
        ('secret-key', ['dog', '--licences=gpl'], "unknown licence 'gpl'. Use all-rights-reserved, cc"),
    ],
)
def test_mistakes_leave_nothing_behind(server, monkeypatch, key, arguments, words):
    monkeypatch.setenv('FLICKR_API_KEY', key)
    status, out, (err,) = call(server, *arguments, '--out=v.csv')
    assert (status, out) == (2, [])
    assert err.startswith(f'soundnet-collect: {words}')
    assert os.listdir() == []


def test_as_a_user_sees_it(server, monkeypatch):
    server.uploads = [Upload('1', 'dog')]
    server.faults = [None, Fault(503)]
    status, out, err = call(server, 'dog', '--out=v.csv')
    assert (status, out) == (0, ['1 video from 1 word in v.csv'])
    assert not any('collecting' in line for line in err), 'a log file has no line of less than a minute'
    monkeypatch.setenv('FLICKR_API_KEY', 'wrong')
    status, out, err = call(server, 'dog', '--out=v.csv')
    assert (status, out) == (2, [])
    assert err == [
        'soundnet-collect: Flickr: the key in FLICKR_API_KEY is rejected (Invalid API Key (Key has invalid format)). '
        'Check the key'
    ]


@pytest.mark.parametrize('how', [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_resumes(server, how):
    server.uploads = [Upload(str(index), 'dog' if index < 30 else 'cat') for index in range(60)]
    server.slow_s = 0.15
    process = begin(server, 'dog', 'cat', '--out=v.csv')
    while len(server.asked) < 20:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(how)
    err = process.communicate()[1].splitlines()
    assert process.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL)
    if how == signal.SIGINT:
        assert err[-1] == 'soundnet-collect: stopped; finished outputs are kept'
    assert not Path('v.csv').exists()
    asked, server.slow_s = len(server.asked), 0
    assert call(server, 'dog', 'cat', '--out=v.csv')[0] == 0
    assert sorted(int(video.id) for video in manifest.videos(['v.csv'])) == list(range(60))
    # All but what was under way is asked for once: 60 videos, 2 searches, one of them again, twice the licences.
    assert len(server.asked) <= 60 + 3 + 2 + 1
    assert asked >= 20

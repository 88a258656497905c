"""Embeddings as files: what is in them, whole or not at all, and not twice."""

import json
import os
import pathlib

import numpy as np
import pytest
import soundfile

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import Embedder
from soundnet_tf.inference.files import find
from soundnet_tf.inference.write import embed_files, whole_file
from soundnet_tf.testing import noise
from tests.inference.embed_test import FakeEngine


@pytest.fixture
def embedder():
    return Embedder(FakeEngine(), facts={'weights_sha256': 'abc'})


@pytest.fixture
def sounds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('in/a/rain.wav', 'in/b/rain.wav', 'in/b/rain.flac'):
        os.makedirs(os.path.dirname(name), exist_ok=True)
        soundfile.write(name, noise(2), SAMPLE_RATE)
    return find(['in'])


def written(folder):
    return sorted(
        os.path.relpath(os.path.join(top, name), folder) for top, _, names in os.walk(folder) for name in names
    )


def test_an_npz_for_each_sound(embedder, sounds):
    tally = embed_files(embedder, sounds, 'out', layer='conv7')
    assert (tally.done, tally.status) == (3, 0)
    assert written('out') == ['a/rain.wav.npz', 'b/rain.flac.npz', 'b/rain.wav.npz']
    wanted = embedder.embed_file('in/a/rain.wav', 'conv7')
    with np.load('out/a/rain.wav.npz', allow_pickle=False) as there:
        np.testing.assert_array_equal(there['values'], wanted.values)
        assert there['values'].dtype == np.float32
        np.testing.assert_array_equal(there['times'], wanted.times)
        plain = {key: there[key].item() for key in there.files if key not in ('values', 'times')}
    assert plain == {
        'path': 'in/a/rain.wav',
        'layer': 'conv7',
        'pool': 'none',
        'short': 'error',
        'channel': 'first',
        'precision': 'float32',
        'model': 'soundnet8-thin',
        'weights_sha256': 'abc',
        'sample_rate': 22_050,
        'seconds': 2.0,
        'tiled': False,
        'padded': False,
    }


def test_finished_files_are_skipped(embedder, sounds):
    embed_files(embedder, sounds, 'out')
    before = os.stat('out/a/rain.wav.npz').st_mtime_ns
    again = embed_files(embedder, sounds, 'out')
    assert (again.done, again.skipped) == (0, 3)
    assert os.stat('out/a/rain.wav.npz').st_mtime_ns == before


def test_what_is_not_finished_is_done_again(embedder, sounds):
    embed_files(embedder, sounds, 'out')
    os.truncate('out/a/rain.wav.npz', 100)
    future = os.stat('out/b/rain.wav.npz').st_mtime + 10
    os.utime('in/b/rain.wav', (future, future))
    assert embed_files(embedder, sounds, 'out').done == 2
    assert embed_files(embedder, sounds[:1], 'out', layer='conv7').done == 1
    assert embed_files(embedder, sounds[:1], 'out', layer='conv7', pool='max').done == 1
    other = Embedder(FakeEngine(), facts={'weights_sha256': 'def'})
    assert embed_files(other, sounds[:1], 'out', layer='conv7', pool='max').done == 1
    assert embed_files(other, sounds[:1], 'out', layer='conv7', pool='max').skipped == 1


def test_a_line_of_json_for_each_sound(plain_folder, sounds):
    from soundnet_tf.inference import load

    embedder = load(plain_folder)
    embed_files(embedder, sounds, 'out.jsonl', 'jsonl')
    lines = [json.loads(line) for line in pathlib.Path('out.jsonl').read_text().splitlines()]
    assert [line['path'] for line in lines] == [sound.path for sound in sounds]
    wanted = embedder.embed_file(sounds[0].path)
    np.testing.assert_array_equal(np.array(lines[0]['values'], np.float32), wanted.values)
    assert lines[0]['times'] == wanted.times.tolist()
    assert lines[0]['seconds'] == 2.0


@pytest.mark.parametrize('pool', ['mean', 'max'])
def test_pooled(embedder, sounds, pool):
    wanted = getattr(embedder.embed_file(sounds[0].path), pool)()
    embed_files(embedder, sounds[:1], 'out', pool=pool)
    with np.load('out/a/rain.wav.npz') as there:
        np.testing.assert_array_equal(there['values'], wanted)
        assert 'times' not in there.files
    embed_files(embedder, sounds[:1], 'out.jsonl', 'jsonl', pool=pool)
    line = json.loads(pathlib.Path('out.jsonl').read_text())
    assert line['values'] == wanted.tolist()
    assert 'times' not in line


def test_a_bad_sound_leaves_no_file(embedder, sounds, capsys):
    pathlib.Path('in/a/bad.wav').write_text('dear sir')
    soundfile.write('in/a/short.wav', noise(0.1), SAMPLE_RATE)
    tally = embed_files(embedder, find(['in']), 'out')
    assert str(tally) == '3 done; 2 failed (1 unreadable, 1 too short)'
    assert written('out/a') == ['rain.wav.npz']
    bad, short = capsys.readouterr().err.splitlines()
    assert bad.startswith('in/a/bad.wav: not a sound file')
    assert short.startswith('in/a/short.wav is 0.10 s; pool5 of soundnet8-thin needs 0.21 s.')


def test_a_broken_run_leaves_no_half_file(embedder, sounds, monkeypatch):
    pathlib.Path('out.jsonl').write_text('before\n')
    monkeypatch.setattr(embedder, 'listen_clips', lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        embed_files(embedder, sounds, 'out.jsonl', 'jsonl')
    assert pathlib.Path('out.jsonl').read_text() == 'before\n'
    with pytest.raises(ZeroDivisionError):
        embed_files(embedder, sounds, 'out')
    assert written('out') == written('out.jsonl.parts') == []
    assert sorted(os.listdir('.')) == ['in', 'out', 'out.jsonl', 'out.jsonl.parts']


def test_a_file_that_cannot_be_finished_leaves_nothing(tmp_path):
    def half(path):
        with whole_file(path) as file:
            file.write(b'half')
            raise OSError('disk full')

    with pytest.raises(OSError, match='disk full'):
        half(tmp_path / 'deep' / 'x.npz')
    assert written(tmp_path) == []


def test_mistakes_come_before_any_work(embedder, sounds):
    os.mkdir('folder')
    for wrong, words in [
        ({'out': 'folder', 'format': 'jsonl'}, 'folder exists: jsonl needs a file'),
        ({'out': sounds[0].path}, 'exists: npz needs a folder'),
        ({'out': 'out', 'layer': 'conv9'}, "no layer 'conv9'"),
        ({'out': 'out', 'pool': 'sum'}, "no pool 'sum': give none, mean, max"),
        ({'out': 'out', 'format': 'csv'}, "no format 'csv'"),
    ]:
        with pytest.raises(SoundNetError, match=words):
            embed_files(embedder, sounds, **wrong)
    assert sorted(os.listdir('.')) == ['folder', 'in']

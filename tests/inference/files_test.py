"""Which files are read, and what an unreadable file does to a run."""

import collections
import io
import os
import sys
import types

import pytest

from soundnet_tf.errors import BadAudio, MissingTool, ShortClip, SoundNetError
from soundnet_tf.inference import listening
from soundnet_tf.inference.files import Tally, find, listed, listen, pace


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name in ('a/rain.wav', 'a/deep/rain.MP3', 'a/notes.txt', 'a/.hidden.wav', 'a/.cache/x.wav', 'b/rain.wav'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / 'empty').mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ('arguments', 'paths', 'names'),
    [
        (['a'], ['a/rain.wav', 'a/deep/rain.MP3'], ['rain.wav', 'deep/rain.MP3']),
        (['a/'], ['a/rain.wav', 'a/deep/rain.MP3'], ['rain.wav', 'deep/rain.MP3']),
        (['b', 'a/deep'], ['b/rain.wav', 'a/deep/rain.MP3'], ['b/rain.wav', 'a/deep/rain.MP3']),
        (['a/rain.wav', 'b/rain.wav'], ['a/rain.wav', 'b/rain.wav'], ['a/rain.wav', 'b/rain.wav']),
        (['b', './b/rain.wav', 'b/../b'], ['b/rain.wav'], ['rain.wav']),
        (['a/notes.txt', 'gone.wav'], ['a/notes.txt', 'gone.wav'], ['a/notes.txt', 'gone.wav']),
    ],
)
def test_find(tree, arguments, paths, names):
    found = find(arguments)
    assert [file.path for file in found] == paths
    assert [file.name.as_posix() for file in found] == names


def test_nothing_to_do_is_a_mistake(tree, capsys):
    with pytest.raises(SoundNetError, match='no input: pass sound files'):
        find([])
    with pytest.raises(SoundNetError, match=r'empty: no sound files in this folder$'):
        find(['empty'])
    assert [file.path for file in find(['b', 'empty'])] == ['b/rain.wav']
    assert 'empty: no sound files' in capsys.readouterr().err
    with pytest.raises(SoundNetError, match='empty path: pass sound files'):
        find(['b', ''])
    with pytest.raises(SoundNetError, match=r'-: not a sound file\. Use /dev/stdin, .* --pcm=-'):
        find(['-'])


def test_names_below_a_root(tree):
    assert [file.name.as_posix() for file in find(['a/deep'], root='.')] == ['a/deep/rain.MP3']
    with pytest.raises(SoundNetError, match=r'b/rain\.wav: not below a\. Use another --root'):
        find(['b'], root='a')


def test_a_folder_that_may_not_be_read_is_not_left_out(tree, monkeypatch):
    scan = os.scandir

    def closed(path):
        if str(path).endswith('deep'):
            raise PermissionError(13, 'Permission denied', path)
        return scan(path)

    monkeypatch.setattr(os, 'scandir', closed)
    assert [file.path for file in find(['a'])] == ['a/rain.wav', 'a/deep']


def test_a_search_takes_only_files(tree, capsys):
    """Through links; what else has a suffix of sound is reported and counted, but may be passed by name."""
    os.mkfifo('a/pipe.wav')
    for name, target in (('loop', 'loop.wav'), ('null', os.devnull), ('gone', 'none'), ('link', 'rain.wav')):
        os.symlink(target, f'a/{name}.wav')
    os.mkfifo('a/pipe.txt')
    for arguments in (['a'], ['a/*.wav', 'a/deep']):
        left_out = collections.Counter()
        found = [file.path for file in find(arguments, left_out=left_out)]
        assert sorted(found) == ['a/deep/rain.MP3', 'a/link.wav', 'a/rain.wav']
        assert left_out == {'not a file': 4}
        assert capsys.readouterr().err.splitlines() == [
            f'a/{name}.wav: is {kind}, so it is left out. Pass it by name to read it, or remove it'
            for name, kind in (
                ('gone', 'a link to a missing file'),
                ('loop', 'a link to itself'),
                ('null', 'a device'),
                ('pipe', 'a pipe'),
            )
        ]
    assert [file.path for file in find(['a/pipe.wav'])] == ['a/pipe.wav']


def test_globs_and_lists(tree, monkeypatch):
    assert [file.path for file in find(['a/**/rain.*'])] == ['a/deep/rain.MP3', 'a/rain.wav']
    assert [file.name.as_posix() for file in find(['*/rain.wav'])] == ['a/rain.wav', 'b/rain.wav']
    (tree / 'odd[1].wav').touch()
    assert [file.path for file in find(['odd[1].wav'])] == ['odd[1].wav']
    (tree / 'list.txt').write_text('a\n\nb/*.wav\n')
    assert listed('list.txt') == ['a', 'b/*.wav']
    monkeypatch.setattr(sys, 'stdin', io.TextIOWrapper(io.BytesIO(b'b/rain.wav\n')))
    assert listed('-') == ['b/rain.wav']
    (tree / 'odd.txt').write_bytes(b'\xef\xbb\xbfa\r\nform\x0cfeed\nlatin\xe9\n')
    assert listed('odd.txt') == ['a', 'form\x0cfeed', 'latin\udce9']
    # A missing file of a list does not stop the run: it is reported when it is read.
    assert [file.path for file in find([], ['b', 'empty', 'gone[1].wav'])] == ['b/rain.wav', 'gone[1].wav']
    (tree / 'empty.txt').touch()
    (tree / 'list.wav').write_bytes(b'\xff\xfe\x00')
    for call, words in [
        (lambda: find(['*.mp3']), r'\*\.mp3: no file matches'),
        (lambda: listed('gone.txt'), r'gone\.txt: list cannot be read \(No such file'),
        (lambda: listed('empty.txt'), r'empty\.txt: empty list'),
        (lambda: listed('list.wav'), r'list\.wav: not a list'),
        (lambda: listed('-'), 'standard input: empty list'),
    ]:
        with pytest.raises(SoundNetError, match=words):
            call()


class Heard:
    seconds = 1800.0


@pytest.fixture
def outcomes(monkeypatch):
    """What listening says of each file, by its name."""
    said = {}
    monkeypatch.setattr(listening, 'listen_paths', lambda _, paths, *__: map(said.get, paths))
    return said


def embedder(decoder='auto'):
    return types.SimpleNamespace(decoder=decoder)


def test_a_bad_file_does_not_stop_the_run(tree, capsys, outcomes):
    outcomes |= {'a/rain.wav': {'x': Heard}, 'a/deep/rain.MP3': BadAudio('rain.MP3 is\nno sound')}
    outcomes |= {'b.wav': ShortClip('b.wav is short'), 'c.wav': MissingTool('av', 'decoding')}
    files, done, tally = find(['a', 'b.wav', 'c.wav', 'd.wav']), {}, Tally()

    def todo():
        for file in files:
            tally.skipped += file.path == 'd.wav'
            if file.path != 'd.wav':
                yield file

    listen(embedder(), todo(), ['x'], lambda file, heard: done.update({file.path: heard}), tally, 5)
    assert done == {'a/rain.wav': {'x': Heard}, 'a/deep/rain.MP3': None, 'b.wav': None, 'c.wav': None}
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ['rain.MP3 is no sound', 'b.wav is short']
    assert 'pip install' in lines[2]
    tally.elsewhere = 2
    assert str(tally) == (
        '1 done; 1 skipped, finished before; 2 in progress in another run; '
        '3 failed (1 unreadable, 1 too short, 1 without a library)'
    )
    assert (tally.status, tally.files, tally.hours) == (1, 7, 0.5)
    assert Tally(done=2).status == 0
    assert pace(tally.hours, 2) == '0.250 h of sound/s'


def test_a_missing_requested_decoder_ends_the_run(tree, outcomes):
    outcomes['a/rain.wav'] = MissingTool('av', 'decoding')
    done = []
    with pytest.raises(MissingTool):
        listen(embedder('pyav'), find(['a']), ['x'], lambda *it: done.append(it), Tally(), 2)
    assert done[0][1] is None

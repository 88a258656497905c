"""Which files are taken, and what a bad one does to a run."""

import pytest

from soundnet_tf.errors import BadAudio, MissingTool, ShortClip, SoundNetError
from soundnet_tf.inference.files import Tally, each, find


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


def test_nothing_to_do_is_a_mistake(tree):
    with pytest.raises(SoundNetError, match='name sound files'):
        find([])
    with pytest.raises(SoundNetError, match=r'empty holds no sound files \(\.flac'):
        find(['a', 'empty'])


def test_a_bad_file_does_not_stop_the_run(tree, capsys):
    outcomes = {'rain.wav': True, 'deep/rain.MP3': BadAudio('rain.MP3 is\nno sound')}
    outcomes |= {'b.wav': ShortClip('b.wav is short'), 'c.wav': MissingTool('av', 'decoding'), 'd.wav': False}

    def work(file):
        outcome = outcomes.get(file.name.as_posix().removeprefix('a/'), False)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    tally = each(find(['a', 'b.wav', 'c.wav', 'd.wav']), work)
    told = capsys.readouterr().err.splitlines()
    assert told[:2] == ['rain.MP3 is no sound', 'b.wav is short']
    assert 'pip install' in told[2]
    assert str(tally) == (
        '1 done; 1 skipped, finished before; 3 failed (1 unreadable, 1 too short, 1 without a decoder)'
    )
    assert tally.status == 1
    assert Tally(done=2).status == 0


def test_other_errors_end_the_run(tree):
    def raises(error):
        def work(file):
            raise error

        return work

    with pytest.raises(ZeroDivisionError):
        each(find(['a']), raises(ZeroDivisionError()))
    with pytest.raises(MissingTool):
        each(find(['a']), raises(MissingTool('av', 'decoding')), decoder='pyav')

"""Many files: in order, in batches, each with the numbers of its own."""

import functools
import io
import pathlib
import re
import sys

import numpy as np
import pytest
import soundfile
import tqdm
from hypothesis import given
from hypothesis import strategies as st

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import BadAudio, ShortClip
from soundnet_tf.inference import Embedder, files, listening, load
from soundnet_tf.inference.engines import MAX_CLIP_S
from soundnet_tf.testing import noise
from tests.audio.wild_test import PCM, wav
from tests.inference.embed_test import FakeEngine


@given(st.lists(st.integers(0, 20_000_000), max_size=80))
def test_batches(lengths):
    found = listening.batches(lengths)
    assert sorted(index for batch in found for index in batch) == [i for i, length in enumerate(lengths) if length]
    for batch in found:
        longest, shortest = max(lengths[i] for i in batch), min(lengths[i] for i in batch)
        assert longest <= 1.1 * shortest
        assert len(batch) == 1 or len(batch) * longest <= 160 * SAMPLE_RATE


def test_like_lengths_go_together():
    assert listening.batches([100, 0, 105, 200, 100]) == [[0, 4, 2], [3]]


@pytest.fixture(scope='module')
def paths(tmp_path_factory):
    """Equal and like lengths, a bad one, a short one, one that is too long to be taken whole."""
    home = tmp_path_factory.mktemp('sounds')
    for index, seconds in enumerate([2, 2.1, 5, 2, 0.1, 1.95, 70, 2, 5.2]):
        soundfile.write(home / f'{index}.wav', noise(seconds, seed=index), SAMPLE_RATE, subtype='FLOAT')
    (home / 'bad.wav').write_text('dear sir')
    return [str(home / f'{name}.wav') for name in (0, 1, 2, 'bad', 3, 4, 5, 6, 7, 8)]


@pytest.mark.parametrize('waiting', [1, 4, 64])
def test_each_is_one_by_one(plain_folder, paths, monkeypatch, waiting):
    monkeypatch.setattr(listening, 'CLIPS_WAITING', waiting)
    embedder, layers = load(plain_folder, short='error'), ['pool5', 'conv7']
    given = list(listening.listen_paths(embedder.listener, iter(paths), layers))
    for path, result in zip(paths, given, strict=True):
        if path.endswith('bad.wav'):
            assert isinstance(result, BadAudio)
        elif path.endswith('4.wav'):
            assert isinstance(result, ShortClip)
            assert str(result).startswith(f'{path} is 0.10 s')
        else:
            for layer, wanted in embedder.listener.listen_file(path, layers).items():
                assert result[layer].values.shape == wanted.values.shape
                scale = np.abs(wanted.values).max()
                np.testing.assert_allclose(result[layer].values, wanted.values, rtol=0, atol=1e-5 * scale)
                np.testing.assert_array_equal(result[layer].times, wanted.times)
                assert (result[layer].seconds, result[layer].tiled) == (wanted.seconds, wanted.tiled)


def test_a_long_file_goes_through_the_stream(plain_folder, paths):
    embedder, long = load(plain_folder, engine='tensorflow'), paths[7]
    assert not hasattr(embedder.listener.open_file(long, ['pool5']), 'waveform')
    (result,) = listening.listen_paths(embedder.listener, [long], ['pool5'])
    waveform = noise(70, seed=6)
    assert len(waveform) > MAX_CLIP_S * SAMPLE_RATE
    whole = embedder.listener._engine.run(waveform, ['pool5'])['pool5']
    np.testing.assert_allclose(result['pool5'].values, whole, rtol=0, atol=1e-4 * np.abs(whole).max())
    assert result['pool5'].seconds == 70


def test_a_long_file_shows_how_far_it_is(plain_folder, paths, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    embedder, result = load(plain_folder, engine='tensorflow'), []
    monkeypatch.setattr(sys, 'stderr', Terminal())
    # However soon a piece comes after the last, it is shown.
    monkeypatch.setattr(tqdm, 'tqdm', functools.partial(tqdm.tqdm, mininterval=0, miniters=1))
    file = files.SoundFile(paths[7], pathlib.PurePath('long'))
    files.listen(embedder.listener, [file], ['pool5'], lambda file, one: result.append(one), files.Tally(), 1)
    assert result[0]['pool5'].seconds == 70
    shown = re.findall(rf'{pathlib.Path(paths[7]).name}: (\d+) s of sound', sys.stderr.getvalue())
    assert len(shown) > 2
    assert list(map(int, shown)) == sorted(map(int, shown))
    assert 60 <= int(shown[-1]) <= 70


def test_a_long_file_that_is_damaged_in_the_middle(plain_folder, tmp_path):
    path = tmp_path / 'hole.flac'
    soundfile.write(path, noise(200), SAMPLE_RATE)
    data = bytearray(path.read_bytes())
    data[-len(data) // 4 : -len(data) // 4 + 2000] = bytes(2000)
    path.write_bytes(data)
    reported = {}
    (result,) = listening.listen_paths(load(plain_folder).listener, [str(path)], ['pool5'], report=reported.__setitem__)
    assert result['pool5'].seconds == pytest.approx(200, abs=0.01)
    (note,) = reported[str(path)]
    assert note.what == 'a gap, filled with silence'
    assert note.at_s == pytest.approx(150, abs=1)
    (refused,) = listening.listen_paths(load(plain_folder, strict=True).listener, [str(path)], ['pool5'])
    assert isinstance(refused, BadAudio)
    assert str(refused).startswith(f'{path}: incomplete: a gap, filled with silence (0.')


def test_files_are_decoded_a_little_ahead(paths):
    asked = []

    def names():
        for _ in range(1000):
            asked.append(1)
            yield paths[0]

    result = listening.listen_paths(Embedder(FakeEngine()).listener, names(), ['pool5'])
    next(result)
    assert len(asked) < 2 * 64 + 20
    result.close()


@pytest.mark.parametrize('strict', [False, True])
def test_incomplete_files_and_those_without_sound_are_counted(plain_folder, tmp_path, capsys, strict):
    files_of = {'cut.wav': wav(PCM)[:60_000], 'half.wav': wav(PCM, kind=3), 'rain.wav': wav(PCM)}
    for name, data in files_of.items():
        (tmp_path / name).write_bytes(data)
    tally = files.Tally()
    listener = load(plain_folder, strict=strict).listener
    files.listen(listener, files.find([str(tmp_path)]), ['pool5'], lambda *_: None, tally, 3)
    lines = capsys.readouterr().err.splitlines()
    cut = [line for line in lines if line.startswith(f'{tmp_path}/cut.wav: ')]
    assert len(cut) == 1
    assert ('incomplete: cut short (4.64 s, at 1.36 s)' if strict else 'cut short (4.64 s, at 1.36 s)') in cut[0]
    assert f'{tmp_path}/half.wav: no sound track that FFmpeg can decode. Use a file with sound' in lines
    wanted = (
        '1 done; 2 failed (1 incomplete, 1 unreadable)' if strict else '2 done (1 incomplete); 1 failed (1 unreadable)'
    )
    assert str(tally) == wanted


def test_embed_files(plain_folder, paths):
    embedder = load(plain_folder)
    given = list(embedder.embed_files(paths[:3], 'conv5'))
    assert [len(one) for one in given] == [len(embedder.embed_file(path, 'conv5')) for path in paths[:3]]
    with pytest.raises(BadAudio, match=r'bad\.wav: not a sound file'):
        list(embedder.embed_files(paths))


def test_embed_batch(plain_folder):
    embedder = load(plain_folder)
    clips = [noise(1, seed=1), noise(2, seed=2), noise(1, seed=3).tolist()]
    for result, clip in zip(embedder.embed_batch(clips, SAMPLE_RATE), clips, strict=True):
        wanted = embedder.embed(clip, SAMPLE_RATE).values
        np.testing.assert_allclose(result.values, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    stacked = np.stack([noise(1, seed=seed) for seed in range(3)])
    assert [len(one) for one in embedder.embed_batch(stacked, SAMPLE_RATE)] == [3, 3, 3]
    with pytest.raises(ShortClip, match=r'^clip 1 is 0\.10 s'):
        load(plain_folder, short='error').embed_batch([noise(1), noise(0.1)], SAMPLE_RATE)

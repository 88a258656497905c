"""Files piece by piece, in constant memory: the same samples whatever the size of the pieces."""

import io
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from soundnet_tf.audio import blocks, containers, decoders, decoding
from soundnet_tf.audio.part import Part
from soundnet_tf.errors import BadAudio, SoundNetError
from soundnet_tf.testing import noise
from tests.audio.decoding_test import ALL_DECODERS, DAMAGED, FORMATS, encoded, reads


@pytest.fixture
def small(monkeypatch):
    """Files are decoded in small pieces."""
    monkeypatch.setattr(blocks, 'BLOCK', 5_000)
    monkeypatch.setattr(decoders, 'BLOCK', 3_000)
    monkeypatch.setattr(decoders, 'WHOLE_BYTES', 0)


@pytest.fixture
def file(tmp_path):
    def write(data):
        (tmp_path / 'räin.any').write_bytes(data)
        return tmp_path / 'räin.any'

    return write


@pytest.mark.parametrize('decoder', ['auto', *ALL_DECODERS])
@pytest.mark.parametrize('format', FORMATS)
@pytest.mark.parametrize(('rate', 'channels'), [(22_050, 1), (48_000, 2), (8_000, 1)])
def test_small_pieces_joined_are_the_whole(decoder, format, rate, channels, file, request):
    if decoder != 'auto' and not reads(decoder, format):
        pytest.skip(f'{decoder} does not read {format}')
    if format == 'opus' and rate == 22_050:
        pytest.skip('Opus has no such rate')
    path = file(encoded(format, rate, channels, 3.0))
    wanted = decoding.read(path, decoder, 'mean')
    request.getfixturevalue('small')
    pieces = list(blocks.read(path, decoder, 'mean'))
    streamed = decoder in ('auto', 'pyav') or format in decoding.DECODERS[decoder].streams
    assert (len(pieces) > 2) == streamed
    assert max(map(len, pieces)) < len(wanted) // 2 or not streamed
    given = np.concatenate(pieces)
    assert given.dtype == np.float32
    assert len(given) == len(wanted)
    np.testing.assert_allclose(given, wanted, atol=2e-6)


@pytest.mark.parametrize('fails_after', [0, 2])
def test_ffmpeg_goes_on_where_a_fast_decoder_fails(fails_after, file, monkeypatch, small):
    path = file(encoded('flac', seconds=3.0))
    wanted = decoding.read(path)
    whole = decoders.SoundFile.blocks

    def fails(self, *arguments):
        for number, block in enumerate(whole(self, *arguments)):
            if number == fails_after:
                raise ValueError('not by me')
            yield block

    monkeypatch.setattr(decoders.SoundFile, 'blocks', fails)
    np.testing.assert_array_equal(decoding.read(path), wanted)


@pytest.mark.parametrize('kind', DAMAGED)
def test_damaged_files_give_one_line_that_begins_with_the_path(kind, file, capfd):
    path = file(DAMAGED[kind][0])
    with pytest.raises(BadAudio) as caught:
        list(blocks.read(path))
    line = str(caught.value)
    assert line.startswith(f'{path}: ')
    assert line.count(str(path)) == 1
    assert '\n' not in line
    assert DAMAGED[kind][1] in line
    assert capfd.readouterr() == ('', '')


def test_unreadable_files(tmp_path, file):
    for path in (tmp_path / 'no.wav', tmp_path, 'a\0'):
        with pytest.raises(BadAudio) as caught:
            list(blocks.read(path))
        assert str(caught.value).startswith(f'{path}: ')
    with pytest.raises(BadAudio, match=r'^/dev/zero: is a device\. Pass a sound file$'):
        list(blocks.read('/dev/zero'))
    with pytest.raises(SoundNetError, match="no decoder 'mpg123'"):
        list(blocks.read(file(encoded('wav')), 'mpg123'))


def test_sound_before_a_failure_is_given(file, small):
    sound = np.concatenate([noise(2.0), [np.nan], noise(1.0)]).astype(np.float32)
    data = io.BytesIO()
    soundfile.write(data, sound, 22_050, format='WAV', subtype='FLOAT')
    pieces = blocks.read(file(data.getvalue()))
    given = []
    with pytest.raises(BadAudio, match=r'sample 44100 \(at 2\.00 s\) is NaN or infinite\. Copy'):
        given.extend(pieces)
    np.testing.assert_array_equal(np.concatenate(given), sound[: sum(map(len, given))])
    assert sum(map(len, given)) > 38_000


@settings(max_examples=100, deadline=None)
@given(
    data=st.binary(max_size=300),
    start=st.integers(0, 20),
    places=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=10),
)
def test_a_part_is_bytes(tmp_path_factory, data, start, places):
    path = tmp_path_factory.mktemp('part') / 'x'
    path.write_bytes(data)
    with path.open('rb') as file:
        start = min(start, len(data))
        end = max(start, len(data) - 5)
        part, wanted = Part(file, 'x').part(start, end), data[start:end]
        Part.window, window = 7, Part.window
        try:
            assert len(part) == len(wanted)
            for begin, end in places:
                assert part[begin:end] == wanted[begin:end]
                assert part.seek(min(begin, len(wanted))) == part.tell()
                assert part.read(end) == wanted[begin:][:end]
            assert containers.start(part) == containers.start(wanted)
        finally:
            Part.window = window


def test_an_hour_takes_no_more_memory_than_a_minute(tmp_path):
    """The peak of a process that only decodes, for 60 times as much sound."""
    import soundfile

    code = """
import resource, sys
from soundnet_tf.audio import blocks
for path in sys.argv[1:]:
    samples = sum(len(piece) for piece in blocks.read(path))
    print(samples, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    minute = np.tile(np.random.default_rng(0).normal(0, 0.1, 8_000).astype(np.float32), 60)
    paths = [str(tmp_path / f'{name}.flac') for name in ('minute', 'hour')]
    for path, minutes in zip(paths, (3, 60), strict=True):
        with soundfile.SoundFile(path, 'w', 8_000, 1) as out:
            for _ in range(minutes):
                out.write(minute)
    done = subprocess.run([sys.executable, '-c', code, *paths], capture_output=True, text=True, check=True)
    (_, before), (samples, after) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert samples == 3600 * 22_050
    assert after - before < 20_000, 'KiB'

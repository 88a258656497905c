"""The sound of videos in pieces, and as the bytes of records."""

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundnet_tf.audio import SAMPLE_RATE, decoding, encoding, resample, to_float
from soundnet_tf.errors import BadAudio
from soundnet_tf.prepare import sound
from tests.prepare import made


def heard(path, samples=10**9, **options):
    return list(sound.waveforms(str(path), samples, **options))


def test_16_bit_sound_at_the_rate_comes_back_exactly(tmp_path):
    pcm = np.random.default_rng(0).integers(-32_768, 32_768, 2 * SAMPLE_RATE).astype('<i2')
    path = made.video(
        tmp_path / 'a.mov', wave=to_float(pcm), sound_codec='pcm_s16le', seconds=2, rate=SAMPLE_RATE, layout='mono'
    )
    waveform = heard(path)[0]
    assert sound.encode(waveform, 'pcm16') == pcm.tobytes()


@pytest.fixture(scope='module')
def long(tmp_path_factory):
    """23.4 s at another rate, to be cut into pieces."""
    return made.video(tmp_path_factory.mktemp('long') / 'a.mkv', 23.4, picture_s=0, sound_codec='pcm_s16le')


@given(seconds=st.floats(0.05, 30))
@settings(max_examples=20, deadline=None)
def test_the_pieces_joined_are_the_whole(long, seconds):
    """Resampled block by block, and cut; as resampled at once."""
    samples = round(seconds * SAMPLE_RATE)
    pieces = heard(long, samples)
    assert {len(piece) for piece in pieces[:-1]} <= {samples}
    assert 0 < len(pieces[-1]) <= samples
    pcm = np.round(made.sound(23.4) * 32768).clip(-32768, 32767).astype(np.int16)
    whole = np.concatenate(pieces)
    expected = resample(to_float(pcm), 44_100)
    assert len(whole) == len(expected)
    np.testing.assert_allclose(whole, expected, atol=2 / 32768)
    np.testing.assert_array_equal(whole, heard(long)[0])


def with_times(path, times, rate=8000):
    """Sound whose every part says when it belongs, in seconds; a tenth of a second of a tone each."""
    with av.open(str(path), 'w') as container:
        track = container.add_stream('pcm_s16le', rate=rate, layout='mono')
        for index, time in enumerate(times):
            tone = 8000 * np.sin(np.arange(rate // 10) * 2 * np.pi * 440 / rate + index)
            frame = av.AudioFrame.from_ndarray(tone.astype(np.int16)[None], format='s16', layout='mono')
            frame.sample_rate, frame.pts = rate, round(time * rate)
            container.mux(track.encode(frame))
    return path


def test_a_gap_is_filled_with_silence(tmp_path):
    """Else what is heard after it would come too early for what is seen."""
    (waveform,) = heard(with_times(tmp_path / 'a.mkv', [0, 0.1, 0.2, 2.0, 2.1]))
    assert len(waveform) / SAMPLE_RATE == pytest.approx(2.2, abs=0.01)
    loud = abs(waveform.reshape(-1, 2205)).max(axis=1) > 0.1
    assert loud.tolist() == [True] * 3 + [False] * 17 + [True] * 2


def test_a_gap_belongs_to_the_clips_that_it_is_in(tmp_path):
    path = with_times(tmp_path / 'a.mkv', [*np.arange(25) / 10, 6.5, 6.6])
    track = sound.waveforms(str(path), 2 * SAMPLE_RATE)
    assert [len(piece) / SAMPLE_RATE for piece in track] == pytest.approx([2, 2, 2, 0.7], abs=0.01)
    missing = [track.missing_s(start, min(start + 2, 6.7)) for start in (0, 2, 4, 6)]
    assert missing[0] is None
    assert missing[1:] == pytest.approx([1.5, 2, 0.5], abs=0.01)


def test_jitter_of_time_stamps_is_ignored(tmp_path):
    (waveform,) = heard(with_times(tmp_path / 'a.mkv', [0, 0.11, 0.195, 0.32, 0.4]))
    assert len(waveform) / SAMPLE_RATE == pytest.approx(0.5, abs=0.001)


def test_sound_before_a_jump_in_time_is_kept(tmp_path):
    pieces = sound.waveforms(str(with_times(tmp_path / 'a.mkv', [*np.arange(45) / 10, 5000])), SAMPLE_RATE)
    assert [len(next(pieces)) for _ in range(3)] == [SAMPLE_RATE] * 3
    with pytest.raises(BadAudio, match=r'time stamps jump ahead, nothing filled in \(4,99\d\.\d\d s, at 4\.50 s\)'):
        list(pieces)


@pytest.mark.parametrize('decoder', ['auto', *decoding.DECODERS])
@pytest.mark.parametrize('samples', [1000, 22_050, 100_001])
def test_the_mp3_of_a_record(decoder, samples):
    if decoder not in ('auto', *decoding.available()):
        pytest.skip(f'{decoder} is not installed')
    waveform = made.sound(5, SAMPLE_RATE)[:samples]
    data = sound.encode(waveform, 'mp3')
    assert b'Info' in data[:100], 'the tag that tells delay and padding'
    decoded = decoding.decode(data, 'a.mp3', decoder)
    assert len(decoded) == samples
    if samples > 20_000:
        late, alike = made.shift(decoded, waveform)
        assert late == 0
        assert alike > 0.99


@pytest.mark.parametrize('rest', [0, 1, 23, 46, 47, 48, 575])
def test_the_length_that_a_record_states_is_the_decoded_one(rest):
    waveform = made.sound(2, SAMPLE_RATE)[: 20 * 576 + rest]
    padded = encoding.statable(waveform)
    assert (
        len(decoding.decode(sound.encode(padded, 'mp3'), 'a.mp3'))
        == len(padded)
        == 20 * 576 + (47 if 0 < rest < 47 else rest)
    )
    np.testing.assert_array_equal(padded[: len(waveform)], waveform)


def test_loud_sound_is_clipped_not_wrapped():
    data = sound.encode(np.array([1.5, 1.0, -1.0, -1.5], np.float32), 'pcm16')
    assert np.frombuffer(data, '<i2').tolist() == [32_767, 32_767, -32_768, -32_768]

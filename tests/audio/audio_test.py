"""Waveform conventions."""

import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from soundnet_tf import audio
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import BadAudio, MissingTool
from soundnet_tf.testing import noise, tone


@pytest.mark.parametrize(
    ('samples', 'wanted'),
    [
        (np.array([-32768, 0, 16384], np.int16), [-1, 0, 0.5]),
        (np.array([-(2**31), 2**30], np.int32), [-1, 0.5]),
        (np.array([0, 128, 192], np.uint8), [-1, 0, 0.5]),
        ([0.25, -0.5], [0.25, -0.5]),
    ],
)
def test_pcm_types(samples, wanted):
    values = audio.to_float(samples)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, wanted)


@given(arrays.arrays(np.int16, st.integers(1, 50)))
def test_int16_keeps_its_value_and_its_range(samples):
    values = audio.to_float(samples)
    assert np.abs(values).max() <= 1
    np.testing.assert_array_equal((values * 32768).astype(np.int16), samples)


def test_channels():
    stereo = np.array([[1, 0], [0, 0.5]], np.float32)
    np.testing.assert_array_equal(audio.to_mono(stereo), [1, 0])
    np.testing.assert_array_equal(audio.to_mono(stereo, 'mean'), [0.5, 0.25])
    np.testing.assert_array_equal(audio.to_mono(stereo[:, 0]), [1, 0])
    with pytest.raises(ValueError, match="'first' or 'mean', not 'left'"):
        audio.to_mono(stereo, 'left')  # pyright: ignore


@pytest.mark.parametrize('rate', [8_000, 11_025, 16_000, 44_100, 48_000, 96_000])
def test_resampling_shifts_nothing(rate):
    ours = audio.resample(tone(1, 440, sample_rate=rate), rate)
    assert len(ours) == SAMPLE_RATE
    # Away from the ends, where no filter can know what lies outside.
    np.testing.assert_allclose(ours[2000:-2000], tone(1, 440)[2000:-2000], atol=2e-3)


def test_resampling_reports_the_missing_library(monkeypatch):
    monkeypatch.setitem(sys.modules, 'soxr', None)
    with pytest.raises(MissingTool, match=r"resampling from 8000 Hz needs soxr, .* pip install 'soxr'"):
        audio.resample(tone(0.1), 8_000)
    assert audio.resample(tone(0.1), SAMPLE_RATE) is not None


@pytest.mark.parametrize(
    ('samples', 'rate', 'words'),
    [
        ([], SAMPLE_RATE, 'rain.wav: no samples'),
        (np.array([0, np.nan, 0]), 2, r'rain.wav: sample 1 \(at 0.50 s\) is NaN or infinite'),
        (np.array([np.inf]), 2, 'rain.wav: sample 0'),
        (np.array(['a']), 2, 'rain.wav: samples of type <U1. Pass float'),
        (np.zeros((2, 2, 2)), 2, r'rain.wav: samples of shape \[2, 2, 2\]. Pass one clip, \[samples\]'),
        (np.zeros((2, 0)), 2, r'rain.wav: samples of shape \[2, 0\]'),
        (np.zeros((100, 6000)), 22_050, r'rain.wav: samples of shape \[100, 6000\]. Pass one clip'),
        ([0.0, 3000.0], 22_050, 'rain.wav: samples reach 3000, full scale is 1. Divide 16-bit samples by 32768'),
        ([0.0], 0, 'rain.wav: sample_rate=0: pass samples'),
        ([0.0], -5, 'rain.wav: sample_rate=-5: pass samples'),
    ],
)
def test_bad_samples_are_reported(samples, rate, words):
    with pytest.raises(BadAudio, match=words):
        audio.to_waveform(samples, rate, name='rain.wav')


@given(st.integers(1, 40), st.integers(1, 100))
def test_fit_length_repeats_or_trims(length, samples):
    waveform = np.arange(length, dtype=np.float32)
    fitted = audio.fit_length(waveform, samples)
    np.testing.assert_array_equal(fitted, [index % length for index in range(samples)])


def test_an_empty_waveform_cannot_be_repeated():
    with pytest.raises(BadAudio, match='empty waveform'):
        audio.fit_length(np.zeros(0, np.float32), 3)


@given(
    rate=st.sampled_from([8_000, 22_050, 44_100, 48_000]),
    cuts=st.lists(st.integers(0, 9_000), max_size=8),
)
@settings(max_examples=30, deadline=None)
def test_resampling_chunks_equals_resampling_the_whole(rate, cuts):
    samples = np.random.default_rng(0).normal(0, 0.1, 9_000).astype(np.float32)
    resampler = audio.Resampler(rate)
    chunks = [resampler.push(chunk) for chunk in np.split(samples, sorted(cuts))]
    chunks.append(resampler.push(samples[:0], last=True))
    np.testing.assert_allclose(np.concatenate(chunks), audio.resample(samples, rate), atol=1e-6)


def test_an_invalid_rate_is_an_error():
    with pytest.raises(BadAudio, match='sample_rate=0: pass samples'):
        audio.Resampler(0)


@given(
    rate=st.sampled_from([8_000, 22_050, 44_100]),
    channels=st.sampled_from([1, 2]),
    channel=st.sampled_from(['first', 'mean']),
    cuts=st.lists(st.integers(0, 9_000), max_size=8),
)
@settings(max_examples=30, deadline=None)
def test_chunks_give_the_same_waveform_as_the_whole(rate, channels, channel, cuts):
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, (9_000, channels)).astype(np.int16)
    intake = audio.Intake(rate, channel)
    chunks = [intake.push(chunk) for chunk in np.split(samples, sorted(cuts))]
    chunks.append(intake.push([], last=True))
    joined = np.concatenate(chunks)
    assert joined.dtype == np.float32
    np.testing.assert_allclose(joined, audio.to_waveform(samples, rate, channel), atol=1e-6)


def test_bad_chunks_are_reported():
    for chunks, words in [
        ([[0.0] * 5, [0.0, np.nan]], r'^microphone: sample 6 \(at 0.00 s\) is NaN or infinite'),
        ([[0.0] * 5, np.zeros((3, 2))], '^microphone: a chunk of 2 channels after chunks of 1'),
        ([[0.0], [300.0]], '^microphone: samples reach 300'),
        ([np.array(['a'])], '^microphone: samples of type <U1'),
    ]:
        intake = audio.Intake(SAMPLE_RATE, name='microphone')
        *before, last = chunks
        for chunk in before:
            intake.push(chunk)
        with pytest.raises(BadAudio, match=words):
            intake.push(last)
    with pytest.raises(BadAudio, match=r'^microphone: sample_rate=0: pass samples'):
        audio.Intake(0, name='microphone')


def test_no_samples_at_all():
    assert audio.Intake(44_100).push([], last=True).size == 0


def test_fill():
    clip = np.array([1, 2, 3], np.float32)
    assert audio.fill(clip, 5, 'error') is clip
    assert audio.fill(clip, 5, 'tile').tolist() == [1, 2, 3, 1, 2]
    assert audio.fill(clip, 5, 'pad').tolist() == [1, 2, 3, 0, 0]
    assert audio.fill(clip, 5, 'pad').dtype == np.float32
    assert audio.fill(clip, 3, 'tile') is clip
    assert not audio.fill(clip[:0], 3, 'pad').size


def at_level(waveform, dbfs):
    waveform = waveform - waveform.mean(dtype=float)
    return (waveform * 10 ** (dbfs / 20) / np.sqrt(np.square(waveform, dtype=float).mean())).astype(np.float32)


@pytest.mark.parametrize('offset', [0.01, -0.9])
def test_a_constant_is_silence(offset):
    constant = np.full(5 * SAMPLE_RATE // 2, offset, np.float32)
    assert audio.level_dbfs(constant) < -120
    sound = at_level(noise(1), -40)
    assert audio.level_dbfs(sound + np.float32(offset)) == pytest.approx(-40, abs=1e-2)
    meter = audio.LevelMeter()
    for chunk in np.array_split(constant, 7):
        meter.push(chunk)
    assert meter.dbfs < -120
    assert meter.recent_dbfs < -120


@given(dbfs=st.floats(-120, 0), samples=st.integers(2, SAMPLE_RATE), seed=st.integers(0, 99))
def test_the_level_of_up_to_a_second_is_its_root_mean_square(dbfs, samples, seed):
    waveform = at_level(noise(1, seed=seed)[:samples], dbfs)
    assert audio.level_dbfs(waveform) == pytest.approx(dbfs, abs=1e-3)


def test_the_level_is_that_of_the_loudest_second():
    sound = np.zeros(60 * SAMPLE_RATE, np.float32)
    assert audio.level_dbfs(sound) == audio.level_dbfs(sound[:0]) == -math.inf
    sound[30 * SAMPLE_RATE : 31 * SAMPLE_RATE] = tone(1, amplitude=1.0)
    assert audio.level_dbfs(sound) == pytest.approx(-3.01, abs=0.01)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 80_000), max_size=8), st.integers(0, 80_000))
def test_the_level_of_chunks_is_that_of_the_whole(cuts, samples):
    sound = noise(4)[:samples]
    meter = audio.LevelMeter()
    for chunk in np.split(sound, sorted(cuts)):
        meter.push(chunk)
    assert meter.dbfs == pytest.approx(audio.level_dbfs(sound), abs=1e-9)


def test_the_recent_level_forgets():
    meter = audio.LevelMeter(recent_s=2)
    meter.push(noise(1))
    recent = []
    for _ in range(5):
        meter.push(np.zeros(SAMPLE_RATE, np.float32))
        recent.append(meter.recent_dbfs > -math.inf)
    assert recent == [True, True, True, False, False]
    assert meter.dbfs == audio.level_dbfs(noise(1))
    assert len(meter._recent) <= 4, 'memory that does not grow'
    meter.push(np.concatenate([noise(1), np.zeros(9 * SAMPLE_RATE, np.float32)]))
    assert meter.recent_dbfs > -math.inf, 'all of the last push counts'


@pytest.mark.parametrize(
    ('seconds', 'starts'),
    [
        (3, [0]),
        (5, [0]),
        (5.001, [0]),
        (7.4, [0]),
        (7.5, [0, 2.5]),
        (7.6, [0, 2.6]),
        (10, [0, 5]),
        (12.4, [0, 5]),
        (12.6, [0, 5, 7.6]),
    ],
)
def test_windows_of_a_clip_have_no_padding(seconds, starts):
    """A remainder shorter than half a window has none; a longer one ends with the clip; a short clip is repeated."""
    samples = 5 * audio.SAMPLE_RATE
    clip = np.arange(1, round(seconds * audio.SAMPLE_RATE) + 1, dtype=np.float32)
    found = audio.windows(clip, samples)
    assert found.shape == (len(starts), samples)
    for window, start in zip(found, starts, strict=True):
        assert window[0] == round(start * audio.SAMPLE_RATE) + 1
        assert window[-1] == window[0] + samples - 1 or seconds < 5
    if seconds < 5:
        np.testing.assert_array_equal(found[0], audio.fit_length(clip, samples))


def test_an_empty_waveform_has_no_windows():
    with pytest.raises(BadAudio, match='an empty waveform cannot be repeated'):
        audio.windows(np.zeros(0, np.float32), 3)


@pytest.mark.parametrize('rate', [1, 2_000_000_000])
def test_the_rate_of_a_file_is_not_what_its_user_passed(rate):
    with pytest.raises(BadAudio, match=rf'^: {rate:,} samples per second, not 1,000 to 999,999: its header is wrong$'):
        audio.Intake(rate, name='')
    with pytest.raises(BadAudio, match=rf'^x: sample_rate={rate}: pass samples per second, 1000 or more'):
        audio.Intake(rate, name='x')

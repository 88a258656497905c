"""Synthetic sounds and corrupted clips are what their names say."""

import numpy as np
import pytest

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.shipping import probes
from soundnet_tf.testing import noise, tone


def decibels(waveform):
    return 20 * np.log10(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))


@pytest.mark.parametrize('kind', probes.SYNTHETIC)
def test_synthetic_sounds(kind):
    made = [probes.synthetic(kind, seed) for seed in range(3)]
    for waveform in made:
        assert (waveform.dtype, waveform.shape) == (np.float32, (round(probes.SECONDS * SAMPLE_RATE),))
        assert np.isfinite(waveform).all()
        assert np.abs(waveform).max() <= 1
    assert np.array_equal(made[0], probes.synthetic(kind, 0))
    if kind == 'silence':
        assert not np.any(made)
    else:
        assert all(-40 < decibels(waveform - waveform.mean()) < -11 for waveform in made)
        assert not np.array_equal(made[0], made[1])


def test_speech_is_voiced_and_pauses_and_music_has_notes():
    speech, music = probes.synthetic('speech-like', 1), probes.synthetic('music-like', 1)
    frames = speech[: len(speech) // 1024 * 1024].reshape(-1, 1024).std(axis=1)
    assert frames.min() < 0.1 * frames.max()
    spectrum = np.abs(np.fft.rfft(music))
    # Tones: a few frequencies have most of the power, as noise never has.
    assert np.sort(spectrum**2)[-len(spectrum) // 50 :].sum() > 0.8 * (spectrum**2).sum()


def test_altered_clips():
    clip = noise(1, amplitude=0.3) + tone(1, 6000, amplitude=0.3)
    altered = {kind: alter(clip) for kind, alter in probes.CORRUPTIONS.items()}
    assert np.array_equal(altered.pop('as it is'), clip)
    piece = altered.pop('its loudest half second alone')
    assert len(piece) == SAMPLE_RATE // 2
    assert all(waveform.shape == clip.shape and waveform.dtype == np.float32 for waveform in altered.values())
    quiet, clipped, telephone, noisy = altered.values()
    assert decibels(quiet) == pytest.approx(decibels(clip) - 40, abs=0.5)
    assert np.mean(np.abs(clipped) == 1) > 0.5
    high = np.abs(np.fft.rfft(telephone))[4500:]
    assert high.max() < 0.05 * np.abs(np.fft.rfft(clip))[4500:].max()
    assert decibels(noisy) == pytest.approx(decibels(clip) + 3, abs=0.5)


def test_the_loudest_half_second():
    clip = 0.01 * noise(3)
    clip[40_000:50_000] = noise(1)[:10_000]
    piece = probes.CORRUPTIONS['its loudest half second alone'](clip)
    assert np.square(piece).sum() > 0.99 * np.square(clip).sum()
    short = noise(0.3)
    assert np.array_equal(probes.CORRUPTIONS['its loudest half second alone'](short), short)

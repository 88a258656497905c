"""Filters of known frequency come out at that frequency, in that order."""

import numpy as np
import pytest

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import SoundNetError
from soundnet_tf.nets import saved
from soundnet_tf.visualize import filters

TONES_HZ = (4000.0, 500.0, 9000.0, 1500.0)


def made():
    times = np.arange(64) / SAMPLE_RATE
    waves = [
        np.hanning(64) * np.sin(2 * np.pi * hz * times) * size
        for hz, size in zip(TONES_HZ, (1, 5, 0.1, 2), strict=True)
    ]
    return np.stack(waves, axis=1)[:, None].astype(np.float32)


def test_sorted_by_centre_frequency():
    found = filters.of('conv1', made())
    assert found.units.tolist() == [1, 3, 0, 2]
    np.testing.assert_allclose(found.centres_hz, sorted(TONES_HZ), rtol=0.05)
    peaks = found.hz[found.levels_db.argmax(axis=1)]
    np.testing.assert_allclose(peaks, sorted(TONES_HZ), atol=150)
    np.testing.assert_allclose(found.levels_db.max(axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(abs(found.waves).max(axis=1), 1)


def test_spectra_are_those_of_the_definition():
    kernel = made()
    found = filters.of('conv1', kernel)
    bin = 100
    wave = np.exp(-2j * np.pi * bin * np.arange(64) / filters.FFT)
    powers = abs(kernel[:, 0, found.units].T @ wave) ** 2
    peaks = [max(abs(np.fft.rfft(kernel[:, 0, unit], filters.FFT)) ** 2) for unit in found.units]
    np.testing.assert_allclose(found.levels_db[:, bin], 10 * np.log10(powers / peaks), rtol=1e-3)


def test_of_a_saved_net(net):
    found = filters.read(net, saved.read_spec(net))
    with np.load(net / 'weights.npz') as weights:
        kernel = weights['conv1/kernel']
    assert (found.layer, len(found.units)) == ('conv1', kernel.shape[2])
    assert np.diff(found.centres_hz).min(initial=0) >= 0
    one = kernel[:, 0, found.units[0]]
    np.testing.assert_allclose(found.waves[0], one / abs(one).max(), rtol=1e-5)


def test_a_silent_filter_is_shown_too():
    assert np.isfinite(filters.of('conv1', np.zeros([64, 1, 2])).levels_db).all()


def test_damaged_weights(net, tmp_path):
    (tmp_path / 'weights.npz').write_text('no')
    with pytest.raises(SoundNetError, match=r'weights\.npz: cannot be read \(.*\)\. Save the net again'):
        filters.read(tmp_path, saved.read_spec(net))

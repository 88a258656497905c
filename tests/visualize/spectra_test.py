"""A tone is drawn at its height, a click at its time, and a waveform by its least and greatest samples."""

import io

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.testing import noise, tone
from soundnet_tf.visualize import spectra


@pytest.mark.parametrize('hz', [200, 1000, 4000, 9000])
def test_a_tone_is_drawn_at_its_height(hz):
    db = spectra.levels(tone(1, hz), 0, SAMPLE_RATE, 50, 96)
    row = db[:, 5:-5].mean(axis=1).argmax()
    assert row / 95 == pytest.approx(spectra.height(hz), abs=0.015)


def test_heights():
    assert spectra.height(spectra.MIN_HZ) == 0
    assert spectra.height(spectra.MAX_HZ) == 1
    assert 0 < spectra.height(250) < spectra.height(1000) < spectra.height(4000) < 1


def test_a_click_is_drawn_at_its_time():
    waveform = noise(2, 1e-4)
    waveform[SAMPLE_RATE // 2] = 1
    db = spectra.levels(waveform, 0, len(waveform), 200, 64)
    assert db.mean(axis=0).argmax() == pytest.approx(50, abs=1)


@given(st.integers(0, 20_000), st.integers(2_000, 20_000))
def test_a_part_is_drawn_as_in_the_whole(start, samples):
    """By the definition, one column at a time."""
    waveform = noise(2)
    db = spectra.levels(waveform, start, samples, 10, 32)
    padded = np.pad(waveform, spectra.WINDOW)
    for column in (0, 4, 9):
        centre = round(start + (column + 0.5) * samples / 10) + spectra.WINDOW
        window = padded[centre - spectra.WINDOW // 2 :][: spectra.WINDOW] * np.hanning(spectra.WINDOW)
        power = abs(np.fft.rfft(window)) ** 2 @ spectra._bands(32)
        np.testing.assert_allclose(db[:, column], 10 * np.log10(power + 1e-12), rtol=1e-6)


def test_each_row_is_a_mean_of_bins():
    np.testing.assert_allclose(spectra._bands(96).sum(axis=0), 1)


def test_the_picture():
    png = spectra.picture(tone(1, 1000), 0, SAMPLE_RATE, 100, 64)
    with av.open(io.BytesIO(png)) as container:
        (frame,) = container.decode(video=0)
    picture = frame.to_ndarray(format='rgb24')
    assert picture.shape == (64, 100, 3)
    row = picture.astype(int).sum(axis=(1, 2)).argmax()
    assert 1 - row / 63 == pytest.approx(spectra.height(1000), abs=0.03), 'low frequencies are at the foot'
    known = {tuple(colour) for colour in spectra.PALETTE.tolist()}
    assert {tuple(colour) for colour in picture.reshape(-1, 3).tolist()} <= known


def test_silence_is_dark():
    for waveform in (np.zeros(SAMPLE_RATE, np.float32), noise(1, amplitude=1e-6)):
        with av.open(io.BytesIO(spectra.picture(waveform, 0, SAMPLE_RATE))) as container:
            (frame,) = container.decode(video=0)
        assert frame.to_ndarray(format='rgb24').max() < 40


def test_shades_grow_lighter_throughout():
    """So that they can be distinguished with any colour vision, and in print."""
    luminance = spectra.PALETTE @ [0.2126, 0.7152, 0.0722]
    assert np.diff(luminance).min() > 0


@given(st.integers(1, 500), st.integers(1, 96))
def test_the_outline(samples, columns):
    waveform = np.random.default_rng(samples).uniform(-1, 1, samples).astype(np.float32)
    pairs = np.frombuffer(bytes.fromhex(spectra.outline(waveform, columns)), np.uint8).reshape(-1, 2) / 127.5 - 1
    assert len(pairs) == columns
    assert (pairs[:, 0] <= pairs[:, 1]).all()
    if samples >= columns:
        np.testing.assert_allclose([pairs.min(), pairs.max()], [waveform.min(), waveform.max()], atol=1 / 127)

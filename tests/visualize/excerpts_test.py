"""An excerpt is what the unit saw, whichever way the file is read; MP3, picture and outline are of it."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundnet_tf import geometry, load
from soundnet_tf.audio import SAMPLE_RATE, decoding
from soundnet_tf.inference.embedding import Clip
from soundnet_tf.testing import noise, thin_spec
from soundnet_tf.visualize import excerpts, spectra
from soundnet_tf.visualize.excerpts import Window

SPEC = thin_spec()


@pytest.mark.parametrize(('layer', 'frame'), [('conv5', 20), ('conv5', 0), ('pool5', 3), ('conv7', 1)])
def test_a_unit_sees_its_window_and_nothing_else(net, layer, frame):
    embedder, waveform = load(net), noise(5)
    values = embedder.embed(waveform, SAMPLE_RATE, layer).values[frame]
    window = excerpts.window_of(SPEC, layer, 0, frame)
    assert window.samples == geometry.receptive_field(SPEC, layer)
    start, end = max(0, window.start), window.start + window.samples
    alone = np.zeros_like(waveform)
    alone[start:end] = waveform[start:end]
    np.testing.assert_allclose(embedder.embed(alone, SAMPLE_RATE, layer).values[frame], values, atol=1e-4)
    # The outermost samples of a window may hardly matter; a tenth at either end does.
    for part in (slice(start, start + window.samples // 10), slice(end - window.samples // 10, end)):
        less = alone.copy()
        less[part] = 0
        assert abs(embedder.embed(less, SAMPLE_RATE, layer).values[frame] - values).max() > 1e-3


def test_excerpts_that_are_too_short_are_extended():
    window, field = excerpts.window_of(SPEC, 'conv1', 0, 30_000), geometry.receptive_field(SPEC, 'conv1')
    assert window.samples == excerpts.MIN_SAMPLES
    middle = geometry.first_sample(SPEC, 'conv1') + 30_000 * geometry.hop(SPEC, 'conv1') + field / 2
    assert window.start + window.samples / 2 == pytest.approx(middle, abs=1)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(st.integers(-5000, 60_000), st.integers(5001, 30_000)), min_size=1, max_size=5),
    st.lists(st.integers(1, 20_000), min_size=1, max_size=9),
)
def test_cut_from_pieces_is_cut_from_the_whole(places, sizes):
    whole = noise(3)[: 3 * SAMPLE_RATE]
    windows = [Window(0, start, samples) for start, samples in places]
    edges = np.minimum(np.cumsum([0, *sizes, len(whole)]), len(whole))
    pieces = [whole[a:b] for a, b in itertools.pairwise(edges) if b > a]
    of_whole = {one.window: one for one in excerpts.cut(Clip(whole, len(whole)), windows, len(whole))}
    of_pieces = {one.window: one for one in excerpts.cut(iter(pieces), windows, len(whole))}
    assert of_whole.keys() == of_pieces.keys() == set(windows)
    for window in windows:
        one, other = of_whole[window], of_pieces[window]
        assert (one.start, one.samples, one.before) == (other.start, other.samples, other.before)
        np.testing.assert_array_equal(one.waveform, other.waveform)
        end = min(len(whole), window.start + window.samples)
        inner = one.waveform[one.before : one.before + one.samples]
        np.testing.assert_array_equal(inner, whole[max(0, window.start) : end])


def test_the_loudest_part():
    waveform = noise(10, 0.01)
    waveform[4 * SAMPLE_RATE : 6 * SAMPLE_RATE] *= 20
    assert excerpts.loudest(waveform, 2 * SAMPLE_RATE) == pytest.approx(4 * SAMPLE_RATE, abs=SAMPLE_RATE / 10)
    assert excerpts.loudest(waveform[:100], 100) == 0


@pytest.fixture
def one(net, sounds, tmp_path):
    """How to write excerpts of one sound."""
    path = str(sounds / '002 - noises' / '3.wav')

    def write(*windows):
        return excerpts.write(load(net), {7: path}, {7: 3 * SAMPLE_RATE}, ['conv5'], windows, tmp_path)

    return write


def test_what_is_written(one, tmp_path, sounds):
    window = Window(7, 22_000, 10_000)
    facts = one(window, window)['7-22000-10000']
    assert (facts['start'], facts['end']) == (round(22_000 / SAMPLE_RATE, 3), round(32_000 / SAMPLE_RATE, 3))
    heard = decoding.read(tmp_path / 'sounds' / '7-22000-10000.mp3')
    true = decoding.read(sounds / '002 - noises' / '3.wav')[22_000:32_000]
    assert 0 <= len(heard) - len(true) < 48
    assert np.corrcoef(heard[: len(true)], true)[0, 1] > 0.9
    assert facts['outline'] == spectra.outline(true)
    assert (tmp_path / 'pictures' / '7-22000-10000.png').read_bytes().startswith(b'\x89PNG')
    assert not list(tmp_path.rglob('*.part'))


def test_a_stopped_run_resumes(one, tmp_path):
    first, second = Window(7, 0, 5000), Window(7, 6000, 5000)
    one(first)
    made = tmp_path / 'sounds' / f'{first.id}.mp3'
    made.write_bytes(b'as it was')
    with (tmp_path / excerpts.INDEX).open('a') as index:
        index.write('{"id": "7-6000-5000", "sta')
    assert set(one(first, second)) == {first.id, second.id}
    assert made.read_bytes() == b'as it was'
    assert (tmp_path / 'sounds' / f'{second.id}.mp3').stat().st_size > 1000
    assert json.loads((tmp_path / excerpts.INDEX).read_text().splitlines()[-1])['id'] == second.id


def test_a_deleted_file_has_no_excerpts(net, tmp_path):
    gone = excerpts.write(load(net), {0: 'gone.wav'}, {0: 100}, ['conv5'], [Window(0, 0, 50)], tmp_path)
    assert gone == {}

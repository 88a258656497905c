"""Augmentation: crops, speeds, gains and mixtures against plain numpy, and chance that repeats."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.experiments.recipes import RECIPES, Recipe
from soundnet_tf.finetune import equaliser, loudness
from soundnet_tf.finetune.augment import Batch, Crops, mixing_weights, render
from soundnet_tf.finetune.waveforms import FULL_SCALE, Sounds, to_int16
from soundnet_tf.testing import noise

LENGTHS = (3000, 2000, 700, 4000, 2500, 3100)
TARGETS = (0, 1, 2, 0, 1, 2)
LEVELS_DB = (-10, -15, -40, -30, -22, -3)
OCTAVES = len(loudness.OCTAVES_HZ)
SMALL = Recipe(crop_s=1000 / SAMPLE_RATE, batch=4)


def numbered():
    """Clip k counts from 1000 k: every sample tells where it comes from."""
    samples = [np.arange(1, length + 1, dtype=np.int16) + 5000 * k for k, length in enumerate(LENGTHS)]
    powers = [
        np.full([length // loudness.STEP + 1, OCTAVES], 10 ** (LEVELS_DB[k] / 10) / OCTAVES, np.float32)
        for k, length in enumerate(LENGTHS)
    ]
    return Sounds(np.concatenate(samples), np.cumsum(LENGTHS).tolist(), powers)


def crops(seed=0, **changes):
    return Crops(dataclasses.replace(SMALL, **changes), numbered(), range(6), TARGETS, 3, seed)


def rendered(batch: Batch, of: Crops):
    return render(batch, of.samples, stretched=of.stretched)


def whole(epoch):
    batches = list(epoch)
    return [np.concatenate([getattr(b, f.name) for b in batches]) for f in dataclasses.fields(Batch)]


def test_plain_crops_are_pieces_of_the_clips():
    made = crops()
    batches = list(made.epoch(0))
    assert [len(batch.targets) for batch in batches] == [3, 3]
    assert sorted(np.concatenate([batch.targets.argmax(1) for batch in batches])) == [0, 0, 1, 1, 2, 2]
    seen = set()
    for batch in batches:
        waveforms = rendered(batch, made)
        assert waveforms.shape == (3, 1000)
        for row, target in zip(np.rint(waveforms * FULL_SCALE).astype(int), batch.targets, strict=True):
            clip = (row[0] - 1) // 5000
            seen.add(clip)
            assert TARGETS[clip] == target.argmax()
            # The third clip is shorter than a crop: it is repeated.
            steps = np.diff(row)
            assert (steps == 1).all() if clip != 2 else sorted(set(steps)) == [1 - LENGTHS[2], 1]
    assert seen == set(range(6))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), pad=st.integers(0, 1500))
def test_crops_reach_into_the_silence_around_a_clip(seed, pad):
    pieces, *_ = whole(crops(seed, pad_s=pad / SAMPLE_RATE).epoch(seed))
    for row in pieces[:, 0]:
        inside = np.flatnonzero(row)
        if len(inside):
            clip = (row[inside[0]] - 1) // 5000
            # Silence comes only before a first sample and after a last one.
            assert inside[0] == 0 or row[inside[0]] == 5000 * clip + 1
            assert inside[-1] == 999 or row[inside[-1]] == 5000 * clip + LENGTHS[clip]
            repeated = not pad and LENGTHS[clip] < 1000
            assert repeated or (np.diff(row[inside[0] : inside[-1] + 1]) == 1).all()
        else:
            assert pad >= 1000


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), pad=st.integers(0, 30_000), before=st.integers(0, 20_000))
def test_crops_leave_out_the_trimmed_ends(seed, pad, before):
    """A second of sound with a softer one before, and 0.1 s of sound that is all there is of a clip."""
    wave = noise(1, 0.1)
    softer = np.concatenate([np.zeros(before), 0.001 * noise(1, 0.1, 1), wave, np.zeros(5000)]).astype(np.float32)
    waves = [softer, np.concatenate([np.zeros(9000), wave[:2205], np.zeros(9000)]).astype(np.float32)]
    samples = [to_int16(wave) for wave in waves]
    sounds = Sounds(
        np.concatenate(samples), np.cumsum([len(own) for own in samples]).tolist(), list(map(loudness.powers, waves))
    )
    spans = [sounds.span(clip, 30.0) for clip in range(2)]
    for (begin, end), first, last in zip(spans, (before + SAMPLE_RATE, 9000), (len(softer) - 5000, 11205), strict=True):
        assert first - 2 * loudness.WINDOW <= begin <= first
        assert last <= end <= last + 2 * loudness.WINDOW
    assert sounds.span(0, 0.0) == (0, len(softer))
    recipe = Recipe(crop_s=0.5, batch=2, pad_s=pad / SAMPLE_RATE, trim_db=30.0)
    made = Crops(recipe, sounds, range(2), (0, 1), 2, seed)
    pieces, *_, targets = whole(made.epoch(seed))
    for piece, target in zip(pieces[:, 0], targets, strict=True):
        clip = int(target.argmax())
        begin, end = spans[clip]
        kept = samples[clip][begin:end]
        # Every crop is a part of the kept sound in silence, or, where none is to be had, the sound repeated.
        around = np.pad(kept, max(pad, len(piece))) if pad or len(kept) >= len(piece) else np.resize(kept, len(piece))
        windows = np.lib.stride_tricks.sliding_window_view(around, len(piece))
        assert (windows == piece).all(axis=1).any()


@pytest.mark.parametrize('amplitude', [0.003, 0.0])
def test_quiet_clips_are_trimmed_and_silent_or_tiny_ones_are_not(amplitude):
    wave = np.pad(noise(0.5, amplitude), (40_000, 20_000)).astype(np.float32)
    waves = [wave, wave[:0], noise(0.01, amplitude)]
    samples = np.concatenate(list(map(to_int16, waves)))
    sounds = Sounds(samples, np.cumsum(list(map(len, waves))).tolist(), list(map(loudness.powers, waves)))
    assert sounds.span(1, 40.0) == (0, 0)
    assert sounds.span(2, 40.0) == (0, len(waves[2]))
    begin, end = sounds.span(0, 40.0)
    if amplitude:
        assert 40_000 - loudness.WINDOW <= begin <= 40_000
        assert len(wave) - 20_000 <= end <= len(wave) - 20_000 + loudness.WINDOW
    else:
        assert (begin, end) == (0, len(wave))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), stretch=st.floats(1.05, 2))
def test_speeds_are_within_bounds_and_crops_are_full(seed, stretch):
    made = crops(seed, stretch=stretch)
    batch = next(made.epoch(0))
    assert (batch.speeds >= 1 / stretch - 1e-6).all()
    assert (batch.speeds <= stretch + 1e-6).all()
    waveforms = rendered(batch, made) * FULL_SCALE
    for row, speed in zip(waveforms, batch.speeds[:, 0], strict=True):
        assert (row > 0).all()
        if (row[0] - 1) // 5000 != 2:
            np.testing.assert_allclose(np.diff(row), speed, atol=0.02)


@pytest.mark.parametrize('stretched', [False, True])
def test_rendering_is_interpolation_weighing_and_adding(stretched):
    rng = np.random.default_rng(1)
    times = np.arange(1300)
    pieces = rng.integers(-32768, 32768, (5, 2, 1300)).astype(np.int16)
    speeds = rng.uniform(0.8, 1.25, (5, 2)).astype(np.float32) if stretched else np.ones((5, 2), np.float32)
    weights = rng.normal(size=(5, 2)).astype(np.float32)
    samples = 1000 if stretched else 1300
    batch = Batch(pieces, speeds, weights, np.zeros([5, 2, 0], np.float32), np.zeros([5, 3], np.float32))
    got = render(batch, samples, stretched=stretched)
    wanted = [
        sum(w * np.interp(np.arange(samples) * v, times, p) for p, v, w in zip(*voices, strict=True)) / FULL_SCALE
        for voices in zip(pieces, speeds, weights, strict=True)
    ]
    np.testing.assert_allclose(got, wanted, atol=1e-6)


@given(share=st.floats(0.001, 0.999), first=st.floats(-80, 0), second=st.floats(-80, 0))
def test_mixing_weights_are_those_of_between_class_learning(share, first, second):
    p = 1 / (1 + 10 ** ((first - second) / 20) * (1 - share) / share)
    wanted = np.array([p, 1 - p]) / np.sqrt(p**2 + (1 - p) ** 2)
    got = mixing_weights(np.array([share]), np.array([first]), np.array([second]))[0]
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)
    # Uncorrelated sounds keep their power, and what is heard of them is in the ratio of the labels.
    assert np.square(got).sum() == pytest.approx(1, abs=1e-5)
    heard_db = 20 * np.log10(got[0] / got[1]) + first - second
    assert heard_db == pytest.approx(20 * np.log10(share / (1 - share)), abs=0.05)


@pytest.mark.parametrize('share', [0.0, 1.0])
def test_nothing_of_a_sound_is_nothing(share):
    np.testing.assert_allclose(mixing_weights(np.array([share]), np.zeros(1), np.zeros(1)), [[share, 1 - share]])


def test_mixtures_are_of_two_classes_with_both_in_the_label():
    made = crops(mix=True)
    pieces, _, weights, _, targets = whole(made.epoch(3))
    clips = (pieces.max(axis=2) - 1) // 5000
    classes = np.array(TARGETS)[clips]
    assert (classes[:, 0] != classes[:, 1]).all()
    assert sorted(clips[:, 0]) == list(range(6))
    share = targets[np.arange(6), classes[:, 0]]
    np.testing.assert_allclose(targets.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(targets[np.arange(6), classes[:, 1]], 1 - share, rtol=1e-5)
    db = np.array(LEVELS_DB)[clips]
    np.testing.assert_allclose(weights, mixing_weights(share.astype(float), db[:, 0], db[:, 1]), rtol=1e-4)


@given(seed=st.integers(0, 10_000), gain_db=st.floats(0, 20))
def test_gain_and_sign(seed, gain_db):
    *_, weights, _, _ = whole(crops(seed, gain_db=gain_db, flip=True).epoch(0))
    assert (np.abs(20 * np.log10(np.abs(weights))) <= gain_db + 1e-4).all()
    *_, unturned, _, _ = whole(crops(seed, gain_db=gain_db).epoch(0))
    assert (unturned > 0).all()


def test_both_signs_come():
    *_, weights, _, _ = whole(crops(flip=True).epoch(0))
    assert set(weights[:, 0]) == {-1, 1}


@pytest.mark.parametrize('mix', [False, True])
def test_each_voice_goes_through_its_own_filter(mix):
    made = crops(batch=6, mix=mix, stretch=1.25, filter_db=12.0)
    (batch,) = made.epoch(0)
    assert batch.filters.shape == (6, 1 + mix, equaliser.TAPS)
    assert len(np.unique(batch.filters.reshape(6 + 6 * mix, -1), axis=0)) == 6 + 6 * mix
    wanted = np.zeros([6, made.samples])
    for voice in range(1 + mix):
        parts = {name: getattr(batch, name)[:, voice : voice + 1] for name in ('pieces', 'speeds', 'weights')}
        alone = rendered(dataclasses.replace(batch, **parts, filters=batch.filters[:, :1, :0]), made)
        wanted += [np.convolve(wave, taps, 'same') for wave, taps in zip(alone, batch.filters[:, voice], strict=True)]
    np.testing.assert_allclose(rendered(batch, made), wanted, atol=1e-5)


def test_mixtures_keep_their_loudness_shares_with_any_filters():
    """Noise of six colours, each voice's loudness measured after its filter, against the label."""
    colours = equaliser.filters(np.random.default_rng(0).uniform(-20, 20, [6, OCTAVES]))
    waves = [np.convolve(noise(0.5, 0.02, k), taps, 'same').astype(np.float32) for k, taps in enumerate(colours)]
    samples = [to_int16(wave) for wave in waves]
    sounds = Sounds(
        np.concatenate(samples), np.cumsum([len(wave) for wave in waves]).tolist(), list(map(loudness.powers, waves))
    )
    recipe = Recipe(crop_s=0.5, batch=6, mix=True, filter_db=20.0)
    made = Crops(recipe, sounds, range(6), TARGETS, 3, 0)
    misses = []
    for batch in (next(made.epoch(number)) for number in range(5)):
        heard_db = np.zeros([6, 2])
        for voice in range(2):
            weights = batch.weights * np.eye(2, dtype=np.float32)[voice]
            for row, wave in enumerate(rendered(dataclasses.replace(batch, weights=weights), made)):
                heard_db[row, voice] = loudness.loudest(loudness.powers(wave), 0, len(wave))
        first = batch.pieces[:, 0].astype(int)
        share = np.array(
            [target[TARGETS[_clip_of(piece, samples)]] for target, piece in zip(batch.targets, first, strict=True)]
        )
        predicted_db = 20 * np.log10(share / (1 - share))
        fair = (share > 0.05) & (share < 0.95)
        misses += list((heard_db[:, 0] - heard_db[:, 1] - predicted_db)[fair])
    assert len(misses) > 20
    assert np.abs(misses).max() < 6
    assert np.abs(misses).mean() < 2


def _clip_of(piece, samples):
    return next(k for k, own in enumerate(samples) if np.array_equal(own[: len(piece)], piece))


@given(voices=st.integers(1, 3), samples=st.integers(1, 3000), taps=st.integers(0, 50).map(lambda k: 2 * k + 1))
@settings(deadline=None)
def test_mixed_is_numpys_convolution(voices, samples, taps):
    chance = np.random.default_rng(samples)
    waves, filters = (chance.normal(size=[voices, size]).astype(np.float32) for size in (samples, taps))
    wanted = sum(np.convolve(wave, own)[taps // 2 :][:samples] for wave, own in zip(waves, filters, strict=True))
    found = equaliser.mixed(waves, filters)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@given(seed=st.integers(0, 10_000), most_db=st.floats(0, 12))
def test_filters_turn_octaves_up_and_down_and_shift_nothing(seed, most_db):
    """Looked at between the frequencies that a filter is made from, too."""
    gains_db = np.random.default_rng(seed).uniform(-most_db, most_db, len(loudness.OCTAVES_HZ))
    taps = equaliser.filters(gains_db)
    np.testing.assert_allclose(taps, taps[::-1], atol=1e-5)
    hz = np.fft.rfftfreq(8192, 1 / SAMPLE_RATE)
    found_db = 20 * np.log10(np.abs(np.fft.rfft(taps.astype(float), 8192)))
    wanted_db = np.interp(np.log2(np.maximum(hz, 1)), np.log2(loudness.OCTAVES_HZ), gains_db)
    miss = found_db - wanted_db
    assert np.abs(miss).max() <= 0.01 + most_db / 2.5
    assert np.sqrt(np.square(miss).mean()) <= 0.01 + most_db / 25


def test_a_filter_without_gains_changes_nothing():
    identity = equaliser.filters(np.zeros(len(loudness.OCTAVES_HZ)))
    np.testing.assert_allclose(identity, np.arange(equaliser.TAPS) == equaliser.TAPS // 2, atol=1e-7)


def test_an_epoch_repeats_and_resumes_in_its_middle():
    changes = {name: getattr(RECIPES['from_scratch'], name) for name in ('gain_db', 'flip', 'stretch', 'filter_db')}
    changes |= {'mix': True, 'trim_db': 10.0}
    first, again, rest = (
        list(crops(7, **changes).epoch(2)),
        list(crops(7, **changes).epoch(2)),
        list(crops(7, **changes).epoch(2, skip=1)),
    )
    for one, other in zip([*first, *first[1:]], [*again, *rest], strict=True):
        for field in dataclasses.fields(Batch):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))
    for other in (crops(7, **changes).epoch(1), crops(8, **changes).epoch(2)):
        assert not np.array_equal(next(other).pieces, first[0].pieces)

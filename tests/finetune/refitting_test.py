"""What a refitted head hears: copies of clips, and noise of no class."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.evaluation import svm
from soundnet_tf.finetune import student
from soundnet_tf.finetune.refitting import LEVELS_DB, SLOPES, moved, noises
from soundnet_tf.finetune.waveforms import FULL_SCALE
from soundnet_tf.nets import model
from soundnet_tf.spec import SOUNDNET5, thin
from soundnet_tf.testing import enliven
from tests.finetune.student_test import DATA, FRAMES, held


@given(
    length=st.integers(1, 400), ends=st.tuples(st.floats(0, 1), st.floats(0, 1)), stretch=st.floats(1, 4),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_a_copy_is_the_sound_at_another_speed_and_place(length, ends, stretch, seed):
    """A ramp, so that each sample says where in the clip it is from."""
    begin, end = sorted(round(share * length) for share in ends)
    end = max(end, begin + 1)
    clip = np.arange(1, length + 2, dtype=np.int16) * 50
    copy = moved(clip, (begin, end), stretch, np.random.default_rng(seed))
    assert (copy.dtype, len(copy)) == (np.int16, len(clip))
    sound = copy[np.flatnonzero(copy)]
    assert set(copy[np.flatnonzero(copy)[0] :][: len(sound)]) == set(sound)  # in one piece
    assert clip[begin] <= sound.min() <= sound.max() <= clip[end - 1]
    before_end = sound[sound < clip[end - 1]]  # after its last sample, that sample is held
    speeds = np.diff(before_end) / 50
    if len(speeds):
        assert 1 / stretch - 0.05 <= speeds.min() <= speeds.max() <= min(speeds.min() + 0.05, stretch + 0.05)
    if len(sound) < len(clip):
        assert sound[0] == clip[begin]


def test_copies_are_at_all_places_and_speeds():
    clip, rng = np.full(1000, 9, np.int16), np.random.default_rng(0)
    copies = [moved(clip, (200, 700), 1.25, rng) for _ in range(300)]
    lengths, starts = zip(*((np.count_nonzero(copy), np.flatnonzero(copy)[0]) for copy in copies), strict=True)
    assert 400 <= min(lengths) < 410
    assert 615 < max(lengths) <= 625
    assert min(starts) < 20
    assert max(np.add(starts, lengths)) > 980
    assert (np.diff(lengths) != 0).any()


def test_colours_and_levels():
    silence, *rest = noises(40, SAMPLE_RATE, 3)
    assert not silence.any()
    hertz = np.fft.rfftfreq(SAMPLE_RATE, 1 / SAMPLE_RATE)
    middle = (hertz > 100) & (hertz < 5000)
    slopes, levels = [], []
    for noise in rest:
        spectrum = np.abs(np.fft.rfft(noise / FULL_SCALE))[middle]
        slopes.append(-np.polyfit(np.log(hertz[middle]), np.log(spectrum + 1e-9), 1)[0])
        levels.append(20 * np.log10((noise / FULL_SCALE).std()))
    for found, (low, high), off in ((slopes, SLOPES, 0.1), (levels, LEVELS_DB, 1)):
        assert low - off < min(found) < low + 0.2 * (high - low)
        assert high - 0.2 * (high - low) < max(found) < high + off
    np.testing.assert_array_equal(rest[0], noises(2, SAMPLE_RATE, 3)[1])
    assert not np.array_equal(rest[0], noises(2, SAMPLE_RATE, 4)[1])


def test_a_regression_on_sounds_of_no_class():
    """The target of each is every class alike: the gradient is that of the mean cross-entropy to uniform targets."""
    rng = np.random.default_rng(0)
    x, y, rest = rng.normal(size=(40, 3)), rng.integers(3, size=40), rng.normal(size=(10, 3)) + 4
    fitted = svm.logistic(x, y, 0.5, rest)
    every = np.concatenate([x, rest])
    targets = np.concatenate([np.eye(3)[y], np.full((10, 3), 1 / 3)])
    slope = (special.softmax(every @ fitted.coef_.T + fitted.intercept_, axis=1) - targets).T @ every
    np.testing.assert_allclose(0.5 * slope + fitted.coef_, 0, atol=2e-3)


@pytest.mark.parametrize('classes', [2, 3])
def test_a_refitted_head_is_unsure_of_noise(classes):
    dataset = dataclasses.replace(DATA, classes=DATA.classes[:classes], clips=DATA.clips[:classes])
    spec = student.spec_for(thin(SOUNDNET5, 1 / 8), dataset, FRAMES)
    net = enliven(student.build(spec, dataset, None))
    tones = [np.sin(np.arange(2 * SAMPLE_RATE) * 0.02 * (1 + n % classes)).astype(np.float32) for n in range(24)]
    heard, targets = held(*tones), np.arange(24) % classes
    scorer, learned, others = student.Scorer(net), noises(30, SAMPLE_RATE, 0), noises(30, SAMPLE_RATE, 1)
    said = {}
    for of_none in ((), learned):
        scorer.refit([[heard[clip] for clip in range(24)]], targets, 10.0, of_none)
        assert (scorer.scores(heard, range(24)).argmax(axis=1) == targets).all()
        logits = [model.logits(net)(noise[None] / np.float32(FULL_SCALE))['pets'][0] for noise in others]
        said[len(of_none)] = special.softmax(np.mean(logits, axis=1), axis=1).max(axis=1)
    assert said[30].mean() < 1 / classes + 0.1 < said[0].mean()

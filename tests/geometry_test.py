"""Lengths, fields and times, held against the paper's table and against brute force."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundnet_tf import geometry
from soundnet_tf.errors import ShortClip, UnknownLayer
from soundnet_tf.spec import SAMPLE_RATE, SOUNDNET5, SOUNDNET8, Conv, Head, NetSpec, Pool

# Rows of the paper's tables for 20 s with strides and paddings of the authors' code: length,
# receptive field in s, hop in samples, shortest input. (The printed 220,050 and 27,506 of conv1
# and pool1 are misprints: the printed later rows follow from 220,501 and 27,562.)
TABLE8 = {
    'conv1': (220_501, 0.003, 2, 1),
    'pool1': (27_562, 0.004, 16, 14),
    'conv2': (13_782, 0.026, 32, 14),
    'pool2': (1_722, 0.036, 256, 222),
    'conv3': (862, 0.210, 512, 222),
    'conv4': (432, 0.373, 1_024, 222),
    'conv5': (217, 0.512, 2_048, 222),
    'pool5': (54, 0.791, 8_192, 4_574),
    'conv6': (28, 1.905, 16_384, 4_574),
    'conv7': (15, 4.135, 32_768, 4_574),
    'conv8': (4, 14.54, 65_536, 209_374),
}
LENGTHS5 = {
    'conv1': 220_501,
    'pool1': 27_562,
    'conv2': 13_782,
    'pool2': 1_722,
    'conv3': 862,
    'pool3': 107,
    'conv4': 54,
    'conv5': 4,
}


@pytest.mark.parametrize('layer', TABLE8)
def test_the_8_layer_table(layer):
    length, field_s, hop, shortest = TABLE8[layer]
    assert geometry.frames(SOUNDNET8, layer, 20 * SAMPLE_RATE) == length
    assert geometry.receptive_field(SOUNDNET8, layer) / SAMPLE_RATE == pytest.approx(field_s, abs=0.005)
    assert geometry.hop(SOUNDNET8, layer) == hop
    assert geometry.min_samples(SOUNDNET8, layer) == shortest


def test_the_5_layer_table():
    assert {layer: geometry.frames(SOUNDNET5, layer, 20 * SAMPLE_RATE) for layer in LENGTHS5} == LENGTHS5
    assert geometry.min_samples(SOUNDNET5, 'conv5') == 56_798
    assert geometry.hop(SOUNDNET5, 'conv4') == geometry.hop(SOUNDNET8, 'pool5') == 8_192


def test_frame_centres():
    assert geometry.frame_times(SOUNDNET8, 'places', 4) == pytest.approx([4.75, 7.72, 10.69, 13.66], abs=0.005)
    # Half the zero padding lies behind the clip, and the last centre with it.
    assert geometry.frame_times(SOUNDNET8, 'conv4', 432)[-1] * SAMPLE_RATE == pytest.approx(441_070.5)


def test_a_head_has_its_own_name_and_the_papers():
    assert geometry.path(SOUNDNET8, 'conv8') == geometry.path(SOUNDNET8, 'imagenet')
    mixed = NetSpec('mixed', SOUNDNET8.layers, (SOUNDNET8.heads[0], Head('esc10', 10, kernel=1, stride=1)), 'pool5')
    assert geometry.min_samples(mixed, 'esc10') == 4_574
    with pytest.raises(UnknownLayer, match=r"no layer 'conv8'; it has conv1, .*imagenet, esc10"):
        geometry.frames(mixed, 'conv8', 100_000)


@st.composite
def tables(draw):
    sizes = st.integers(1, 6)
    rows = []
    for index in range(draw(st.integers(1, 4))):
        if draw(st.booleans()) and rows:
            rows.append(Pool(f'row{index}', draw(sizes)))
        else:
            rows.append(Conv(f'row{index}', 1, draw(sizes), draw(st.integers(0, 3)), draw(st.integers(1, 3))))
    return NetSpec('any', tuple(rows), (Head('head', 1, draw(sizes), 0, 1),), rows[-1].name)


def positions_seen(spec, samples):
    """Brute force: for each frame of the head, the set of (possibly padded) positions that it sees."""
    seen = [{i} for i in range(samples)]
    step = 1
    for row in geometry.path(spec, 'head'):
        if not seen:
            return []
        # A padded step sees what its neighbour sees, shifted: exact for counting and for extent.
        before, end = row.paddings
        padded = [{p - (before - i) * step for p in seen[0]} for i in range(before)]
        behind = [{p + (i + 1) * step for p in seen[-1]} for i in range(end)]
        line = padded + seen + behind
        starts = range(0, len(line) - row.kernel + 1, row.stride)
        seen = [set().union(*line[s : s + row.kernel]) for s in starts]
        step *= row.stride
    return seen


@settings(max_examples=150, deadline=None)
@given(tables(), st.integers(1, 200))
def test_against_brute_force(spec, samples):
    seen = positions_seen(spec, samples)
    assert geometry.frames(spec, 'head', samples) == len(seen)
    times = geometry.frame_times(spec, 'head', len(seen))
    for time, positions in zip(times, seen, strict=True):
        assert max(positions) - min(positions) + 1 == geometry.receptive_field(spec, 'head')
        assert time * SAMPLE_RATE == pytest.approx((max(positions) + min(positions)) / 2)


@settings(max_examples=150, deadline=None)
@given(tables(), st.integers(1, 20))
def test_min_samples_is_the_minimum(spec, frames):
    least = geometry.min_samples(spec, 'head', frames)
    assert geometry.frames(spec, 'head', least) >= frames
    assert least == 1 or geometry.frames(spec, 'head', least - 1) < frames


@pytest.mark.parametrize(
    ('samples', 'layer', 'message'),
    [
        (
            110_250,
            'conv8',
            "rain.wav is 5.00 s; conv8 of soundnet8 needs 9.50 s. Use layer='conv7' (0.21 s) "
            "or tile the clip (short='tile').",
        ),
        (
            300,
            'conv7',
            "rain.wav is 0.01 s; conv7 of soundnet8 needs 0.21 s. Use layer='conv5' (0.01 s) "
            "or tile the clip (short='tile').",
        ),
        (0, 'conv1', 'rain.wav is 0.00 s; conv1 of soundnet8 needs 1 sample. Use a longer clip.'),
    ],
)
def test_messages_of_short_clips(samples, layer, message):
    with pytest.raises(ShortClip) as caught:
        geometry.require(SOUNDNET8, layer, samples, 'rain.wav')
    assert str(caught.value) == message


def test_padding_alone_gives_no_frame():
    assert geometry.frames(SOUNDNET8, 'conv2', 13) == 0
    assert geometry.frames(SOUNDNET8, 'conv1', 0) == 0
    assert np.all([geometry.frames(SOUNDNET8, 'conv7', n) == 0 for n in (0, 1, 4_573)])


@pytest.mark.parametrize('spec', [SOUNDNET8, SOUNDNET5], ids=lambda spec: spec.name)
@pytest.mark.parametrize('row', range(11))
@settings(max_examples=20, deadline=None)
@given(samples=st.integers(1, 1_000_000))
def test_a_step_is_final_after_its_receptive_field(spec, row, samples):
    layer = spec.rows[row % len(spec.rows)].name
    last_seen = geometry.first_sample(spec, layer) + geometry.receptive_field(spec, layer)
    wanted = max(0, (samples - last_seen) // geometry.hop(spec, layer) + 1)
    assert geometry.final_frames(spec, layer, samples) == wanted <= geometry.frames(spec, layer, samples)


def test_latency_is_from_the_centre_of_a_step_to_the_last_sample_that_it_sees():
    for spec in (SOUNDNET8, SOUNDNET5):
        for row in spec.rows:
            (centre,) = geometry.frame_times(spec, row.name, 1)
            final = geometry.first_sample(spec, row.name) + geometry.receptive_field(spec, row.name)
            late = geometry.latency(spec, row.name) - (final - centre * SAMPLE_RATE)
            assert 0 <= late < 1


def test_channels():
    assert [geometry.channels(SOUNDNET8, layer) for layer in ('conv1', 'pool1', 'pool5', 'conv7')] == [
        16,
        16,
        256,
        1024,
    ]
    assert geometry.channels(SOUNDNET5, 'places') == 401
    assert geometry.channels(NetSpec('p', (Pool('a', 2), Conv('b', 3, 2, 0)), (), 'b'), 'a') == 1


@pytest.mark.parametrize(
    ('spec', 'samples', 'ends', 'least'),
    [
        # The published net: conv7's step 14 of 15 was never read, so it is left out at every length.
        (SOUNDNET8, 441_000, {'conv7': 0}, 242_142),
        (SOUNDNET5, 441_000, {'conv4': 0, 'imagenet': 0, 'places': 0}, 105_950),
        # The one step of the heads at 10 s read all of the zeros behind conv6.
        (SOUNDNET8, 220_500, {}, 209_374),
        # Too short for the heads: nothing is known of what they were trained on.
        (SOUNDNET8, 110_250, {}, 209_374),
    ],
)
def test_edges_that_training_never_read(spec, samples, ends, least):
    trimmed = geometry.trim_edges(spec, samples)
    assert {row.name: row.paddings[1] for row in trimmed.rows if row.paddings[1] != row.padding} == ends
    assert geometry.min_samples(trimmed, spec.head_alias) == least
    assert trimmed.trained_samples == samples
    assert trimmed.with_edges() == dataclasses.replace(spec, trained_samples=samples)
    assert geometry.frames(trimmed, spec.head_alias, samples) == geometry.frames(spec, spec.head_alias, samples)


def zeros_read(row, steps, length):
    """Brute force: for each step how far behind the input it reads, and which steps of the input."""
    windows = [range(t * row.stride - row.padding, t * row.stride - row.padding + row.kernel) for t in range(steps)]
    return [(max(0, window[-1] + 1 - length), [p for p in window if 0 <= p < length]) for window in windows]


@settings(max_examples=150, deadline=None)
@given(tables(), st.integers(1, 300), st.integers(1, 300))
def test_trimmed_edges_against_brute_force(spec, trained, samples):
    def last_and_head(length):
        last, head = spec.layers[-1], spec.heads[0]
        below = geometry.frames(spec, spec.layers[-2].name, length) if spec.layers[1:] else length
        steps = geometry.frames(spec, last.name, length)
        return zeros_read(last, steps, below), zeros_read(head, geometry.frames(spec, 'head', length), steps)

    trimmed = geometry.trim_edges(spec, trained)
    last, head = last_and_head(trained)
    if not isinstance(spec.layers[-1], Conv) or not head:
        assert trimmed.layers == spec.layers
        return
    learned = max((last[step][0] for _, steps in head for step in steps), default=0)
    given_last, given_head = last_and_head(samples)
    good = [zeros <= learned for zeros, _ in given_last]
    assert geometry.frames(trimmed, spec.layers[-1].name, samples) == sum(good)
    kept = sum(all(good[step] for step in steps) for _, steps in given_head)
    assert geometry.frames(trimmed, 'head', samples) == kept


@settings(max_examples=150, deadline=None)
@given(tables(), st.integers(0, 3), st.integers(1, 300))
def test_trimming_costs_no_step_at_the_training_length(spec, padding, trained):
    heads = (dataclasses.replace(spec.heads[0], padding=padding), Head('other', 1, 2, 1, 2))
    spec = dataclasses.replace(spec, heads=heads)
    trimmed = geometry.trim_edges(spec, trained)
    for head in spec.head_names:
        assert geometry.frames(trimmed, head, trained) == geometry.frames(spec, head, trained)


@pytest.mark.parametrize('seconds', [3, 4, 8, 17, 20, 30, 34])
@pytest.mark.parametrize('spec', [SOUNDNET5, SOUNDNET8], ids=lambda spec: spec.name)
def test_edges_that_training_read_stay(spec, seconds):
    samples = seconds * SAMPLE_RATE
    trimmed = geometry.trim_edges(spec, samples)
    assert geometry.frames(trimmed, spec.head_alias, samples) == geometry.frames(spec, spec.head_alias, samples)

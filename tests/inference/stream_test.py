"""A stream gives the numbers of the whole sound in every layer, however it is cut, in constant memory."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundnet_tf import geometry
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import BadAudio, ShortClip, SoundNetError
from soundnet_tf.inference import Embedder, stream
from soundnet_tf.inference.embedding import join
from soundnet_tf.inference.engines import KerasEngine
from soundnet_tf.nets import model
from soundnet_tf.spec import SOUNDNET5, SOUNDNET8, Conv, Head, NetSpec, Pool
from soundnet_tf.testing import dense_spec, enliven, noise, thin_spec

SPECS = [
    thin_spec(SOUNDNET8),
    thin_spec(SOUNDNET5),
    # Of nets that learned from clips of 20 s alone, with fewer zeros behind a clip than before it.
    dataclasses.replace(geometry.trim_edges(thin_spec(SOUNDNET8), 441_000), name='8, trimmed'),
    dataclasses.replace(geometry.trim_edges(thin_spec(SOUNDNET5), 441_000), name='5, trimmed'),
    # Strides beyond the kernel, a kernel within the padding, pools in a row, heads of their own geometry.
    NetSpec(
        'odd',
        (Conv('a', 3, 7, 2, 9), Pool('b', 2), Pool('c', 3), Conv('d', 4, 2, 3, 1), Conv('e', 4, 4, 1, 5)),
        (Head('x', 2, 3, 1, 1), Head('y', 3, 1, 0, 4)),
        'd',
    ),
    dense_spec(),
    NetSpec('pool first', (Pool('a', 3), Conv('b', 2, 4, 2), Pool('c', 2)), (), 'c'),
]
EMBEDDERS = {spec.name: Embedder(KerasEngine(enliven(model.build(spec)))) for spec in SPECS}
SOUND = noise(14)
ROWS = [(spec, row.name) for spec in SPECS for row in spec.rows]


def pushed(embedder, layer, waveform, cuts, **options):
    streaming = embedder.stream(layer, **options)
    parts = [streaming.push(chunk) for chunk in np.split(waveform, sorted(cuts))]
    return [*parts, streaming.finish()]


def same(given, wanted):
    assert given.values.shape == wanted.values.shape
    assert given.values.dtype == np.float32
    np.testing.assert_allclose(given.values, wanted.values, rtol=0, atol=1e-4 * np.abs(wanted.values).max())
    np.testing.assert_array_equal(given.times, wanted.times)
    assert (given.layer, given.seconds) == (wanted.layer, wanted.seconds)
    assert given.level_dbfs == pytest.approx(wanted.level_dbfs, abs=1e-6)


@pytest.mark.parametrize(('spec', 'layer'), ROWS, ids=lambda value: getattr(value, 'name', value))
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_joined_it_is_the_whole(spec, layer, data):
    least = geometry.min_samples(spec, layer)
    samples = data.draw(st.integers(least, max(60_000, least + 80_000)), 'samples')
    # Small pieces as well as large ones: a cut and its neighbours.
    cuts = data.draw(st.lists(st.integers(0, samples), max_size=12), 'cuts')
    cuts += [min(samples, cut + data.draw(st.integers(0, 3), 'step')) for cut in cuts]
    embedder = EMBEDDERS[spec.name]
    parts = pushed(embedder, layer, SOUND[:samples], cuts)
    same(join(parts), embedder.embed(SOUND[:samples], SAMPLE_RATE, layer))


@pytest.mark.parametrize('spec', SPECS[:2], ids=lambda spec: spec.name)
def test_one_sample_at_a_time(spec):
    embedder, waveform = EMBEDDERS[spec.name], SOUND[: 8_192 + 4_574]
    for layer in ('conv1', spec.feature_layer):
        parts = pushed(embedder, layer, waveform, range(1, len(waveform)))
        same(join(parts), embedder.embed(waveform, SAMPLE_RATE, layer))


@pytest.mark.parametrize('spec', SPECS[:3], ids=lambda spec: spec.name)
@settings(max_examples=20, deadline=None)
@given(samples=st.integers(0, 120_000), layer=st.integers(0, 100))
def test_a_step_comes_as_soon_as_the_geometry_says(spec, samples, layer):
    layer = spec.rows[layer % len(spec.rows)].name
    streaming = EMBEDDERS[spec.name].stream(layer)
    given = [streaming.push(SOUND[: samples // 3]), streaming.push(SOUND[samples // 3 : samples])]
    assert sum(map(len, given)) == geometry.final_frames(spec, layer, samples)
    assert streaming.seconds == samples / SAMPLE_RATE


def test_full_size_nets_stream_too():
    for spec in (SOUNDNET8, SOUNDNET5):
        embedder = Embedder(KerasEngine(enliven(model.build(spec))))
        layers = [row.name for row in spec.rows]
        wanted = embedder.listener.listen_samples(SOUND[: 12 * SAMPLE_RATE], SAMPLE_RATE, layers)
        streams = embedder.listener.open_stream(layers)
        parts = [streams.push(chunk) for chunk in np.split(SOUND[: 12 * SAMPLE_RATE], [7, 99_999, 100_000])]
        parts.append(streams.finish())
        for layer in layers:
            same(join([part[layer] for part in parts]), wanted[layer])


def test_pieces_of_another_kind():
    embedder = EMBEDDERS['soundnet8-thin']
    stereo = (np.stack([SOUND, -SOUND], axis=1)[:100_000] * 32767).astype(np.int16)
    given = join(pushed(embedder, 'conv5', stereo, [1, 50_000], sample_rate=44_100))
    wanted = embedder.embed(stereo, 44_100, 'conv5')
    same(given, wanted)


def test_silence_is_reported_once_no_step_sees_the_sound_before():
    embedder = EMBEDDERS['soundnet8-thin']
    field_s = geometry.receptive_field(embedder.spec, 'pool5') / SAMPLE_RATE
    streams = embedder.listener.open_stream(['pool5'])
    streams.push(SOUND[:SAMPLE_RATE])
    heard = []
    for _ in range(5):
        given = streams.push(np.zeros(SAMPLE_RATE, np.float32))['pool5']
        heard.append(streams.silent)
        if streams.silent:
            assert min(given.times) - field_s / 2 > 1
        assert not given.silent, 'the whole of it is not silence'
    assert heard == [False, False, True, True, True]


def test_memory_of_a_stream_does_not_grow():
    spec = SOUNDNET8
    embedder = EMBEDDERS['soundnet8-thin']
    net_stream = embedder.listener.open_stream([row.name for row in thin_spec().rows])._net
    kept = []
    for seconds in (1, 5, 14):
        net_stream.push(SOUND[: seconds * SAMPLE_RATE])
        kept.append(net_stream.numbers())
    most = sum((row.kernel + row.stride) * geometry.channels(thin_spec(), 'conv7') for row in spec.rows)
    assert max(kept) < most
    assert all(step.kept.base is None for step in net_stream._steps), 'a view keeps the whole piece alive'


def test_long_pieces_go_through_in_blocks(monkeypatch):
    embedder = EMBEDDERS['soundnet8-thin']
    wanted = embedder.embed(SOUND, SAMPLE_RATE, 'conv5')
    monkeypatch.setattr(stream, 'BLOCK_S', 3)
    lengths = []
    push = stream.NetStream.push
    monkeypatch.setattr(stream.NetStream, 'push', lambda self, x, last: lengths.append(len(x)) or push(self, x, last))
    same(join(pushed(embedder, 'conv5', SOUND, [])), wanted)
    assert lengths == [66_150] * 4 + [44_100, 0]


@pytest.mark.parametrize('short', ['tile', 'pad'])
@pytest.mark.parametrize('samples', [1, 100, 4_573, 4_574, 5_000])
def test_short_sounds_are_filled_up_as_whole_ones_are(short, samples):
    embedder = Embedder(EMBEDDERS['soundnet8-thin'].listener._engine, short=short)
    wanted = embedder.embed(SOUND[:samples], SAMPLE_RATE, 'conv7')
    given = join(pushed(embedder, 'conv7', SOUND[:samples], [samples // 2]))
    same(given, wanted)
    assert (given.tiled, given.padded) == (wanted.tiled, wanted.padded)
    assert (given.tiled or given.padded) == (samples < 4_574)


def test_short_sounds_are_refused_at_the_end():
    streaming = Embedder(EMBEDDERS['soundnet8-thin'].listener._engine, short='error').stream('places')
    assert not streaming.push(SOUND[:50_000])
    with pytest.raises(ShortClip, match=r'the sound is 2\.27 s; places of soundnet8-thin needs 9\.50 s\. Use layer='):
        streaming.finish()
    with pytest.raises(ShortClip, match='Use a longer clip'):
        Embedder(EMBEDDERS['soundnet8-thin'].listener._engine, short='tile').stream('conv7').finish()


def test_mistakes():
    embedder = EMBEDDERS['soundnet8-thin']
    streaming = embedder.stream()
    streaming.push(SOUND[:10_000])
    with pytest.raises(BadAudio, match='the sound: sample 10001'):
        streaming.push([0.0, np.nan])
    streaming = embedder.stream()
    streaming.push(SOUND[:10_000])
    streaming.finish()
    for again in (streaming.finish, lambda: streaming.push([0.0])):
        with pytest.raises(SoundNetError, match=r'the stream is finished\. Open another one'):
            again()
    with pytest.raises(SoundNetError, match="no layer 'conv9'"):
        embedder.stream('conv9')


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(0, 50_000), max_size=20))
def test_blocks_of(lengths):
    """However the sound is cut, nothing is lost, and all blocks but the last are long ones."""
    ends = np.cumsum([0, *lengths])
    pieces = [np.arange(start, end, dtype=np.float32) for start, end in itertools.pairwise(ends)]
    before, stream.BLOCK_S = stream.BLOCK_S, 1
    try:
        given = list(stream.blocks_of(iter(pieces)))
    finally:
        stream.BLOCK_S = before
    np.testing.assert_array_equal(np.concatenate(given), np.arange(sum(lengths)))
    assert all(SAMPLE_RATE <= len(block) < SAMPLE_RATE + 50_000 for block in given[:-1])


def test_decoding_errors_are_reported():
    def pieces():
        yield noise(1)
        raise BadAudio('rain.wav: damaged')

    with pytest.raises(BadAudio, match=r'rain\.wav: damaged'):
        EMBEDDERS['soundnet8-thin'].listener.listen_pieces(pieces(), ['pool5'])

"""The Embedder, on a fake engine where the numbers do not matter, on the real ones where they do."""

import dataclasses

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import soundnet_tf
from soundnet_tf import audio, geometry
from soundnet_tf.audio import SAMPLE_RATE, decoding
from soundnet_tf.errors import BadAudio, ShortClip, SoundNetError
from soundnet_tf.inference import Embedder, Embedding, load
from soundnet_tf.inference.engines import KerasEngine
from soundnet_tf.nets import model, registry
from soundnet_tf.spec import Head
from soundnet_tf.testing import noise, thin_spec, tone


class FakeEngine:
    """Right shapes without a net: values tell the samples they were made of; all knowing classes in turn."""

    def __init__(self, spec=None):
        self.spec = spec or thin_spec()
        self.precision = 'float32'
        self.labels = {head.name: tuple(f'{head.name} {i}' for i in range(head.classes)) for head in self.spec.heads}

    def serves(self, layer):
        return layer in (*self.spec.layer_names, *self.spec.head_names)

    def run(self, waveform, layers):
        assert waveform.dtype == np.float32
        channels = {head.name: head.classes for head in self.spec.heads}
        return {layer: self.values(layer, len(waveform), channels.get(layer, 3)) for layer in layers}

    def run_many(self, waveforms, layers):
        return [self.run(waveform, layers) for waveform in waveforms]

    def max_clip_s(self, layers):
        return 60.0

    def open_stream(self, layers):
        return FakeStream(self, layers)

    def values(self, layer, samples, channels):
        frames = geometry.frames(self.spec, layer, samples)
        return np.arange(frames * channels, dtype=np.float32).reshape(frames, channels) + samples


class FakeStream:
    """Gives nothing before the end, and then what the engine gives for all."""

    def __init__(self, engine, layers):
        self.engine, self.layers, self.heard = engine, layers, [np.zeros(0, np.float32)]

    def push(self, waveform, last):
        self.heard.append(waveform)
        whole = self.engine.run(np.concatenate(self.heard), self.layers)
        return whole if last else {layer: values[:0] for layer, values in whole.items()}


@pytest.fixture
def embedder():
    return Embedder(FakeEngine())


@pytest.fixture
def wav(tmp_path):
    soundfile.write(tmp_path / 'rain.wav', noise(10), SAMPLE_RATE, subtype='FLOAT')
    return tmp_path / 'rain.wav'


def test_embed_file_is_embed_of_the_decoded_file(plain_folder, quick_folder, wav):
    waveform = decoding.read(wav)
    for folder in (plain_folder, quick_folder):
        embedder = load(folder)
        for layer in (None, 'conv3', 'places'):
            given, wanted = embedder.embed_file(wav, layer), embedder.embed(waveform, SAMPLE_RATE, layer)
            np.testing.assert_array_equal(given.values, wanted.values)
            assert given.layer == (layer or 'pool5')
        assert embedder.tag_file(wav, top=2) == embedder.tag(waveform, SAMPLE_RATE, top=2)


def test_quick_and_plain_give_the_same_tags(plain_folder, quick_folder, wav):
    given, wanted = load(quick_folder).tag_file(wav), load(plain_folder).tag_file(wav)
    assert [tag[:2] for tag in given] == [tag[:2] for tag in wanted]
    np.testing.assert_allclose([tag.probability for tag in given], [tag.probability for tag in wanted], atol=1e-5)


@pytest.mark.parametrize(
    ('samples', 'sample_rate'),
    [
        (noise(1).tolist(), SAMPLE_RATE),
        ((noise(1) * 32767).astype(np.int16), SAMPLE_RATE),
        (np.stack([noise(1), tone(1)], axis=1), SAMPLE_RATE),
        (tone(1, sample_rate=44_100), 44_100),
    ],
    ids=['list', 'int16', 'stereo', '44.1 kHz'],
)
def test_any_samples_are_listened_to(plain_folder, samples, sample_rate):
    embedder = load(plain_folder)
    wanted = embedder.embed(audio.to_waveform(samples, sample_rate), SAMPLE_RATE)
    np.testing.assert_array_equal(embedder.embed(samples, sample_rate).values, wanted.values)


def test_tensors_are_listened_to(plain_folder):
    import tensorflow as tf

    embedder, waveform = load(plain_folder), noise(1)
    wanted = embedder.embed(waveform, SAMPLE_RATE).values
    np.testing.assert_array_equal(embedder.embed(tf.constant(waveform), SAMPLE_RATE).values, wanted)
    batch = embedder.embed_batch(tf.stack([waveform, waveform]), SAMPLE_RATE)
    np.testing.assert_allclose(batch[1].values, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@settings(max_examples=50, deadline=None)
@given(samples=st.integers(1, 500_000), layer=st.sampled_from([row.name for row in thin_spec().rows]))
def test_shapes_and_times_are_those_of_the_geometry(samples, layer):
    spec, waveform = thin_spec(), np.zeros(samples, np.float32)
    frames = geometry.frames(spec, layer, samples)
    if not frames:
        with pytest.raises(ShortClip):
            Embedder(FakeEngine(), short='error').embed(waveform, SAMPLE_RATE, layer)
        return
    embedding = Embedder(FakeEngine()).embed(waveform, SAMPLE_RATE, layer)
    assert len(embedding.values) == len(embedding.times) == frames
    np.testing.assert_array_equal(embedding.times, geometry.frame_times(spec, layer, frames))
    assert (embedding.seconds, embedding.tiled) == (samples / SAMPLE_RATE, False)


def test_many_clips_are_split_into_batches(monkeypatch):
    """Many clips are several batches, and what is too long for one goes through a stream."""
    engine = FakeEngine()
    embedder, sizes, streamed = Embedder(engine), [], []
    run_many, open_stream = engine.run_many, engine.open_stream
    monkeypatch.setattr(engine, 'run_many', lambda clips, layers: sizes.append(len(clips)) or run_many(clips, layers))
    monkeypatch.setattr(engine, 'open_stream', lambda layers: streamed.append(layers) or open_stream(layers))
    clips = [noise(5, seed=1)] * 40 + [noise(70)] + [noise(1)] * 3
    given = embedder.embed_batch(clips, SAMPLE_RATE)
    assert (sizes, streamed) == ([32, 8, 3], [('pool5',)])
    assert [embedding.seconds for embedding in given] == [5.0] * 40 + [70.0] + [1.0] * 3
    assert embedder.embed_batch([], SAMPLE_RATE) == []
    with pytest.raises(BadAudio, match='clip 1: no samples'):
        embedder.embed_batch([noise(1), []], SAMPLE_RATE)


@pytest.mark.parametrize('sample_rate', [SAMPLE_RATE, 16_000])
def test_a_long_array_is_listened_to_in_blocks(plain_folder, sample_rate, monkeypatch):
    embedder, sound = load(plain_folder), (noise(70) * 32767).astype(np.int16)
    given = embedder.embed(np.stack([sound, 0 * sound], axis=1), sample_rate)
    monkeypatch.setattr(embedder.listener._engine, 'max_clip_s', lambda layers: 1000.0)
    wanted = embedder.embed(sound, sample_rate)
    np.testing.assert_allclose(given.values, wanted.values, rtol=0, atol=1e-4 * np.abs(wanted.values).max())
    assert given.seconds == wanted.seconds
    np.testing.assert_array_equal(given.times, wanted.times)


def test_an_embedding_is_summed_up():
    embedding = Embedding(np.array([[1, 8], [3, 4]], np.float32), np.array([0.5, 1]), 'conv7', 1.5)
    assert embedding.mean().tolist() == [2, 6]
    assert embedding.max().tolist() == [3, 8]
    assert repr(embedding) == 'Embedding(conv7: 2 steps x 2 channels of 1.50 s)'
    one = Embedding(np.zeros([1, 4], np.float32), np.zeros(1), 'conv7', 0.1, tiled=True)
    assert repr(one) == 'Embedding(conv7: 1 step x 4 channels of 0.10 s, tiled)'


def test_tags_are_the_mean_over_time(plain_folder):
    embedder = load(plain_folder)
    tags = embedder.tag(noise(14), SAMPLE_RATE, top=3)
    assert [tag.head for tag in tags] == ['imagenet'] * 3 + ['places'] * 3
    for head in embedder.spec.head_names:
        embedding = embedder.embed(noise(14), SAMPLE_RATE, head)
        assert len(embedding.values) == 2
        np.testing.assert_allclose(embedding.values.sum(axis=1), 1, atol=1e-5)
        mean = embedding.mean()
        best = sorted(range(len(mean)), key=lambda index: -mean[index])[:3]
        wanted = [(head, embedder.labels[head][index], float(mean[index])) for index in best]
        assert [tuple(tag) for tag in tags if tag.head == head] == wanted


def test_short_clips_are_refused_by_name(plain_folder, tmp_path):
    embedder = load(plain_folder, short='error')
    path = tmp_path / 'rain.wav'
    soundfile.write(path, noise(5), SAMPLE_RATE)
    with pytest.raises(ShortClip) as caught:
        embedder.tag_file(path)
    assert str(caught.value) == (
        f"{path} is 5.00 s; imagenet of soundnet8-thin needs 9.50 s. Use layer='conv7' (0.21 s) or "
        "tile the clip (short='tile')."
    )
    with pytest.raises(ShortClip, match=r'^the clip is 0\.10 s; pool5'):
        embedder.embed(noise(0.1), SAMPLE_RATE)


@pytest.mark.parametrize('layer', ['pool5', 'conv7', 'places'])
def test_short_clips_are_tiled_by_default(plain_folder, layer):
    embedder, short = load(plain_folder), noise(0.1)
    embedding = embedder.embed(short, SAMPLE_RATE, layer)
    least = geometry.min_samples(embedder.spec, layer)
    wanted = load(plain_folder).embed(audio.fit_length(short, least), SAMPLE_RATE, layer)
    np.testing.assert_array_equal(embedding.values, wanted.values)
    assert (len(embedding.values), embedding.tiled, embedding.seconds) == (1, True, len(short) / SAMPLE_RATE)
    assert not embedder.embed(noise(10), SAMPLE_RATE, layer).tiled


def test_no_sound_is_refused(embedder, tmp_path):
    for wrong in ([], [0.0, np.nan]):
        with pytest.raises(BadAudio, match=r'^the clip: '):
            embedder.embed(np.array(wrong), SAMPLE_RATE)
    with pytest.raises(BadAudio, match=r'samples of several lengths\. Pass one clip'):
        embedder.embed([[0.0, 0.1], [0.2]], SAMPLE_RATE)
    with pytest.raises(BadAudio, match='a single value is not a sound'):
        embedder.embed(0.5, SAMPLE_RATE)
    with pytest.raises(SoundNetError, match=r'rain\.wav: is not a list of paths\. Pass several, or \[path\]'):
        list(embedder.embed_files('rain.wav'))
    with pytest.raises(SoundNetError, match="channel='left': must be 'first' or 'mean'"):
        Embedder(FakeEngine(), channel='left')
    with pytest.raises(ShortClip, match='Use a longer clip'):
        Embedder(FakeEngine()).listener.fit(np.zeros(0, np.float32), ['pool5'])
    with pytest.raises(BadAudio, match=r'nothing\.wav: '):
        embedder.embed_file(tmp_path / 'nothing.wav')


@pytest.mark.parametrize(
    ('call', 'words'),
    [
        (lambda it: it.tag(noise(10), SAMPLE_RATE, top=None), 'top=None: must be a whole number, at least 1'),
        (lambda it: it.tag(noise(10), SAMPLE_RATE, top=1.5), 'top=1.5: must be a whole number, at least 1'),
        (
            lambda it: it.embed(noise(10), SAMPLE_RATE, ['conv7']),
            r"layer=\['conv7'\]: must be one name, such as 'pool5'",
        ),
        (lambda it: it.embed_file(None), r'None: is not a path\. Pass that of a sound file'),
        (lambda it: list(it.embed_files(None)), 'None: is not a list of paths'),
        (lambda it: list(it.embed_files([None])), r'None: is not a path\. Pass that of a sound file'),
        (load, r'Embedder is not a model\. Pass the folder of a saved net, or a name such as soundnet8'),
        (lambda _: load(5), 'int is not a model'),
        (lambda _: Embedder(FakeEngine(), decoder=5), 'no decoder 5. Use auto, miniaudio, soundfile'),
        (lambda _: Embedder(FakeEngine(), strict='no'), "strict='no': must be True or False"),
    ],
)
def test_arguments_of_another_type_are_one_line(embedder, call, words):
    with pytest.raises(SoundNetError, match=words):
        call(embedder)


def test_errors_say_what_to_do(embedder, plain_folder, tmp_path, monkeypatch):
    with pytest.raises(SoundNetError, match=r"no layer 'conv9'; its layers are conv1, .* its heads imagenet, places"):
        embedder.embed_file(tmp_path / 'never read.wav', 'conv9')
    with pytest.raises(SoundNetError, match='top=0: must be a whole number, at least 1'):
        embedder.tag(noise(10), SAMPLE_RATE, top=0)
    with pytest.raises(SoundNetError, match='has no heads, so it cannot tag'):
        Embedder(FakeEngine(thin_spec(heads={}))).tag(noise(10), SAMPLE_RATE)
    with pytest.raises(SoundNetError, match="short='drop': must be 'error', 'tile' or 'pad'"):
        load(plain_folder, short='drop')
    monkeypatch.setattr(registry, 'lists', lambda: ())
    with pytest.raises(SoundNetError, match=r'this version includes no net\. Pass the folder of a saved net'):
        load()
    with pytest.raises(SoundNetError, match='nowhere is not a saved net'):
        load(tmp_path / 'nowhere')
    with pytest.raises(TypeError, match='sample_rate'):
        embedder.embed(noise(1))


def test_damaged_facts_are_reported(plain_folder, tmp_path):
    import shutil

    folder = shutil.copytree(plain_folder, tmp_path / 'net')
    (folder / 'model.json').write_text('{')
    with pytest.raises(SoundNetError, match=r'model\.json: cannot be read'):
        load(folder)


def test_attributes_of_an_embedder(plain_folder):
    embedder = soundnet_tf.load(plain_folder)
    assert embedder.spec == thin_spec()
    assert embedder.labels['places'] == ('sea', 'street', 'kitchen', 'wood')
    assert len(embedder.facts['weights_sha256']) == 64
    assert repr(embedder) == 'Embedder(soundnet8-thin: pool5, heads imagenet, places)'


@settings(max_examples=30, deadline=None)
@given(dbfs=st.floats(-100, -40), seconds=st.sampled_from([10, 75]), seed=st.integers(0, 9))
def test_below_70_dbfs_is_silence(dbfs, seconds, seed):
    """Of a clip and of a sound that goes through a stream; the loudest second of noise exceeds its mean a little."""
    embedder, sound = Embedder(FakeEngine()), noise(seconds, np.sqrt(3) * 10 ** (dbfs / 20), seed)
    embedding = embedder.embed(sound, SAMPLE_RATE)
    assert embedding.level_dbfs == pytest.approx(dbfs, abs=0.2)
    assert embedding.silent == (embedding.level_dbfs < -70)
    named = {name for _, name, _ in embedder.tag(sound, SAMPLE_RATE, top=1)}
    assert (named == {'silence'}) == embedding.silent


@pytest.mark.parametrize(('dbfs', 'silent'), [(-71, True), (-69, False), (-np.inf, True)])
@pytest.mark.parametrize('sample_rate', [SAMPLE_RATE, 44_100])
def test_silent_files_are_tagged_as_silence(tmp_path, dbfs, silent, sample_rate):
    sound = noise(10 * sample_rate / SAMPLE_RATE, np.sqrt(3) * 10 ** (dbfs / 20))
    # Half of its power lies above what 22,050 Hz can hold.
    sound *= np.sqrt(sample_rate / SAMPLE_RATE)
    soundfile.write(tmp_path / 'quiet.wav', sound, sample_rate, subtype='FLOAT')
    embedder = Embedder(FakeEngine())
    tags = embedder.tag_file(tmp_path / 'quiet.wav')
    if silent:
        assert tags == [('imagenet', 'silence', 1.0), ('places', 'silence', 1.0)]
    else:
        assert 'silence' not in {name for _, name, _ in tags}
    assert embedder.embed_file(tmp_path / 'quiet.wav').silent == silent


@pytest.mark.parametrize('short', ['tile', 'pad'])
def test_filling_up_does_not_change_the_level(short):
    embedder = Embedder(FakeEngine(), short=short)
    sound = noise(2, np.sqrt(3) * 10 ** (-69 / 20))
    embedding = embedder.embed(sound, SAMPLE_RATE, 'places')
    assert embedding.tiled or embedding.padded
    assert embedding.level_dbfs == audio.level_dbfs(sound)
    assert not embedding.silent


def test_several_layers_in_one_call(tmp_path):
    embedder, sound = Embedder(FakeEngine()), noise(12)
    soundfile.write(tmp_path / 'rain.wav', sound, SAMPLE_RATE)
    layers = ['places', 'conv7', 'conv8']
    for result in (
        embedder.embed(sound, SAMPLE_RATE, layers=layers),
        embedder.embed_batch([sound], SAMPLE_RATE, layers=layers)[0],
        embedder.embed_file(tmp_path / 'rain.wav', layers=layers),
        next(embedder.embed_files([tmp_path / 'rain.wav'], layers=layers)),
    ):
        assert list(result) == layers
        for layer, embedding in result.items():
            wanted = embedder.embed_file(tmp_path / 'rain.wav', layer)
            assert (embedding.layer, embedding.values.shape) == (layer, wanted.values.shape)
            np.testing.assert_array_equal(embedding.times, wanted.times)
    for wrong in ({'layers': 'conv7'}, {'layers': []}, {'layers': ['conv7'], 'layer': 'conv7'}):
        with pytest.raises(SoundNetError, match=r'^layers=.*: must be a list of layers, without layer=$'):
            embedder.embed(sound, SAMPLE_RATE, **wrong)
    with pytest.raises(SoundNetError, match="no layer 'conv9'"):
        embedder.embed(sound, SAMPLE_RATE, layers=['conv7', 'conv9'])


def test_heads_of_several_geometries_are_not_one_layer():
    heads = (Head('imagenet', 2, kernel=8), Head('esc10', 3, kernel=1, stride=1))
    spec = dataclasses.replace(thin_spec(), heads=heads)
    with pytest.raises(SoundNetError, match=r"no layer 'conv8'; it has conv1, .*imagenet, esc10"):
        Embedder(KerasEngine(model.build(spec))).embed(noise(12), SAMPLE_RATE, 'conv8')

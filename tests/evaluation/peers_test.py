"""Models of others: TFLite files and modules with YAMNet's interface, quantised files, and what is refused."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf

from soundnet_tf import audio
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import ShortClip, SoundNetError, UnknownLayer
from soundnet_tf.evaluation import embedders
from soundnet_tf.evaluation.embedders import lite_metadata
from soundnet_tf.export import add_tflite, metadata
from soundnet_tf.nets import litert, model
from soundnet_tf.nets.saved import save_net
from soundnet_tf.teachers import networks, options
from soundnet_tf.testing import enliven, noise, thin_spec

SAMPLES, RATE = 15_600, 16_000


def scores_and_more(waveform):
    """YAMNet's three outputs for one window: scores, an embedding, and a spectrogram of more time steps."""
    return waveform[None, :521], 2 * waveform[None, :1024], tf.reshape(waveform[: 96 * 64], [96, 64])


def converted(function, shape, path, **options):
    """A TFLite file of the function; `options` are attributes of the converter."""
    concrete = tf.function(function, input_signature=[tf.TensorSpec(shape, tf.float32, 'waveform')])
    module = tf.Module()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete.get_concrete_function()], module)
    for name, value in options.items():
        setattr(converter, name, value)
    path.write_bytes(converter.convert())
    return str(path)


def stated(path, rate, monkeypatch):
    """Without its signatures, and with this sample rate in its metadata, as YAMNet's file is."""
    from tensorflow.lite.python import schema_py_generated as schema

    monkeypatch.setattr(metadata, 'SAMPLE_RATE', rate)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = list(metadata.metadata('yamnet', 'sounds', [metadata.Output('scores', 'of classes')]))
    entry.name, entry.buffer = metadata.NAME, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata, model.signatureDefs = [*(model.metadata or []), entry], None
    builder = metadata.flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), metadata.MODEL_IDENTIFIER)
    path.write_bytes(bytes(builder.Output()))


def windows_of(waveform, rate=RATE):
    return audio.windows(audio.resample(waveform, SAMPLE_RATE, rate), SAMPLES)


CLIP = noise(3.0, seed=4)


def test_a_file_as_yamnets_is_used_at_the_rate_of_its_metadata(tmp_path, monkeypatch, caplog):
    path = tmp_path / 'yamnet.tflite'
    converted(scores_and_more, [SAMPLES], path)
    unsure = embedders.make(str(path))
    assert 'yamnet.tflite: states no sample rate, 22,050 Hz is assumed. Append another, as in ' in caplog.text
    layer = unsure.resolve_layer(None)
    assert unsure.hop_s(layer) == pytest.approx(SAMPLES / SAMPLE_RATE)
    stated(path, RATE, monkeypatch)
    assert lite_metadata.sample_rate(path.read_bytes()) == RATE
    caplog.clear()
    embedder = embedders.make(str(path))
    assert not caplog.text
    layer = embedder.resolve_layer(None)
    assert embedder.hop_s(layer) == pytest.approx(0.975)
    # The widest output: of YAMNet the embedding.
    (values,) = embedder.embed([CLIP], layer)
    wanted = 2 * windows_of(CLIP)[:, :1024]
    assert values.shape == (3, 1024)
    np.testing.assert_allclose(values, wanted, atol=1e-6)
    # A name that states another rate wins.
    other = embedders.make(f'{path}:8000')
    assert 'yamnet.tflite: its metadata states 16,000 Hz, but 8,000 Hz are used, as appended. Leave out' in caplog.text
    assert other.name == f'{path}:8000'
    assert other.hop_s(layer) == pytest.approx(1.95)
    assert other.fingerprint != embedder.fingerprint
    np.testing.assert_allclose(other.embed([CLIP], layer)[0], 2 * windows_of(CLIP, 8000)[:, :1024], atol=1e-6)
    with pytest.raises(UnknownLayer, match=r"yamnet\.tflite: no output 'x'\. Set layer to one of .*\(521 channels\)"):
        embedder.resolve_layer('x')


def test_a_file_of_any_length_without_signatures(tmp_path, monkeypatch):
    path = tmp_path / 'any.tflite'
    converted(lambda waveform: tf.reshape(waveform[: tf.size(waveform) // 160 * 160], [-1, 160]), [None], path)
    stated(path, RATE, monkeypatch)
    embedder = embedders.make(str(path))
    layer = embedder.resolve_layer(None)
    assert embedder.hop_s(layer) == pytest.approx(0.01)
    for clip in (CLIP, CLIP[:11025]):
        own = audio.resample(clip, SAMPLE_RATE, RATE)
        np.testing.assert_allclose(embedder.embed([clip], layer)[0].ravel(), own[: len(own) // 160 * 160], atol=1e-6)


def test_several_time_steps_in_a_window_and_a_short_clip(tmp_path):
    path = converted(lambda waveform: tf.reshape(waveform, [1, 10, 1, -1]), [1, SAMPLES, 1], tmp_path / 'x.tflite')
    embedder = embedders.make(f'{path}:16000')
    layer = embedder.resolve_layer(None)
    assert embedder.hop_s(layer) == pytest.approx(0.0975)
    (values,) = embedder.embed([CLIP[:11025]], layer)
    np.testing.assert_allclose(values.ravel(), windows_of(CLIP[:11025])[0], atol=1e-6)


def test_quantised_inputs_and_outputs_are_floats_outside(tmp_path):
    sounds = np.random.default_rng(0).uniform(-1, 1, [20, SAMPLES]).astype(np.float32)
    path = converted(
        lambda waveform: tf.nn.relu(waveform[None, :64] * 0.5),
        [SAMPLES],
        tmp_path / 'int8.tflite',
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=lambda: ([sound] for sound in sounds),
        inference_input_type=tf.int8,
        inference_output_type=tf.uint8,
    )
    embedder = embedders.make(f'{path}:22050')
    (values,) = embedder.embed([CLIP[: 2 * SAMPLES]], embedder.resolve_layer(None))
    wanted = np.maximum(0, windows_of(CLIP[: 2 * SAMPLES], SAMPLE_RATE)[:, :64] / 2)
    np.testing.assert_allclose(values, wanted, atol=0.01)
    # What is too loud for it is clipped, not wrapped around.
    (loud,) = embedder.embed([np.full(SAMPLES, 3, np.float32)], embedder.resolve_layer(None))
    assert loud.min() > 0.49


def module(folder, function, *specs):
    """A SavedModel that is called like a function."""
    own = tf.Module()
    kind = type('Own', (tf.Module,), {'__call__': tf.function(function, input_signature=specs)})
    own = kind()
    tf.saved_model.save(own, str(folder))
    return str(folder)


def frames(self, waveform):
    framed = tf.signal.frame(waveform, 15_360, 7_680)
    return framed[:, :521], framed[:, :1024], tf.signal.frame(waveform, 400, 160)[:, :64]


def test_a_module_as_yamnets(tmp_path):
    embedder = embedders.make(module(tmp_path / 'yamnet', frames, tf.TensorSpec([None], tf.float32)) + ':16000')
    assert embedder.resolve_layer(None) == 'output_1'
    assert embedder.hop_s('output_1') == pytest.approx(0.48)
    assert embedder.hop_s('output_2') == pytest.approx(0.01)
    (values,) = embedder.embed([CLIP], 'output_0')
    own = audio.resample(CLIP, SAMPLE_RATE, RATE)
    np.testing.assert_allclose(values, tf.signal.frame(own, 15_360, 7_680)[:, :521], atol=1e-6)
    words = r'one of output_0 \(521 channels\), output_1 \(1024 channels\), output_2 \(64'
    with pytest.raises(UnknownLayer, match=words):
        embedder.resolve_layer('scores')
    with pytest.raises(ShortClip, match=r'output_1: no time steps\. Increase clip_s, or use longer clips'):
        embedder.embed([CLIP[:22]], 'output_1')


def test_a_module_that_fails_for_a_clip(tmp_path):
    spec = tf.TensorSpec([None], tf.float32, 'waveform')
    path = module(tmp_path / 'm', lambda self, waveform: tf.reshape(waveform, [-1, 100]), spec)
    words = (
        r'm:16000: embedding cannot be computed for 16 samples at 16,000 Hz .* accepts waveform \[\?\] float32\. Use'
    )
    with pytest.raises(SoundNetError, match=words):
        embedders.make(f'{path}:16000').embed([CLIP[:22]], 'embedding')


def test_a_module_of_a_fixed_length(tmp_path):
    path = module(
        tmp_path / 'm', lambda self, waveform: waveform[:, :8], tf.TensorSpec([1, SAMPLES], tf.float32, 'waveform')
    )
    embedder = embedders.make(f'{path}:16000')
    assert embedder.resolve_layer(None) == 'embedding'
    assert embedder.hop_s('embedding') == pytest.approx(0.975)
    np.testing.assert_allclose(embedder.embed([CLIP], 'embedding')[0], windows_of(CLIP)[:, :8], atol=1e-6)


def test_models_of_other_inputs_say_what_they_accept(tmp_path):
    path = converted(lambda spectrum: spectrum * 2, [1, 96, 64], tmp_path / 'mel.tflite')
    with pytest.raises(
        SoundNetError, match=r'mel\.tflite: does not accept a waveform, but \w+ \[1, 96, 64\] float32\. Use'
    ):
        embedders.make(path)
    specs = tf.TensorSpec([None], tf.float32, 'samples'), tf.TensorSpec([], tf.int32, 'sample_rate')
    with pytest.raises(SoundNetError, match=r'one: invalid sample rate 5\. Use Hz, such as .*one:16000'):
        embedders.make(module(tmp_path / 'one', lambda self, samples: samples, specs[0]) + ':5')
    words = r'but x \[\?\] int16\. Use a module whose only input is samples, .*, in float32'
    with pytest.raises(SoundNetError, match=words):
        embedders.make(module(tmp_path / 'int', lambda self, x: x, tf.TensorSpec([None], tf.int16, 'x')))
    with pytest.raises(SoundNetError, match=r'sum: no output of features, but embedding \[\] float32, '):
        embedders.make(module(tmp_path / 'sum', lambda self, x: tf.reduce_sum(x), specs[0]))
    path = module(tmp_path / 'two', lambda self, samples, sample_rate: samples, *specs)
    with pytest.raises(SoundNetError, match=r'but sample_rate \[\] int32 and samples \[\?\] float32\. Use a module'):
        embedders.make(path)
    with pytest.raises(SoundNetError, match=r'mel\.tflite:0\.5: invalid sample rate 0\.5\. Use whole Hz'):
        embedders.make(str(tmp_path / 'mel.tflite:0.5'))
    path = converted(lambda waveform: waveform[None, :4], [SAMPLES], tmp_path / 'x.tflite')
    with pytest.raises(SoundNetError, match=r'x\.tflite: invalid sample rate 16\. Use Hz, such as '):
        embedders.make(f'{path}:16')


def test_a_file_that_ends_the_process_is_refused(tmp_path):
    """Zeros in it are moved until LiteRT crashes, as it does on many, in a process of its own."""
    save_net(enliven(model.build(thin_spec(heads={'places': 4}, fraction=1 / 64))), tmp_path / 'net')
    data = add_tflite(tmp_path / 'net').read_bytes()
    path, crash = tmp_path / 'x.tflite', r'x\.tflite: crashes LiteRT \(.* by SIG[A-Z]+\)\. Download or convert it again'
    for begin in range(len(data) // 3, len(data), 256):
        path.write_bytes(data[:begin] + bytes(256) + data[begin + 256 :])
        with contextlib.suppress(SoundNetError):
            litert.check_foreign(path)
            continue
        with pytest.raises(SoundNetError, match=crash):
            embedders.make(f'{path}:22050')
        with pytest.raises(SoundNetError, match=crash):
            networks.load(options.take_apart(f'imagenet={path}'))
        return
    pytest.fail('no crash')


def test_outputs_and_inputs_that_are_no_features_of_a_sound(tmp_path):
    path = converted(lambda waveform: tf.reshape(waveform[:16], [1, 2, 2, 4]), [SAMPLES], tmp_path / 'x.tflite')
    embedder = embedders.make(f'{path}:16000')
    words = r'shape must be \[channels\] or \[time, channels\] for one sound, got \[1, 2, 2, 4\]\. Use another output'
    with pytest.raises(SoundNetError, match=words):
        embedder.embed([CLIP], embedder.resolve_layer(None))
    embedder = embedders.make(converted(lambda waveform: waveform[None, :4], [5], tmp_path / 'x.tflite') + ':22050')
    with pytest.raises(
        SoundNetError, match=r'accepts 5 samples, so that 3\.0 s are 13,230 windows, more than 10,000\.'
    ):
        embedder.embed([CLIP], embedder.resolve_layer(None))

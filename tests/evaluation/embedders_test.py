"""Everything that embeds has one interface, and gives the numbers of the net behind it."""

import math

import h5py
import numpy as np
import pytest
import scipy.fft
import tensorflow as tf

from soundnet_tf import geometry
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.audio import windows as cut_into
from soundnet_tf.errors import SoundNetError, UnknownLayer
from soundnet_tf.evaluation import embedders, windows
from soundnet_tf.evaluation.embedders import kinds, mfcc, saved_nets
from soundnet_tf.export import lite, write_tflite
from soundnet_tf.inference import files, load, write
from soundnet_tf.nets import model, saved
from soundnet_tf.spec import SOUNDNET8
from soundnet_tf.testing import enliven, noise, thin_spec, tone
from tests.evaluation import made


@pytest.fixture(scope='module')
def net():
    return enliven(model.build(thin_spec(SOUNDNET8)))


@pytest.fixture(scope='module')
def forms(net, tmp_path_factory):
    """The same net in each form; the module as exported ones are: a dict, for a waveform or for a batch."""
    top = tmp_path_factory.mktemp('forms')
    saved.save_net(net, top / 'net')
    write_tflite(net, top / 'net.tflite')
    layers = [net.spec.feature_layer, 'conv7', *net.spec.head_names]
    part = model.features(net, layers)

    class Exported(tf.Module):
        def __init__(self):
            super().__init__()
            self.net = part

        def outputs(self, waveform):
            found = self.net(waveform, training=False)
            times = tf.range(tf.shape(found['pool5'])[1], dtype=tf.float32) * (8192 / SAMPLE_RATE)
            return {'embedding': tf.reduce_mean(found['pool5'], axis=1), 'times': times, **found}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
        def alone(self, waveform):
            return {k: v if k == 'times' else v[0] for k, v in self.outputs(waveform[None]).items()}

        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32)])
        def batch(self, waveform):
            return self.outputs(waveform)

        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32)])
        def embed(self, waveform):
            return {'embedding': self.outputs(waveform)['embedding']}

        # Traced below for a waveform and for a batch.
        @tf.function
        def __call__(self, waveform):
            return self.outputs(waveform) if waveform.shape.rank == 2 else self.alone(waveform)

    module = Exported()
    for shape in ([None], [None, None]):
        module.__call__.get_concrete_function(tf.TensorSpec(shape, tf.float32))
    tf.saved_model.save(
        module, str(top / 'module'), {'serving_default': module.batch, 'embed': module.embed, 'layers': module.batch}
    )
    # One that can only be served, and knows batches alone.
    served = tf.Module()
    served.net, served.run = part, tf.function(lambda waveform: {'pool5': part(waveform, training=False)['pool5']})
    spec = tf.TensorSpec([None, None], tf.float32, name='waveform')
    tf.saved_model.save(served, str(top / 'served'), {'serving_default': served.run.get_concrete_function(spec)})
    return top


CLIPS = [noise(10.0, seed=1), tone(12.3, 300)]


@pytest.mark.parametrize('form', ['net', 'module', 'served', 'net.tflite'])
def test_each_form_gives_the_numbers_of_the_net(net, forms, form):
    embedder = embedders.make(str(forms / form))
    assert isinstance(embedder.fingerprint, str)
    assert embedder.name == str(forms / form)
    layer = embedder.resolve_layer(None)
    assert embedder.hop_s(layer) == pytest.approx(8192 / SAMPLE_RATE)
    wanted = model.features(net, ['pool5'])
    for values, clip in zip(embedder.embed(CLIPS, layer), CLIPS, strict=True):
        own = np.asarray(wanted(clip[None], training=False)['pool5'])[0]
        np.testing.assert_allclose(values, own, atol=1e-4 * abs(own).max())
        assert len(values) == geometry.frames(net.spec, 'pool5', len(clip))
    with pytest.raises(SoundNetError, match=r"no (layer |output )?'pool9'"):
        embedder.resolve_layer('pool9')


def test_a_file_of_one_length_gives_a_vector_per_window(net, tmp_path):
    lite.plan(net, 'embedding', length_s=2).write(tmp_path)
    embedder = embedders.make(str(tmp_path / 'model.tflite'))
    layer = embedder.resolve_layer(None)
    assert embedder.hop_s(layer) == 2
    sound, wanted = noise(3.2), model.features(net, ['pool5'])
    for seconds, count in ((1, 1), (2.001, 1), (3.2, 2)):
        clip = sound[: round(seconds * SAMPLE_RATE)]
        (values,) = embedder.embed([clip], layer)
        cut = cut_into(clip, 2 * SAMPLE_RATE)
        assert len(values) == len(cut) == count
        own = np.mean(wanted(cut, training=False)['pool5'], axis=1)
        np.testing.assert_allclose(values, own, atol=1e-4 * abs(own).max())


@pytest.mark.parametrize('form', ['net', 'module', 'net.tflite'])
def test_other_layers_and_heads(net, forms, form):
    embedder = embedders.make(str(forms / form))
    for layer in ('conv7', 'places'):
        own = np.asarray(model.features(net, [layer])(CLIPS[0][None], training=False)[layer])[0]
        (values,) = embedder.embed(CLIPS[:1], embedder.resolve_layer(layer))
        np.testing.assert_allclose(values, own, atol=1e-4 * abs(own).max())
        assert embedder.hop_s(layer) == pytest.approx(geometry.hop(net.spec, layer) / SAMPLE_RATE)


def test_conv8_is_both_heads(net, forms):
    embedder = embedders.make(str(forms / 'net'))
    (values,) = embedder.embed(CLIPS[:1], embedder.resolve_layer('conv8'))
    both = np.concatenate([embedder.embed(CLIPS[:1], head)[0] for head in ('imagenet', 'places')], axis=1)
    np.testing.assert_array_equal(values, both)
    assert values.shape[1] == 14


def test_several_layers_in_one_pass_are_those_of_each_alone(forms):
    """Also of clips that are too short for some of them: each layer repeats a clip as far as it needs alone."""
    embedder, clips = saved_nets.saved_net(forms / 'net'), [*CLIPS, noise(0.5)]
    layers = ['conv4', 'pool5', 'conv7', 'conv8']
    together = embedder.embed_layers(clips, layers)
    assert set(together) == set(layers)
    for layer in layers:
        for values, alone in zip(together[layer], embedder.embed(clips, layer), strict=True):
            np.testing.assert_allclose(values, alone, atol=1e-5 * abs(alone).max())


def test_random_nets_are_of_their_seed():
    one, same, other = (saved_nets.random_net('soundnet5', seed) for seed in (0, 0, 1))
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert one.name == 'soundnet5, random weights'
    np.testing.assert_array_equal(one.embed(CLIPS[:1], 'conv4'), same.embed(CLIPS[:1], 'conv4'))
    assert one.resolve_layer(None) == 'conv4'


def test_the_fingerprint_is_of_the_weights(net):
    before = saved_nets.in_memory(net, 'x').fingerprint
    variable = net.get_layer('conv1_conv').bias
    was = np.asarray(variable)
    variable.assign(was + 1)
    assert saved_nets.in_memory(net, 'x').fingerprint != before
    variable.assign(was)


def mel(hz):
    return 1127 * np.log(1 + hz / 700)


def test_mfcc_against_numpy():
    waveform = noise(3.0, seed=2) + tone(3.0, 700)
    frames = np.lib.stride_tricks.sliding_window_view(waveform, 1024)[::512] * np.hanning(1025)[:-1]
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = np.linspace(mel(50), mel(11025), 66)
    bins = mel(np.linspace(0, 11025, 513)[1:])[:, None]
    up, down = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2]), (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    bands = power[:, 1:] @ np.maximum(0, np.minimum(up, down))
    wanted = scipy.fft.dct(np.log(bands + 1e-6), axis=1, norm='ortho')[:, :20]
    # TensorFlow's first coefficient is scaled as the others.
    wanted[:, 0] *= np.sqrt(2)
    got = mfcc.coefficients(waveform)
    np.testing.assert_allclose(got[:, 1:], wanted[:, 1:], atol=2e-2)
    np.testing.assert_allclose(got[:, 0], wanted[:, 0], rtol=1e-3)


def test_mfcc_over_time():
    embedder = embedders.make('mfcc')
    values, short = embedder.embed([noise(10.0), noise(0.1)], embedder.resolve_layer(None))
    assert values.shape == (26, 80)
    assert short.shape == (1, 80)
    assert np.isfinite(embedder.embed([np.zeros(30_000, np.float32)], 'mfcc')[0]).all()
    with pytest.raises(UnknownLayer, match="mfcc: no layer 'pool5'"):
        embedder.resolve_layer('pool5')


@pytest.mark.parametrize('format', ['npz', 'npy', 'h5', 'csv', 'jsonl', 'parquet'])
def test_precomputed_features_are_those_that_soundnet_embed_wrote(forms, tmp_path, format):
    paths = [made.write(tmp_path / 'sounds' / name, noise(3.0, seed=len(name))) for name in ('a.wav', 'bc.wav')]
    embedder, sounds = load(forms / 'net'), files.find([str(tmp_path / 'sounds')])
    for out, layers in (('one', ['pool5']), ('two', ['conv7', 'pool5'])):
        out = str(tmp_path / (out if format in ('npz', 'npy') else f'{out}.{format}'))
        write.embed_files(embedder, sounds, out, format, layers)
        ready = embedders.make(out)
        layer = ready.resolve_layer(None)
        assert layer == ('precomputed' if len(layers) == 1 else 'pool5')
        for path in paths:
            alone = embedder.embed_file(path, 'pool5').values  # and not in a batch
            np.testing.assert_allclose(ready.of_file(path, layer), alone, rtol=0, atol=1e-5)
        assert ready.hop_s(layer) == pytest.approx(8192 / SAMPLE_RATE)
    own = embedder.embed_file(paths[0], 'conv7').values
    np.testing.assert_allclose(ready.of_file(paths[0], 'conv7'), own, atol=1e-5)
    with pytest.raises(UnknownLayer, match=r"no output 'x'\. Set layer to one of \w+ \(\d+ channels\), \w+ \("):
        ready.resolve_layer('x')
    with pytest.raises(SoundNetError, match=r'no features of c\.wav\. Compute them, or leave the clip out'):
        ready.of_file('some/c.wav')
    with pytest.raises(SoundNetError, match='cannot embed waveforms'):
        ready.embed(CLIPS, 'precomputed')


def test_pooled_features_are_one_vector(forms, tmp_path):
    path = made.write(tmp_path / 'a.wav', noise(3.0))
    embedder = load(forms / 'net')
    for format in ('csv', 'h5'):
        out = str(tmp_path / f'mean.{format}')
        write.embed_files(embedder, files.find([path]), out, format, pool='mean')
        ready = embedders.make(out)
        np.testing.assert_allclose(ready.of_file(path)[0], embedder.embed_file(path).values.mean(axis=0), rtol=1e-5)
        assert ready.hop_s('precomputed') == math.inf


VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)


def _others_csv(path, name):
    times = ['time,', '0.5,', '1.0,'] if name == 'time' else ['', '', '']
    lines = ['a,b,c', '0,1,2', '3,4,5'][name == 'bare' :]
    path.write_text('\n'.join(time + line for time, line in zip(times, lines, strict=False)) + '\n')


def _others_h5(path, name):
    with h5py.File(path, 'w') as file:
        file['values' if name == 'times' else 'x/features'] = VALUES
        if name == 'times':
            file['times'] = [0.5, 1.0]


@pytest.mark.parametrize(
    ('suffix', 'name', 'hop_s'),
    [('.csv', 'bare', None), ('.csv', 'head', None), ('.csv', 'time', 0.5), ('.h5', 'x', None), ('.h5', 'times', 0.5)],
)
def test_a_folder_of_features_of_others(suffix, name, hop_s, tmp_path):
    (tmp_path / 'f').mkdir()
    (_others_csv if suffix == '.csv' else _others_h5)(tmp_path / 'f' / f'rain.wav{suffix}', name)
    ready = embedders.make(str(tmp_path / 'f'))
    np.testing.assert_array_equal(ready.of_file('x/rain.wav'), VALUES)
    if hop_s:
        assert ready.hop_s('precomputed') == hop_s
    else:
        with pytest.raises(
            SoundNetError, match=r'values over time without `times`\. Append the seconds per time step, as'
        ):
            ready.hop_s('precomputed')
    assert embedders.make(f'{tmp_path / "f"}:0.25').hop_s('precomputed') == 0.25


@pytest.mark.parametrize(
    ('text', 'parts'),
    [
        ('yamnet.tflite:16000', ('yamnet.tflite', 16000)),
        ('features/:.5', ('features/', 0.5)),
        ('runs/first/net', ('runs/first/net', None)),
        ('https://x.org:8080/yamnet/1:16000', ('https://x.org:8080/yamnet/1', 16000)),
        ('https://x.org:8080/yamnet/1', ('https://x.org:8080/yamnet/1', None)),
        ('http://localhost:8080', ('http://localhost:8080', None)),
    ],
)
def test_a_number_may_follow_a_model(text, parts):
    assert embedders.split(text) == parts


def test_a_table_of_features_of_others(tmp_path):
    (tmp_path / 'all.csv').write_text('filename,fold,a,b\nx/rain.wav,one,1,2\ndog.wav,two,3,4\n')
    ready = embedders.make(str(tmp_path / 'all.csv'))
    np.testing.assert_array_equal(ready.of_file('rain.wav'), [[1, 2]])
    assert ready.hop_s('precomputed') == math.inf
    with h5py.File(tmp_path / 'all.h5', 'w') as file:
        file['fold1/rain.wav'] = VALUES
    np.testing.assert_array_equal(embedders.make(str(tmp_path / 'all.h5')).of_file('rain.wav'), VALUES)
    for file, text, words in (
        ('no.csv', 'a,b\n1,2\n', r'no\.csv: no column path, file, .* or audio\. Add one, or use a file for each clip'),
        ('twice.csv', 'path,a\nx/rain.wav,1\ny/rain.wav,2\n', r'twice\.csv: rain\.wav appears twice'),
        (
            'text.csv',
            'path,a\nrain.wav,1\ndog.wav,loud\n',
            r"text\.csv: line 3: column a: 'loud' is not a number\. Use numbers only",
        ),
        ('no.jsonl', '{"path": "rain.wav"}\n', r'no\.jsonl: no column values, features, embedding or embeddings'),
    ):
        (tmp_path / file).write_text(text)
        with pytest.raises(SoundNetError, match=words):
            embedders.make(str(tmp_path / file))
    with h5py.File(tmp_path / 'net.h5', 'w') as file:
        file.attrs['model_config'] = '{}'
    with pytest.raises(SoundNetError, match=r'net\.h5: a network in Keras format, not features'):
        embedders.make(str(tmp_path / 'net.h5'))


def test_precomputed_features_in_one_file(tmp_path):
    np.savez(tmp_path / 'all.npz', **{'a.wav': np.arange(3.0), 'b': np.ones([4, 3]), 'c': np.full(3, np.nan)})
    ready = embedders.make(f'{tmp_path / "all.npz"}:0.5')
    np.testing.assert_array_equal(ready.of_file('x/a.wav'), [[0, 1, 2]])
    assert ready.of_file('x/b.wav').shape == (4, 3)
    assert ready.hop_s('precomputed') == 0.5
    with pytest.raises(SoundNetError, match='c has NaN or infinite values'):
        ready.of_file('c.wav')


def test_one_vector_for_a_whole_clip_is_one_window(forms):
    embedder = embedders.make(str(forms / 'module'))
    (values,) = embedder.embed(CLIPS[:1], embedder.resolve_layer('embedding'))
    np.testing.assert_allclose(values[0], embedder.embed(CLIPS[:1], 'pool5')[0].mean(axis=0), rtol=1e-4, atol=1e-6)
    assert embedder.hop_s('embedding') == math.inf
    np.testing.assert_array_equal(windows.windows(values, 1.0, 0.0, math.inf), values)


def test_the_hop_of_a_black_box():
    # 160 ms at 16 kHz, whose hop is no power of two.
    assert kinds.measured_hop_s(lambda samples: samples // 3528) == pytest.approx(0.16, rel=1e-2)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('nowhere', 'nowhere is not a saved net'),
        ('random:vgg', "net must be soundnet8 or soundnet5, got 'vgg'"),
        ('random:soundnet5:x', 'Use random:soundnet8, or random:soundnet8:SEED'),
        ('no.tflite', r'no\.tflite: no such file'),
        ('no.tflite:16kHz', r"no\.tflite:16kHz: '16kHz' is not a number above 0\. Append the sample rate in whole Hz"),
        ('empty:0', r'empty:0: 0 is not a number above 0\. Append the seconds per time step, such as :0\.37'),
        ('empty:-1', r"empty:-1: '-1' is not a number above 0\. Append the seconds per time step"),
        ('no.npz', r'no\.npz: cannot be read \(No such file'),
        ('empty', r'empty: no features\. Use a folder of \.npy, \.npz, .* or one file with all clips \(\.npz'),
    ],
)
def test_invalid_embedders_are_reported(text, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(SoundNetError, match=words):
        embedders.make(text)
    (tmp_path / 'bad.tflite').write_bytes(b'dear sir, this is no flatbuffer')
    with pytest.raises(SoundNetError, match=r'bad\.tflite: cannot be read \('):
        embedders.make('bad.tflite')

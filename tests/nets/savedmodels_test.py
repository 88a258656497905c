"""The included nets have the properties that their cards state."""

import collections
import hashlib
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import soundfile

import soundnet_tf
from soundnet_tf import clips, inference
from soundnet_tf.audio import SAMPLE_RATE, decoding
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import tags
from soundnet_tf.inference.engines import stored
from soundnet_tf.nets import lookup, model, registry, saved
from soundnet_tf.shipping import card, delivery, probes, trials
from tests.bin.listening_test import call
from tools import by_ear

FOLDER = pathlib.Path(__file__).parents[2] / 'savedmodels'
LISTED = json.loads((FOLDER / registry.LIST).read_text())


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


NETS = sorted(LISTED['nets'])
CLASSIFIERS = [name for name in NETS if 'confidence_threshold' in saved.read_facts(FOLDER / name)]
MODULES = [name for name in NETS if 'module' in saved.read_facts(FOLDER / name)]
LICENCES = {
    'soundnet5-esc10': {'[CC0]': 188, '[CC-BY]': 130, '[CC-Sampling+]': 2},
    'soundnet8-esc10': {'[CC0]': 188, '[CC-BY]': 130},
    'soundnet8-esc50': {},  # ESC-50 has no list of them by clip, but a page
}
LEARNED = {'soundnet5-esc10': 320, 'soundnet8-esc10': 318, 'soundnet8-esc50': 1401}
"""Clips that each net was trained on."""
VARIABLES = 'variables/variables.data-00000-of-00001'
MAX_VARIABLES_BYTES = 13_000_000
"""In float32, which TensorFlow trains and reads."""


def test_there_is_a_default():
    assert LISTED['default'] in {*LISTED['nets'], *registry.PACKAGED}
    assert lookup.find().name == LISTED['default']


@pytest.mark.parametrize('name', NETS)
def test_each_file_has_its_listed_hash(name):
    folder, files = FOLDER / name, LISTED['nets'][name]['files']
    assert lookup.find(name).samefile(folder)
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob('*') if path.is_file()}
    assert {file: hashlib.sha256(path.read_bytes()).hexdigest() for file, path in there.items()} == files
    sizes = {file: path.stat().st_size for file, path in there.items()}
    assert sizes.pop(VARIABLES, 0) <= MAX_VARIABLES_BYTES
    assert max(sizes.values()) <= delivery.MAX_BYTES


@pytest.mark.parametrize('name', MODULES)
def test_tensorflow_hub_and_tensorflow_open_the_folder(name):
    tf, hub = pytest.importorskip('tensorflow'), pytest.importorskip('tensorflow_hub')
    folder, waveform = lookup.find(name), np.resize(probes.synthetic('music-like', 2), 15 * SAMPLE_RATE)
    net, facts = saved.load_net(folder), saved.read_facts(folder)
    heads = {head: np.asarray(values)[0] for head, values in net(waveform[None]).items()}
    feature = np.asarray(model.features(net, net.spec.feature_layer)(waveform[None])[net.spec.feature_layer])[0]
    for module in (hub.load(str(folder)), tf.saved_model.load(folder)):
        for given in (module(waveform), module.signatures['serving_default'](waveform=tf.constant(waveform[None]))):
            for head, steps in heads.items():
                np.testing.assert_allclose(np.reshape(given[head], steps.shape), steps, atol=1e-5)
            np.testing.assert_allclose(np.ravel(given['embedding']), feature.mean(axis=0), rtol=1e-4, atol=1e-4)
        for head in heads:
            path = pathlib.Path(os.fsdecode(module.label_path(head).numpy()))
            assert path.read_text(encoding='utf-8').splitlines() == list(net.labels[head])
    assert max(facts['module']['difference'].values()) < 1e-4


@pytest.mark.parametrize('name', CLASSIFIERS)
def test_model_json_and_card(name):
    facts, spec = saved.read_facts(lookup.find(name)), saved.read_spec(lookup.find(name))
    (head,) = spec.heads
    assert (head.kernel, head.stride, head.clip_mean) == (1, 1, 'logits')
    assert (facts['name'], facts['spec']) == (name, spec.to_dict())
    assert facts['licence'] == LISTED['nets'][name]['licence']
    licences = collections.Counter(line.rpartition(' ')[2] for line in facts['data']['attribution'])
    assert licences == LICENCES[name]
    assert facts['origin']['learned_from']['clips'] == LEARNED[name]
    assert any('/ESC-' in address for address in facts['data']['addresses'])
    assert facts['data']['folds'] == [1, 2, 3, 4]  # the fifth is for others to judge by
    assert 0 < facts['confidence_threshold'][head.name] < 1
    # The card is the command's, from these numbers.
    labels = saved.read_labels(lookup.find(name))[head.name]
    assert (lookup.find(name) / card.NAME).read_text(encoding='utf-8') == card.write(spec, labels, facts)


@pytest.mark.parametrize('name', CLASSIFIERS)
def test_all_forms_agree(name):
    """Keras, TensorFlow's quick form, and LiteRT."""
    folder = lookup.find(name)
    spec, net = saved.read_spec(folder), saved.load_net(folder)
    (head,) = spec.heads
    roads = [soundnet_tf.load(name), inference.Embedder(stored(folder))]
    built = {'soundnet8': soundnet_tf.SoundNet8, 'soundnet5': soundnet_tf.SoundNet5}[spec.name](weights=name)
    assert built.labels == net.labels
    for kind in ('music-like', 'a synthetic siren', 'silence'):
        waveform = probes.synthetic(kind, 1)
        steps = np.asarray(net(waveform[None])[head.name])[0]
        np.testing.assert_allclose(np.asarray(built(waveform[None])[head.name])[0], steps, atol=1e-5)
        wanted = tags.clip_probabilities(head, steps)
        for road in roads:
            given = road.listener.listen_samples(waveform, SAMPLE_RATE, [head.name])[head.name].values
            np.testing.assert_allclose(tags.clip_probabilities(head, given), wanted, atol=5e-3)
        layer = spec.feature_layer
        features = np.asarray(model.features(net, [layer])(waveform[None])[layer])[0]
        for road in roads:
            heard = road.embed(waveform, SAMPLE_RATE).values
            np.testing.assert_allclose(heard, features, atol=1e-2 * max(1e-3, np.abs(features).max()))


def test_the_small_net_has_the_originals_features_and_nearly_its_heads():
    small, original = (soundnet_tf.load(name) for name in ('soundnet8-small', 'soundnet8'))
    folder = FOLDER / 'soundnet8-small'
    assert (folder / 'net.tflite').stat().st_size < 3_000_000
    assert (folder / card.NAME).read_text(encoding='utf-8') == by_ear.card(saved.read_facts(folder))
    found = []
    for sound in map(clips.path, clips.names()):
        for layer in ('pool5', 'conv6'):
            ours, theirs = (net.embed_file(sound, layer).values.ravel() for net in (small, original))
            assert ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs) > 0.9999
        for head in ('imagenet', 'places'):
            best = [tag.name for tag in original.tag_file(sound, top=1) if tag.head == head]
            found.append(best[0] in [tag.name for tag in small.tag_file(sound, top=5) if tag.head == head])
    assert np.mean(found) >= 0.9


@pytest.mark.parametrize('seconds', [5.0, 5.3, 5.6])
def test_the_last_step_of_a_sound_is_as_good_as_the_others(seconds):
    """Training never read all of the zeros behind conv7, so the spec leaves the steps out that read them."""
    embedder = soundnet_tf.load('soundnet8-esc10')
    assert embedder.spec.trained_samples == 3 * SAMPLE_RATE
    waveform = np.resize(decoding.read(clips.path('rooster')), round(seconds * SAMPLE_RATE))
    steps = embedder.embed(waveform, SAMPLE_RATE, 'esc10').values
    assert {embedder.labels['esc10'][best] for best in steps.argmax(axis=1)} == {'Rooster'}


def test_a_misspelled_name_is_reported_with_suggestions():
    with pytest.raises(
        SoundNetError,
        match=r'soundnet9-esc10 is not a saved net: .*Did you mean soundnet8-esc10.*, or a name: .*soundnet5-esc10',
    ):
        soundnet_tf.load('soundnet9-esc10')


@pytest.mark.parametrize('name', CLASSIFIERS)
def test_results_on_synthetic_sounds_are_reproduced(name, monkeypatch):
    monkeypatch.setattr(probes, 'SYNTHETIC', {kind: probes.SYNTHETIC[kind] for kind in ('speech-like', 'white noise')})
    facts = saved.read_facts(lookup.find(name))
    stored = {trial['kind']: trial for trial in facts['measured']['synthetic']}
    for trial in trials.synthetic(soundnet_tf.load(name, short='tile', speeds=[1])):
        assert trial.sounds == stored[trial.kind]['sounds']
        # Of twenty sounds one may lie at the threshold itself.
        assert trial.not_sure == pytest.approx(stored[trial.kind]['not_sure'], abs=0.051)
        assert trial.confidence == pytest.approx(stored[trial.kind]['confidence'], abs=0.01)


def test_the_commands_need_no_model_and_no_tensorflow(tmp_path):
    pytest.importorskip('ai_edge_litert')
    soundfile.write(tmp_path / 'noise.wav', probes.synthetic('white noise', 0), SAMPLE_RATE)
    status, out, said, loaded = call('tag', '--top=1', 'noise.wav', cwd=tmp_path)
    note = 'noise.wav: 5.00 s is too short for the heads of soundnet8, so it was repeated'
    assert (status, said, loaded) == (0, [note], '[]')
    best = soundnet_tf.load(short='tile').tag_file('noise.wav', top=1)[-1]
    assert out[0] == 'noise.wav'
    assert out[-1].strip().endswith(f'{best.probability:6.1%}  {best.name}'.strip())
    status, out, said, loaded = call('embed', '--out=out', 'noise.wav', cwd=tmp_path)
    assert (status, out, said, loaded) == (0, ['out: 1 done'], [], '[]')
    with np.load(tmp_path / 'out' / 'noise.wav.npz') as there:
        assert there['values'].shape == soundnet_tf.load().embed_file('noise.wav').values.shape


def test_listing_nets_needs_neither_numpy_nor_tensorflow():
    code = """
import sys
from soundnet_tf.nets import lookup
lookup.find()
heavy = {'tensorflow', 'keras', 'numpy', 'requests', 'tqdm'} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, '-c', code], check=True, cwd=FOLDER.parent)


def test_hear_uses_the_default():
    from soundnet_tf import hear

    assert hear.load_model().net.spec == saved.read_spec(lookup.find())

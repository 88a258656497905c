"""The included nets have the properties that their cards state."""

import collections
import hashlib
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import soundfile

import soundnet_tf
from soundnet_tf import inference
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import tags
from soundnet_tf.inference.engine import stored
from soundnet_tf.nets import lookup, model, registry, saved
from soundnet_tf.shipping import card, delivery, probes, trials
from tests.bin.listening_test import call

FOLDER = pathlib.Path(__file__).parents[2] / 'savedmodels'
LISTED = json.loads((FOLDER / registry.LIST).read_text())


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=sorted(LISTED['nets']))
def name(request):
    return request.param


def test_there_is_a_default():
    assert LISTED['default'] in {*LISTED['nets'], *registry.PACKAGED}
    assert lookup.find().name == LISTED['default']


def test_each_file_has_its_listed_hash(name):
    folder, files = FOLDER / name, LISTED['nets'][name]['files']
    assert lookup.find(name).samefile(folder)
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob('*') if path.is_file()}
    assert {file: hashlib.sha256(path.read_bytes()).hexdigest() for file, path in there.items()} == files
    assert max(path.stat().st_size for path in there.values()) <= delivery.MAX_BYTES


def test_model_json_and_card(name):
    facts, spec = saved.read_facts(lookup.find(name)), saved.read_spec(lookup.find(name))
    (head,) = spec.heads
    assert (head.kernel, head.stride, head.clip_mean) == (1, 1, 'logits')
    assert (facts['name'], facts['spec']) == (name, spec.to_dict())
    assert facts['licence'] == LISTED['nets'][name]['licence']
    assert len(facts['data']['attribution']) == facts['origin']['learned_from']['clips'] == 320
    licences = collections.Counter(line.rpartition(' ')[2] for line in facts['data']['attribution'])
    assert licences == {'[CC0]': 188, '[CC-BY]': 130, '[CC-Sampling+]': 2}
    assert 5 not in facts['data']['folds']
    assert 0 < facts['confidence_threshold'][head.name] < 1
    # The card is the command's, from these numbers.
    labels = saved.read_labels(lookup.find(name))[head.name]
    assert (lookup.find(name) / card.NAME).read_text(encoding='utf-8') == card.write(spec, labels, facts)


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


def test_a_misspelled_name_is_reported_with_suggestions():
    with pytest.raises(
        SoundNetError,
        match=r'soundnet9-esc10 is not a saved net: .*Did you mean soundnet8-esc10.*, or a name: .*soundnet5-esc10',
    ):
        soundnet_tf.load('soundnet9-esc10')


def test_results_on_synthetic_sounds_are_reproduced(name, monkeypatch):
    monkeypatch.setattr(probes, 'SYNTHETIC', {kind: probes.SYNTHETIC[kind] for kind in ('speech-like', 'white noise')})
    facts = saved.read_facts(lookup.find(name))
    stored = {trial['kind']: trial for trial in facts['measured']['synthetic']}
    for trial in trials.synthetic(soundnet_tf.load(name, short='tile')):
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

"""TFLite files: whole nets of any table, kept only if they give Keras' numbers."""

import hashlib

import numpy as np
import pytest

from soundnet_tf import geometry
from soundnet_tf.errors import ExportRefused, UnknownLayer
from soundnet_tf.export import add_tflite, tflite, write_tflite
from soundnet_tf.nets import model, saved
from soundnet_tf.spec import SOUNDNET5
from soundnet_tf.testing import enliven, noise, thin_spec
from tests.nets.model_test import OTHERS

interpreter = pytest.importorskip('ai_edge_litert.interpreter')


@pytest.mark.parametrize('spec', [thin_spec(SOUNDNET5), *OTHERS], ids=lambda spec: spec.name)
def test_any_table_is_converted(spec, tmp_path):
    assert write_tflite(enliven(model.build(spec)), tmp_path / 'net.tflite') < 1e-5
    assert [path.name for path in tmp_path.iterdir()] == ['net.tflite']
    given = interpreter.Interpreter(str(tmp_path / 'net.tflite')).get_signature_list().values()
    outputs = {layer for names in given for layer in names['outputs']}
    assert outputs == {spec.feature_layer, spec.layer_names[-1], *spec.head_names}


def test_signatures_have_their_min_length_and_share_the_weights(net, tmp_path):
    path = tmp_path / 'net.tflite'
    write_tflite(net, path)
    assert interpreter.Interpreter(str(path)).get_signature_list() == {
        'from_4574_samples': {'inputs': ['waveform'], 'outputs': ['conv7', 'pool5']},
        'from_209374_samples': {'inputs': ['waveform'], 'outputs': ['imagenet', 'places']},
    }
    weights = sum(np.array(v).nbytes for key, v in model.variables_of(net).items() if 'kernel' in key)
    assert path.stat().st_size < 1.3 * weights


def test_a_batch_stays_a_batch(net, tmp_path):
    write_tflite(net, tmp_path / 'net.tflite', ['conv5'])
    run = interpreter.Interpreter(str(tmp_path / 'net.tflite')).get_signature_runner()
    batch = np.stack([noise(2, seed=seed) for seed in range(3)])
    wanted = np.array(model.features(net, ['conv5'])(batch)['conv5'])
    given = run(waveform=batch)['conv5']
    assert given.shape == (3, geometry.frames(net.spec, 'conv5', batch.shape[1]), 16)
    np.testing.assert_allclose(given, wanted, rtol=0, atol=2e-4 * wanted.max())


@pytest.mark.parametrize('factor', [1.01, np.nan], ids=['off by a hundredth', 'NaN'])
def test_a_file_that_differs_is_not_kept(net, tmp_path, monkeypatch, factor):
    write_tflite(net, tmp_path / 'net.tflite')
    before = (tmp_path / 'net.tflite').read_bytes()
    folded = tflite.folded

    def wrong(net):
        weights = folded(net)
        kernel, bias = weights['conv7']
        return {**weights, 'conv7': (kernel * np.float32(factor), bias)}

    monkeypatch.setattr(tflite, 'folded', wrong)
    with pytest.raises(ExportRefused, match=r'new\.tflite: not kept, since conv7 differs by .* of its largest value'):
        write_tflite(net, tmp_path / 'new.tflite', ['pool5', 'conv7'])
    assert [path.name for path in tmp_path.iterdir()] == ['net.tflite']
    assert (tmp_path / 'net.tflite').read_bytes() == before


def test_model_json_has_the_hash(net, tmp_path):
    folder = saved.save_net(net, tmp_path / 'net', origin={'run': 'here'})
    path = add_tflite(folder)
    assert path == folder / 'net.tflite'
    facts = saved.read_facts(folder)
    assert facts['tflite']['sha256'] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert facts['tflite']['difference'] < 1e-5
    assert facts['origin'] == {'run': 'here'}


def test_an_unknown_layer_is_refused(net, tmp_path):
    with pytest.raises(UnknownLayer, match="no layer 'conv8'; it has conv1, "):
        write_tflite(net, tmp_path / 'net.tflite', ['pool5', 'conv8'])

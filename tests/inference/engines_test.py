"""Engines: Keras against plain numpy, LiteRT against Keras, and which of them is used."""

import shutil
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundnet_tf import geometry
from soundnet_tf.errors import MissingTool, SoundNetError, WeightsMismatch
from soundnet_tf.inference import engines
from soundnet_tf.inference.engines import FirstThatServes, KerasEngine, LiteRTEngine, TensorFlowEngine, engine_of
from soundnet_tf.nets import model, precisions, saved
from soundnet_tf.nets.fast import inference
from soundnet_tf.spec import SOUNDNET5
from soundnet_tf.testing import enliven, noise, thin_spec
from tests import numpy_net
from tests.inference.conftest import PLACES
from tests.nets.hashes import forget_hashes

SERVED = ('pool5', 'conv7', 'imagenet', 'places')


@pytest.fixture(autouse=True)
def _without_openvino(monkeypatch):
    """Which would be chosen on some processors: see openvino_test.py."""
    monkeypatch.setattr(engines.choice.openvino, 'installed', lambda: False)


@pytest.fixture(scope='module')
def keras_engine(net):
    return KerasEngine(net)


@pytest.fixture(scope='module', params=[1e9, 0], ids=['at once', 'packed'])
def litert(quick_folder, request):
    """With the kernels that it starts with, and with those that it takes later."""
    before, engines.lite.AT_ONCE_S = engines.lite.AT_ONCE_S, request.param
    yield LiteRTEngine(quick_folder)
    engines.lite.AT_ONCE_S = before


def close(given, wanted):
    assert list(given) == list(wanted)
    for layer, values in wanted.items():
        assert given[layer].shape == values.shape
        assert given[layer].dtype == np.float32
        np.testing.assert_allclose(given[layer], values, rtol=0, atol=2e-4 * np.abs(values).max())


@pytest.mark.parametrize('spec', [thin_spec(), thin_spec(SOUNDNET5, heads={'esc10': 10})], ids=lambda spec: spec.name)
def test_keras_is_the_numpy_net(spec):
    net = enliven(model.build(spec))
    rows = [row.name for row in spec.rows]
    weights = {key: np.array(variable) for key, variable in model.variables_of(net).items()}
    wanted = numpy_net.forward(spec, weights, noise(10))
    close(KerasEngine(net).run(noise(10), rows), {row: wanted[row] for row in rows})


def test_keras_traces_one_graph_for_all_lengths(net):
    engine = KerasEngine(net)
    for seconds in (0.3, 1, 1.01, 5):
        engine.run(noise(seconds), ['conv7'])
    assert list(engine._graphs) == [('conv7',)]


def test_clips_of_ever_new_lengths_have_few_shapes():
    """With oneDNN each shape takes memory for good."""
    shapes = {engines.tensorflow._rounded_up(samples): samples for samples in range(1, 1_400_000, 7)}
    assert all(samples <= shape <= samples * 17 / 16 for shape, samples in shapes.items() if samples > 16)
    assert len(shapes) < 350
    assert all(engines.tensorflow._rounded_up(samples) in range(samples, samples + 2) for samples in range(1, 33))


@settings(max_examples=12, deadline=None)
@given(samples=st.integers(geometry.min_samples(thin_spec(), 'conv7'), 300_000))
def test_litert_is_keras_at_any_length(keras_engine, litert, samples):
    waveform = noise(300_000 / 22_050, seed=samples)[:samples]
    layers = [layer for layer in SERVED if geometry.min_samples(litert.spec, layer) <= samples]
    close(litert.run(waveform, layers), keras_engine.run(waveform, layers))


@pytest.mark.parametrize('layer', SERVED)
@pytest.mark.parametrize('more', [0, 1, 8_192])
def test_litert_is_keras_from_the_shortest_clip_on(keras_engine, litert, layer, more):
    samples = geometry.min_samples(litert.spec, layer) + more
    waveform = noise(10)[:samples]
    given = litert.run(waveform, [layer])
    close(given, keras_engine.run(waveform, [layer]))
    assert len(given[layer]) == geometry.frames(litert.spec, layer, samples)


def test_litert_announces_nothing(quick_folder, capfd):
    engine = LiteRTEngine(quick_folder)
    for seconds in (1, 70, 1):
        engine.run(noise(seconds), ['conv7'])
    assert list(engine._idle) == ['at once', 'clip']
    assert capfd.readouterr() == ('', '')


def test_litert_takes_its_quicker_kernels_after_a_while(quick_folder, monkeypatch):
    monkeypatch.setattr(engines.lite, 'AT_ONCE_S', 3)
    engine, given = LiteRTEngine(quick_folder), []
    for _ in range(5):
        given.append(engine.run(noise(1), ['conv7', 'pool5']))
        assert ('clip' in engine._idle) == (len(given) > 3)
    for later in given:
        close(later, given[0])


def test_litert_runs_clips_side_by_side_in_order(quick_folder, monkeypatch):
    monkeypatch.setattr(engines.lite, 'AT_ONCE_S', 3)
    monkeypatch.setattr(engines.lite.litert, 'THREADS', 3)
    engine = LiteRTEngine(quick_folder)
    clips = [noise(1 + index / 10, seed=index) for index in range(12)]
    for outputs, clip in zip(engine.run_many(clips, ['pool5', 'conv7']), clips, strict=True):
        close(outputs, engine.run(clip, ['pool5', 'conv7']))
    assert engine._idle['clips'].qsize() == 3


def test_a_net_keeps_its_own_names(tmp_path):
    pytest.importorskip('ai_edge_litert')
    from soundnet_tf.export import add_tflite

    scenes = tuple(f'scene {index}' for index in range(365))
    folder = saved.save_net(model.build(thin_spec(heads={'places': 365}), labels={'places': scenes}), tmp_path / 'net')
    assert engine_of(folder).labels == {'places': scenes}
    add_tflite(folder)
    assert engine_of(folder).labels == {'places': scenes}
    assert LiteRTEngine(folder).run(noise(10), ['places'])['places'].shape == (1, 365)


def test_the_weights_are_read_for_other_layers_only(quick_folder, keras_engine, monkeypatch):
    made, whole = [], engines.stored
    monkeypatch.setattr(engines.choice, 'stored', lambda *arguments: made.append(arguments) or whole(*arguments))
    engine = engine_of(quick_folder)
    assert isinstance(engine, FirstThatServes)
    engine.run(noise(10), SERVED)
    assert not made
    assert engine.serves('conv3')
    for _ in range(2):
        close(engine.run(noise(1), ['conv3', 'conv7']), keras_engine.run(noise(1), ['conv3', 'conv7']))
    assert made == [(quick_folder, 'float32', 'drop')]


def test_without_litert_or_its_file_tensorflow_serves(quick_folder, plain_folder, monkeypatch):
    assert isinstance(engine_of(plain_folder), TensorFlowEngine)
    for name in ('ai_edge_litert', 'ai_edge_litert.interpreter'):
        monkeypatch.setitem(sys.modules, name, None)
    assert isinstance(engine_of(quick_folder), TensorFlowEngine)
    assert engine_of(quick_folder).labels['places'] == PLACES
    with pytest.raises(MissingTool, match=r"pip install 'soundnet_tf\[litert\]'"):
        LiteRTEngine(quick_folder)


@pytest.mark.parametrize('most', [0, 1 << 22])
def test_a_stored_net_is_the_net_in_memory(plain_folder, keras_engine, monkeypatch, most):
    monkeypatch.setattr(inference, 'MAX_CONSTANT', most)  # as parts of the graph, and handed to it
    engine, rows = engine_of(plain_folder), [row.name for row in keras_engine.spec.rows]
    close(engine.run(noise(10), rows), keras_engine.run(noise(10), rows))


def test_only_the_requested_weights_of_a_stored_net_are_read(plain_folder, tmp_path, keras_engine):
    folder = shutil.copytree(plain_folder, tmp_path / 'net')
    path = folder / 'weights.npz'
    data = bytearray(path.read_bytes())
    at = data.index(b'imagenet/kernel.npy') + 3_000
    data[at] ^= 255
    path.write_bytes(data)
    forget_hashes(folder)
    engine = engine_of(folder)
    close(engine.run(noise(1), ['conv7']), keras_engine.run(noise(1), ['conv7']))
    with pytest.raises(WeightsMismatch, match=r'weights.npz: cannot be read .*\. Save the net again'):
        engine.run(noise(10), ['imagenet'])


def test_a_net_that_was_replaced_meanwhile_is_not_mixed(quick_folder, tmp_path, net):
    folder = shutil.copytree(quick_folder, tmp_path / 'net')
    engine = engine_of(folder)
    engine.run(noise(1), ['pool5'])
    saved.save_net(enliven(model.build(net.spec), seed=9), folder)
    with pytest.raises(SoundNetError, match=r'the net was replaced since it was loaded\. Load it again'):
        engine.open_stream(['pool5'])


def test_a_changed_file_is_reported_and_never_interpreted(quick_folder, tmp_path, monkeypatch, capsys):
    folder = shutil.copytree(quick_folder, tmp_path / 'net')
    data = bytearray((folder / 'net.tflite').read_bytes())
    data[len(data) // 2] ^= 1
    (folder / 'net.tflite').write_bytes(data)
    monkeypatch.setattr(engines.lite.litert, 'light', lambda *_, **__: pytest.fail('interpreted'))
    with pytest.raises(SoundNetError) as refused:
        engine_of(folder)
    assert str(refused.value) == (
        f'{folder}/net.tflite: changed since it was written, by its sha256 in model.json. '
        'Delete it, or write it again with soundnet_tf.export.add_tflite; without it the weights are run'
    )
    forget_hashes(folder)
    assert isinstance(engine_of(folder), TensorFlowEngine)
    line = f'{folder}/net.tflite: not used, since model.json has no sha256 of it. Delete it, or write it again with '
    assert capsys.readouterr().err.startswith(line)
    with pytest.raises(SoundNetError, match=r'net\.tflite: model\.json has no sha256 of it\. Delete it, or write it'):
        LiteRTEngine(folder)


def test_an_error_of_the_interpreter_is_one_line(quick_folder, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError('external/tensorflow: failed\nNode number 7 (CONV_2D) failed to invoke.')

    engine = LiteRTEngine(quick_folder)
    monkeypatch.setattr(engines.lite._Interpreter, '_run', fails)
    with pytest.raises(
        SoundNetError, match=r'net\.tflite: cannot be read \(external/tensorflow: failed Node number 7 '
    ):
        engine.run(noise(1), ['pool5'])
    monkeypatch.setattr(engines.lite.litert, 'light', fails)
    with pytest.raises(
        SoundNetError, match=r'net\.tflite: cannot be read \(external/tensorflow: failed Node number 7 '
    ):
        LiteRTEngine(quick_folder)


@pytest.mark.skipif(not precisions.on_processor('bfloat16'), reason='this processor has no bfloat16')
def test_half_precision_whole_and_streamed(quick_folder):
    engine = engine_of(quick_folder, 'bfloat16', engine='tensorflow')
    assert isinstance(engine, TensorFlowEngine)
    wanted = engine_of(quick_folder).run(noise(3), ['pool5', 'conv7'])
    stream = engine.open_stream(['pool5', 'conv7'])
    parts = [stream.push(noise(3)[:30_000]), stream.push(noise(3)[30_000:], last=True)]
    streamed = {layer: np.concatenate([part[layer] for part in parts]) for layer in wanted}
    for outputs in (engine.run(noise(3), ['pool5', 'conv7']), streamed):
        for layer, values in wanted.items():
            assert outputs[layer].dtype == np.float32
            assert not np.array_equal(outputs[layer], values)
            cosine = (outputs[layer] * values).sum() / np.linalg.norm(outputs[layer]) / np.linalg.norm(values)
            assert cosine > 0.999


def test_bfloat16_on_a_processor_without_it(plain_folder, monkeypatch):
    monkeypatch.setattr(precisions.processor, 'flags', frozenset)
    with pytest.raises(SoundNetError, match=r'this processor has no bfloat16 .*. Use float32, the default'):
        precisions.require('bfloat16', ('float32', 'bfloat16'))
    with pytest.raises(SoundNetError, match="precision='int8': must be 'float32' or 'bfloat16'"):
        precisions.require('int8', ('float32', 'bfloat16'))

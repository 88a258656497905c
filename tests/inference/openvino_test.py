"""The engine of OpenVINO against Keras, and when it is chosen."""

import shutil
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundnet_tf import geometry
from soundnet_tf.errors import MissingTool, SoundNetError
from soundnet_tf.inference.engines import (
    FirstThatServes,
    KerasEngine,
    LiteRTEngine,
    OpenVINOEngine,
    TensorFlowEngine,
    choice,
    engine_of,
)
from soundnet_tf.nets import model, precisions, saved
from soundnet_tf.spec import SOUNDNET5
from soundnet_tf.testing import dense_spec, enliven, noise, thin_spec
from tests.inference.engines_test import close

pytest.importorskip('openvino')


@pytest.fixture(scope='module')
def keras_engine(net):
    return KerasEngine(net)


@pytest.fixture(scope='module')
def openvino_engine(plain_folder):
    return OpenVINOEngine(plain_folder)


@settings(max_examples=12, deadline=None)
@given(samples=st.integers(geometry.min_samples(thin_spec(), 'conv7'), 300_000))
def test_openvino_is_keras_at_any_length(keras_engine, openvino_engine, samples):
    waveform = noise(300_000 / 22_050, seed=samples)[:samples]
    spec = openvino_engine.spec
    layers = [row.name for row in spec.rows if geometry.min_samples(spec, row.name) <= samples]
    close(openvino_engine.run(waveform, layers), keras_engine.run(waveform, layers))


@pytest.mark.parametrize('edges', ['drop', 'keep'])
def test_a_net_of_five_layers_with_a_padded_head(tmp_path, edges):
    spec = geometry.trim_edges(thin_spec(SOUNDNET5, heads={'esc10': 10}), 441_000)
    folder = saved.save_net(enliven(model.build(spec)), tmp_path / 'net')
    given = engine_of(folder, edges=edges, engine='openvino')
    wanted = engine_of(folder, edges=edges, engine='tensorflow')
    rows = [row.name for row in spec.rows]
    close(given.run(noise(10), rows), wanted.run(noise(10), rows))


def test_a_dense_net(tmp_path):
    net = enliven(model.build(dense_spec()))
    rows = [row.name for row in net.spec.rows]
    close(
        OpenVINOEngine(saved.save_net(net, tmp_path / 'net')).run(noise(5), rows), KerasEngine(net).run(noise(5), rows)
    )


def test_a_batch_of_several_lengths_is_each_clip_alone(openvino_engine):
    clips = [noise(seconds, seed=index) for index, seconds in enumerate([1, 2, 1, 1.5, 2, 1])]
    for outputs, clip in zip(openvino_engine.run_many(clips, ['pool5', 'conv7']), clips, strict=True):
        close(outputs, openvino_engine.run(clip, ['pool5', 'conv7']))


def test_threads_may_share_it(openvino_engine):
    clips = [noise(1 + index / 10, seed=index) for index in range(8)]
    wanted = [openvino_engine.run(clip, ['conv7'])['conv7'] for clip in clips]
    given = [None] * len(clips)

    def hear(index):
        for _ in range(5):
            given[index] = openvino_engine.run(clips[index], ['conv7'])['conv7']

    threads = [threading.Thread(target=hear, args=[index]) for index in range(len(clips))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(given, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.abs(other).max())


def test_with_avx512_it_takes_over_once_its_start_is_paid(quick_folder, plain_folder, monkeypatch):
    monkeypatch.setattr(choice.processor, 'flags', lambda: frozenset({'avx2', 'avx512f'}))
    monkeypatch.setattr(choice, 'LATER_S', 3)
    engine, given = engine_of(quick_folder), []
    for _ in range(5):
        given.append(engine.run(noise(1), ['conv7']))
        assert isinstance(engine._quick, OpenVINOEngine if len(given) > 3 else LiteRTEngine)
    for later in given:
        close(later, given[0])
    assert isinstance(engine_of(plain_folder)._quick, OpenVINOEngine)
    assert isinstance(engine_of(plain_folder, edges='keep')._quick, OpenVINOEngine)


def test_a_net_that_was_replaced_goes_on_as_it_was(quick_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(choice.processor, 'flags', lambda: frozenset({'avx512f'}))
    monkeypatch.setattr(choice, 'LATER_S', 3)
    folder = shutil.copytree(quick_folder, tmp_path / 'net')
    engine = engine_of(folder)
    before = engine.run(noise(2), ['conv7'])
    shutil.rmtree(folder)
    saved.save_net(model.build(thin_spec()), folder)
    close(engine.run(noise(2), ['conv7']), before)


def test_with_avx2_alone_it_is_slower_and_not_chosen(quick_folder, plain_folder, monkeypatch):
    monkeypatch.setattr(choice.processor, 'flags', lambda: frozenset({'avx2'}))
    monkeypatch.setattr(choice, 'LATER_S', 3)
    engine = engine_of(quick_folder)
    engine.run(noise(5), ['conv7'])
    assert isinstance(engine._quick, LiteRTEngine)
    assert isinstance(engine_of(plain_folder), TensorFlowEngine)


@pytest.mark.skipif(not precisions.on_processor('bfloat16'), reason='this processor has no bfloat16')
def test_it_multiplies_in_bfloat16(quick_folder, plain_folder, keras_engine):
    for folder in (quick_folder, plain_folder):
        engine = engine_of(folder, 'bfloat16')
        assert isinstance(engine._quick, OpenVINOEngine)
        assert engine.precision == 'bfloat16'
    wanted = keras_engine.run(noise(3), ['pool5', 'conv7'])
    for layer, values in engine.run(noise(3), ['pool5', 'conv7']).items():
        assert not np.allclose(values, wanted[layer], rtol=0, atol=1e-5 * np.abs(values).max())
        cosine = (values * wanted[layer]).sum() / np.linalg.norm(values) / np.linalg.norm(wanted[layer])
        assert cosine > 0.999


def test_without_bfloat16_in_the_processor_it_is_refused(plain_folder, monkeypatch):
    monkeypatch.setattr(choice.processor, 'flags', lambda: frozenset({'avx512f'}))
    with pytest.raises(SoundNetError, match='openvino runs nets in float32 here, not bfloat16'):
        engine_of(plain_folder, 'bfloat16', engine='openvino')


def test_streams_are_tensorflows(plain_folder, keras_engine):
    engine = engine_of(plain_folder, engine='openvino')
    assert isinstance(engine, FirstThatServes)
    given = engine.open_stream(['conv7']).push(noise(3), last=True)
    close(given, keras_engine.run(noise(3), ['conv7']))


def test_what_an_engine_cannot_run_is_refused(quick_folder, plain_folder, monkeypatch):
    for wrong, message in [
        (
            lambda: engine_of(plain_folder, engine='litert'),
            r'has no net\.tflite for litert\. Write it with .*add_tflite',
        ),
        (
            lambda: engine_of(quick_folder, edges='keep', engine='litert'),
            r"was written with edges='drop'\. Use engine=",
        ),
        (
            lambda: engine_of(quick_folder, 'bfloat16', engine='litert'),
            'litert runs nets in float32 here, not bfloat16',
        ),
        (lambda: engine_of(quick_folder, engine='tpu'), "engine='tpu': must be 'auto', 'litert', 'openvino', 'tensor"),
    ]:
        with pytest.raises(SoundNetError, match=message):
            wrong()
    monkeypatch.setitem(sys.modules, 'openvino', None)
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(MissingTool, match=r"pip install 'soundnet_tf\[openvino\]'"):
        engine_of(quick_folder, engine='openvino')

"""TFLite files of one output: Keras' numbers in each precision, on both interpreters, and nothing folded silently."""

import os
import pathlib
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from soundnet_tf import geometry
from soundnet_tf.audio import fit_length
from soundnet_tf.errors import ShortClip, SoundNetError
from soundnet_tf.export import constants, lite, representative, truth
from soundnet_tf.export.folded import Operations, folded
from soundnet_tf.export.verify import cosine, difference, quiet
from soundnet_tf.nets import model
from soundnet_tf.spec import SOUNDNET5, SOUNDNET8, Conv
from soundnet_tf.testing import enliven, noise, thin_spec
from tests.export.conftest import PLACES
from tests.export.made_clips import clips

interpreters = {'tf.lite': tf.lite.Interpreter}
litert = pytest.importorskip('ai_edge_litert.interpreter')
interpreters['ai-edge-litert'] = litert.Interpreter


def written(net, folder, *asked):
    plan = lite.plan(net, *asked)
    plan.write(folder)
    return plan, (folder / 'model.tflite').read_bytes()


def runner_of(content, which='ai-edge-litert'):
    return interpreters[which](model_content=content).get_signature_runner()


@pytest.mark.parametrize(
    ('kind', 'precision', 'length_s', 'least'),
    [
        ('tags', 'float32', None, 0.9999999),
        ('embedding', 'float16', 2.5, 0.99999),
        ('layers', 'dynamic', 10, 0.9999),
        ('tags', 'float16', 'dynamic', 0.99999),
    ],
)
def test_each_precision_on_both_interpreters(net, tmp_path, kind, precision, length_s, least):
    plan, content = written(net, tmp_path, kind, precision, length_s)
    waveform = noise(11)[: plan.samples or 230_001]
    wanted = truth.truth_of(net, plan.outputs)(waveform)
    for which in interpreters:
        given = runner_of(content, which)(waveform=waveform[None])
        assert set(given) == set(wanted)
        for name, values in wanted.items():
            assert given[name].shape == (1, *values.shape)
            assert cosine(given[name][0], values) > least
            assert precision != 'float32' or difference(given[name][0], values) < 1e-5
    signatures = interpreters['tf.lite'](model_content=content).get_signature_list()
    assert list(signatures) == [kind]
    assert signatures[kind]['inputs'] == ['waveform']


def test_lengths_and_outputs(net):
    assert lite.plan(net, 'tags').samples == 10 * 22_050
    assert lite.plan(net, 'embedding').samples == 22_050
    assert lite.plan(net, 'embedding', length_s='dynamic').samples is None
    assert lite.plan(net, 'layers', length_s=5).outputs == ('pool5', 'conv7')
    assert lite.plan(net, 'layers', length_s=10).outputs == ('pool5', 'conv7', 'imagenet', 'places')
    five = model.build(thin_spec(SOUNDNET5))
    assert lite.plan(five, 'tags').samples == 5 * 22_050
    assert lite.plan(five, 'layers', length_s=3).outputs == ('conv4', 'imagenet', 'places')


def test_dynamic_length_and_batch(net, tmp_path):
    _, content = written(net, tmp_path, 'embedding', 'float32', 'dynamic')
    run, wanted = runner_of(content), model.features(net, ['pool5'])
    for clips_, samples in ((1, geometry.min_samples(net.spec, 'pool5')), (3, 40_001)):
        batch = np.stack([noise(2, seed=seed)[:samples] for seed in range(clips_)])
        given = run(waveform=batch)['embedding']
        assert difference(given, np.mean(wanted(batch, training=False)['pool5'], 1)) < 1e-5


@pytest.mark.parametrize('which', interpreters)
@pytest.mark.parametrize('kind', ['tags', 'embedding', 'layers'])
def test_a_clip_that_is_too_short_is_refused(net, tmp_path, which, kind):
    """Left to themselves, interpreters make a frame of anything."""
    plan, content = written(net, tmp_path, kind, 'float32', 'dynamic')
    least = truth.min_samples(net.spec, plan.outputs)
    run = runner_of(content, which)
    for samples in (100, least - 1):
        with pytest.raises(RuntimeError):
            run(waveform=noise(10)[None, :samples])
    assert all(np.isfinite(values).all() for values in runner_of(content, which)(waveform=noise(10)[None]).values())


@pytest.mark.parametrize('which', interpreters)
def test_a_file_of_one_length_refuses_another(net, tmp_path, which):
    _, content = written(net, tmp_path, 'embedding', 'float32', 1)
    for samples in (22_049, 22_051):
        with pytest.raises((RuntimeError, ValueError)):
            runner_of(content, which)(waveform=noise(2)[None, :samples])


@pytest.mark.parametrize('which', interpreters)
def test_a_batch_is_never_folded_into_time(net, tmp_path, which):
    """A file of one clip refuses three, or gives each its own."""
    plan, content = written(net, tmp_path, 'layers', 'float32', 1)
    interpreter = interpreters[which](model_content=content)
    batch = np.stack([noise(1, seed=seed) for seed in range(3)])
    (waveform,) = interpreter.get_input_details()
    try:
        interpreter.resize_tensor_input(waveform['index'], batch.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(waveform['index'], batch)
        interpreter.invoke()
    except (RuntimeError, ValueError):
        return
    wanted = model.features(net, plan.outputs)(batch, training=False)
    shapes = sorted(tuple(output.shape) for output in wanted.values())
    assert sorted(tuple(interpreter.get_tensor(o['index']).shape) for o in interpreter.get_output_details()) == shapes


def test_eight_bit_weights_keep_the_quiet_parts_of_a_loud_clip(net, tmp_path):
    """Values in 8 bits would take their scale from the bark, and lose what follows it."""
    plan, content = written(net, tmp_path, 'embedding', 'dynamic', 5)
    bark = fit_length(0.001 * noise(5), plan.samples)
    bark[:2000] = noise(1, amplitude=0.9)[:2000]
    wanted = truth.truth_of(net, plan.outputs)(bark)['embedding']
    for which in interpreters:
        assert cosine(runner_of(content, which)(waveform=bark[None])['embedding'][0], wanted) > 0.9999


@pytest.mark.parametrize(
    ('spec', 'in_halves'), [(SOUNDNET8, {'conv2', 'conv3', 'conv4'}), (SOUNDNET5, {'conv2', 'conv3'})]
)
def test_layers_of_fine_steps_have_sixteen_bits(spec, in_halves):
    assert lite._in_halves(spec, folded(model.build(spec))) == in_halves


def test_two_halves_are_the_whole(net):
    weights, waveform = folded(net), noise(1)[None]
    rows = [row.name for row in net.spec.layers if isinstance(row, Conv)]
    plain, halved = (Operations(net.spec, weights, halves)(waveform, rows) for halves in ((), rows))
    for name in rows:
        assert difference(halved[name], plain[name]) < 1e-5
    silence = Operations(net.spec, weights, rows)(np.zeros_like(waveform), rows)
    assert all(np.isfinite(values).all() for values in silence.values())


def test_eight_bits_loud_and_quiet(net, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, 'MIN_SIZE', 64)
    monkeypatch.setattr(constants, 'MIN_SIZE_8_BIT', 64)  # a thin net has no layer of many weights
    plan, content = written(net, tmp_path, 'embedding', 'int8', 2)
    tensors = litert.Interpreter(model_content=content).get_tensor_details()
    kernels = {tuple(tensor['shape'][[2, 0]]) for tensor in tensors if tensor['dtype'] == np.int8}
    # conv2 of a thin net reads one channel, and is as conv1: its values and weights stay in float.
    assert kernels >= {(row.kernel, row.filters) for row in net.spec.layers[3:8] if isinstance(row, Conv)}
    wanted = truth.truth_of(net, plan.outputs)
    for run in [runner_of(content, which) for which in interpreters]:
        for clip in clips(per_class=2, seed=1):
            for waveform in (fit_length(clip.waveform, plan.samples), quiet(fit_length(clip.waveform, plan.samples))):
                given = run(waveform=waveform[None])['embedding'][0]
                assert cosine(given, wanted(waveform)['embedding']) > 0.999


@pytest.mark.slow
@pytest.mark.skipif('SOUNDNET_DATA' not in os.environ, reason='SOUNDNET_DATA names no folder of real clips')
def test_eight_bits_on_real_clips(net, tmp_path):
    paths = sorted(pathlib.Path(os.environ['SOUNDNET_DATA']).glob('esc10/*/*.ogg'))[::10]
    plan, content = written(net, tmp_path, 'embedding', 'int8', 5)
    run, wanted = runner_of(content), truth.truth_of(net, plan.outputs)
    for clip in representative.read(paths[1::2]):
        for waveform in (fit_length(clip.waveform, plan.samples), quiet(fit_length(clip.waveform, plan.samples))):
            assert cosine(run(waveform=waveform[None])['embedding'][0], wanted(waveform)['embedding']) > 0.999


def test_class_names_are_in_the_file(net, tmp_path):
    written(net, tmp_path, 'tags')
    with zipfile.ZipFile(tmp_path / 'model.tflite') as file:
        assert file.testzip() is None
        assert file.read('places.txt').decode().splitlines() == list(PLACES)
        assert sorted(file.namelist()) == ['imagenet.txt', 'places.txt']
        # Readers map them into memory.
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in file.infolist())
    written(net, tmp_path, 'embedding')
    assert not zipfile.is_zipfile(tmp_path / 'model.tflite')


@pytest.mark.parametrize(
    ('arguments', 'error', 'words'),
    [
        (('tags', 'float32', 5), ShortClip, r'length_s=5 is 5.00 s; imagenet of soundnet8-thin needs 9.50 s. Use a'),
        (
            ('embedding', 'float32', float('nan')),
            SoundNetError,
            'length_s=nan is invalid. Use dynamic, or seconds up to 3600',
        ),
        (('embedding', 'float32', 0.1), ShortClip, 'length_s=0.1 is 0.10 s; pool5 of soundnet8-thin needs 0.21 s'),
    ],
)
def test_invalid_plans(net, arguments, error, words):
    with pytest.raises(error, match=words):
        lite.plan(net, *arguments)


def test_no_tags_without_heads():
    with pytest.raises(SoundNetError, match=r'has no heads, so it has no tags\. Use --output=embedding'):
        lite.plan(enliven(model.build(thin_spec(heads={}))))

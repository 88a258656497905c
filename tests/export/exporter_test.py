"""An export is kept only if a fresh process loads it and its outputs equal those of Keras."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest

from soundnet_tf.errors import ExportRefused, MissingTool, SoundNetError
from soundnet_tf.export import export, exporter, keras_file, lite, onnx
from soundnet_tf.export.verify import Measured, Tolerance, cosine, difference
from soundnet_tf.nets import model, saved
from soundnet_tf.spec import SOUNDNET5
from soundnet_tf.testing import dense_spec, enliven, thin_spec
from tests.export.made_clips import clips
from tests.nets.model_test import ODD


def test_model_json(hub_folder, net, net_folder):
    facts = json.loads((hub_folder / 'model.json').read_text())
    assert facts['export'] == 'hub'
    assert facts['net']['origin'] == {'run': 'here'}
    assert facts['net']['weights_sha256'] == saved.read_facts(net_folder)['weights_sha256']
    assert facts['spec'] == json.loads(json.dumps(net.spec.to_dict()))
    assert {'python', 'tensorflow', 'keras', 'numpy'} <= set(facts['versions'])
    assert facts['measured']['sounds'] == ['silence', 'noise', '440 Hz', 'clip', 'quiet clip']
    assert max(facts['measured']['difference'].values()) < 1e-5
    assert facts['measured']['top1'] == {'imagenet': 1, 'places': 1}
    there = {path.relative_to(hub_folder).as_posix() for path in hub_folder.rglob('*') if path.is_file()}
    assert set(facts['files']) == there - {'model.json'}
    for name, about in facts['files'].items():
        content = (hub_folder / name).read_bytes()
        assert about == {'bytes': len(content), 'sha256': hashlib.sha256(content).hexdigest()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('spec', 'form'),
    [
        (thin_spec(SOUNDNET5), onnx),
        (thin_spec(heads={}), onnx),
        (ODD, onnx),
        (dense_spec(), onnx),
        (thin_spec(heads={}), keras_file),
        (ODD, keras_file),
    ],
    ids=['onnx, soundnet5', 'onnx, no heads', 'onnx, odd', 'onnx, dense', 'keras, no heads', 'keras, odd'],
)
def test_other_formats_reproduce_any_net(spec, form, tmp_path):
    if form is onnx:
        pytest.importorskip('onnx')
        pytest.importorskip('onnxruntime')
    net = enliven(model.build(spec))
    done = exporter.carry_out(net, form.plan(net), tmp_path / 'out')
    assert max(done.measured.difference.values()) < 1e-5
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {f'model.{form.plan(net).form}', 'model.json'}


def test_a_refused_export_is_deleted_and_the_old_one_stays(net, tmp_path):
    other = enliven(model.build(net.spec, labels=net.labels), seed=3)
    exporter.carry_out(net, lite.plan(net, 'embedding'), tmp_path / 'out')
    before = {path.name: path.read_bytes() for path in (tmp_path / 'out').iterdir()}
    with pytest.raises(ExportRefused, match=r'out: not kept, since embedding differs by .*2e-04 is allowed') as raised:
        exporter.carry_out(net, lite.plan(other, 'embedding'), tmp_path / 'out')
    assert raised.value.status == 1
    assert {path.name: path.read_bytes() for path in (tmp_path / 'out').iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ['out']

    def nonsense(folder):
        (folder / 'model.tflite').write_bytes(b'TFL3, so they say')

    broken = dataclasses.replace(lite.plan(net), write=nonsense)
    with pytest.raises(ExportRefused, match='new: not kept, since it cannot be run: '):
        exporter.carry_out(net, broken, tmp_path / 'new')
    assert [path.name for path in tmp_path.iterdir()] == ['out']


def test_another_folder_is_not_touched(net, tmp_path):
    (tmp_path / 'letters').mkdir()
    with pytest.raises(SoundNetError, match=r'letters: exists and is not an export\. Use another folder'):
        exporter.carry_out(net, lite.plan(net), tmp_path / 'letters')
    exporter.carry_out(net, lite.plan(net, 'embedding'), tmp_path / 'out')
    (tmp_path / 'out' / 'thesis.txt').write_text('mine')
    with pytest.raises(SoundNetError, match=r'out: thesis\.txt is not part of the export and would be lost'):
        exporter.carry_out(net, lite.plan(net, 'embedding'), tmp_path / 'out')


@pytest.mark.parametrize(
    ('values', 'tolerance', 'words'),
    [
        ((1e-3, 1.0, 1.0), Tolerance(difference=2e-4), 'x differs by 1.0e-03 of its largest value (2e-04 is allowed)'),
        ((float('nan'), 1.0, 1.0), Tolerance(difference=2e-4), 'x differs by nan'),
        ((0.1, 0.97, 1.0), Tolerance(cosine=0.98), 'x has a cosine of 0.9700 (0.98 is required)'),
        ((0.1, 0.99, 0.99), Tolerance(cosine=0.98, clip_cosine=0.999), '0.9900 on the clip (0.999 is required)'),
        ((0.1, float('nan'), 1.0), Tolerance(cosine=0.98), 'x has a cosine of nan'),
    ],
)
def test_exceeded_tolerances(values, tolerance, words):
    off, close, on_clip = values
    (said,) = Measured(('noise',), {'x': off}, {'x': close}, {'x': on_clip}, {}).wrong(tolerance)
    assert words in said


def test_measures():
    one = np.array([1.0, -2.0])
    assert difference(one, one) == 0
    assert difference(one + np.array([0, 0.5]), one) == 0.25
    assert difference(one[:1], one) == float('inf')
    assert np.isnan(difference(one * np.nan, one))
    assert cosine(3 * one, one) == pytest.approx(1)
    assert cosine(-one, one) == pytest.approx(-1)
    assert cosine(one, one[:1]) == -1
    assert cosine(0 * one, 0 * one) == 1
    assert cosine(one, 0 * one) == 0


@pytest.mark.slow
def test_eight_bits_from_a_folder(net_folder, tmp_path):
    import soundfile

    paths = []
    for index, clip in enumerate(clips()):
        paths.append(tmp_path / 'sounds' / clip.label / f'{index}.wav')
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(paths[-1], clip.waveform, 22_050)
    lines = export(
        net_folder, tmp_path / 'out', 'tflite', output='embedding', precision='int8', length_s=2, calibration=paths
    )
    assert len(lines) == 3
    assert lines[1].startswith('largest difference from Keras ')
    assert lines[2].startswith('embedding: ')
    facts = saved.read_facts(tmp_path / 'out')
    assert facts['precision'] == 'int8'
    assert min(facts['measured']['clip_cosine'].values()) >= 0.998
    (lost,) = facts['measured']['quality']
    assert set(lost) == {'output', 'clips', 'neighbours', 'accuracy'}
    assert set(lost['accuracy']) == {'clips', 'classes', 'keras', 'export'}


def test_onnx_without_its_packages(net, tmp_path, monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None if name == 'onnxruntime' else name)
    with pytest.raises(MissingTool, match=r"running an ONNX file needs onnxruntime, .*'soundnet_tf\[onnx\]'"):
        onnx.plan(net)


def test_a_folder_that_appears_meanwhile_is_not_touched(net, tmp_path):
    plan = lite.plan(net, 'embedding')

    def write(folder):
        (tmp_path / 'out').mkdir()
        (tmp_path / 'out' / 'thesis.txt').write_text('mine')
        return plan.write(folder)

    with pytest.raises(SoundNetError, match=r'out: exists and is not an export\. Use another folder'):
        exporter.carry_out(net, dataclasses.replace(plan, write=write), tmp_path / 'out')
    assert [path.name for path in tmp_path.rglob('*')] == ['out', 'thesis.txt']


@pytest.mark.parametrize('heads', [{'embedding': 4}, {'x': 4, 'x_clip': 4}])
def test_ambiguous_names(heads, tmp_path):
    net = model.build(thin_spec(heads=heads))
    for plan in (lite.plan(net, 'layers'), onnx.plan(net), keras_file.plan(net)):
        with pytest.raises(SoundNetError, match=r'an export would have two outputs .*\. Rename the head or layer'):
            exporter.carry_out(net, plan, tmp_path / 'out')


def test_the_fresh_process_ignores_the_working_folder(net, tmp_path, monkeypatch):
    (tmp_path / 'zipfile.py').write_text("raise SystemExit('my own zipfile.py')")
    monkeypatch.chdir(tmp_path)
    exporter.carry_out(net, lite.plan(net, 'embedding'), tmp_path / 'out')


def test_a_crashed_process_is_reported(net, tmp_path, monkeypatch):
    script = tmp_path / 'dies'
    script.write_text('#!/bin/sh\nkill -SEGV $$\n')
    script.chmod(0o755)
    monkeypatch.setattr('sys.executable', str(script))
    with pytest.raises(ExportRefused, match='it cannot be run: the process was ended by SIGSEGV'):
        exporter.carry_out(net, lite.plan(net, 'embedding'), tmp_path / 'out')


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'format': 'savedmodel'}, '--format=savedmodel: unknown. Use hub, tflite, keras, onnx'),
        (
            {'format': 'tflite', 'precision': 'fp16'},
            '--precision=fp16: unknown. Use float32, float16, dynamic, int8',
        ),
        ({'format': 'tflite', 'output': 'foo'}, '--output=foo: unknown. Use tags, embedding, layers'),
        ({'precision': 'int8'}, '--precision is for TFLite files. Leave it out, or use --format=tflite'),
        ({'calibration': ['rain.wav']}, '--calibration is for TFLite files'),
        (
            {'format': 'onnx', 'output': 'layers'},
            r'--output=layers: an ONNX file has tags \(layers and heads\) or embedding',
        ),
        (
            {'format': 'hub', 'output': 'embedding'},
            '--output=embedding: a TF-Hub module has all outputs. Leave --output',
        ),
        (
            {'format': 'keras', 'output': 'layers'},
            '--output=layers: a .keras file has the whole net. Leave --output out',
        ),
    ],
)
def test_invalid_options(net_folder, tmp_path, options, words):
    with pytest.raises(SoundNetError, match=words):
        export(net_folder, tmp_path / 'out', **options)


@pytest.mark.slow
@pytest.mark.parametrize('form', ['hub', 'keras', 'onnx'])
def test_every_format_by_its_name(net_folder, tmp_path, form):
    lines = export(net_folder, tmp_path / 'out', form)
    assert lines[1].endswith('on silence, noise, 440 Hz, no real clip (pass one: --clip)')
    assert saved.read_facts(tmp_path / 'out')['export'] == form
    assert (tmp_path / 'out' / ('saved_model.pb' if form == 'hub' else f'model.{form}')).exists()

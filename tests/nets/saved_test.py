"""Saved nets: the same net loads again, writing is atomic, and damage is reported."""

import json
import os
import pathlib

import numpy as np
import pytest

import soundnet_tf
from soundnet_tf.errors import SoundNetError, WeightsMismatch
from soundnet_tf.nets import model, saved
from soundnet_tf.spec import SOUNDNET5
from soundnet_tf.testing import enliven, noise, thin_spec
from tests.nets.hashes import forget_hashes
from tests.nets.model_test import OTHERS


@pytest.fixture
def net():
    return enliven(model.build(thin_spec(), labels={'places': ['sea', 'street', 'kitchen', 'wood']}))


@pytest.mark.parametrize('spec', OTHERS, ids=lambda spec: spec.name)
def test_round_trip(spec, tmp_path):
    net = enliven(model.build(spec))
    saved.save_net(net, tmp_path / 'net')
    again = saved.load_net(tmp_path / 'net')
    assert model.spec_of(again) == spec
    for head, values in net(noise(12)[None]).items():
        np.testing.assert_array_equal(again(noise(12)[None])[head], values)


def test_files_of_a_saved_net(net, tmp_path):
    saved.save_net(net, tmp_path / 'net', origin={'run': 'here'}, dtype='float16')
    assert sorted(p.name for p in (tmp_path / 'net').iterdir()) == ['labels', 'model.json', 'spec.json', 'weights.npz']
    assert [p.name for p in tmp_path.iterdir()] == ['net']
    facts = saved.read_facts(tmp_path / 'net')
    assert (facts['origin'], facts['weights_dtype']) == ({'run': 'here'}, 'float16')
    assert saved.load_net(tmp_path / 'net').labels['places'] == ('sea', 'street', 'kitchen', 'wood')
    wanted, got = net(noise(10)[None]), saved.load_net(tmp_path / 'net')(noise(10)[None])
    np.testing.assert_allclose(got['places'], wanted['places'], atol=5e-3)


def test_large_statistics_survive_float16(net, tmp_path):
    variance = model.variables_of(net)['conv1/moving_variance']
    variance.assign(variance + 1e5)
    saved.save_net(net, tmp_path / 'net', dtype='float16')
    again = model.variables_of(saved.load_net(tmp_path / 'net'))['conv1/moving_variance']
    np.testing.assert_array_equal(again, variance)


def test_nan_is_not_saved(net, tmp_path):
    kernel = model.variables_of(net)['conv3/kernel']
    kernel.assign(kernel * np.nan)
    with pytest.raises(SoundNetError, match='conv3/kernel is NaN or infinite in float32'):
        saved.save_net(net, tmp_path / 'net')
    assert not (tmp_path / 'net').exists()


def test_saving_again_replaces_whole(net, tmp_path):
    saved.save_net(net, tmp_path / 'net')
    other = enliven(model.build(thin_spec(SOUNDNET5, heads={'esc10': 10})), seed=1)
    saved.save_net(other, tmp_path / 'net')
    assert model.spec_of(saved.load_net(tmp_path / 'net')) == other.spec
    assert [p.name for p in (tmp_path / 'net' / 'labels').iterdir()] == ['esc10.txt']


def test_a_link_stays_one(net, tmp_path):
    saved.save_net(net, tmp_path / 'net')
    (tmp_path / 'link').symlink_to('net')
    saved.save_net(net, tmp_path / 'link', origin={'run': 'second'})
    assert (tmp_path / 'link').is_symlink()
    assert saved.read_facts(tmp_path / 'net')['origin'] == {'run': 'second'}
    assert sorted(p.name for p in tmp_path.iterdir()) == ['link', 'net']


def test_a_failed_save_leaves_the_old_net(net, tmp_path, monkeypatch):
    saved.save_net(net, tmp_path / 'net')
    before = (tmp_path / 'net' / 'weights.npz').read_bytes()
    monkeypatch.setattr(saved.storage, 'write_json', lambda *_: (_ for _ in ()).throw(OSError('disk full')))
    with pytest.raises(OSError, match='disk full'):
        saved.save_net(enliven(net, seed=5), tmp_path / 'net')
    assert (tmp_path / 'net' / 'weights.npz').read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ['net']


def test_weights_without_top(net, tmp_path):
    saved.save_net(net, tmp_path / 'net')
    trunk = model.build(net.spec.with_heads({}), name='trunk')
    saved.load_weights(trunk, tmp_path / 'net')
    x = noise(3)[None]
    np.testing.assert_array_equal(trunk(x), model.features(net, ['conv7'])(x)['conv7'])


@pytest.mark.parametrize('spec', [thin_spec(), thin_spec(SOUNDNET5, heads={'esc10': 3})], ids=lambda spec: spec.name)
def test_shapes_are_those_of_the_variables(spec):
    variables = model.variables_of(model.build(spec))
    assert saved.shapes(spec) == {key: tuple(variable.shape) for key, variable in variables.items()}


def test_nothing_is_set_if_anything_does_not_fit(net, tmp_path):
    saved.save_net(net, tmp_path / 'net')
    other = model.build(thin_spec(heads={'imagenet': 7, 'esc10': 3}))
    before = [np.array(v) for v in other.variables]
    with pytest.raises(WeightsMismatch) as caught:
        saved.load_weights(other, tmp_path / 'net')
    for part in ('esc10/kernel is missing', 'places/bias is unexpected', 'imagenet/bias is [10], not [7]'):
        assert part in str(caught.value)
    assert all(np.array_equal(a, b) for a, b in zip(before, other.variables, strict=True))


def test_weights_of_other_layers_are_refused(net, tmp_path):
    saved.save_net(net, tmp_path / 'net')
    words = (
        r'weights\.npz does not fit soundnet5: it is from soundnet8-thin, which has other layers '
        r'\(conv5/kernel is unexpected; .*; .*; and \d+ more\)\. Load it with load_net'
    )
    with pytest.raises(WeightsMismatch, match=words) as caught:
        soundnet_tf.SoundNet5(weights=tmp_path / 'net')
    assert len(str(caught.value)) < 400


def test_damaged_files_are_reported(net, tmp_path):
    folder = saved.save_net(net, tmp_path / 'net')
    with pytest.raises(SoundNetError, match='nowhere is not a saved net'):
        saved.load_net(tmp_path / 'nowhere')
    forget_hashes(folder)
    (folder / 'weights.npz').write_bytes((folder / 'weights.npz').read_bytes()[:1000])
    with pytest.raises(WeightsMismatch, match=r'weights\.npz: cannot be read'):
        saved.load_net(folder)
    (folder / 'labels' / 'places.txt').write_text('sea\n\nwood\nstreet\n')
    with pytest.raises(SoundNetError, match=r'places\.txt: line 2 is empty'):
        saved.load_net(folder)
    (folder / 'labels' / 'places.txt').write_text('sea\n')
    with pytest.raises(SoundNetError, match=r'places\.txt: 1 class names for a head of 4 classes'):
        saved.load_net(folder)
    (folder / 'labels' / 'places.txt').unlink()
    with pytest.raises(SoundNetError, match=r'places\.txt: missing'):
        saved.load_net(folder)
    (folder / 'spec.json').write_text('{')
    with pytest.raises(SoundNetError, match=r'spec\.json: cannot be read \(Expecting .*\)\. Save the net again'):
        saved.read_spec(folder)


@pytest.mark.parametrize('name', ['weights.npz', 'spec.json', 'labels/places.txt'])
def test_a_changed_file_is_reported(net, tmp_path, name):
    folder = saved.save_net(net, tmp_path / 'net')
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(WeightsMismatch) as refused:
        saved.load_net(folder)
    line = 'changed since it was written, by its sha256 in model.json. Save the net again'
    assert str(refused.value) == f'{folder}/{name}: {line}'


def test_sizes_are_checked_before_the_net_is_made(net, tmp_path, monkeypatch):
    """Without hashes, as in older nets, a spec, labels and arrays of any size may be there."""
    folder = saved.save_net(net, tmp_path / 'net')
    forget_hashes(folder)
    monkeypatch.setattr(model, 'build', lambda *_, **__: pytest.fail('built'))
    own = saved.read_spec(folder).to_dict()
    whole = dict(np.load(folder / 'weights.npz'))
    for change, why in (
        (lambda layers: layers[0].update(filters=10**6), ', not [64, 1, 1000000]'),
        (lambda layers: layers[1].update(kernel=10**6), 'spec.json: cannot be read (a time step sees '),
        (lambda layers: layers[-1].update(padding=10**6), 'spec.json: cannot be read (a time step sees '),
        (lambda layers: layers[0].update(name='a\nb'), "spec.json: cannot be read (a row's name must be printable"),
        (lambda layers: layers[0].update(name=[1]), "spec.json: cannot be read (a row's name must be printable"),
        (lambda layers: layers[0].update(stride=2.5), 'spec.json: cannot be read (conv1: stride must be an integer'),
    ):
        changed = json.loads(json.dumps(own))
        change(changed['layers'])
        (folder / 'spec.json').write_text(json.dumps(changed))
        with pytest.raises(SoundNetError) as refused:
            saved.load_net(folder)
        assert why in str(refused.value)
    (folder / 'spec.json').write_text(json.dumps(own))
    for value, why in (
        (np.zeros([64, 1, 4], 'U9'), 'conv1/kernel is <U9, not float'),
        (np.zeros([64, 1, 4], [('a', 'f4')]), 'weights.npz: cannot be read (conv1/kernel.npy: not an array of numbers'),
        (np.zeros([64, 1, 4], object), 'weights.npz: cannot be read (conv1/kernel.npy: not an array of numbers'),
    ):
        np.savez(folder / 'weights.npz', **whole | {'conv1/kernel': value})
        with pytest.raises(WeightsMismatch) as refused:
            saved.load_net(folder)
        assert why in str(refused.value)


def test_only_saved_nets_are_replaced(net, tmp_path):
    (tmp_path / 'letters').mkdir()
    (tmp_path / 'letters' / 'love.txt').write_text('dear')
    with pytest.raises(SoundNetError, match='letters: exists and is not a saved net'):
        saved.save_net(net, tmp_path / 'letters')
    assert (tmp_path / 'letters' / 'love.txt').read_text() == 'dear'
    saved.save_net(net, tmp_path / 'net')
    (tmp_path / 'net' / 'notes.txt').write_text('mine')
    with pytest.raises(SoundNetError, match=r'net: notes\.txt is not part of the saved net and would be lost'):
        saved.save_net(net, tmp_path / 'net')


def test_a_full_disk_is_reported(net, tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(pathlib.Path, 'write_bytes', full)
    with pytest.raises(OSError, match='No space left') as caught:
        saved.save_net(net, tmp_path / 'net')
    assert caught.value.filename == str(tmp_path / 'net')
    assert list(tmp_path.iterdir()) == []


def test_model_json_is_readable_text(net, tmp_path):
    folder = saved.save_net(net, tmp_path / 'net')
    assert json.loads((folder / 'model.json').read_text())['format'] == saved.FORMAT


@pytest.mark.parametrize('value', ['null', '"x"', '{"esc10": "hi"}', '{"esc10": 5}', '{"esc10": true}'])
def test_invalid_thresholds(tmp_path, value):
    (tmp_path / 'model.json').write_text(f'{{"confidence_threshold": {value}}}')
    with pytest.raises(SoundNetError, match=r'model.json: cannot be read \(confidence_threshold must be from 0 to 1'):
        saved.read_facts(tmp_path)


@pytest.mark.parametrize(
    ('value', 'why'),
    [
        ('[]', 'not a JSON object'),
        ('5', 'not a JSON object'),
        ('', 'it is empty'),
        ('[' * 100_000, 'nested too deeply'),
        ('{"weights_sha256": 5}', 'a sha256 is not text'),
        ('{"tflite": []}', 'tflite is of type list, not a JSON object'),
        ('{"files": {"spec.json": 1}}', 'spec.json is of type int, not a JSON object'),
        ('{"files": 3}', 'files is of type int, not a JSON object'),
        ('{"origin": 3}', 'origin is of type int, not a JSON object'),
    ],
)
def test_invalid_model_json(tmp_path, value, why):
    (tmp_path / 'model.json').write_text(value)
    with pytest.raises(SoundNetError, match=rf'model\.json: cannot be read \({why}\)\. Save the net again$'):
        saved.read_facts(tmp_path)


@pytest.mark.parametrize('name', ['model.json', 'labels/a.txt', 'weights.npz', 'net.tflite'])
def test_only_files_of_a_saved_net_are_opened(tmp_path, name):
    (tmp_path / 'labels').mkdir()
    path = tmp_path / name
    read = (lambda path: saved.read_facts(tmp_path)) if name == 'model.json' else saved.content
    for make, kind in ((os.mkfifo, 'a pipe'), (lambda path: path.symlink_to('/dev/zero'), 'a device')):
        make(path)
        with pytest.raises(SoundNetError, match=rf'^{path}: is {kind}\. Save the net again$'):
            read(path)
        path.unlink()

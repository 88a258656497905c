"""Whole imports: the net that is written is the one in the file, or nothing is."""

import dataclasses
import hashlib

import numpy as np
import pytest

import soundnet_tf
from soundnet_tf import SoundNet5, SoundNet8, geometry, importing
from soundnet_tf.errors import ShortClip, SoundNetError, WeightsMismatch
from soundnet_tf.importing import importer, names, plain
from soundnet_tf.nets import lookup, model, saved
from soundnet_tf.spec import SOUNDNET5, SOUNDNET8
from soundnet_tf.testing import enliven, noise, thin_spec
from tests import numpy_net
from tests.importing import made
from tests.importing.made import PRUNED8, TINY5, TINY8
from tests.importing.torch7_writer import t7_bytes
from tests.nets.model_test import assert_close, weights_of

CASES = {
    'soundnet8, t7': (SOUNDNET8, made.t7),
    'soundnet8, npy': (SOUNDNET8, made.npy),
    'soundnet5, t7 nn': (SOUNDNET5, lambda spec, weights: made.t7(spec, weights, library='nn', kind='Float')),
    'soundnet5, pth': (SOUNDNET5, lambda spec, weights: made.legacy(made.state_dict(spec, weights, 'batchnorm'))),
    'pruned, t7': (PRUNED8, made.t7),
    'pruned, pth': (PRUNED8, lambda spec, weights: made.zipped(made.state_dict(spec, weights, 'sequential'))),
}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv('SOUNDNET_HOME', str(tmp_path / 'home'))
    monkeypatch.chdir(tmp_path)
    # Its own tests hold it, and the original's: tests/nets/original_test.py.
    monkeypatch.setattr('soundnet_tf.export.tflite.add_tflite', lambda folder: None)
    return tmp_path / 'home'


def write(tmp_path, data, name='weights.bin'):
    tmp_path.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(data)
    return tmp_path / name


@pytest.mark.parametrize('case', CASES)
def test_the_imported_net_matches_the_file(case, tmp_path):
    spec, form = CASES[case]
    weights = made.weights(spec)
    data = form(spec, weights)
    imported = importing.import_weights(write(tmp_path, data), tmp_path / 'net', register='mine')
    net = saved.load_net(tmp_path / 'net')
    assert net.spec == imported.spec == geometry.trim_edges(spec, 441_000)
    spec = net.spec
    for key, value in weights_of(net).items():
        np.testing.assert_array_equal(value, weights[key], err_msg=key)
    if make := {SOUNDNET8: SoundNet8, SOUNDNET5: SoundNet5}.get(CASES[case][0]):
        by_name = make(weights='mine', include_top=False)
        np.testing.assert_array_equal(weights_of(by_name)['conv4/gamma'], weights['conv4/gamma'])
    waveform = noise(12)
    truth = numpy_net.forward(spec, weights, waveform)
    ours = model.features(net, [*truth])(waveform[None])
    for name, values in truth.items():
        assert_close(np.asarray(ours[name])[0], values)
        assert values.std() > 0
    origin = saved.read_facts(tmp_path / 'net')['origin']
    assert (origin['sha256'], origin['bytes']) == (hashlib.sha256(data).hexdigest(), len(data))
    assert set(origin['tensors']) == set(weights)
    assert set(origin['differences']) == {*spec.layer_names, *spec.head_names}
    assert 0 < max(origin['differences'].values()) < importer.TOLERANCE


def test_model_json_and_report(tmp_path):
    weights = made.weights(TINY8)
    path = write(tmp_path, made.t7(TINY8, weights), 'mine.t7')
    imported = importing.import_weights(path, tmp_path / 'net')
    origin = saved.read_facts(tmp_path / 'net')['origin']
    assert origin['tensors']['conv2/gamma'] == {'name': '6.weight', 'shape': [1], 'dtype': 'float32'}
    assert origin['tensors']['places/kernel'] == {'name': '25.2.weight', 'shape': [2, 1, 8, 1], 'dtype': 'float32'}
    kernel = weights['conv1/kernel']
    assert origin['conv1'] == {'min': float(kernel.min()), 'max': float(kernel.max())}
    lines = str(imported).splitlines()
    assert lines[0] == f'mine.t7: Torch7, {origin["bytes"]:,} bytes, sha256 {origin["sha256"]}'
    assert lines[1] == f'conv1 weights: {kernel.min():.6f} to {kernel.max():.6f}'
    scenes = np.asarray(saved.load_net(tmp_path / 'net')(importer.sweep()[None])['places'])[0].mean(axis=0)
    best = int(scenes.argmax())
    assert lines[2].startswith(f'scenes of the sweep: class {best} {scenes[best]:.1%}, class {1 - best} ')
    assert lines[3].startswith('largest difference from plain numpy: ')
    assert lines[4] == f'{tmp_path / "net"}: soundnet8-thin, 46 tensors'


def test_the_plain_net_is_the_tests_own():
    for spec, form in ((TINY8, 'Torch7'), (TINY5, 'numpy')):
        weights = made.weights(spec)
        turn = made.turned if form == 'Torch7' else lambda kernel: kernel[:, None]
        tensors = {key: turn(value) if key.endswith('/kernel') else value for key, value in weights.items()}
        truth = numpy_net.forward(spec, weights, noise(10))
        for layer, values in plain.forward(spec, form, tensors, noise(10)).items():
            expected = truth[f'{layer}_logits' if layer in spec.head_names else layer]
            np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-6 * np.abs(expected).max())


def test_the_sweep_is_as_documented():
    clip = importer.sweep()
    assert (len(clip), clip.dtype) == (441_000, np.float32)
    assert np.abs(clip).max() == pytest.approx(0.5, rel=1e-3)
    for second in range(20):  # a sine crosses zero twice in each period
        crossings = np.diff(np.signbit(clip[second * 22_050 :][:22_050])).sum()
        assert crossings / 2 == pytest.approx(50 + 397.5 * (second + 0.5), abs=1)


def wrong(tmp_path, state):
    with pytest.raises(WeightsMismatch) as caught:
        importing.import_weights(write(tmp_path, made.zipped(state), 'a.pth'), tmp_path / 'net')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.pth']
    return str(caught.value)


def test_all_that_does_not_fit_is_listed_at_once(tmp_path):
    state = made.state_dict(TINY5, made.weights(TINY5), 'batchnorm')
    del state['conv2.bias']
    state['conv3.weight'] = np.zeros((1, 2, 16, 1), np.float32)
    state['batchnorm4.weight'] = np.zeros(3, np.float32)
    state['extra.weight'] = np.zeros((2, 2), np.float32)
    assert wrong(tmp_path, state) == (
        f'{tmp_path}/a.pth is not soundnet5-thin in PyTorch: conv2.bias is missing, the bias of conv2; '
        'extra.weight [2, 2] is unexpected; conv3.weight is [1, 2, 16, 1], not 16 steps of 1 channels, as conv3 has; '
        'batchnorm4.weight is [3], not [1], as conv4 has'
    )


def test_a_trunk_without_heads_and_an_invalid_kernel(tmp_path):
    state = made.state_dict(TINY8, made.weights(TINY8), 'features')
    state = {name: array for name, array in state.items() if not name.startswith('conv8')}
    state['features.0.weight'] = np.zeros((1, 64), np.float32)
    said = wrong(tmp_path, state)
    assert 'conv8_objs.weight is missing, the kernel of imagenet' in said
    assert 'features.0.weight is [1, 64], not 64 steps of 1 channels, as conv1 has' in said


def test_a_net_that_is_too_wide(tmp_path):
    state = made.state_dict(TINY8, made.weights(TINY8), 'batchnorm')
    state['conv1.weight'] = np.zeros((65, 1, 64, 1), np.float32)
    assert 'conv1.weight is [65, 1, 64, 1]: conv1 can have 1 to 64 channels' in wrong(tmp_path, state)


@pytest.mark.parametrize(
    ('spec', 'module', 'setting', 'value', 'words'),
    [
        (TINY8, 1, 'dH', 1, 'module 1 has dH 1.0, not 2'),
        (TINY8, 2, 'eps', 1e-3, 'module 2 has eps 0.001, not 1e-05'),
        (TINY8, 4, 'kH', 4, 'module 4 has kH 4.0, not 8'),
        (TINY8, 4, 'ceil_mode', True, 'module 4 has ceil_mode True, not False'),
        (TINY5, 13, 'padH', 0, 'module 13 has padH 0.0, not 4'),
        (TINY8, 1, 'dW', 2, 'module 1 has dW 2.0, not 1'),
        (TINY8, 1, 'groups', 2, 'module 1 has groups 2.0, not 1'),
        (TINY8, 1, 'dilationH', 2, 'module 1 has dilationH 2.0, not 1'),
    ],
)
def test_a_torch_net_of_another_geometry(tmp_path, spec, module, setting, value, words):
    net = made.t7_net(spec, made.weights(spec))
    net.content['modules'][module].content[setting] = value
    with pytest.raises(WeightsMismatch, match=words):
        importing.import_weights(write(tmp_path, t7_bytes(net)), tmp_path / 'net')


def test_swapped_heads_are_reported(tmp_path):
    spec = thin_spec(SOUNDNET8, {'imagenet': 401, 'places': 1000}, 1 / 1000)
    assert 'imagenet has 401 classes, those of places: are the heads swapped?; places has 1000' in wrong(
        tmp_path, made.state_dict(spec, made.weights(spec), 'batchnorm')
    )


def test_integers_are_not_weights(tmp_path):
    state = made.state_dict(TINY8, made.weights(TINY8), 'batchnorm')
    state['conv2.weight'] = state['conv2.weight'].astype(np.int64)
    assert 'conv2.weight holds int64, not floating point' in wrong(tmp_path, state)


def test_control_characters_are_escaped(tmp_path):
    state = made.state_dict(TINY8, made.weights(TINY8), 'batchnorm')
    state |= {f'\x1b[2Jall well\n{index}': np.zeros(1, np.float32) for index in range(70)}
    said = wrong(tmp_path, state)
    assert r'\x1b[2Jall well\n0 [1] is unexpected' in said
    assert said.endswith('and 10 more')
    assert said.isprintable()


def test_what_was_not_imported_is_not_replaced(tmp_path, home):
    path = write(tmp_path, made.t7(TINY8, made.weights(TINY8)))
    own = saved.save_net(enliven(model.build(TINY8)), tmp_path / 'own')
    write(tmp_path / 'folder', b'dear sir', 'letter.txt')
    for name in ('own', 'folder'):
        with pytest.raises(SoundNetError, match=rf'{name}: exists and was not imported\. Use another folder'):
            importing.import_weights(path, tmp_path / name)
    write(home / 'nets' / 'taken', b'dear sir', 'letter.txt')
    with pytest.raises(SoundNetError, match=r'taken: exists and was not imported\. .* or another name'):
        importing.import_weights(path, tmp_path / 'net', register='taken')
    assert not (tmp_path / 'net').exists()
    assert saved.read_facts(own)['origin'] == {}


def test_user_files_are_kept(tmp_path):
    path = write(tmp_path, made.t7(TINY8, made.weights(TINY8)))
    importing.import_weights(path, tmp_path / 'net')
    within = write(tmp_path / 'net', path.read_bytes())
    with pytest.raises(SoundNetError, match=r'weights\.bin: inside .*net, which would be replaced\. Use another'):
        importing.import_weights(within, tmp_path / 'net')
    with pytest.raises(
        SoundNetError, match=r'net: weights\.bin is not part of the saved net and would be lost\. Move it'
    ):
        importing.import_weights(path, tmp_path / 'net')
    assert within.exists()
    with pytest.raises(SoundNetError, match=r'weights\.bin: is a file\. Pass SOURCE first, then TARGET'):
        importing.import_weights(tmp_path / 'net', path)
    (tmp_path / 'empty').mkdir()
    importing.import_weights(path, tmp_path / 'empty')


def test_a_failed_import_is_not_registered(tmp_path, home, monkeypatch):
    path = write(tmp_path, made.t7(TINY8, made.weights(TINY8)))
    save_net = saved.save_net

    def full(net, folder, **options):
        if folder.parent == tmp_path:  # the draft of `net`
            raise OSError(28, 'No space left on device')
        return save_net(net, folder, **options)

    monkeypatch.setattr(saved, 'save_net', full)
    with pytest.raises(OSError, match='No space left'):
        importing.import_weights(path, tmp_path / 'net', register='mine')
    assert not (home / 'nets' / 'mine').exists()


def test_a_net_without_batch_norm(tmp_path):
    state = made.state_dict(TINY8, made.weights(TINY8), 'batchnorm')
    said = wrong(tmp_path, {name: value for name, value in state.items() if not name.startswith('batchnorm')})
    assert said.endswith('is not soundnet8-thin in PyTorch: there is no batch norm, so it is not SoundNet')


def test_a_file_that_is_far_too_large_is_not_read(tmp_path):
    with (tmp_path / 'video.mp4').open('wb') as file:
        file.truncate(300 << 30)
    with pytest.raises(SoundNetError, match=r'video\.mp4: 322,122,547,200 bytes, far more than any SoundNet weights'):
        importing.import_weights(tmp_path / 'video.mp4', tmp_path / 'net')


def test_another_activation_is_refused(tmp_path):
    net = made.t7_net(TINY8, made.weights(TINY8))
    net.content['modules'][3].kind = 'nn.Tanh'
    with pytest.raises(WeightsMismatch, match='module 3 has kind Tanh, not ReLU'):
        importing.import_weights(write(tmp_path, t7_bytes(net)), tmp_path / 'net')


def test_unusable_numbers_are_refused(tmp_path):
    weights = made.weights(TINY8)
    for key, value, words in (
        ('conv2/moving_variance', -1, r'6\.running_var has 1 negative values, but is a variance'),
        ('places/bias', np.nan, r'25\.2\.bias has 2 values that are NaN or infinite'),
        ('conv5/kernel', np.inf, r'15\.weight has 4 values that are NaN or infinite'),
    ):
        bad = weights | {key: np.full_like(weights[key], value)}
        with pytest.raises(WeightsMismatch, match=words):
            importing.import_weights(write(tmp_path, made.t7(TINY8, bad)), tmp_path / 'net')
    assert not (tmp_path / 'net').exists()


def test_a_net_that_computes_differently_is_refused(tmp_path, monkeypatch):
    """What the comparison is for: a kernel turned round in time keeps its shape."""
    from soundnet_tf.importing import forms as modules

    turned = {form: (lambda t, k=f.kernel: None if k(t) is None else k(t)[::-1]) for form, f in modules.FORMS.items()}
    forms = {form: dataclasses.replace(f, kernel=turned[form]) for form, f in modules.FORMS.items()}
    monkeypatch.setattr(modules, 'FORMS', forms)
    monkeypatch.setattr(names, 'FORMS', forms)
    with pytest.raises(WeightsMismatch, match=r'conv1 of the net differs by .* from plain numpy with the same tensors'):
        importing.import_weights(write(tmp_path, made.t7(TINY8, made.weights(TINY8))), tmp_path / 'net')
    assert not (tmp_path / 'net').exists()


def test_registered_nets_are_found_by_name(tmp_path, home):
    path = write(tmp_path, made.t7(TINY8, made.weights(TINY8)))
    with pytest.raises(SoundNetError, match="'a/b': invalid model name"):
        importing.import_weights(path, tmp_path / 'net', register='a/b')
    assert not (tmp_path / 'net').exists()
    with pytest.raises(SoundNetError, match='soundnet5 is not registered on this machine: soundnet-import-weights'):
        soundnet_tf.load('soundnet5')
    importing.import_weights(path, tmp_path / 'net', register='soundnet8')
    assert lookup.find('soundnet8') == home / 'nets' / 'soundnet8'
    embedder = soundnet_tf.load('soundnet8', short='error')
    assert embedder.spec == geometry.trim_edges(TINY8, 441_000)
    with pytest.raises(ShortClip):
        embedder.embed(noise(0.1), 22_050)
    with pytest.raises(WeightsMismatch, match=r'conv1/kernel is \[64, 1, 1\], not \[64, 1, 16\]'):
        soundnet_tf.SoundNet8(weights='soundnet8', teachers={'imagenet': 3, 'places': 2})


def test_an_old_net_stays_if_the_new_one_is_refused(tmp_path):
    path = write(tmp_path, made.t7(TINY8, made.weights(TINY8)))
    importing.import_weights(path, tmp_path / 'net')
    before = (tmp_path / 'net' / 'weights.npz').read_bytes()
    write(tmp_path, path.read_bytes()[:-100])
    with pytest.raises(SoundNetError, match=r'weights\.bin: damaged: .* Download the file again'):
        importing.import_weights(path, tmp_path / 'net')
    assert (tmp_path / 'net' / 'weights.npz').read_bytes() == before

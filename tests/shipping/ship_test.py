"""From clips to an included net, all steps: on thin nets and synthetic pitches."""

import dataclasses
import hashlib
import json
import shutil

import numpy as np
import pytest
from scipy import special

from soundnet_tf import inference, storage
from soundnet_tf.audio import SAMPLE_RATE, decoding
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation import datasets, embedders
from soundnet_tf.evaluation.embedders import saved_nets
from soundnet_tf.evaluation.protocol import Protocol
from soundnet_tf.experiments.recipes import Recipe
from soundnet_tf.export import lite, reload
from soundnet_tf.finetune import journal
from soundnet_tf.nets import lookup, model, saved
from soundnet_tf.shipping import (
    attribution,
    calibration,
    card,
    delivery,
    features,
    outputs,
    probes,
    rows,
    shelf,
    trials,
)
from soundnet_tf.spec import SOUNDNET5, thin
from soundnet_tf.teachers import options
from soundnet_tf.testing import enliven, noise
from tests.evaluation.made import HERTZ, folders, write

pytest.importorskip('ai_edge_litert')

RECIPE = Recipe(epochs=40, batch=12, crop_s=1, head_kernel=1, learning_rate=3e-3, evaluate_every=20)

SPEEDS = 0.8, 1.0


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """24 clips in 2 folds, of 3 pitches, with a list of their authors."""
    top = folders(tmp_path_factory.mktemp('data') / 'pitches')
    names = sorted(path.name for path in top.rglob('*.wav'))
    lines = ['Tones (https://tones.example/licence)', *(f'- [{name}]: a tone by nobody [CC0]' for name in names)]
    (top / 'ATTRIBUTION.txt').write_text('\n'.join(lines))
    return top


@pytest.fixture(scope='module')
def way(data, tmp_path_factory):
    others = tmp_path_factory.mktemp('others')
    write(others / 'wind.wav', noise(2))
    (others / 'bad.wav').write_text('dear sir')
    return rows.CrossValidation(datasets.load(data), RECIPE, thin(SOUNDNET5, 1 / 4), None, [str(others)], SPEEDS)


@pytest.fixture(scope='module')
def work(tmp_path_factory):
    return tmp_path_factory.mktemp('work')


@pytest.fixture(scope='module')
def found(way, work):
    return rows.run(way, 1, work)


@pytest.fixture(scope='module')
def own(found):
    return calibration.calibrate([row.answers for row in found], 0.9)


@pytest.fixture(scope='module')
def shipped(way, found, own, work, data, tmp_path_factory):
    """The folder of the net, with a list beside it."""
    terms = delivery.Terms(data, 'tones', 'CC0')
    return delivery.deliver(way, found, own, work, tmp_path_factory.mktemp('shelf') / 'tones', terms)


def test_each_row_was_not_trained_on_its_test_fold(found, way, work):
    assert [(row.fold, row.seed) for row in found] == [(1, 0), (2, 0)]
    for row in found:
        assert {way.dataset.clips[clip].fold for clip in row.clips} == {row.fold}
        assert saved.read_facts(row.net)['origin']['held_out']['test_fold'] == row.fold
        assert row.accuracy > 0.8
    assert (work / 'rows.md').read_text() == rows.table(found, way.dataset.folds) + '\n'


def test_a_finished_row_is_one_file_and_not_trained_again(found, way, work, tmp_path):
    (tmp_path / 'rows').mkdir()
    for file in (work / 'rows').glob('*.npz'):
        shutil.copy(file, tmp_path / 'rows')
    again = rows.run(way, 1, tmp_path)
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one.answers.logits, other.answers.logits)
        assert one.outputs.keys() == other.outputs.keys() == {
            outputs.HALF, outputs.OOD, outputs.AT_SPEEDS, *probes.CORRUPTIONS,
        }  # fmt: skip
    assert not [path for path in (tmp_path / 'rows').iterdir() if path.is_dir()]
    other = dataclasses.replace(way, recipe=dataclasses.replace(RECIPE, epochs=41))
    with pytest.raises(SoundNetError, match=r'fold1-seed0\.npz: .* \(recipe epochs was 40, is 41\). Use another'):
        rows.run(other, 1, tmp_path)


def test_work_claimed_by_another_run_is_left_to_it(found, way, work, tmp_path, capsys):
    (tmp_path / 'rows').mkdir()
    shutil.copy(work / 'rows' / 'fold2-seed0.npz', tmp_path / 'rows')
    claim = storage.Claim.of(tmp_path / 'rows' / 'fold1-seed0')
    try:
        with pytest.raises(SoundNetError, match=r'rows/fold1-seed0: another run is writing to it\. Wait for it'):
            rows.run(way, 1, tmp_path)
    finally:
        claim.release()
    assert 'fold 2 held out, seed 0: accuracy ' in capsys.readouterr().out


def test_a_finished_row_is_not_claimed(found, way, work):
    claim = storage.Claim.of(work / 'rows' / 'fold1-seed0')
    try:
        assert len(rows.run(way, 1, work)) == 2
    finally:
        claim.release()


def test_the_table_has_folds_and_seeds(found):
    second = [dataclasses.replace(row, seed=1, answers=_all_wrong(row.answers)) for row in found]
    text = rows.table([*found, *second[:1]], [1, 2])
    assert text.splitlines()[0].split() == ['held', 'out', 'seed', '0', 'seed', '1']
    assert text.splitlines()[2].split()[-1] == '-'
    whole = rows.summary([*found, *second], [1, 2])
    first = np.mean([row.accuracy for row in found])
    assert whole['mean'] == pytest.approx(first / 2)
    assert whole['deviation_over_seeds'] == pytest.approx(first / np.sqrt(2))
    assert rows.summary(found, [1, 2])['deviation_over_seeds'] is None
    # Of rows that two processes share, neither may have a whole seed yet.
    text = rows.table([found[0], second[1]], [1, 2])
    assert '%' not in text
    assert [line.split()[-2:] for line in text.splitlines()[1:]] == [['100.0', '-'], ['-', '0.0'], ['-', '-']]
    assert '%' not in rows.table(found, [1, 2, 3])


def test_the_interval_of_rows(found, way):
    second = [dataclasses.replace(row, seed=1, answers=_all_wrong(row.answers)) for row in found]
    assert rows.interval([*found, second[0]], way.dataset) is None
    assert rows.interval(found[:1], way.dataset) is None
    # Each clip is right with one of the two seeds, if the first is right everywhere: the mean of any draw is a half.
    both = rows.interval([*found, *second], way.dataset)
    shares = [np.mean(row.answers.right) for row in found]
    assert both.low <= np.mean(shares) / 2 <= both.high
    assert (both.units, both.over) == (len({clip.source for clip in way.dataset.clips}), 'recordings')


def _all_wrong(answers):
    return dataclasses.replace(answers, truth=(answers.logits.argmax(axis=1) + 1) % 3)


def test_held_out_logits_match_the_tags_of_the_saved_net(found, way):
    """Twins: the logits of the run, and those behind the tags of the saved net."""
    row = found[0]
    clips = [decoding.read(way.dataset.clips[clip].path) for clip in row.clips]
    heard = special.softmax(outputs.of_waveforms(inference.load(row.net, short='tile'), clips), axis=1)
    np.testing.assert_allclose(heard, special.softmax(row.answers.logits, axis=1), atol=2e-3)
    for kind in (outputs.HALF, 'as it is'):
        np.testing.assert_allclose(special.softmax(row.outputs[kind], axis=1), heard, atol=2e-3)
    assert row.outputs[outputs.OOD].shape == row.answers.ood.shape == (1, 3)
    embedder = inference.load(row.net, speeds=SPEEDS)
    tags = [{tag.name: tag.probability for tag in embedder.tag(clip, SAMPLE_RATE, top=3)} for clip in clips]
    of_tags = [[own[name] for name in embedder.labels['pitches']] for own in tags]
    np.testing.assert_allclose(special.softmax(row.outputs[outputs.AT_SPEEDS], axis=1), of_tags, atol=2e-3)
    assert not np.allclose(of_tags, heard, atol=0.01)
    (judged,) = rows.at_speeds([row])
    right = np.argmax(of_tags, axis=1) == row.answers.truth
    assert (judged.accuracy, judged.clips) == (pytest.approx(right.mean()), row.clips)


def test_all_forms_say_the_same(shipped, own, work, way, tmp_path):
    """Keras, LiteRT without TensorFlow, TensorFlow, TF-Hub, and the file that MediaPipe reads."""
    net = saved.load_net(shipped)
    clip = decoding.read(way.dataset.clips[5].path)[: SAMPLE_RATE + 1]
    steps = np.asarray(net(clip[None])['pitches'])[0]
    wanted = special.softmax(np.log(steps).mean(axis=0))
    cold = saved.load_net(work / 'final' / 'net')
    logits = np.asarray(model.logits(cold)(clip[None])['pitches'])[0].mean(axis=0)
    np.testing.assert_allclose(special.softmax(logits / own.temperature), wanted, atol=5e-3)
    shutil.copytree(shipped, tmp_path / 'plain')
    (tmp_path / 'plain' / saved.TFLITE).unlink()
    for folder in (shipped, tmp_path / 'plain'):
        probabilities = {
            tag.name: tag.probability for tag in inference.load(folder, speeds=[1]).tag(clip, SAMPLE_RATE, top=3)
        }
        np.testing.assert_allclose([probabilities[name] for name in sorted(HERTZ)], wanted, atol=5e-3)
    (tmp_path / 'tags').mkdir()
    lite.plan(net, 'tags', length_s='dynamic').write(tmp_path / 'tags')
    for run in (reload.FORMS['hub'](shipped), reload.FORMS['tflite'](tmp_path / 'tags')):
        np.testing.assert_allclose(run(clip)['pitches_clip'], wanted, atol=1e-3)
    too_short = reload.hub(shipped)(clip[:100])
    assert (too_short['pitches_frames'].numpy(), np.abs(too_short['pitches_clip']).max()) == (0, 0)


def test_contents_of_a_shipped_net(shipped, own, found, way, work):
    facts = saved.read_facts(shipped)
    assert sorted(path.name for path in shipped.iterdir()) == [
        'MODEL_CARD.md', 'assets', 'fingerprint.pb', 'labels', 'model.json', 'net.tflite', 'saved_model.pb',
        'spec.json', 'variables', 'weights.npz',
    ]  # fmt: skip
    assert facts['weights_dtype'] == facts['tflite']['weights'] == 'float16'
    assert max(facts['module']['difference'].values()) < 1e-4
    assert saved.stated_hash(shipped / 'saved_model.pb') == storage.sha256(shipped / 'saved_model.pb')
    # It is one net, whoever asks.
    assert isinstance(embedders.make(str(shipped)), saved_nets.Net)
    with pytest.raises(SoundNetError, match=r'teacher a: .*tones is a net that listens\. Use a=hear:.*tones'):
        options.take_apart(f'a={shipped}')
    assert facts['confidence_threshold'] == {'pitches': own.confidence_threshold}
    assert inference.load(shipped).confidence_threshold == facts['confidence_threshold']
    assert facts['weights_sha256'] == hashlib.sha256((shipped / 'weights.npz').read_bytes()).hexdigest()
    assert facts['origin']['recipe'] == RECIPE.to_dict()
    assert facts['origin']['learned_from']['data_sha256'] == way.dataset.fingerprint()
    assert (len(facts['data']['attribution']), facts['data']['attribution'][0][-20:]) == (
        24,
        'a tone by nobody [CC0]'[-20:],
    )
    measured = facts['measured']
    assert np.sum(measured['confusion']) == 24
    assert measured['accuracy']['mean'] == pytest.approx(np.trace(measured['confusion']) / 24)
    assert measured['accuracy']['interval'] == rows.interval(found, way.dataset).to_dict()
    assert measured['calibration'] == dataclasses.asdict(own)
    at_speeds = rows.at_speeds(found)
    assert measured['accuracy_at_speeds'] == rows.summary(at_speeds, [1, 2]) | {
        'interval': rows.interval(at_speeds, way.dataset).to_dict()
    }
    assert facts['speeds'] == list(inference.load(shipped).tagger.speeds) == list(SPEEDS)
    assert measured['halves']['clips'] == 24
    assert measured['halves']['same_answer'] > 0.9
    assert measured['corrupted'][0]['right'] == pytest.approx(measured['halves']['float32'])
    assert measured['out_of_distribution'] | {'said': None} == {
        'kind': 'real sounds of no class', 'sounds': 1, 'unusable': 1, 'said': None, 'right': None,
        'not_sure': float(measured['out_of_distribution']['confidence'] < own.confidence_threshold),
        'confidence': measured['out_of_distribution']['confidence'],
    }  # fmt: skip
    assert 1 / 3 < measured['out_of_distribution']['confidence'] <= 1
    assert len(facts['origin']['clips']) == 24
    assert facts['data']['addresses'] == ['https://tones.example/licence']
    assert not [word for word in (str(shipped.parent), str(work)) if word in (shipped / 'model.json').read_text()]


@pytest.mark.slow
def test_the_same_command_again_replaces_the_net_and_nothing_else(way, found, own, work, data, tmp_path, monkeypatch):
    monkeypatch.setattr(delivery, '_tried', lambda *_: {'corrupted': [], 'synthetic': []})
    terms, out = delivery.Terms(data, 'tones', 'CC0'), tmp_path / 'tones'
    delivery.deliver(way, found, own, work, out, terms)
    before, there = (out / 'weights.npz').read_bytes(), sorted(path.name for path in work.iterdir())
    delivery.deliver(way, found, own, work, out, terms)
    assert (out / 'weights.npz').read_bytes() == before
    assert sorted(path.name for path in work.iterdir()) == there
    claim = storage.Claim.of(work / 'final')
    try:
        with pytest.raises(SoundNetError, match=r'final: another run is writing to it\. Wait for it, or stop it first'):
            delivery.deliver(way, found, own, work, out, terms)
    finally:
        claim.release()
    (out / 'NOTES.txt').write_text('mine')
    with pytest.raises(
        SoundNetError, match=r'tones: NOTES\.txt is not part of the saved net and would be lost\. Move it'
    ):
        delivery.deliver(way, found, own, work, out, terms)


def test_a_start_that_was_trained_on_the_test_fold_is_refused(shipped, way, tmp_path):
    with pytest.raises(SoundNetError, match='pitches: the net was trained on 12 clips of test fold 1'):
        rows.run(dataclasses.replace(way, start=shipped), 1, tmp_path)


def test_no_path_of_this_machine_is_published():
    origin = {'clips': ['a'], 'started_from': '/x', 'before': {'trained_on': '/y', 'clips': ['b'], 'before': {}}}
    assert delivery._without_paths(origin) == {'clips': ['a'], 'before': {'clips': ['b'], 'before': {}}}


def test_the_card_reports_the_measurements(shipped):
    text, facts = (shipped / card.NAME).read_text(), saved.read_facts(shipped)
    assert text.startswith('# tones\n\nClassifies sounds into 3 classes: high, low, middle.')
    assert f'**{facts["confidence_threshold"]["pitches"]:.3f}**' in text
    assert f'**{100 * facts["measured"]["accuracy"]["mean"]:.1f} %**' in text
    at_speeds = (
        f'speeds 0.8 and 1, which takes 2 passes: **{100 * facts["measured"]["accuracy_at_speeds"]["mean"]:.1f} %**'
    )
    assert at_speeds in ' '.join(text.split())
    assert 'All in one pass.' in text
    measured = {key: value for key, value in facts['measured'].items() if key != 'accuracy_at_speeds'}
    once = facts | {'measured': measured}
    assert 'speeds' not in card.write(saved.read_spec(shipped), sorted(HERTZ), once)
    corrupted = [trial['kind'] for trial in facts['measured']['corrupted']]
    for kind in (*corrupted, 'silence', 'speech-like', 'real sounds of no class'):
        assert f'\n| {kind} | ' in text
    assert max(len(line) for line in text.splitlines() if line[0:1] != '|') <= 120


def test_it_is_found_by_its_name(shipped, monkeypatch):
    monkeypatch.setenv('SOUNDNET_HOME', str(shipped.parent))
    assert lookup.find('tones') == shipped
    listed = json.loads((shipped.parent / 'models.json').read_text())
    assert listed['default'] == 'tones'
    assert listed['nets']['tones']['files'] == shelf.hashes(shipped)
    assert set(shelf.hashes(shipped)) >= {'weights.npz', 'labels/pitches.txt', 'net.tflite', 'saved_model.pb'}
    assert inference.load().embed(noise(1), SAMPLE_RATE).layer == 'conv4'


def test_the_list_keeps_its_default(shipped, tmp_path):
    for name in ('b', 'a'):
        shutil.copytree(shipped, tmp_path / name)
        path = shelf.put(tmp_path / name, 'soundnet5', 'tones', 'CC0', default=False)
    listed = json.loads(path.read_text())
    assert (listed['default'], list(listed['nets'])) == ('b', ['a', 'b'])
    shelf.put(tmp_path / 'a', 'soundnet5', 'tones', 'CC0', default=True)
    assert json.loads(path.read_text())['default'] == 'a'


def test_inner_layers_beside_random_ones(way, found, work, monkeypatch):
    protocol = Protocol(clip_s=0.0, window_s=0.0, probe='nearest', standardise=True)
    text = features.run(way, found, work, protocol)
    assert [line.split('  ')[0] for line in text.splitlines()] == [
        'features', 'conv4, trained', 'conv4, random', 'MFCC',
    ]  # fmt: skip
    assert len(list((work / 'features').iterdir())) == 6
    monkeypatch.setattr(features, 'evaluate', None)
    assert features.run(way, found, work, protocol) == text
    with pytest.raises(TypeError):
        features.run(way, found, work, dataclasses.replace(protocol, standardise=False))


def test_float32_weights_if_float16_loses_accuracy(monkeypatch, way, found, own, work, data, tmp_path):
    monkeypatch.setattr(delivery, 'halves', lambda *_: dict.fromkeys(HALVES, 0.5) | {'float32': 0.9, 'clips': 24})
    monkeypatch.setattr(delivery, '_tried', lambda *_: {'corrupted': [], 'synthetic': []})
    terms = delivery.Terms(data, 'tones', 'CC0')
    folder = delivery.deliver(way, found, own, work, tmp_path / 'whole', terms)
    facts = saved.read_facts(folder)
    assert facts['weights_dtype'] == facts['tflite']['weights'] == 'float32'
    monkeypatch.setattr(delivery, 'MAX_BYTES', 1000)
    with pytest.raises(SoundNetError, match=r': .* bytes, the maximum is 1,000\. Use a smaller net'):
        delivery.deliver(way, found, own, work, tmp_path / 'large', terms)
    assert not (tmp_path / 'large').exists()


HALVES = ('float16', 'same_answer', 'largest_difference')


def test_authors_must_be_credited(data, tmp_path):
    assert attribution.of(tmp_path, ['a/b.wav']) == {'attribution': [], 'addresses': []}
    name = next(data.rglob('*.wav')).name
    assert attribution.of(data / 'clips.csv', [name])['attribution'] == [f'{name}: a tone by nobody [CC0]']
    with pytest.raises(
        SoundNetError, match=r'ATTRIBUTION\.txt: no entry for c\.wav and 1 more\. Add one line per clip'
    ):
        attribution.of(data, ['b/c.wav', 'd.wav'])


def _with_ood(way, path):
    return dataclasses.replace(way, ood_sounds=[str(path)])


def test_mistakes(way, found, own, work, data, tmp_path):
    clips = tuple(dataclasses.replace(clip, fold=None) for clip in way.dataset.clips)
    without = dataclasses.replace(way, dataset=dataclasses.replace(way.dataset, clips=clips))
    with pytest.raises(
        SoundNetError,
        match=r'pitches: cross-validation needs at least 2 folds, got 0\. Name its files FOLD-REC',
    ):
        rows.run(without, 1, tmp_path)
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'a').touch()
    with pytest.raises(SoundNetError, match=r'mine: exists and is not a saved net\. Use another folder'):
        delivery.check(way, tmp_path / 'mine', delivery.Terms(data, '', ''))
    with pytest.raises(SoundNetError, match='my net: invalid model name'):
        delivery.check(way, tmp_path / 'my net', delivery.Terms(data, '', ''))
    with pytest.raises(SoundNetError, match='nowhere'):
        delivery.check(_with_ood(way, tmp_path / 'nowhere*'), tmp_path / 'new', delivery.Terms(data, '', ''))
    with pytest.raises(SoundNetError, match=r'nowhere: no such file\. Check --ood_sounds'):
        delivery.check(_with_ood(way, tmp_path / 'nowhere'), tmp_path / 'new', delivery.Terms(data, '', ''))
    with pytest.raises(SoundNetError, match=r'wav: is a clip of pitches\. Pass sounds of none of its classes'):
        delivery.check(_with_ood(way, data), tmp_path / 'new', delivery.Terms(data, '', ''))
    (tmp_path / 'models.json').write_text('[]')
    with pytest.raises(SoundNetError, match=r'models\.json: not a list of nets'):
        delivery.check(way, tmp_path / 'new', delivery.Terms(data, '', ''))
    (tmp_path / 'bad.wav').write_text('dear sir')
    with pytest.raises(SoundNetError, match=r'--ood_sounds: none of the 1 files can be used'):
        outputs.of_files(inference.load(found[0].net), [str(tmp_path / 'bad.wav')])
    with pytest.raises(SoundNetError, match=r'held_out\.npz: cannot be read \(.*\)\. Remove .*, and run it again'):
        journal.read_held_out(tmp_path)


def test_the_weights_hold_the_temperature():
    net = enliven(model.build(thin(SOUNDNET5, 1 / 16).with_heads({'pets': 4})))
    clip = noise(4)[None]
    before = np.asarray(model.logits(net)(clip)['pets'])
    delivery.warm(net, 2.5)
    np.testing.assert_allclose(np.asarray(model.logits(net)(clip)['pets']), before / 2.5, rtol=1e-5, atol=1e-6)


def test_the_results_of_a_trial():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]])
    trial = trials.of('wind', ('cat', 'dog'), probabilities, 0.65, [0, 1, 0])
    assert (trial.sounds, trial.said) == (3, (('dog', 2), ('cat', 1)))
    assert trial.not_sure == pytest.approx(1 / 3)
    assert trial.right == pytest.approx(2 / 3)
    assert trial.confidence == pytest.approx(2.2 / 3)

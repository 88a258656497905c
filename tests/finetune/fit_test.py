"""Training on labels: it learns, is repeatable, resumes, saves the reported net, and reports errors."""

import csv
import dataclasses
import json
import os
import pathlib
import re
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf

import soundnet_tf
from soundnet_tf import geometry, storage
from soundnet_tf.audio import decoding
from soundnet_tf.errors import BadAudio, MissingTool, SoundNetError
from soundnet_tf.evaluation import datasets
from soundnet_tf.experiments.recipes import RECIPES, Recipe
from soundnet_tf.finetune import journal, loop
from soundnet_tf.finetune.augment import Crops
from soundnet_tf.finetune.fit import finetune
from soundnet_tf.nets import model, processor, saved
from soundnet_tf.spec import SOUNDNET5, SOUNDNET8, Conv, Head, NetSpec, Pool, thin
from soundnet_tf.testing import enliven
from tests.evaluation.made import folders

# Two layers are made and traced in a second, and do for all that is not about hearing.
SPEC = NetSpec(
    'small', (Conv('conv1', 4, 64, 32), Pool('pool1', 16), Conv('conv2', 8, 16, 8), Pool('pool2', 8)), (), 'conv2'
)
SHORT = Recipe(epochs=3, batch=5, crop_s=1, head_kernel=1)
ALL = dataclasses.replace(
    RECIPES['from_scratch'],
    epochs=3,
    batch=5,
    crop_s=1,
    pad_s=0.5,
    mix=True,
    copies=2,
    evaluate_every=1,
)


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """18 clips in 2 folds, of 3 pitches."""
    return datasets.load(folders(tmp_path_factory.mktemp('made') / 'pitches', clips=3))


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A saved net of another task."""
    net = enliven(model.build(dataclasses.replace(SPEC, heads=(Head('imagenet', 5, 4), Head('places', 4, 4)))))
    return saved.save_net(net, tmp_path_factory.mktemp('trained') / 'net')


CHOOSING: dict = {'validation': 0.3, 'keep': 'best'}


@pytest.fixture(scope='module')
def whole(made, tmp_path_factory):
    """A run with everything, never stopped."""
    return finetune(made, ALL, tmp_path_factory.mktemp('whole') / 'run', spec=SPEC, **CHOOSING)


def weights(folder):
    with np.load(pathlib.Path(folder) / 'weights.npz') as file:
        return {key: file[key] for key in file.files}


def same(one, other):
    return all(np.array_equal(value, weights(other)[key]) for key, value in weights(one).items())


def history(out):
    with (out / 'history.csv').open() as file:
        return list(csv.DictReader(file))


def test_it_overfits_and_generalises_to_the_held_out_fold(made, tmp_path):
    recipe = dataclasses.replace(SHORT, epochs=40, learning_rate=3e-3, evaluate_every=20)
    result = finetune(made, recipe, tmp_path / 'run', spec=thin(SOUNDNET5, 1 / 4), test_fold=2)
    rows = history(tmp_path / 'run')
    assert float(rows[-1]['loss']) < 0.3
    # Of nine clips, while their crops are drawn by chance.
    assert float(rows[-1]['train_accuracy']) > 0.85
    assert [row['epoch'] for row in rows if row['test_accuracy']] == ['20', '40']
    assert result.accuracy == {'test': 1.0}
    assert result.confusion == {'test': [[3, 0, 0], [0, 3, 0], [0, 0, 3]]}
    assert str(result) == (f'test accuracy 100.0% (epoch 40); the net is in {tmp_path / "run" / "net"}')
    # The saved net is a net like any other.
    embedder = soundnet_tf.load(result.net)
    clip = next(clip for clip in made.clips if clip.fold == 2)
    (tag,) = embedder.tag_file(clip.path, top=1)
    assert (tag.head, tag.name) == ('pitches', clip.label)
    assert embedder.facts['origin']['accuracy'] == {'test': 1.0}
    assert embedder.facts['origin']['held_out'] == {'test_fold': 2, 'validation': 0.0, 'keep': 'last'}


@pytest.mark.slow
def test_every_augmentation_together_learns_too(made, tmp_path):
    recipe = dataclasses.replace(ALL, epochs=120, learning_rate=2e-3, filter_db=6.0, evaluate_every=120)
    result = finetune(made, recipe, tmp_path / 'run', spec=thin(SOUNDNET5, 1 / 4), test_fold=2)
    assert result.accuracy['test'] > 0.6  # of three classes


def test_a_frozen_net_keeps_every_number_but_its_heads(made, trained, tmp_path):
    recipe = dataclasses.replace(SHORT, freeze='all')
    result = finetune(made, recipe, tmp_path / 'run', start=trained, seed=1)
    before, after = weights(trained), weights(result.net)
    assert {key for key in after if key not in before} == {'pitches/kernel', 'pitches/bias'}
    for key, value in after.items():
        if not key.startswith('pitches'):
            np.testing.assert_array_equal(value, before[key], err_msg=key)
    assert result.accuracy == {}
    assert str(result).startswith('no clip was held out (epoch 3)')
    assert float(history(tmp_path / 'run')[-1]['loss']) < float(history(tmp_path / 'run')[0]['loss'])


@pytest.mark.parametrize(
    ('name', 'words'),
    [('z.PTH', 'z.PTH is a weight file, not a saved net'), ('x.wav', 'not a saved net: it is a file')],
)
def test_a_file_is_no_start(made, tmp_path, name, words):
    (tmp_path / name).touch()
    with pytest.raises(SoundNetError, match=words):
        finetune(made, SHORT, tmp_path / 'run', start=tmp_path / name)
    assert not (tmp_path / 'run').exists()


def test_fine_tuning_starts_from_the_saved_net(made, trained, tmp_path):
    recipe = dataclasses.replace(SHORT, epochs=1, learning_rate=1e-6)
    result = finetune(made, recipe, tmp_path / 'run', start=trained)
    before, after = weights(trained), weights(result.net)
    for key in ('conv1/kernel', 'conv2/gamma'):
        np.testing.assert_allclose(after[key], before[key], atol=1e-5)
        assert not np.array_equal(after[key], before[key])
    assert not np.array_equal(after['conv2/moving_mean'], before['conv2/moving_mean'])
    origin = saved.read_facts(result.net)['origin']
    assert origin['start_sha256'] == saved.read_facts(trained)['weights_sha256']


@pytest.mark.slow
def test_a_seed_repeats_and_another_does_not(made, whole, tmp_path):
    again = finetune(made, ALL, tmp_path / 'again', spec=SPEC, **CHOOSING)
    assert same(whole.net, again.net)
    assert again.confusion == whole.confusion
    other = finetune(made, ALL, tmp_path / 'other', spec=SPEC, **CHOOSING, seed=1)
    assert not same(whole.net, other.net)


def test_however_often_a_run_is_stopped_it_ends_the_same(made, whole, tmp_path, monkeypatch):
    """In an epoch, after its last step, at the look, with a line that no checkpoint knows, before the head's fit."""
    stops = [
        (Crops, '_batch', 2, KeyboardInterrupt),
        (journal, 'write_history', 1, KeyboardInterrupt),
        (loop.Run, '_save', 2, MemoryError),
        (loop.Run, 'evaluate', 2, KeyboardInterrupt),
        (loop.Run, 'refit', 1, KeyboardInterrupt),
    ]
    monkeypatch.setattr(loop, 'CHECKPOINT_EVERY_S', -1)
    lines, said = [], []
    for owner, name, at, error in stops:
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, stopping(getattr(owner, name), at, error))
            with pytest.raises(error) as stop:
                finetune(made, ALL, tmp_path / 'parts', spec=SPEC, **CHOOSING)
        said.append(str(stop.value))
        lines.append(len(history(tmp_path / 'parts')) if (tmp_path / 'parts' / 'history.csv').exists() else 0)
        assert not (tmp_path / 'parts' / 'net').exists()
    assert lines == [0, 0, 2, 2, 3]
    assert said[0] == '0.3 of 3 epochs done. Run the same command to resume'
    rest = finetune(made, ALL, tmp_path / 'parts', spec=SPEC, **CHOOSING)
    assert same(whole.net, rest.net)
    assert (rest.epoch, rest.confusion) == (whole.epoch, whole.confusion)
    rows = [[{**row, 'clips_per_s': ''} for row in history(pathlib.Path(run.net).parent)] for run in (whole, rest)]
    assert rows[0] == rows[1]


def test_a_damaged_checkpoint_is_skipped(made, whole, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(loop, 'CHECKPOINT_EVERY_S', -1)
    with monkeypatch.context() as patched:
        patched.setattr(loop.Run, '_save', stopping(loop.Run._save, 3, MemoryError))
        with pytest.raises(MemoryError):
            finetune(made, ALL, tmp_path / 'parts', spec=SPEC, **CHOOSING)
    *_, last = sorted((tmp_path / 'parts' / 'checkpoints').glob('*.data*'), key=os.path.getmtime)
    os.truncate(last, 1000)
    assert same(whole.net, finetune(made, ALL, tmp_path / 'parts', spec=SPEC, **CHOOSING).net)
    said = capsys.readouterr().out
    assert 'Resuming from the previous checkpoint' in said
    assert re.search(r'parts: resuming from step \d+ of \d+\n', said)


def stopping(real, at, error):
    calls = []

    def run(*arguments):
        calls.append(1)
        if len(calls) == at:
            raise error
        return real(*arguments)

    return run


def test_a_finished_run_is_left_as_it_is(made, tmp_path, monkeypatch):
    result = finetune(made, SHORT, tmp_path / 'run', spec=SPEC, test_fold=1)
    (tmp_path / 'run' / 'net' / 'net.tflite').write_text('added since')
    monkeypatch.setattr(loop.Run, '__init__', lambda *_: pytest.fail('it ran again'))
    assert finetune(made, SHORT, tmp_path / 'run', spec=SPEC, test_fold=1) == result
    assert (tmp_path / 'run' / 'net' / 'net.tflite').exists()


def test_the_best_epoch_is_chosen_by_training_clips_alone(made, tmp_path, monkeypatch):
    accuracies = iter([(0.5, 0.1), (0.75, 0.2), (0.75, 0.9), (0.25, 1.0), (0.75, 0.2)])

    class Fake:
        confusion, truth, values = (), (), ()

        def __init__(self, accuracy):
            self.accuracy = accuracy

    def evaluate(run):
        return dict(zip(('validation', 'test'), map(Fake, next(accuracies)), strict=True))

    monkeypatch.setattr(loop.Run, 'evaluate', evaluate)
    recipe = dataclasses.replace(SHORT, epochs=4)
    best = finetune(made, recipe, tmp_path / 'best', spec=SPEC, test_fold=2, validation=0.3, keep='best')
    assert best.epoch == 2
    written = sorted(path.name for path in (tmp_path / 'best').iterdir())
    assert written == ['held_out.npz', 'history.csv', 'net', 'result.json', 'run.json']
    monkeypatch.undo()
    two = finetune(made, dataclasses.replace(SHORT, epochs=2), tmp_path / 'two', spec=SPEC, test_fold=2, validation=0.3)
    assert same(best.net, two.net)


@pytest.mark.slow
def test_test_clips_do_not_affect_training(made, tmp_path):
    """Other sounds in the test fold, and the same net comes of it."""
    recipe = dataclasses.replace(SHORT, refit=0.1)
    one = finetune(made, recipe, tmp_path / 'one', spec=SPEC, test_fold=2, validation=0.3, keep='best')
    shutil.copytree(pathlib.Path(made.clips[0].path).parents[1], tmp_path / 'pitches')
    for path in (tmp_path / 'pitches').rglob('2-*.wav'):
        shutil.copy(made.clips[0].path, path)
    other = datasets.load(tmp_path / 'pitches')
    other = finetune(other, recipe, tmp_path / 'other', spec=SPEC, test_fold=2, validation=0.3, keep='best')
    assert same(one.net, other.net)


def test_refitting_and_more_steps_change_only_the_head(made, tmp_path):
    plain = finetune(made, SHORT, tmp_path / 'plain', spec=SPEC, test_fold=2)
    result = finetune(made, dataclasses.replace(SHORT, refit=0.1, dense=4), tmp_path / 'anew', spec=SPEC, test_fold=2)
    assert geometry.hop(saved.read_spec(result.net), 'pool2') == geometry.hop(SPEC, 'pool2') / 4
    before, after = weights(plain.net), weights(result.net)
    for key, value in after.items():
        assert np.array_equal(value, before[key]) != key.startswith('pitches'), key
    said = journal.read_held_out(tmp_path / 'anew')
    clips = [decoding.read(made.clips[clip].path) for clip in said['test_clips']]
    net = saved.load_net(result.net)
    logits = [np.mean(model.logits(net)(clip[None])['pitches'][0], axis=0) for clip in clips]
    np.testing.assert_allclose(said['test_logits'], logits, atol=0.02)
    assert result.accuracy['test'] == np.mean(np.argmax(logits, axis=1) == said['test_truth'])


def test_missing_requirements_are_reported_before_anything_is_written(made, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'sklearn.svm', None)
    with pytest.raises(MissingTool, match='scikit-learn'):
        finetune(made, dataclasses.replace(SHORT, refit=0.1), tmp_path / 'run', spec=SPEC)
    monkeypatch.setitem(sys.modules, 'scipy.fft', None)
    with pytest.raises(
        MissingTool, match=r"training with random filters needs scipy, .*: pip install 'soundnet_tf\[transfer\]'"
    ):
        finetune(made, dataclasses.replace(SHORT, filter_db=6), tmp_path / 'run', spec=SPEC)
    monkeypatch.setattr(processor, 'flags', frozenset)
    monkeypatch.setattr(tf.config, 'list_physical_devices', lambda kind: [])
    with pytest.raises(SoundNetError, match=r'this processor has no bfloat16 .*\. Use float32, the default'):
        finetune(made, dataclasses.replace(SHORT, precision='bfloat16'), tmp_path / 'run', spec=SPEC)
    monkeypatch.undo()
    assert not (tmp_path / 'run').exists()


def test_invalid_calls_are_reported(made, trained, tmp_path):
    with pytest.raises(SoundNetError, match=r'keep=best needs validation clips\. Set validation=0\.2, or keep=last'):
        finetune(made, SHORT, tmp_path / 'run', keep='best')
    with pytest.raises(SoundNetError, match='pitches: no fold 9; its folds are 1, 2'):
        finetune(made, SHORT, tmp_path / 'run', test_fold=9)
    with pytest.raises(SoundNetError, match=r'pitches of soundnet8 needs 3\.55 s\. Use longer crops, or head_kernel=1'):
        finetune(made, Recipe(crop_s=2), tmp_path / 'run', spec=SOUNDNET8)
    assert not (tmp_path / 'run').exists()
    with pytest.raises(SoundNetError, match=r'exists and has no run\.json, so it is not a run\. Use another --out'):
        finetune(made, SHORT, trained)
    with (
        storage.claimed(tmp_path / 'run'),
        pytest.raises(SoundNetError, match=r'run: another run is writing to it\. Wait for it, or stop it first'),
    ):
        finetune(made, SHORT, tmp_path / 'run', spec=SPEC)
    finetune(made, SHORT, tmp_path / 'run', spec=SPEC)
    with pytest.raises(
        SoundNetError, match=r'other settings \(recipe epochs was 3, is 4; seed was 0, is 1\)\. Use another --out'
    ):
        finetune(made, dataclasses.replace(SHORT, epochs=4), tmp_path / 'run', spec=SPEC, seed=1)
    (tmp_path / 'run' / 'run.json').write_text('{')
    with pytest.raises(SoundNetError, match=r'run\.json: cannot be read .*\. Use another --out, or remove'):
        finetune(made, SHORT, tmp_path / 'run', spec=SPEC)


def test_an_unreadable_clip_is_reported(tmp_path):
    top = folders(tmp_path / 'pitches', clips=1)
    (top / 'low' / '1-110-A.wav').write_text('dear sir')
    with pytest.raises(BadAudio, match=r'1-110-A\.wav: not a sound file'):
        finetune(datasets.load(top), SHORT, tmp_path / 'run', spec=SPEC)


def test_a_nan_loss_ends_the_run(made, tmp_path, monkeypatch):
    monkeypatch.setattr(Recipe, 'rate', lambda *_: 1e38)
    with pytest.raises(
        SoundNetError, match=r'the loss is NaN or infinite\. Start again with another --out and a learning_rate below'
    ):
        finetune(made, SHORT, tmp_path / 'run', spec=SPEC)
    assert not (tmp_path / 'run' / 'net').exists()


DATA = os.environ.get('SOUNDNET_DATA')


@pytest.mark.slow
@pytest.mark.skipif(not DATA, reason='SOUNDNET_DATA names no folder of real sounds')
def test_real_sounds_beat_chance(tmp_path):
    """ESC-10, 10 classes: a net of an eighth of the width, a few epochs; two seeds gave 0.66 and 0.61."""
    recipe = dataclasses.replace(RECIPES['from_scratch'], epochs=6, batch=16, evaluate_every=6)
    esc10 = datasets.load(pathlib.Path(DATA or '') / 'esc10')
    result = finetune(esc10, recipe, tmp_path / 'run', spec=thin(SOUNDNET8, 1 / 8), test_fold=4)
    assert result.accuracy['test'] > 0.3
    assert json.loads((tmp_path / 'run' / 'result.json').read_text())['classes'][0] == 'Dog bark'

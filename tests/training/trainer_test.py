"""Training: it learns, resumes where it stopped, and reports errors."""

import csv
import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from soundnet_tf import records
from soundnet_tf.audio import decoding
from soundnet_tf.config import Experiment, Training
from soundnet_tf.errors import BadRecord, ShortClip, SoundNetError
from soundnet_tf.nets import model, saved
from soundnet_tf.records import batches
from soundnet_tf.spec import SOUNDNET5, Head, NetSpec, thin
from soundnet_tf.testing import make_records, thin_spec
from soundnet_tf.training import steps, trainer

# The 5-layer geometry, whose heads take clips of 2.6 s, thin enough for a step in a few milliseconds.
SPEC = thin(SOUNDNET5, 1 / 8)
CONFIG = Training(steps=6, batch=4, clip_s=5, save_every=2, seed=3)
# Three seconds have one step of the heads, as five have, and take three fifths of the time.
LEARNING = dataclasses.replace(CONFIG, clip_s=3, learning_rate=3e-3)


def train(folder, spec, run, config):
    return trainer.train(folder, Experiment('test', '', 'soundnet5', training=config), run, spec)


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp('records')
    make_records(folder, count=12, seconds=5, teachers={'imagenet': 5, 'places': 4})
    return folder


@pytest.fixture(scope='module')
def whole(made, tmp_path_factory):
    """The folder of a finished run of CONFIG, and its history: copied by those who change it."""
    run = tmp_path_factory.mktemp('whole') / 'run'
    return run, train(made, SPEC, run, CONFIG).history


def weights(folder):
    with np.load(folder / 'net' / 'weights.npz') as file:
        return {key: file[key] for key in file.files}


def test_it_overfits(made, tmp_path):
    trained = train(made, thin(SOUNDNET5, 1 / 4), tmp_path / 'run', dataclasses.replace(LEARNING, steps=160))
    for losses in trained.history.values():
        assert np.mean(losses[-20:]) < np.mean(losses[:5]) / 2
    net = saved.load_net(trained.net)
    assert model.spec_of(net).head_names == ('imagenet', 'places')
    assert net.labels['places'] == ('class 0', 'class 1', 'class 2', 'class 3')
    right = total = 0
    for batch in batches.batches(made, samples=5 * 22_050, batch=4, repeat=False):
        predicted = np.asarray(net(batch['waveform'])['places']).argmax(-1)
        right, total = (
            right + (predicted == batch['places'].numpy()[:, : predicted.shape[1]].argmax(-1)).sum(),
            total + predicted.size,
        )
    # Moving statistics have had 160 steps to settle; chance is 1 in 4.
    assert right / total > 0.7


def test_a_run_folder_records_its_configuration(whole):
    run, _ = whole
    assert sorted(path.name for path in run.iterdir()) == [
        'checkpoints',
        'experiment.json',
        'log.csv',
        'logs',
        'net',
    ]
    about = json.loads((run / 'experiment.json').read_text())
    assert about['experiment']['training']['steps'] == 6
    assert about['versions']['tensorflow'] == tf.__version__
    assert len(about['data']['sha256']) == 16
    with (run / 'log.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [row['step'] for row in rows] == [str(step) for step in range(1, 7)]
    assert {'loss/imagenet', 'top1/imagenet', 'top5/places', 'learning_rate', 'clips_per_s'} <= set(rows[0])
    origin = saved.read_facts(run / 'net')['origin']
    assert origin['steps'] == 6
    assert 0 < origin['loss_places'] < 10
    (events,) = (run / 'logs').iterdir()
    tags = {
        value.tag for record in tf.data.TFRecordDataset(str(events))
        for value in tf.compat.v1.Event.FromString(record.numpy()).summary.value
    }  # fmt: skip
    assert {'loss/imagenet', 'top1/places', 'top5/places', 'clips_per_s', 'learning_rate'} <= tags


def test_a_stopped_run_resumes(made, whole, tmp_path, monkeypatch):
    real, calls = trainer._Loop._check, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr(trainer._Loop, '_check', interrupted)
    with pytest.raises(KeyboardInterrupt, match=r'saved at step 4 of 6\. Run the same command to resume'):
        train(made, SPEC, tmp_path / 'parts', CONFIG)
    assert not (tmp_path / 'parts' / 'net').exists()
    rest = train(made, SPEC, tmp_path / 'parts', CONFIG)
    # The fourth step was taken, though nothing was said of it any more.
    np.testing.assert_allclose(rest.history['places'], whole[1]['places'][4:], rtol=1e-4)


def test_a_stop_while_the_ema_weights_are_evaluated_restores_the_last(made):
    net = model.build(SPEC.with_heads({'imagenet': 5, 'places': 4}))
    state = steps.State(net, dataclasses.replace(CONFIG, ema=0.9))
    for mean in state.ema:
        mean.assign(mean + 1)
    before = net.get_weights()
    seen = []

    def look():
        with state.ema_weights():
            seen.append(net.get_weights()[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look()
    np.testing.assert_allclose(seen[0], before[0] + 1, rtol=1e-5)
    assert all(np.array_equal(mine, other) for mine, other in zip(net.get_weights(), before, strict=True))


def test_ema_weights_bring_their_moving_statistics(made, tmp_path):
    """A net of EMA weights is at least as good on what it learned as the last one, and not chance."""
    config = dataclasses.replace(LEARNING, steps=100, ema=0.95)
    net = saved.load_net(train(made, thin(SOUNDNET5, 1 / 4), tmp_path / 'run', config).net)
    batch = next(iter(batches.batches(made, samples=5 * 22_050, batch=12, repeat=False)))
    answers, seen = np.asarray(net(batch['waveform'])['places']).argmax(-1), batch['places'].numpy().argmax(-1)
    assert np.mean(answers == seen[:, : answers.shape[1]]) > 0.6


@pytest.mark.slow
def test_a_damaged_held_out_record_is_reported_or_left_out(made, tmp_path, capsys):
    shutil.copytree(made, tmp_path / 'records')
    shard = sorted((tmp_path / 'records').glob('*.tfrecord'))[-1]
    content = bytearray(shard.read_bytes())
    content[len(content) // 3] ^= 255
    shard.write_bytes(content)
    config = dataclasses.replace(CONFIG, steps=2, held_out=1, validate_every=1)
    with pytest.raises(BadRecord, match=rf'{shard}, record \d+: damaged, wrong checksum'):
        train(tmp_path / 'records', SPEC, tmp_path / 'run', config)
    train(tmp_path / 'records', SPEC, tmp_path / 'other', dataclasses.replace(config, skip_bad_records=True))
    assert f'1 record could not be used: {shard}, record' in capsys.readouterr().out


def test_a_folder_of_something_else_is_not_a_run(made, tmp_path):
    (tmp_path / 'thesis.txt').write_text('years of work')
    with pytest.raises(SoundNetError, match=r'exists and has no experiment\.json, so it is not a run\. Use'):
        train(made, SPEC, tmp_path, CONFIG)
    assert [path.name for path in tmp_path.iterdir()] == ['thesis.txt']


def test_resuming_from_a_checkpoint_is_exact(made, whole, tmp_path):
    train(made, SPEC, tmp_path / 'parts', dataclasses.replace(CONFIG, steps=3))
    rest = train(made, SPEC, tmp_path / 'parts', CONFIG)
    np.testing.assert_allclose(rest.history['places'], whole[1]['places'][3:], rtol=1e-4)
    wanted, got = weights(whole[0]), weights(tmp_path / 'parts')
    for key, value in wanted.items():
        # Adam turns rounding into steps of the learning rate where a gradient is nothing but rounding.
        np.testing.assert_allclose(got[key], value, atol=3 * 1e-3 if key.endswith('bias') else 1e-4, err_msg=key)


def test_a_finished_run_is_left_as_it_is(made, whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / 'run')
    before = weights(tmp_path / 'run')
    (tmp_path / 'run' / 'net' / 'net.tflite').write_text('added since')
    again = train(made, SPEC, tmp_path / 'run', CONFIG)
    assert again.history['places'] == []
    assert (tmp_path / 'run' / 'net' / 'net.tflite').exists()
    assert saved.read_facts(again.net)['origin']['loss_places'] > 0
    assert all(np.array_equal(before[key], value) for key, value in weights(tmp_path / 'run').items())


def test_other_settings_need_another_folder(made, whole):
    run, _ = whole
    with pytest.raises(SoundNetError, match=r'other settings \(learning_rate was 0.001, is 0.0001\)\. Use'):
        train(made, SPEC, run, dataclasses.replace(CONFIG, learning_rate=1e-4))
    with pytest.raises(SoundNetError, match=r'started with other settings \(net layers differs'):
        train(made, thin(SOUNDNET5, 1 / 16), run, CONFIG)


def test_nan_stops_it_and_names_the_clips(made, tmp_path):
    with pytest.raises(trainer.Diverged) as caught:
        train(made, SPEC, tmp_path / 'run', dataclasses.replace(CONFIG, learning_rate=1e38))
    assert 'the loss of imagenet is NaN or infinite on 4 of 4 clips (clip' in str(caught.value)
    assert 'Earlier checkpoints: none' in str(caught.value)
    assert not (tmp_path / 'run' / 'net').exists()


def test_damaged_files_are_reported(made, tmp_path):
    shutil.copytree(made, tmp_path / 'records')
    shard = next((tmp_path / 'records').glob('*.tfrecord'))
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(
        BadRecord, match=r'\.tfrecord: damaged, .* bytes instead of .*\. Remove it and run soundnet-prepare again'
    ):
        train(tmp_path / 'records', SPEC, tmp_path / 'run', CONFIG)
    (tmp_path / 'run' / 'experiment.json').write_text('{')
    with pytest.raises(SoundNetError, match=r'experiment\.json: cannot be read .*\. Use another --out, or remove'):
        train(made, SPEC, tmp_path / 'run', CONFIG)


def test_an_invalid_setting_creates_no_folder(made, tmp_path):
    with pytest.raises(SoundNetError, match='no decoder'):
        train(made, SPEC, tmp_path / 'run', dataclasses.replace(CONFIG, decoder='tfioo'))
    assert not (tmp_path / 'run').exists()


def test_clips_too_short_for_a_head_are_refused_at_the_start(made, tmp_path):
    with pytest.raises(
        ShortClip, match=r'a training clip \(clip_s=5\) is 5.00 s; imagenet of soundnet8-thin needs 9.50'
    ):
        train(made, thin_spec(), tmp_path / 'run', CONFIG)
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'loss': 'mse'}, "loss must be kl or l2, got 'mse'"),
        ({'weights': {'places': -1.0}}, r"weights must be at least 0, got {'places': -1.0}"),
        ({'warmup_steps': 6}, 'warmup_steps must be less than steps, 6, got 6'),
        ({'distribution': 'tpu'}, "distribution must be none or mirrored or multiworker, got 'tpu'"),
        ({'decoder': 'ffmpeg'}, "no decoder 'ffmpeg'"),
        ({'steps': 0}, 'steps must be more than 0, got 0'),
        ({'ema': 1.0}, 'ema must be at least 0 and less than 1, got 1.0'),
        ({'held_out': 1}, r'validate_every \(steps\) and held_out \(shards\) must be set'),
        ({'held_out': 2, 'validate_every': 1}, 'held_out=2 leaves none of 2 shards. Hold out fewer'),
        ({'teachers': ('objects',)}, "no teacher 'objects'. Use imagenet, places"),
        ({'weights': {'objects': 2.0}}, "no teacher 'objects'"),
    ],
)
def test_invalid_settings_are_reported(change, words, made, tmp_path):
    with pytest.raises(SoundNetError, match=words):
        train(made, SPEC, tmp_path / 'run', dataclasses.replace(CONFIG, **change))


@pytest.mark.slow
def test_l2_learns_too(made, tmp_path):
    config = dataclasses.replace(LEARNING, loss='l2', steps=90)
    history = train(made, SPEC, tmp_path / 'run', config).history
    assert np.mean(history['places'][-20:]) < np.mean(history['places'][:10]) * 0.8


def test_the_heads_take_the_first_heads_geometry(made, tmp_path):
    spec = NetSpec('own', SPEC.layers, (Head('any', 7, kernel=1, stride=1),), 'conv4')
    trained = train(made, spec, tmp_path / 'run', dataclasses.replace(CONFIG, steps=1))
    heads = saved.read_spec(trained.net).heads
    assert [(head.name, head.classes, head.kernel) for head in heads] == [('imagenet', 5, 1), ('places', 4, 1)]


def stepped(made, config, seed=1):
    """A net, its twin of before, and one step's batch and results."""
    batch = next(iter(batches.batches(made, samples=5 * 22_050, batch=4, repeat=False)))
    keras.utils.set_random_seed(seed)
    spec = SPEC.with_heads({'imagenet': 5, 'places': 4})
    net, twin = model.build(spec), model.build(spec)
    twin.set_weights(net.get_weights())
    criterion = steps.Criterion(spec, config, records.read_card(made))
    state = steps.State(net, config)
    results = steps.make_step(tf.distribute.get_strategy(), state, config, criterion)(batch)
    return net, twin, batch, results


def moved_by_adam(net, twin, gradients):
    """Adam's first step by hand."""
    for variable, after, gradient in zip(twin.trainable_variables, net.trainable_variables, gradients, strict=True):
        if '_conv/bias' not in variable.path:
            step = 1e-3 * gradient / (np.abs(gradient) + 1e-7)
            # Where a gradient is next to nothing, its sign, and with it the step, is rounding.
            assert np.mean(np.abs(after - (variable - step)) < 1e-4) > 0.9, variable.path


def test_the_step_is_adam_on_the_mean_kl(made):
    """One step against the same written out: plain net, plain gradient."""
    net, twin, batch, results = stepped(made, CONFIG)
    with tf.GradientTape() as tape:
        logits = model.logits(twin)(batch['waveform'], training=True)
        kls = []
        for head in ('imagenet', 'places'):
            p, q = batch[head][:, :1], tf.nn.softmax(logits[head])
            kls.append(tf.reduce_mean(tf.reduce_sum(p * tf.math.log((p + 1e-30) / q), -1)))
        loss = tf.add_n(kls) / 2
    np.testing.assert_allclose(results['means']['loss/places'], kls[1], rtol=1e-4)
    np.testing.assert_allclose(results['means']['total'], loss, rtol=1e-4)
    moved_by_adam(net, twin, tape.gradient(loss, twin.trainable_variables))


def test_small_gradients_survive_float16():
    weight = tf.Variable(1.0)
    with tf.GradientTape(persistent=True) as tape:
        loss = 1e-8 * tf.cast(tf.cast(weight, tf.float16), tf.float32)
    assert tape.gradient(loss, weight).numpy() == 0
    (found,) = steps.gradients(tape, loss, [weight], 'float16')
    assert found.numpy() == pytest.approx(1e-8, rel=1e-2)


def test_float16_without_a_gpu(made, tmp_path, monkeypatch):
    monkeypatch.setattr(tf.config, 'list_physical_devices', lambda kind=None: [])
    with pytest.raises(SoundNetError, match='float16 is for GPUs, and TensorFlow finds none'):
        train(made, SPEC, tmp_path / 'run', dataclasses.replace(CONFIG, precision='float16'))
    assert not (tmp_path / 'run').exists()


def test_the_authors_reduction(made):
    """Each head's KL averaged over batch and classes, the mean over the time steps of all heads times 250."""
    _, twin, batch, results = stepped(made, dataclasses.replace(CONFIG, reduction='torch', weights={'places': 3.0}))
    logits = model.logits(twin)(batch['waveform'], training=True)
    each = []
    for head, weight in (('imagenet', 1), ('places', 3)):
        p, q = batch[head][:, :1], tf.nn.softmax(logits[head])
        each.append(weight * tf.reduce_mean(p * tf.math.log((p + 1e-30) / q)))
    np.testing.assert_allclose(results['means']['total'], 250 * np.mean(each), rtol=1e-3)


def test_tensorflow_io_trains_end_to_end(made, whole, tmp_path):
    if 'tfio' not in decoding.available():
        pytest.skip(f'tensorflow-io does not load beside TensorFlow {tf.__version__}')
    _, ours = whole
    tfio = train(made, SPEC, tmp_path / 'tfio', dataclasses.replace(CONFIG, decoder='tfio'))
    # The decoders' samples differ by rounding, which Adam's first steps magnify from the second on.
    assert tfio.history['places'][0] == pytest.approx(ours['places'][0], rel=1e-3)
    assert tfio.history['places'] == pytest.approx(ours['places'], rel=0.3)
    assert (tfio.net / 'weights.npz').is_file()

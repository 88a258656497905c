"""Training: it learns, it goes on where it was, and it stops in words."""

import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from soundnet_tf import data, decoding, model, saved, training
from soundnet_tf.config import Training
from soundnet_tf.errors import BadRecord, ShortClip, SoundNetError
from soundnet_tf.spec import SOUNDNET5, Head, NetSpec, thin
from soundnet_tf.testing import make_records, thin_spec

# The 5-layer geometry, whose heads take clips of 2.6 s, thin enough for a step in a few milliseconds.
SPEC = thin(SOUNDNET5, 1 / 8)
CONFIG = Training(steps=6, batch=4, clip_s=5, save_every=2, seed=3)


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp('records')
    make_records(folder, count=12, seconds=5, teachers={'imagenet': 5, 'places': 4})
    return folder


def weights(folder):
    with np.load(folder / 'net' / 'weights.npz') as file:
        return {key: file[key] for key in file.files}


def test_it_overfits(made, tmp_path):
    trained = training.train(
        made, thin(SOUNDNET5, 1 / 4), tmp_path / 'run', dataclasses.replace(CONFIG, steps=80, learning_rate=3e-3)
    )
    for losses in trained.history.values():
        assert np.mean(losses[-5:]) < np.mean(losses[:5]) / 2
    net = saved.load_net(trained.net)
    assert model.spec_of(net).head_names == ('imagenet', 'places')
    assert net.labels['places'] == ('class 0', 'class 1', 'class 2', 'class 3')
    right = total = 0
    for batch in data.batches(made, samples=5 * 22_050, batch=4, repeat=False):
        told = np.asarray(net(batch['waveform'])['places']).argmax(-1)
        right, total = right + (told == batch['places'].numpy()[:, : told.shape[1]].argmax(-1)).sum(), total + told.size
    # Moving statistics have had 80 steps to settle; chance is 1 in 4.
    assert right / total > 0.7


def test_a_run_folder_tells_what_it_was(made, tmp_path):
    training.train(made, SPEC, tmp_path / 'run', CONFIG)
    assert sorted(path.name for path in (tmp_path / 'run').iterdir()) == ['checkpoints', 'logs', 'net', 'run.json']
    assert json.loads((tmp_path / 'run' / 'run.json').read_text())['training']['steps'] == 6
    origin = saved.read_facts(tmp_path / 'run' / 'net')['origin']
    assert origin['steps'] == 6
    assert 0 < origin['loss_places'] < 10
    (events,) = (tmp_path / 'run' / 'logs').iterdir()
    tags = {
        value.tag for record in tf.data.TFRecordDataset(str(events))
        for value in tf.compat.v1.Event.FromString(record.numpy()).summary.value
    }  # fmt: skip
    assert {'loss/imagenet', 'agreement/places', 'clips_per_s', 'learning_rate'} <= tags


def test_a_stopped_run_goes_on(made, tmp_path, monkeypatch):
    whole = training.train(made, SPEC, tmp_path / 'whole', CONFIG)
    real, calls = training._check, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr(training, '_check', interrupted)
    with pytest.raises(KeyboardInterrupt):
        training.train(made, SPEC, tmp_path / 'parts', CONFIG)
    assert not (tmp_path / 'parts' / 'net').exists()
    rest = training.train(made, SPEC, tmp_path / 'parts', CONFIG)
    # The fourth step was taken, though nothing was said of it any more.
    np.testing.assert_allclose(rest.history['places'], whole.history['places'][4:], rtol=1e-4)


def test_going_on_is_exact_from_a_checkpoint(made, tmp_path):
    whole = training.train(made, SPEC, tmp_path / 'whole', CONFIG)
    training.train(made, SPEC, tmp_path / 'parts', dataclasses.replace(CONFIG, steps=3))
    rest = training.train(made, SPEC, tmp_path / 'parts', CONFIG)
    np.testing.assert_allclose(rest.history['places'], whole.history['places'][3:], rtol=1e-4)
    wanted, got = weights(tmp_path / 'whole'), weights(tmp_path / 'parts')
    for key, value in wanted.items():
        # Adam turns rounding into steps of the learning rate where a gradient is nothing but rounding.
        np.testing.assert_allclose(got[key], value, atol=3 * 1e-3 if key.endswith('bias') else 1e-4, err_msg=key)


def test_a_finished_run_is_left_as_it_is(made, tmp_path):
    training.train(made, SPEC, tmp_path / 'run', CONFIG)
    before = weights(tmp_path / 'run')
    (tmp_path / 'run' / 'net' / 'net.tflite').write_text('added since')
    again = training.train(made, SPEC, tmp_path / 'run', CONFIG)
    assert again.history['places'] == []
    assert (tmp_path / 'run' / 'net' / 'net.tflite').exists()
    assert saved.read_facts(again.net)['origin']['loss_places'] > 0
    assert all(np.array_equal(before[key], value) for key, value in weights(tmp_path / 'run').items())


def test_other_settings_want_another_folder(made, tmp_path):
    training.train(made, SPEC, tmp_path / 'run', CONFIG)
    with pytest.raises(SoundNetError, match=r'begun with other learning_rate 0.001, not 0.0001: choose'):
        training.train(made, SPEC, tmp_path / 'run', dataclasses.replace(CONFIG, learning_rate=1e-4))
    with pytest.raises(SoundNetError, match='begun with other spec'):
        training.train(made, thin(SOUNDNET5, 1 / 16), tmp_path / 'run', CONFIG)


def test_nan_stops_it_and_names_the_clips(made, tmp_path):
    with pytest.raises(training.Diverged) as caught:
        training.train(made, SPEC, tmp_path / 'run', dataclasses.replace(CONFIG, learning_rate=1e38))
    assert 'the loss of imagenet is not a number on 4 of 4 clips (clip' in str(caught.value)
    assert 'earlier checkpoints: none yet' in str(caught.value)
    assert not (tmp_path / 'run' / 'net').exists()


def test_damage_is_told_in_words(made, tmp_path):
    shutil.copytree(made, tmp_path / 'records')
    shard = next((tmp_path / 'records').glob('*.tfrecord'))
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(BadRecord, match=r'records has a damaged shard .*: prepare it again'):
        training.train(tmp_path / 'records', SPEC, tmp_path / 'run', CONFIG)
    (tmp_path / 'run' / 'run.json').write_text('{')
    with pytest.raises(SoundNetError, match=r'run\.json is damaged .*: choose another --out'):
        training.train(made, SPEC, tmp_path / 'run', CONFIG)


def test_a_wrong_flag_spoils_no_folder(made, tmp_path):
    with pytest.raises(SoundNetError, match='no decoder'):
        training.train(made, SPEC, tmp_path / 'run', dataclasses.replace(CONFIG, decoder='tfioo'))
    assert not (tmp_path / 'run').exists()


def test_clips_too_short_for_a_head_are_refused_at_the_start(made, tmp_path):
    with pytest.raises(
        ShortClip, match=r'a training clip \(clip_s=5\) is 5.00 s; imagenet of soundnet8-thin needs 9.50'
    ):
        training.train(made, thin_spec(), tmp_path / 'run', CONFIG)
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'loss': 'mse'}, "loss is kl or l2, not 'mse'"),
        ({'distribution': 'tpu'}, "distribution is none or mirrored, not 'tpu'"),
        ({'decoder': 'ffmpeg'}, "no decoder 'ffmpeg'"),
        ({'steps': 0}, 'steps must be more than 0, got 0'),
    ],
)
def test_the_words_of_wrong_settings(change, words, made, tmp_path):
    with pytest.raises(SoundNetError, match=words):
        training.train(made, SPEC, tmp_path / 'run', dataclasses.replace(CONFIG, **change))


def test_l2_learns_too(made, tmp_path):
    config = dataclasses.replace(CONFIG, loss='l2', steps=40, learning_rate=3e-3)
    history = training.train(made, SPEC, tmp_path / 'run', config).history
    assert np.mean(history['places'][-5:]) < np.mean(history['places'][:5]) * 0.8


def test_the_heads_take_the_first_heads_geometry(made, tmp_path):
    spec = NetSpec('own', SPEC.layers, (Head('any', 7, kernel=1, stride=1),), 'conv4')
    trained = training.train(made, spec, tmp_path / 'run', dataclasses.replace(CONFIG, steps=1))
    heads = saved.read_spec(trained.net).heads
    assert [(head.name, head.classes, head.kernel) for head in heads] == [('imagenet', 5, 1), ('places', 4, 1)]


def test_the_step_is_adam_on_the_mean_kl(made):
    """One step against the same written out: plain net, plain gradient, Adam's first step by hand."""
    batch = next(iter(data.batches(made, samples=5 * 22_050, batch=4, repeat=False)))
    keras.utils.set_random_seed(1)
    spec = SPEC.with_heads({'imagenet': 5, 'places': 4})
    net, twin = model.build(spec), model.build(spec)
    twin.set_weights(net.get_weights())
    optimizer = keras.optimizers.Adam(1e-3, beta_1=0.9)
    optimizer.build(net.trainable_variables)
    state = training.State(net, optimizer, tf.Variable(0, dtype=tf.int64))
    results = training.make_step(tf.distribute.get_strategy(), state, CONFIG)(batch)
    with tf.GradientTape() as tape:
        logits = model.logits(twin)(batch['waveform'], training=True)
        kls = []
        for head in spec.head_names:
            p, q = batch[head][:, :1], tf.nn.softmax(logits[head])
            kls.append(tf.reduce_mean(tf.reduce_sum(p * tf.math.log((p + 1e-30) / q), -1)))
        loss = tf.add_n(kls) / 2
    np.testing.assert_allclose(tf.reduce_mean(results['loss/places']), kls[1], rtol=1e-4)
    for variable, stepped, gradient in zip(
        twin.trainable_variables, net.trainable_variables, tape.gradient(loss, twin.trainable_variables), strict=True
    ):
        if '_conv/bias' not in variable.path:
            step = 1e-3 * gradient / (np.abs(gradient) + 1e-7)
            # Where a gradient is next to nothing, its sign, and with it the step, is rounding.
            assert np.mean(np.abs(stepped - (variable - step)) < 1e-4) > 0.99, variable.path


def test_tensorflow_io_trains_end_to_end(made, tmp_path):
    if 'tfio' not in decoding.available():
        pytest.skip(f'tensorflow-io does not load beside TensorFlow {tf.__version__}')
    ours = training.train(made, SPEC, tmp_path / 'ours', CONFIG)
    tfio = training.train(made, SPEC, tmp_path / 'tfio', dataclasses.replace(CONFIG, decoder='tfio'))
    # The decoders' samples differ by rounding, which Adam's first steps magnify from the second on.
    assert tfio.history['places'][0] == pytest.approx(ours.history['places'][0], rel=1e-3)
    assert tfio.history['places'] == pytest.approx(ours.history['places'], rel=0.3)
    assert (tfio.net / 'weights.npz').is_file()

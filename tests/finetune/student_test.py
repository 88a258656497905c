"""The net in training on labels: its head, its fast and its frozen form, and its predictions for clips."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from soundnet_tf import geometry
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import ShortClip, SoundNetError
from soundnet_tf.evaluation.datasets import DataSet, LabelledClip
from soundnet_tf.experiments.recipes import RECIPES, Recipe
from soundnet_tf.finetune import student, waveforms
from soundnet_tf.nets import fast, model, precisions, saved
from soundnet_tf.spec import SOUNDNET5, SOUNDNET8, Conv, Head, NetSpec, Pool, thin
from soundnet_tf.testing import enliven, noise, thin_spec
from soundnet_tf.training.start import Start

DATA = DataSet('pets', ('cat', 'dog', 'owl'), tuple(LabelledClip(label, label) for label in ('cat', 'dog', 'owl')))
FRAMES = Recipe(crop_s=3, head_kernel=1)
SOUNDNET5_THIN = thin(SOUNDNET5, 1 / 16)
ENDS_IN_A_POOL = NetSpec('odd', (Conv('a', 3, 16, 8), Pool('b', 4), Conv('c', 4, 8, 4), Pool('d', 2)), (), 'c')


def net_of(spec, recipe=FRAMES, seed=0):
    return enliven(student.build(student.spec_for(spec, DATA, recipe), DATA, None), seed)


def held(*clips):
    samples = [waveforms.to_int16(clip) for clip in clips]
    return waveforms.Sounds(np.concatenate(samples), np.cumsum([len(one) for one in samples]).tolist())


def test_the_authors_head_has_one_frame_for_5_s():
    spec = student.spec_for(SOUNDNET8, DATA, RECIPES['authors'])
    assert spec.heads == (Head('pets', 3, kernel=4, padding=0, stride=1, clip_mean='logits'),)
    # In its crops conv7's last step reads one zero behind them; one that reads two is left out elsewhere.
    assert spec.layers[-1].paddings == (2, 1)
    assert geometry.frames(spec, 'conv7', 5 * SAMPLE_RATE) == 4
    assert geometry.frames(spec, 'pets', 5 * SAMPLE_RATE) == 1
    assert geometry.min_samples(spec, 'pets') == 94_686
    assert geometry.min_samples(student.spec_for(SOUNDNET8, DATA, FRAMES), 'pets') == 4574
    assert geometry.min_samples(student.spec_for(SOUNDNET5, DATA, FRAMES), 'pets') == geometry.min_samples(
        SOUNDNET5, 'conv4'
    )


def test_a_frozen_trunk_keeps_out_what_its_training_never_reached():
    """Else a head of 5 s crops weighs the original's wild last step by the length of a clip."""
    original = geometry.trim_edges(SOUNDNET8, 20 * SAMPLE_RATE)
    frozen = student.spec_for(original, DATA, dataclasses.replace(RECIPES['authors'], freeze='all'))
    assert frozen.layers == original.layers
    assert frozen.layers[-1].paddings == (2, 0)
    assert [geometry.frames(frozen, name, 5 * SAMPLE_RATE) for name in ('conv7', 'pets')] == [3, 1]
    assert frozen.heads[0].kernel == 3
    # One that is trained learns its last step too.
    assert student.spec_for(original, DATA, RECIPES['authors']).layers[-1].paddings == (2, 1)


def test_a_head_that_does_not_fit_is_reported():
    with pytest.raises(
        ShortClip, match=r'a training crop \(crop_s=3\) is 3\.00 s; pets of soundnet8 needs 3\.55 s\. Use longer'
    ):
        student.spec_for(SOUNDNET8, DATA, Recipe(crop_s=3))
    with pytest.raises(SoundNetError, match='conv7: a layer has this name, so the head cannot'):
        student.spec_for(SOUNDNET8, dataclasses.replace(DATA, name='conv7'), FRAMES)


def test_a_saved_net_keeps_all_but_its_heads(tmp_path):
    start = enliven(model.build(thin_spec()), seed=3)
    saved.save_net(start, tmp_path / 'net')
    net = student.build(
        student.spec_for(saved.read_spec(tmp_path / 'net'), DATA, FRAMES), DATA, Start.find(tmp_path / 'net')
    )
    assert net.labels == {'pets': ('cat', 'dog', 'owl')}
    given, own = model.variables_of(start), model.variables_of(net)
    assert set(own) - set(given) == {'pets/kernel', 'pets/bias'}
    for key, variable in own.items():
        if not key.startswith('pets'):
            np.testing.assert_array_equal(variable, given[key], err_msg=key)


@pytest.mark.parametrize(
    'spec', [thin(SOUNDNET8, 1 / 16), thin(SOUNDNET5, 1 / 16), ENDS_IN_A_POOL], ids=lambda s: s.name
)
def test_the_fast_form_matches_the_keras_net(spec):
    recipe = dataclasses.replace(FRAMES, head_kernel=2)
    quick, plain = net_of(spec, recipe), net_of(spec, recipe)
    x = np.stack([noise(3, seed=seed) for seed in range(3)])
    labels = tf.one_hot([0, 1, 2], 3)

    def learn(net, run):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels, run(x)))
        return loss, tape.gradient(loss, student.trainable_variables(net, recipe)), net.non_trainable_variables

    form = student.training_form(quick, recipe)
    got = learn(quick, lambda x: form(x, tf.constant([0, 0], tf.int64)))
    wanted = learn(plain, lambda x: tf.reduce_mean(model.logits(plain)(x, training=True)['pets'], axis=1))
    np.testing.assert_allclose(got[0], wanted[0], rtol=1e-3)
    for mine, other, variable in zip(got[1], wanted[1], plain.trainable_variables, strict=True):
        if '_conv/bias' not in variable.path:  # behind a batch norm its gradient is rounding
            # As a whole, since where two samples are nearly equal rounding decides which of them a pool takes.
            assert np.linalg.norm(mine - other) < 0.02 * np.linalg.norm(other), variable.path
    for mine, other in zip(got[2], wanted[2], strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not precisions.on_processor('bfloat16'), reason='this processor has no bfloat16')
def test_bfloat16_is_close_to_float32():
    """What is learned is float32, and its gradients point where those of float32 do."""
    spec, x = thin(SOUNDNET8, 1 / 16), np.stack([noise(3, seed=seed) for seed in range(3)])
    found = {}
    for precision in ('float32', 'bfloat16'):
        recipe = dataclasses.replace(FRAMES, precision=precision)
        net = net_of(spec, recipe)
        with tf.GradientTape() as tape:
            logits = student.training_form(net, recipe)(x, tf.constant([0, 0], tf.int64))
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(tf.one_hot([0, 1, 2], 3), logits))
        kernels = [variable for variable in student.trainable_variables(net, recipe) if variable.name == 'kernel']
        found[precision] = logits, tape.gradient(loss, kernels)
    assert not np.array_equal(found['bfloat16'][0], found['float32'][0])
    np.testing.assert_allclose(found['bfloat16'][0], found['float32'][0], atol=0.05)
    for mine, other in zip(found['bfloat16'][1], found['float32'][1], strict=True):
        assert mine.dtype == tf.float32
        assert np.sum(mine * other) > 0.9 * np.linalg.norm(mine) * np.linalg.norm(other)


def test_the_frozen_form_is_inference_and_changes_nothing():
    recipe = dataclasses.replace(FRAMES, freeze='all')
    net = net_of(thin(SOUNDNET5, 1 / 16), recipe)
    before = [np.array(variable) for variable in net.variables]
    x = np.stack([noise(3, seed=seed) for seed in range(2)])
    got = student.training_form(net, recipe)(x, tf.constant([0, 0], tf.int64))
    np.testing.assert_allclose(got, tf.reduce_mean(model.logits(net)(x)['pets'], axis=1), rtol=1e-5)
    assert [variable.name for variable in student.trainable_variables(net, recipe)] == ['kernel', 'bias']
    for variable, old in zip(net.variables, before, strict=True):
        np.testing.assert_array_equal(variable, old)


@pytest.mark.parametrize('layer', ['pool1', 'conv3'])
def test_the_layers_below_are_frozen_and_those_above_learn(layer):
    """As Keras trains the layers above on the outputs of those below."""
    recipe = dataclasses.replace(FRAMES, freeze=layer)
    spec = student.spec_for(thin(SOUNDNET5, 1 / 16), DATA, recipe)
    net, plain = (enliven(student.build(spec, DATA, None), 0) for _ in range(2))
    names = spec.layer_names
    above = names[names.index(layer) + 1 :]
    before = {key: np.array(value) for key, value in model.variables_of(net).items()}
    x = np.stack([noise(3, seed=seed) for seed in range(2)])
    with tf.GradientTape() as tape:
        got = student.training_form(net, recipe)(x, tf.constant([0, 0], tf.int64))
    variables = student.trainable_variables(net, recipe)
    assert all(gradient is not None for gradient in tape.gradient(got, variables))
    trained = {fast.training.row_of(variable) for variable in variables}
    assert trained == {name for name in above if not name.startswith('pool')} | {'pets'}
    y = model.features(plain, [layer])(x, training=False)[layer]
    for own in plain.layers[plain.layers.index(plain.get_layer(layer)) + 1 : -1]:
        y = own(y, training=True)
    np.testing.assert_allclose(got, tf.reduce_mean(y, axis=1), rtol=1e-3, atol=1e-4)
    for key, value in model.variables_of(net).items():
        moved = not np.array_equal(value, before[key])
        assert moved == (key.split('/')[0] in above and 'moving' in key), key


def test_moving_statistics_stay_and_normalise():
    recipe = dataclasses.replace(FRAMES, moving_statistics=True)
    net = net_of(thin(SOUNDNET5, 1 / 16), recipe)
    before = [np.array(variable) for variable in net.variables]
    x = np.stack([noise(3, seed=seed) for seed in range(2)])
    got = student.training_form(net, recipe)(x, tf.constant([0, 0], tf.int64))
    np.testing.assert_allclose(got, tf.reduce_mean(model.logits(net)(x)['pets'], axis=1), rtol=1e-4, atol=1e-5)
    for variable, old in zip(net.variables, before, strict=True):
        np.testing.assert_array_equal(variable, old)


def test_the_head_reads_an_inner_layer(tmp_path):
    start = Start.find(saved.save_net(enliven(model.build(SOUNDNET5_THIN), 1), tmp_path / 'net'))
    spec = student.spec_for(start.spec(), DATA, dataclasses.replace(FRAMES, last_layer='conv3'))
    assert (spec.layer_names[-1], spec.feature_layer, spec.head_names) == ('conv3', 'conv3', ('pets',))
    own, theirs = model.variables_of(student.build(spec, DATA, start)), model.variables_of(saved.load_net(start.folder))
    for key in own:
        if not key.startswith('pets'):
            np.testing.assert_array_equal(own[key], theirs[key], err_msg=key)


def test_a_last_layer_of_stride_1_has_the_steps_between_too(tmp_path):
    start = Start.find(saved.save_net(enliven(model.build(SOUNDNET5_THIN), 1), tmp_path / 'net'))
    spec = student.spec_for(start.spec(), DATA, dataclasses.replace(FRAMES, last_stride=1))
    x = noise(4)[None]
    every = model.features(student.build(spec, DATA, start), ['conv4'])(x)['conv4'].numpy()
    theirs = model.features(saved.load_net(start.folder), ['conv4'])(x)['conv4'].numpy()
    assert every.shape[1] > theirs.shape[1] > 1
    count = min(theirs.shape[1], every[:, ::2].shape[1])
    np.testing.assert_allclose(every[:, ::2][:, :count], theirs[:, :count], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('factor', [1, 2, 4, 16])
def test_a_dense_net_has_the_steps_of_shifted_clips_too(factor):
    net = enliven(model.build(thin_spec(SOUNDNET8, heads={})))
    dense = student.densified(net, factor)
    hop = geometry.hop(net.spec, 'conv7')
    assert geometry.hop(dense.spec, 'conv7') == hop // factor
    x = noise(20)
    every = model.features(dense, ['conv7'])(x[None])['conv7'].numpy()[0]
    for shift in range(factor):
        shifted = np.concatenate([np.zeros(hop, np.float32), x])[hop - shift * hop // factor :]
        wanted = model.features(net, ['conv7'])(shifted[None])['conv7'].numpy()[0]
        given = every[(factor - shift) % factor :: factor]
        assert len(wanted) > 4
        first = 3 + (shift > 0)  # away from the edges
        np.testing.assert_allclose(given[3:6], wanted[first : first + 3], rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


def test_what_cannot_be_dense_is_reported():
    with pytest.raises(SoundNetError, match=r'dense=3: the strides of .*soundnet8-thin do not have this factor'):
        geometry.densified(thin_spec(heads={}), 3)
    with pytest.raises(SoundNetError, match=r'dense=4: the strides of .*short do not have this factor'):
        geometry.densified(NetSpec('short', (Conv('a', 3, 16, 8),), (), 'a'), 4)
    with pytest.raises(SoundNetError, match=r'dense needs a head of kernel 1 and stride 1\. Set head_kernel=1'):
        geometry.densified(thin_spec(), 2)


def test_a_pool_has_no_stride_of_its_own():
    with pytest.raises(SoundNetError, match=r'^last_stride: pool2 is a pool\. Use it with a last_layer that is a conv'):
        student.spec_for(SOUNDNET5, DATA, dataclasses.replace(FRAMES, last_layer='pool2', last_stride=1))


@pytest.mark.parametrize('setting', ['last_layer', 'freeze'])
def test_a_layer_that_is_not_there_is_reported(setting):
    with pytest.raises(SoundNetError, match=rf"^{setting}: no layer 'conv9'\. Use (all, )?conv1, pool1, "):
        student.spec_for(SOUNDNET5, DATA, dataclasses.replace(FRAMES, **{setting: 'conv9'}))


def test_dropout_repeats_by_its_seed_and_keeps_the_mean():
    recipe = dataclasses.replace(FRAMES, freeze='all', dropout=0.5)
    net = net_of(thin(SOUNDNET5, 1 / 8), recipe)
    x = noise(3)[None]
    form = tf.function(student.training_form(net, recipe), reduce_retracing=True)
    logits = tf.reduce_mean(model.logits(net)(x)['pets'], axis=1)
    drawn = [form(x, tf.constant([0, k], tf.int64)).numpy() for k in range(100)]
    np.testing.assert_array_equal(drawn[3], form(x, tf.constant([0, 3], tf.int64)))
    assert not np.array_equal(drawn[3], drawn[4])
    error = np.std(drawn, axis=0) / np.sqrt(len(drawn))
    assert (np.abs(np.mean(drawn, axis=0) - logits) < 5 * error).all()


def test_a_clips_score_is_its_mean_logit():
    net = net_of(thin(SOUNDNET5, 1 / 16))
    clips = [noise(seconds, seed=seed) for seed, seconds in enumerate((3, 2, 3, 0.1))]
    got = student.Scorer(net).scores(held(*clips), range(4))
    # The last clip is too short for a frame, and is repeated.
    clips[-1] = np.resize(clips[-1], geometry.min_samples(net.spec, 'pets'))
    wanted = [model.logits(net)(clip[None])['pets'][0].numpy().mean(axis=0) for clip in clips]
    np.testing.assert_allclose(got, wanted, rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose(student.Scorer(net).scores(held(*clips), [2, 1]), got[[2, 1]], rtol=1e-5)


def test_long_clips_are_scored_in_batches(monkeypatch):
    net, clips = net_of(thin(SOUNDNET5, 1 / 16)), held(*(noise(1, seed=seed) for seed in range(5)))
    at_once = student.Scorer(net).scores(clips, range(5))
    monkeypatch.setattr(student, 'SAMPLES_AT_ONCE', 2 * SAMPLE_RATE)
    np.testing.assert_allclose(student.Scorer(net).scores(clips, range(5)), at_once, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(('classes', 'kernel'), [(3, 1), (3, 2), (2, 1)])
def test_a_refitted_head_is_scikit_learns_regression(classes, kernel):
    """On what a clip's mean logits are made from: the same probabilities, through the head that is kept."""
    from sklearn.linear_model import LogisticRegression

    dataset = dataclasses.replace(DATA, classes=DATA.classes[:classes], clips=DATA.clips[:classes])
    recipe = dataclasses.replace(FRAMES, head_kernel=kernel, crop_s=2)
    spec = student.spec_for(thin(SOUNDNET5, 1 / 8), dataset, recipe)
    net = enliven(student.build(spec, dataset, None))
    clips = [noise(3, 0.02 * (1 + seed % classes), seed) for seed in range(12)]
    targets = np.arange(12) % classes
    scorer, given = student.Scorer(net), held(*clips)
    before = scorer.scores(given, range(12))
    scorer.refit([[given[clip] for clip in range(12)]], targets, 0.1)
    scores = scorer.scores(given, range(12))
    assert not np.allclose(scores, before, atol=0.1)
    layer = model.features(net, ['conv4'])
    x = []
    for clip in clips:
        steps = layer(clip[None])['conv4'][0].numpy()
        seen = np.lib.stride_tricks.sliding_window_view(steps, kernel, axis=0).swapaxes(1, 2)
        x.append(seen.reshape(len(seen), -1).mean(axis=0))
    wanted = LogisticRegression(C=0.1, max_iter=2000).fit(x, targets).predict_proba(x)
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    np.testing.assert_allclose(odds / odds.sum(axis=1, keepdims=True), wanted, atol=0.02)
    # The net itself says so.
    logits = model.logits(net)(clips[0][None])['pets'][0].numpy().mean(axis=0)
    np.testing.assert_allclose(scores[0], logits, rtol=1e-2, atol=1e-2)

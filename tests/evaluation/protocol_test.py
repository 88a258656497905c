"""The protocol: against scikit-learn by hand, and no test fold touches a choice."""

import dataclasses
import json
import pathlib
import re
import shutil

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from soundnet_tf.errors import BadAudio, SoundNetError, UnknownLayer
from soundnet_tf.evaluation import datasets, embedders, features, fewshot, svm
from soundnet_tf.evaluation.datasets import DataSet
from soundnet_tf.evaluation.embedders.mfcc import Mfcc
from soundnet_tf.evaluation.protocol import PROTOCOLS, Protocol, evaluate, evaluate_layers
from soundnet_tf.evaluation.splits import check_unseen, split
from soundnet_tf.experiments.recipes import Recipe
from soundnet_tf.finetune.fit import finetune
from soundnet_tf.spec import Conv, NetSpec, Pool
from soundnet_tf.testing import noise
from tests.evaluation.made import folders, write

SHORT = Protocol(clip_s=2.0, window_s=0.5, C=(1.0,))


class Numbers:
    """An embedder of the label and chance: `values` by the order in which clips come."""

    name, fingerprint, origin = 'numbers', 'numbers 1', {}

    def __init__(self, values):
        self.values, self.asked = values, 0

    def resolve_layer(self, layer):
        if layer == 'lost':
            raise UnknownLayer('numbers: no layer lost')
        return layer or 'numbers'

    def hop_s(self, layer):
        return 0.5

    def embed(self, waveforms, layer):
        begin, self.asked = self.asked, self.asked + len(waveforms)
        return [self.values[index % len(self.values)] for index in range(begin, self.asked)]


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """24 clips in 4 folds, of 3 pitches."""
    return datasets.load(folders(tmp_path_factory.mktemp('made') / 'pitches', clips=2, folds=4))


@pytest.fixture
def values(made):
    rng = np.random.default_rng(1)
    own = rng.normal(size=[len(made.clips), 6, 5]).astype(np.float32)
    own[np.arange(len(own)), :, made.targets] += 0.9
    return own


def test_pitches_are_classified(made):
    found = evaluate(made, Mfcc(), SHORT)
    assert found.accuracy == 1
    assert [fold.fold for fold in found.folds] == [1, 2, 3, 4]
    assert found.scores.confusion == [[8, 0, 0], [0, 8, 0], [0, 0, 8]]
    assert str(found) == '100.0 ± 0.0'


def test_the_numbers_are_those_of_scikit_learn_by_hand(made, values):
    protocol = Protocol(clip_s=0, window_s=1.0, C=(0.05,))
    found = evaluate(made, Numbers(values), protocol)
    targets, fold_of = np.array(made.targets), np.array([clip.fold for clip in made.clips])
    for fold in found.folds:
        train, test = np.flatnonzero(fold_of != fold.fold), np.flatnonzero(fold_of == fold.fold)
        # Two steps of 0.5 s are a window; 5 of them in 6 steps.
        own = [np.concatenate([clip[k : k + 2].ravel() for k in range(5)]).reshape(5, 10) for clip in values]
        machine = LinearSVC(C=0.05, dual='auto', random_state=0, max_iter=10_000)
        machine.fit(np.concatenate([own[k] for k in train]), np.repeat(targets[train], 5))
        wanted = np.stack([machine.decision_function(own[k]).mean(axis=0) for k in test])
        np.testing.assert_allclose(fold.scores.values, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('probe', svm.PROBES)
def test_held_out_clips_affect_no_choice(made, values, probe):
    """Other sounds in the test fold change neither C nor what is learned."""
    protocol = Protocol(clip_s=0, window_s=0, probe=probe, C=(0.001, 0.1, 10.0), standardise=True)
    changed = values.copy()
    held_out = [index for index, clip in enumerate(made.clips) if clip.fold == 2]
    # Except for one clip, whose scores tell whether the machine is the same.
    changed[held_out[1:]] = 100 * np.random.default_rng(3).normal(size=changed[held_out[1:]].shape)
    (one,), (other,) = (evaluate(made, Numbers(v), protocol, test_folds=[2]).folds for v in (values, changed))
    assert one.C == other.C
    np.testing.assert_array_equal(one.scores.values[0], other.scores.values[0])
    if probe != 'nearest':
        assert not np.array_equal(one.scores.values[1:], other.scores.values[1:])


def test_C_is_the_best_within_the_training_folds(made, values):
    protocol = Protocol(clip_s=0, window_s=0, C=(10.0, 1e-6, 0.1))
    found = evaluate(made, Numbers(values), protocol)
    for fold in found.folds:
        rest = dataclasses.replace(made, clips=tuple(clip for clip in made.clips if clip.fold != fold.fold))
        own = values[[index for index, clip in enumerate(made.clips) if clip.fold != fold.fold]]
        accuracy = {C: evaluate(rest, Numbers(own), dataclasses.replace(protocol, C=(C,))).accuracy for C in protocol.C}
        best = max(accuracy.values())
        assert min(C for C, share in accuracy.items() if share == best) == fold.C


def test_two_classes(made, values):
    two = [index for index, clip in enumerate(made.clips) if clip.label != 'middle']
    pair = DataSet('pair', ('high', 'low'), tuple(made.clips[index] for index in two))
    for probe in svm.PROBES:
        scores = evaluate(pair, Numbers(values[two] * 9), Protocol(clip_s=0, window_s=0, probe=probe)).scores
        assert scores.values.shape == (16, 2)
        assert scores.accuracy > 0.8


def test_features_are_computed_once_whatever_the_files_are_called(made, values, tmp_path):
    first = Numbers(values)
    of = features.of_clips(made, first, 'numbers', cache=tmp_path / 'cache')
    assert first.asked == len(made.clips)
    moved = tmp_path / 'moved.wav'
    shutil.copy(made.clips[3].path, moved)
    renamed = dataclasses.replace(made.clips[3], path=str(moved))
    again = dataclasses.replace(made, clips=(renamed, *made.clips[:3], *made.clips[4:]))
    second = Numbers(values)
    np.testing.assert_array_equal(features.of_clips(again, second, 'numbers', cache=tmp_path / 'cache')[0], of[3])
    assert second.asked == 0
    # Another gain, length, layer, decoder or embedder is another feature; a damaged file is none.
    for change in ({'gain': 2.0}, {'clip_s': 3.0}, {'decoder': 'soundfile'}):
        features.of_clips(made, second, 'numbers', cache=tmp_path / 'cache', **change)
    features.of_clips(made, second, 'others', cache=tmp_path / 'cache')
    assert second.asked == 4 * len(made.clips)
    other = Numbers(values)
    other.fingerprint = 'another'
    features.of_clips(made, other, 'numbers', cache=tmp_path / 'cache')
    assert other.asked == len(made.clips)
    for path in (tmp_path / 'cache').rglob('*.npy'):
        path.write_bytes(path.read_bytes()[:-1])
    third = Numbers(values)
    np.testing.assert_array_equal(features.of_clips(made, third, 'numbers', cache=tmp_path / 'cache'), of)
    assert third.asked == len(made.clips)


def test_layers_are_computed_in_one_pass_and_cached_apart(made, tmp_path):
    passes = []

    class Several(Numbers):
        def embed_layers(self, waveforms, layers):
            passes.append(list(layers))
            return {layer: [np.full([2, len(layer)], len(own), np.float32) for own in waveforms] for layer in layers}

    embedder = Several(None)
    both = features.of_layers(made, embedder, ['one', 'three'], cache=tmp_path)
    assert passes == [['one', 'three']] * 2
    assert {own.shape for own in both['three']} == {(2, 5)}
    assert len(both['one']) == len(made.clips)
    # Only what is missing is computed.
    np.testing.assert_array_equal(features.of_clips(made, embedder, 'one', cache=tmp_path), both['one'])
    assert len(passes) == 2
    features.of_layers(made, embedder, ['one', 'another'], cache=tmp_path)
    assert passes[2:] == [['another']] * 2
    found = list(evaluate_layers(made, embedder, Protocol(clip_s=0, window_s=0), ['three', 'one', 'three']))
    assert [own.embedder['layer'] for own in found] == ['three', 'one']
    assert [own.protocol['layer'] for own in found] == ['three', 'one']


def test_unreadable_clips_are_reported_together_and_the_others_are_not_computed_again(made, values, tmp_path):
    files = [tmp_path / f'{index}.wav' for index in range(len(made.clips))]
    clips = [dataclasses.replace(clip, path=str(file)) for clip, file in zip(made.clips, files, strict=True)]
    copied = dataclasses.replace(made, clips=tuple(clips))
    for clip, file in zip(made.clips, files, strict=True):
        shutil.copy(clip.path, file)
    for bad in (3, 7):
        files[bad].write_bytes(b'')
    first = Numbers(values)
    with pytest.raises(
        BadAudio, match=rf'^{re.escape(clips[3].path)}: the file is empty.*: {re.escape(clips[7].path)}$'
    ):
        features.of_clips(copied, first, 'numbers', cache=tmp_path / 'cache')
    assert first.asked == len(files) - 2
    for bad in (3, 7):
        shutil.copy(made.clips[bad].path, files[bad])
    second = Numbers(values)
    features.of_clips(copied, second, 'numbers', cache=tmp_path / 'cache')
    assert second.asked == 2


def test_the_authors_protocols():
    """Their scripts: 10 s in windows of 1 s, 30 s in windows of 5 s, a linear SVM, C 0.01; one gain everywhere."""
    esc, dcase = PROTOCOLS['esc'], PROTOCOLS['dcase']
    assert (esc.clip_s, esc.window_s, esc.step_s, esc.probe, esc.C, esc.gain) == (10, 1, 0, 'svm', (0.01,), 1)
    assert dataclasses.replace(esc, clip_s=30.0, window_s=5.0) == dcase


def test_a_gain_reaches_the_embedder(made, values):
    heard = []

    class Hears(Numbers):
        def embed(self, waveforms, layer):
            heard.extend(float(np.abs(waveform).max()) for waveform in waveforms)
            return super().embed(waveforms, layer)

    for gain in (1.0, 2.0):
        evaluate(made, Hears(values), Protocol(clip_s=0, window_s=0, gain=gain))
    np.testing.assert_allclose(heard[24:], np.multiply(heard[:24], 2), rtol=1e-6)


def test_what_can_be_refused_is_refused_before_features_are_computed(made, values):
    asked = Numbers(values)
    for change, words in (
        ({'protocol': Protocol(C=(0.1, 1.0))}, "C cannot be chosen with one training recording of 'high'"),
        ({'protocol': Protocol(layer='lost')}, 'no layer lost'),
        ({'test_folds': [1, 9]}, 'pitches: no fold 9; its folds are 1, 2, 3, 4'),
        ({'dataset': of_folds(made, lambda clip: 1)}, "no clip of 'high' is left for training"),
        ({'dataset': of_folds(made, lambda clip: None)}, 'no folds to hold out'),
    ):
        # Of the first pitch, fold 1 leaves one recording.
        few = dataclasses.replace(made, clips=tuple(c for c in made.clips if c.label != 'high' or c.fold == 1))
        few = dataclasses.replace(
            few, clips=(*few.clips, next(c for c in made.clips if c.label == 'high' and c.fold == 2))
        )
        given = {'dataset': few, 'protocol': SHORT, 'test_folds': [1]} | change
        with pytest.raises(SoundNetError, match=words):
            evaluate(given['dataset'], asked, given['protocol'], test_folds=given['test_folds'])
    with pytest.raises(SoundNetError, match="pitches: 7 shots of 'high' requested of 6 training clips"):
        fewshot.curve(made, asked, SHORT, (1, 7))
    assert asked.asked == 0


def test_published_folds_are_evaluated_although_they_split_recordings(made, values, capsys):
    """C is chosen within the training folds in the same way."""
    torn = tuple(dataclasses.replace(clip, source=clip.label) for clip in made.clips)
    published = dataclasses.replace(made, name='published', clips=torn)
    protocol = Protocol(clip_s=0, window_s=0, C=(0.1, 10.0))
    found, plain = (evaluate(data, Numbers(values), protocol) for data in (published, made))
    assert [(fold.C, fold.scores.accuracy) for fold in found.folds] == [
        (fold.C, fold.scores.accuracy) for fold in plain.folds
    ]
    assert (found.interval.units, found.interval.over, plain.interval.over) == (3, 'recordings', 'recordings')
    assert capsys.readouterr().err.count('published: 3 recordings have clips inside and outside of a test fold') == 1


def of_folds(dataset, fold):
    clips = tuple(dataclasses.replace(clip, fold=fold(clip)) for clip in dataset.clips)
    return dataclasses.replace(dataset, clips=clips)


def test_the_gain_doubles_and_clips_are_repeated(made):
    plain, loud = (features.sound(made.clips[0].path, 2.0, gain, 'auto') for gain in (1.0, 2.0))
    np.testing.assert_array_equal(loud, 2 * plain)
    assert len(plain) == 2 * 22050
    np.testing.assert_array_equal(plain[33075:], plain[: 44100 - 33075])


def test_a_clip_in_another_format_is_recognised_by_its_name(made, tmp_path):
    """As ESC-50 has the clips of ESC-10; names with short numbers are anybody's."""

    def stored(name, seed, number):
        clips = [
            dataclasses.replace(
                clip, path=write(tmp_path / name / f'{clip.fold}-{number + k}-A.wav', noise(0.1, seed=seed))
            )
            for k, clip in enumerate(made.clips)
        ]
        return dataclasses.replace(made, clips=tuple(clips))

    for number in (1, 100_000):
        first, second = (stored(f'{number}-{seed}', seed, number) for seed in (1, 2))
        origin = {'clips': sorted(set().union(*map(first.identifiers, split(first, 2).train)))}
        if number == 1:
            check_unseen(second, [1, 2], origin)
        else:
            with pytest.raises(SoundNetError, match=r'pitches: the net was trained on 6 clips of test fold 1'):
                check_unseen(second, [1, 2], origin)


def test_a_net_is_not_tested_on_its_training_clips(made):
    origin = {'clips': sorted(set().union(*map(made.identifiers, split(made, 2).train)))}
    check_unseen(made, [2], origin)
    check_unseen(made, [1, 2], {'trained_on': 'records'})
    with pytest.raises(
        SoundNetError, match=r'pitches: the net was trained on 6 clips of test fold 1\. Use test_folds=2'
    ):
        check_unseen(made, [1, 2], origin)
    # Whatever it is called, however its folds are dealt, and whatever was learned since.
    some = dataclasses.replace(
        made, name='others', classes=('high', 'low'), clips=tuple(c for c in made.clips if c.label != 'middle')
    )
    dealt = datasets.assign_folds(some, 3)
    for later in (origin, {'clips': ['0'], 'before': origin}):
        with pytest.raises(
            SoundNetError, match=r'others: the net was trained on \d+ clips of test fold 2\. Use another net'
        ):
            check_unseen(dealt, [2], later)
    learner = Numbers(np.zeros([24, 1, 2], np.float32))
    learner.origin = origin
    with pytest.raises(SoundNetError, match='the net was trained on'):
        fewshot.curve(made, learner, Protocol(clip_s=0, window_s=0), (1,))


def test_a_net_that_was_trained_here_is_refused_where_it_has_learned(made, tmp_path):
    spec = NetSpec('small', (Conv('conv1', 4, 64, 32), Pool('pool1', 16), Conv('conv2', 8, 16, 8)), (), 'conv2')
    recipe = Recipe(epochs=1, batch=18, crop_s=1, head_kernel=1)
    net = finetune(made, recipe, tmp_path / 'run', spec=spec, test_fold=2).net
    renamed = dataclasses.replace(made, clips=made.clips[::-1])
    with pytest.raises(SoundNetError, match='pitches: the net was trained on 6 clips of test fold 1'):
        evaluate(renamed, embedders.make(net), SHORT)
    assert [fold.fold for fold in evaluate(renamed, embedders.make(net), SHORT, test_folds=[2]).folds] == [2]


def test_the_result_as_json_and_text(made, values):
    found = evaluate(made, Numbers(values), Protocol(clip_s=0, window_s=0, C=(0.1, 1.0)))
    result = json.loads(json.dumps(found.to_dict()))
    assert result['protocol']['C'] == [0.1, 1.0]
    assert [fold['clips'] for fold in result['folds']] == [6, 6, 6, 6]
    assert result['accuracy'] == pytest.approx(np.mean([fold['accuracy'] for fold in result['folds']]))
    assert sum(row['recall'] * 8 for row in result['classes']) == pytest.approx(np.trace(result['confusion']))
    assert found.markdown().startswith('| numbers | numbers | ')
    assert 'protocol: layer numbers, clip_s 0, window_s 0, ' in found.report()
    alone = evaluate(made, Numbers(values), Protocol(clip_s=0, window_s=0), test_folds=[3])
    assert alone.to_dict()['deviation'] is None
    assert '±' not in str(alone)


def test_more_shots_are_better_and_draws_are_the_same(made, values):
    protocol = Protocol(clip_s=0, window_s=0)
    points = fewshot.curve(made, Numbers(values), protocol, (1, 6), draws=6)
    assert points == fewshot.curve(made, Numbers(values), protocol, (1, 6), draws=6)
    assert points[0].mean < points[1].mean
    # With all clips there is nothing to draw.
    assert np.mean(points[1].accuracies) == pytest.approx(evaluate(made, Numbers(values), protocol).accuracy)
    assert 'clips per class' in fewshot.table(points)
    with pytest.raises(SoundNetError, match=r'Set one value, such as C=0\.1'):
        fewshot.curve(made, Numbers(values), PROTOCOLS['probe'], (1,))


@pytest.mark.parametrize(
    ('wrong', 'words'),
    [
        ({'probe': 'forest'}, "probe must be svm, logistic, nearest, got 'forest'"),
        ({'window_s': -1.0}, 'window_s must be at least 0, got -1'),
        ({'gain': 0.0}, 'gain must be more than 0'),
        ({'C': ()}, 'C must be one or several values above 0'),
        ({'C': (0.0,)}, 'C must be one or several values above 0'),
    ],
)
def test_invalid_protocols_are_reported(wrong, words):
    with pytest.raises(SoundNetError, match=words):
        Protocol(**wrong)


def test_features_without_times_are_classified_by_their_mean(made, values, tmp_path):
    for clip, own in zip(made.clips, values, strict=True):
        np.save(tmp_path / f'{pathlib.Path(clip.path).stem}.npy', own)
    embedder = embedders.make(str(tmp_path))
    found = evaluate(made, embedder, PROTOCOLS['nearest'])
    assert found.accuracy == evaluate(made, Numbers(values), PROTOCOLS['nearest']).accuracy > 0.5
    with pytest.raises(SoundNetError, match=r'values over time without `times`'):
        evaluate(made, embedder, SHORT)

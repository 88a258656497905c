"""A survey of files read whole or in pieces, in one go or in two, comes to the same."""

import dataclasses

import numpy as np
import pytest

from soundnet_tf import load
from soundnet_tf.inference import engines, files
from soundnet_tf.nets import model, saved
from soundnet_tf.spec import Head
from soundnet_tf.testing import enliven, thin_spec
from soundnet_tf.visualize import survey
from soundnet_tf.visualize.survey import Survey

LAYERS, MAPS = ('conv5', 'places'), ('pool5',)


@pytest.fixture(scope='module')
def found(sounds):
    return files.find([str(sounds)])


def begun(embedder, found, mapped=100, seed=0):
    chosen = np.sort(np.random.default_rng(seed).permutation(len(found))[:mapped])
    return Survey.begin(embedder.spec, np.arange(len(found)), LAYERS, MAPS, chosen, 3)


@pytest.fixture(scope='module')
def whole(net, found, tmp_path_factory):
    embedder = load(net, short='tile')
    known = begun(embedder, found)
    survey.conduct(known, embedder, found, tmp_path_factory.mktemp('survey') / 'survey.npz')
    return known


def same(one, other):
    assert (one.done, one.failed) == (other.done, other.failed)
    np.testing.assert_allclose(one.seconds, other.seconds)
    for layer, best in one.best.items():
        np.testing.assert_allclose(best.values, other.best[layer].values, atol=1e-4)
        np.testing.assert_array_equal(best.sounds, other.best[layer].sounds)
    pairs = ((one.responses, other.responses), (one.vectors, other.vectors), (one.top_classes, other.top_classes))
    for mine, others in pairs:
        for layer, values in mine.items():
            np.testing.assert_allclose(values, others[layer], atol=1e-4)


def test_the_survey_matches_the_embedder(whole, net, found):
    embedder = load(net, short='tile')
    good = [number for number, file in enumerate(found) if 'bad' not in file.path]
    assert whole.failed == {'unreadable': 1}
    assert np.flatnonzero(np.isfinite(whole.seconds)).tolist() == good
    assert ['bad' in found[number].path for number in whole.failed_sounds] == [True]
    places = {number: embedder.embed_file(found[number].path, 'places').values for number in good}
    for number, values in places.items():
        assert whole.top_classes['places'][number, 0] == values.mean(axis=0).argmax()
    best = whole.best['places']
    for unit in range(4):
        ranked = sorted(good, key=lambda number, unit=unit: -places[number][:, unit].max())[:3]
        np.testing.assert_allclose(best.values[unit], [places[n][:, unit].max() for n in ranked], atol=1e-4)
    peaks = [places[number].max(axis=0) for number in good]
    np.testing.assert_allclose(whole.responses['places'][good], peaks, atol=1e-4)
    np.testing.assert_allclose(
        whole.vectors['pool5'][good[-1]], embedder.embed_file(found[good[-1]].path).mean(), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize('clip_mean', ['probabilities', 'logits'])
def test_predictions_of_a_clip_match_the_command(clip_mean, found, tmp_path):
    # Of two lengths: a clip that is filled up for the one is long enough for the other.
    heads = tuple(Head(name, 6, kernel, 0, 1, clip_mean=clip_mean) for name, kernel in (('far', 8), ('near', 1)))
    own = enliven(model.build(dataclasses.replace(thin_spec(), heads=heads)), seed=3)
    embedder = load(saved.save_net(own, tmp_path / 'net'), short='tile')
    known = Survey.begin(embedder.spec, np.arange(len(found)), ('near',), (), np.zeros(0, int), 3)
    survey.conduct(known, embedder, found, tmp_path / 'survey.npz')
    for number, file in enumerate(found):
        if number not in known.failed_sounds:
            for best in embedder.tag_file(file.path, top=1):
                named, probability = known.top_classes[best.head][number]
                assert embedder.labels[best.head][int(named)] == best.name
                assert probability == pytest.approx(best.probability, abs=1e-4)


def test_files_in_pieces(whole, net, found, tmp_path, monkeypatch):
    """Every file that needs no filling up goes through the stream that takes long ones."""
    monkeypatch.setattr(engines.tensorflow, 'MAX_CLIP_S', 10.0)
    monkeypatch.setattr('soundnet_tf.inference.stream.BLOCK_S', 4)
    embedder = load(net, short='tile')
    known = begun(embedder, found)
    survey.conduct(known, embedder, found, tmp_path / 'survey.npz')
    same(known, whole)


def test_a_stopped_survey_resumes(whole, net, found, tmp_path, monkeypatch):
    monkeypatch.setattr(survey, 'SAVE_EVERY_S', 0.0)
    embedder, path = load(net, short='tile'), tmp_path / 'survey.npz'
    known, add = begun(embedder, found), Survey.add

    def stops(self, digests):
        if self.done == 8:
            raise KeyboardInterrupt
        add(self, digests)

    with monkeypatch.context() as patch:
        patch.setattr(Survey, 'add', stops)
        with pytest.raises(KeyboardInterrupt):
            survey.conduct(known, embedder, found, path)
    again = Survey.load(path)
    assert again is not None
    assert 0 < again.done <= 8
    before = again.done - again.failed.total()
    tally = survey.conduct(again, embedder, found, path)
    assert tally.skipped == before
    assert tally.skipped + tally.done + tally.failed.total() == len(found)
    same(again, whole)
    same(Survey.load(path), whole)


def test_a_damaged_checkpoint_starts_over(tmp_path):
    (tmp_path / 'survey.npz').write_bytes(b'PK\x03\x04 broken')
    assert Survey.load(tmp_path / 'survey.npz') is None
    assert Survey.load(tmp_path / 'nothing.npz') is None


def test_of_many_sounds_some_are_on_the_map(net, found, tmp_path):
    embedder = load(net, short='tile')
    known = begun(embedder, found, mapped=4, seed=1)
    survey.conduct(known, embedder, found, tmp_path / 'survey.npz')
    assert known.vectors['pool5'].shape[0] == len(set(known.mapped.tolist())) == 4
    good = np.isfinite(known.seconds[known.mapped])
    np.testing.assert_array_equal(np.isfinite(known.vectors['pool5']).all(axis=1), good)

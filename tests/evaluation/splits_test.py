"""Splits: whole folds for the test, whole recordings for validation, something of each class to learn from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation.datasets import DataSet, LabelledClip
from soundnet_tf.evaluation.splits import Split, split


def made(recordings=5, takes=2, folds=2, labels='ab'):
    """In each fold and class so many recordings of so many takes."""
    clips = [
        LabelledClip(f'{label}{fold}-{recording}-{take}', label, fold, f'{label}{fold}{recording}')
        for label in labels
        for fold in range(1, folds + 1)
        for recording in range(recordings)
        for take in range(takes)
    ]
    return DataSet('made', tuple(labels), tuple(clips))


def test_without_anything_held_out_all_is_learned_from():
    assert split(made()) == Split(tuple(range(40)))
    assert split(made()).held_out == {}


def test_a_test_fold_is_whole_and_nothing_else():
    dataset = made()
    parts = split(dataset, test_fold=2)
    assert {dataset.clips[index].fold for index in parts.test} == {2}
    assert {dataset.clips[index].fold for index in parts.train} == {1}
    assert list(parts.held_out) == ['test']


@given(share=st.floats(0.05, 0.6), seed=st.integers(0, 99), takes=st.integers(1, 3))
def test_validation_is_a_share_of_each_class_in_whole_recordings(share, seed, takes):
    dataset = made(takes=takes)
    parts = split(dataset, 1, share, seed)
    assert sorted([*parts.train, *parts.validation, *parts.test]) == list(range(len(dataset.clips)))
    own = [{dataset.clips[index].source for index in part} for part in (parts.train, parts.validation)]
    assert not own[0] & own[1]
    for label in 'ab':
        count = sum(dataset.clips[index].label == label for index in parts.validation)
        assert share * 5 * takes - 1 <= count < share * 5 * takes + takes + 1
    assert parts == split(dataset, 1, share, seed)


def test_another_seed_chooses_others():
    assert len({split(made(), validation=0.2, seed=seed) for seed in range(5)}) > 1


def test_clips_of_unknown_origin_stand_alone():
    dataset = DataSet('made', ('a', 'b'), tuple(LabelledClip(f'{label}{n}', label) for label in 'ab' for n in range(4)))
    assert len(split(dataset, validation=0.25).validation) == 2


def test_invalid_splits_are_reported():
    with pytest.raises(SoundNetError, match='made: no fold 3; its folds are 1, 2'):
        split(made(), test_fold=3)
    with pytest.raises(SoundNetError, match='validation must be at least 0 and less than 1, got 5'):
        split(made(), validation=5)
    with pytest.raises(SoundNetError, match="no clip of 'a' is left for training"):
        split(made(folds=1), test_fold=1)
    with pytest.raises(SoundNetError, match="no clip of 'a' is left for training"):
        split(made(folds=1, recordings=1), validation=0.1)

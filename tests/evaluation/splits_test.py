"""Splits: whole folds for the test, whole recordings for validation, something of each class to learn from."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation import datasets
from soundnet_tf.evaluation.datasets import DataSet, LabelledClip
from soundnet_tf.evaluation.splits import Split, check_recordings, checked_folds, split


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


def test_without_held_out_clips_all_are_for_training():
    assert split(made()) == Split(tuple(range(40)))
    assert split(made()).held_out == {}


def test_a_test_fold_is_whole_and_nothing_else():
    dataset = made()
    parts = split(dataset, test_fold=2)
    assert {dataset.clips[index].fold for index in parts.test} == {2}
    assert {dataset.clips[index].fold for index in parts.train} == {1}
    assert list(parts.held_out) == ['test']


def test_clips_to_test_on_are_in_no_other_part():
    whole = made()
    clips = [dataclasses.replace(clip, test_only=index % 4 == 0) for index, clip in enumerate(whole.clips)]
    dataset = dataclasses.replace(whole, clips=tuple(clips))
    for fold in (1, 2, None):
        parts = split(dataset, fold, 0.4)
        assert not any(dataset.clips[index].test_only for index in (*parts.train, *parts.validation))
        assert parts.test == split(whole, fold).test


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


TORN = ('131943', '134049', '209698', '234879')
"""ESC-50's recordings with clips in two folds."""


def as_published(name='esc50'):
    """Five folds as ESC-50's: four recordings have clips in two of them."""
    clips = [*made(folds=5).clips]
    for number, source in enumerate(TORN):
        clips += [LabelledClip(f'{source}-{fold}', 'a', fold, source) for fold in (number + 1, number + 2)]
    return DataSet(name, ('a', 'b'), tuple(clips))


def test_published_folds_are_used_with_one_warning(capsys):
    dataset = as_published()
    assert checked_folds(dataset) == (1, 2, 3, 4, 5)
    checked_folds(dataset)
    assert capsys.readouterr().err.splitlines() == [
        'esc50: 4 recordings have clips inside and outside of a test fold: 131943, 134049, 209698, 234879. '
        'The folds are used as published. Use --strict to refuse them'
    ]
    assert {dataset.clips[index].fold for index in split(dataset, 2).test} == {2}
    with pytest.raises(
        SoundNetError, match=r'131943, 134049, 209698, 234879\. Keep each recording in one fold, or leave'
    ):
        checked_folds(dataset, strict=True)


def test_only_recordings_of_the_tested_folds_are_reported(capsys):
    with pytest.raises(SoundNetError, match='1 recording has clips inside and outside of a test fold: 234879'):
        check_recordings(as_published(), [5], strict=True)
    # Clips without a fold are always learned from.
    loose = DataSet('loose', ('a', 'b'), (*made().clips, LabelledClip('x', 'a', None, 'a10')))
    with pytest.raises(SoundNetError, match='a10'):
        check_recordings(loose, [1], strict=True)
    check_recordings(loose, [2], strict=True)
    assert capsys.readouterr().err == ''


def test_assigned_folds_split_no_recording(capsys):
    for seed in range(5):
        assert len(checked_folds(datasets.assign_folds(as_published('assigned'), 4, seed), strict=True)) == 4
    assert capsys.readouterr().err == ''


def test_folds_that_cannot_be_held_out_are_reported():
    with pytest.raises(
        SoundNetError, match=r'made: no folds to hold out\. Assign some \(--folds=5, in a material "folds": 5\), or use'
    ):
        checked_folds(DataSet('made', ('a', 'b'), tuple(LabelledClip(label, label) for label in 'ab')))
    with pytest.raises(SoundNetError, match='made: no fold 3; its folds are 1, 2'):
        checked_folds(made(), [1, 3])

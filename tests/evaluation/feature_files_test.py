"""Features of others: metadata is no channel, and what cannot be used is refused before anything is computed."""

import dataclasses
import pathlib

import numpy as np
import pytest

from soundnet_tf.errors import ShortClip, SoundNetError
from soundnet_tf.evaluation import datasets, embedders
from soundnet_tf.evaluation.protocol import PROTOCOLS, check, evaluate
from tests.evaluation.made import folders

METADATA = ('', 'Fold', 'target', 'class_id', 'label', 'source', 'src_file', 'split', 'index', 'take', 'esc10', 'id')


def test_metadata_is_no_channel_of_a_table(tmp_path, caplog):
    path = tmp_path / 'all.csv'
    path.write_text(f'filename,{",".join(METADATA)},f0,class_0\nrain.wav,{"7," * len(METADATA)}1,2\n')
    np.testing.assert_array_equal(embedders.make(str(path)).of_file('rain.wav'), [[1, 2]])
    (record,) = caplog.records
    assert (
        f'{path}: columns of metadata are not used as features: (no name), Fold, target, class' in record.getMessage()
    )
    path.write_text('filename,fold,channel_1\nrain.wav,1,2\n')
    np.testing.assert_array_equal(embedders.make(str(path)).of_file('rain.wav'), [[2]])
    path.write_text('filename,fold,target\nrain.wav,1,2\n')
    with pytest.raises(SoundNetError, match=r'all\.csv: no column of features\. Use columns of numbers, such as chann'):
        embedders.make(str(path))


def test_metadata_is_no_channel_of_a_folder(tmp_path, caplog):
    for name in ('a', 'b'):
        (tmp_path / f'{name}.csv').write_text('time,target,x\n0.5,3,1\n1.0,3,2\n')
    ready = embedders.make(str(tmp_path))
    for name in ('a', 'b'):
        np.testing.assert_array_equal(ready.of_file(f'{name}.wav'), [[1], [2]])
    assert [record.getMessage().split(': ')[2] for record in caplog.records] == ['target. Rename a column that is one']


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('1;2\n3;4\n', r'a\.csv: columns are separated by semicolons\. Separate them by commas'),
        ('x\ty\n3\t4\n', r'a\.csv: columns are separated by tabs'),
        ('1 2\n3 4\n', r'a\.csv: columns are separated by spaces'),
        ('1,2\n\n3\n', r'a\.csv: line 3: 1 channels, line 1 has 2\. Each line needs a cell for each column'),
        ('x,y\n1,2\n3\n', r'a\.csv: line 3: 1 channels, line 2 has 2'),
        ('x,y\n1,2\n3,4,5\n', r'a\.csv: line 3: 3 cells, the header has 2'),
        ('1,2\n3,loud\n', r"a\.csv: line 2: column 2: 'loud' is not a number\. Use numbers only, or remove the line"),
        ('x,y\n1,2\n3,loud\n', r"a\.csv: line 3: column y: 'loud' is not a number"),
    ],
)
def test_csv_files_that_cannot_be_used_name_the_line(text, words, tmp_path):
    (tmp_path / 'a.csv').write_text(text)
    with pytest.raises(SoundNetError, match=words):
        embedders.make(str(tmp_path)).of_file('a.wav')


def test_times_are_those_of_the_steps(tmp_path):
    np.savez(tmp_path / 'a.npz', values=np.ones([4, 2]), times=np.arange(3.0))
    with pytest.raises(SoundNetError, match=r'a\.npz: cannot be read \(3 times for 4 time steps\)\. Compute it again'):
        embedders.make(str(tmp_path)).of_file('a.wav')
    (tmp_path / 'all.csv').write_text('path,time,x\na.wav,0,1\na.wav,1,1\nb.wav,0,1\nb.wav,0.5,1\n')
    ready = embedders.make(str(tmp_path / 'all.csv'))
    ready.of_file('a.wav')
    words = r'all\.csv: b\.wav has a time step each 0\.5 s, a\.wav each 1 s\. Compute all clips alike'
    with pytest.raises(SoundNetError, match=words):
        ready.of_file('b.wav')
    # The user's own seconds are for all.
    ready = embedders.make(f'{tmp_path / "all.csv"}:2')
    assert [len(ready.of_file(name)) for name in ('a.wav', 'b.wav')] == [2, 2]


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    return datasets.load(folders(tmp_path_factory.mktemp('made') / 'pitches', clips=2, folds=2))


def written(made, folder, values):
    """A file of each clip, by the function of its index."""
    folder.mkdir()
    for index, clip in enumerate(made.clips):
        if (own := values(index)) is not None:
            np.save(folder / f'{pathlib.Path(clip.path).stem}.npy', own)
    return str(folder)


@pytest.mark.parametrize(
    ('values', 'words'),
    [
        (lambda index: None if index == 5 else np.ones(3), r'f: no features of .*\.wav\. Compute them'),
        (lambda index: None if index > 9 else np.ones(3), r'f: no features of 2 of 12 clips: .*\.wav, .*\.wav\. Com'),
        (lambda index: np.full(3, np.inf if index == 7 else 1), 'has NaN or infinite values. Compute it again'),
        (lambda index: np.ones(3 + (index == 11)), r'has 4 channels, .* has 3\. Compute all clips alike'),
        (lambda index: np.ones([2, 3]), 'values over time without `times`'),
    ],
)
def test_features_are_checked_before_anything_is_computed(values, words, made, tmp_path):
    with pytest.raises(SoundNetError, match=words):
        check(made, embedders.make(written(made, tmp_path / 'f', values)), PROTOCOLS['esc'])


def test_clip_s_is_no_advice_for_features(made, tmp_path):
    embedder = embedders.make(written(made, tmp_path / 'f', lambda index: np.ones(3)) + ':0.5')
    words = (
        r'f:0\.5: 1-\d+-A: 1 time step, a window of 1 s needs 2\. Use a shorter window_s or, for one vector per clip'
    )
    with pytest.raises(ShortClip, match=words):
        evaluate(made, embedder, PROTOCOLS['esc'])


class Broken:
    """A model of others that gives NaN for one clip."""

    name, fingerprint, origin = 'broken', 'broken', {}

    def resolve_layer(self, layer):
        return 'scores'

    def hop_s(self, layer):
        return 1.0

    def embed(self, waveforms, layer):
        return [np.full([1, 2], np.nan if index == 3 else 1, np.float32) for index, _ in enumerate(waveforms)]


def test_nan_of_a_model_names_the_clip(made, tmp_path):
    protocol = dataclasses.replace(PROTOCOLS['nearest'], C=(1.0,))
    clip = pathlib.Path(made.clips[3].path).name
    with pytest.raises(SoundNetError, match=rf'^broken: scores of .*{clip} has NaN or infinite values\. Use another'):
        evaluate(made, Broken(), protocol, cache=tmp_path)
    assert len(list(tmp_path.rglob('*.npy'))) == 3

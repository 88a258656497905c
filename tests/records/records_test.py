import hashlib
import json
import os
import pathlib

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from soundnet_tf import records
from soundnet_tf.errors import BadRecord, SoundNetError
from soundnet_tf.records import Card, Sample, TeacherCard

FLOATS = st.floats(-(2.0**99), 2.0**99, width=32)


@st.composite
def samples(draw):
    frames = draw(st.integers(0, 5))
    classes = draw(st.dictionaries(st.sampled_from(['imagenet', 'places', 'größe']), st.integers(1, 7)))
    return Sample(
        id=draw(st.text()),
        source=draw(st.text()),
        audio=draw(st.binary(max_size=50)),
        audio_format=draw(st.sampled_from(['mp3', 'pcm16'])),
        samples=draw(st.integers(0, 2**40)),
        start_s=draw(FLOATS),
        frame_times=tuple(draw(st.lists(FLOATS, min_size=frames, max_size=frames))),
        posteriors={name: draw(arrays(np.float32, (frames, n), elements=FLOATS)) for name, n in classes.items()},
        kinds={name: draw(st.sampled_from(records.KINDS)) for name in classes},
    )


@given(samples())
@settings(max_examples=60, deadline=None)
def test_a_record_comes_back_as_it_was(sample):
    classes = {name: values.shape[1] for name, values in sample.posteriors.items()}
    again = records.parse(records.encode(sample), classes)
    for field in dataclasses.fields(Sample):
        if field.name != 'posteriors':
            assert getattr(again, field.name) == getattr(sample, field.name)
    for name, values in sample.posteriors.items():
        np.testing.assert_array_equal(again.posteriors[name], values)


@given(st.text(), st.integers(1, 1000))
@settings(max_examples=100)
def test_the_shard_of_an_id(id, shards):
    assert 0 <= records.shard_of(id, shards) < shards
    assert records.shard_of(id, shards) == records.shard_of(id, shards)


def test_shards_are_the_same_everywhere():
    """Whoever prepares a clip, today or later, must put it there."""
    assert [records.shard_of(id, 1000) for id in ('a.mp4', 'b.mp4', 'größe.mp4')] == [848, 328, 200]
    counts = np.bincount([records.shard_of(str(index), 8) for index in range(8000)])
    assert counts.min() > 900


def sample(**changes):
    given = {
        'id': 'dog.mp4',
        'source': '/videos/dog.mp4',
        'audio': b'\0\1\2\3',
        'audio_format': 'pcm16',
        'samples': 2,
        'start_s': 20.0,
        'frame_times': (2.5, 7.5),
        'posteriors': {'imagenet': np.full([2, 4], 0.25, np.float32)},
        'kinds': {'imagenet': 'probabilities'},
    }
    return Sample(**(given | changes))


@pytest.mark.parametrize(
    ('values', 'said'),
    [
        (np.zeros([1, 4]), r'\[1, 4\] for 2 frames'),
        (np.zeros([8]), r'\[8\] for 2 frames'),
        (np.full([2, 4], np.nan), 'one row of finite numbers per frame'),
        (np.full([2, 4], np.inf), 'one row of finite numbers per frame'),
    ],
)
def test_invalid_posteriors(values, said):
    with pytest.raises(BadRecord, match=f'dog.mp4: imagenet returned .*{said}'):
        records.encode(sample(posteriors={'imagenet': values.astype(np.float32)}))


def test_a_source_whose_name_is_not_utf8():
    assert records.parse(records.encode(sample(source='/\udcff.mp4')), {}).source == '/?.mp4'


CARD = Card({'imagenet': TeacherCard(4, 'probabilities', 'net')}, 'pcm16', 5.0, 20.0, 2, 2, 3, 0.01, {'silent': 1})


@pytest.fixture
def dataset(tmp_path):
    ids = [next(str(n) for n in range(99) if records.shard_of(str(n), 2) == shard) for shard in (0, 1)]
    for path, id in zip(records.shard_paths(tmp_path, 2), ids, strict=True):
        with tf.io.TFRecordWriter(path) as writer:
            writer.write(records.encode(sample(id=id)))
    records.write_card(tmp_path, CARD, {'imagenet': ('a', 'b', 'c', 'größe')})
    return tmp_path


def test_a_dataset_is_read_as_it_was_written(dataset):
    card = records.read_card(dataset)
    about = card.teachers['imagenet']
    text = (dataset / 'labels' / 'imagenet.txt').read_bytes()
    assert about.labels_sha256 == hashlib.sha256(text).hexdigest()
    assert dataclasses.replace(card, teachers={'imagenet': dataclasses.replace(about, labels_sha256='')}) == CARD
    assert card.sample_rate == 22_050
    assert records.read_labels(dataset) == {'imagenet': ('a', 'b', 'c', 'größe')}
    assert len(list(records.read(dataset))) == 2
    assert sorted(path.name for path in dataset.iterdir()) == [
        'dataset.json',
        'labels',
        'records-00000-of-00002.tfrecord',
        'records-00001-of-00002.tfrecord',
    ]


def change_card(folder, **changes):
    path = folder / 'dataset.json'
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))


@pytest.mark.parametrize(
    ('harm', 'words'),
    [
        (lambda d: (d / 'dataset.json').unlink(), 'no dataset.json. Run soundnet-prepare again to finish it'),
        (lambda d: (d / 'dataset.json').write_text('{'), 'cannot be read .*. Run soundnet-prepare again'),
        (lambda d: (d / 'dataset.json').write_text('[]'), 'dataset.json: cannot be read'),
        (lambda d: change_card(d, schema=3), 'schema 3, this version of the package reads 2'),
        (lambda d: change_card(d, schema=None, format=1), 'schema 1, this version of the package reads 2'),
        (lambda d: change_card(d, schema=None), 'schema None'),
        (lambda d: change_card(d, clip_s=None), "dataset.json: cannot be read .*'clip_s'"),
        (lambda d: change_card(d, shards='two'), 'dataset.json: cannot be read'),
        (lambda d: change_card(d, teachers={'imagenet': {'color': 1}}), 'dataset.json: cannot be read'),
        (lambda d: (d / 'records-00001-of-00002.tfrecord').unlink(), '1 of 2 shards are missing, records-00001'),
    ],
)  # fmt: skip
def test_invalid_cards(dataset, harm, words):
    harm(dataset)
    with pytest.raises(BadRecord, match=words) as caught:
        records.read_card(dataset)
    assert str(dataset) in str(caught.value)
    assert '\n' not in str(caught.value)


def test_a_folder_that_is_not_a_dataset(tmp_path):
    with pytest.raises(BadRecord, match=r'no dataset\.json\. Pass a folder that soundnet-prepare wrote'):
        records.read_card(tmp_path)
    with pytest.raises(BadRecord, match=r'nowhere: no such folder\. Check the path'):
        records.read_card(tmp_path / 'nowhere')


def test_labels_that_do_not_fit(dataset):
    (dataset / 'labels' / 'imagenet.txt').write_text('a\nb\n')
    with pytest.raises(BadRecord, match=r'imagenet.txt: 2 names, but imagenet has 4 classes'):
        records.read_labels(dataset)
    (dataset / 'labels' / 'imagenet.txt').unlink()
    with pytest.raises(SoundNetError, match=r'imagenet.txt: 0 names'):
        records.read_labels(dataset)


def test_a_damaged_shard(dataset):
    path = pathlib.Path(records.shard_paths(dataset, 2)[1])
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(BadRecord, match=r'records-00001-of-00002.tfrecord: damaged, 304 bytes instead of 309. Remove'):
        list(records.read(dataset))


def test_records_of_other_classes_than_the_card_says(dataset):
    change_card(dataset, teachers={'imagenet': {'classes': 5, 'kind': 'logits', 'source': ''}})
    path = records.shard_paths(dataset, 2)[0]
    with pytest.raises(BadRecord) as caught:
        list(records.read(dataset))
    assert str(caught.value).startswith(f'{path}, record 0 (')
    assert 'expected 5 classes of imagenet, got 8 numbers for 2 frames. Run soundnet-prepare again' in str(caught.value)


def test_records_of_another_schema(monkeypatch):
    monkeypatch.setattr(records, 'SCHEMA', 7)
    record = records.encode(sample())
    monkeypatch.undo()
    words = r'a\.tfrecord, record 5 \(dog\.mp4\): expected schema 2, got 7. Run soundnet-prepare again'
    with pytest.raises(BadRecord, match=words):
        records.parse(record, {'imagenet': 4}, 'a.tfrecord', 5)
    # What was written before there was a schema.
    example = tf.train.Example.FromString(record)
    del example.features.feature['schema'], example.features.feature['clip/start_s']
    with pytest.raises(BadRecord, match='expected schema 2, got 0'):
        records.parse(example.SerializeToString(), {'imagenet': 4})
    with pytest.raises(BadRecord, match=r'a\.tfrecord, record 5: not a tf\.train\.Example'):
        records.parse(b'dear sir', {'imagenet': 4}, 'a.tfrecord', 5)


def test_datasets_can_be_wherever_tensorflow_can_write():
    folder = 'ram://records_test'
    with tf.io.TFRecordWriter(records.shard_paths(folder, 1)[0]) as writer:
        writer.write(records.encode(sample()))
    records.write_card(folder, dataclasses.replace(CARD, shards=1), {'imagenet': ('a', 'b', 'c', 'd')})
    assert [read.id for read in records.read(folder)] == ['dog.mp4']
    assert records.read_labels(folder) == {'imagenet': ('a', 'b', 'c', 'd')}
    with pytest.raises(BadRecord, match='ram://nowhere: no such folder'):
        records.read_card('ram://nowhere')


def test_a_file_that_cannot_be_put_in_its_place_leaves_no_draft(tmp_path):
    (tmp_path / 'labels.txt').mkdir()
    with pytest.raises(IsADirectoryError):
        records.write_text(tmp_path / 'labels.txt', 'x')
    assert os.listdir(tmp_path) == ['labels.txt']
    records.write_text('ram://drafts/x', 'old')
    with pytest.raises(TypeError), records.whole_file('ram://drafts/x') as file:
        file.write(None)
    assert tf.io.gfile.listdir('ram://drafts') == ['x']


def test_the_target_of_a_linked_card_is_replaced(tmp_path):
    disk, folder = tmp_path / 'disk', tmp_path / 'records'
    for path in (disk, folder):
        path.mkdir()
    (folder / 'dataset.json').symlink_to(disk / 'card.json')
    for count in (1, 2):
        records.write_card(folder, dataclasses.replace(CARD, records=count), {})
        assert json.loads((disk / 'card.json').read_text())['records'] == count
    assert (folder / 'dataset.json').is_symlink()
    assert os.listdir(disk) == ['card.json']

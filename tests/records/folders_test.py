"""Several folders of records are one dataset, if they fit together."""

import dataclasses
import json

import pytest

from soundnet_tf import records, storage
from soundnet_tf.errors import BadRecord
from soundnet_tf.records import batches, folders
from soundnet_tf.testing import make_records
from soundnet_tf.training import runs


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp('home')
    for name, options in {
        'a': {'count': 4, 'shards': 2},
        'b': {'count': 3, 'shards': 1},
        'classes': {'count': 1, 'shards': 1, 'teachers': {'places': 5}},
        'other': {'count': 1, 'shards': 1, 'teachers': {'objects': 4}},
        'mp3': {'count': 1, 'shards': 1, 'audio_format': 'mp3'},
    }.items():
        make_records(home / name, **{'seconds': 5, 'teachers': {'places': 4}, 'audio_format': 'pcm16', **options})
    for card in (home / 'a' / records.CARD, home / 'b' / records.CARD):
        storage.write_json(card, storage.read_json(card) | {'incomplete': 2})
    return home


def ids(dataset):
    return [id.decode() for batch in dataset for id in batch['id'].numpy()]


def test_two_folders_are_one_dataset(home):
    both = [home / 'a', home / 'b']
    card = folders.read_card(both)
    assert (card.records, card.shards, card.videos, card.incomplete) == (7, 3, 7, 4)
    assert len(folders.paths_of(both)) == 3
    one, other = (ids(batches.batches(folder, samples=1000, batch=9, repeat=False)) for folder in both)
    assert ids(batches.batches(both, samples=1000, batch=9, repeat=False)) == one + other
    assert ids(batches.batches(both, samples=1000, batch=9, repeat=False, shards=[2])) == other
    assert folders.read_card(home / 'a') == records.read_card(home / 'a')
    assert len({runs.fingerprint(some) for some in (home / 'a', home / 'b', both, both[::-1])}) == 4


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        (
            'classes',
            r'classes: differs from .*/a \(classes of places: 5 instead of 4\)\. Train on folders that were prepared '
            r'with the same',
        ),
        ('other', r'other: differs from .*/a \(teachers: objects instead of places\)'),
        ('mp3', r'mp3: differs from .*/a \(audio_format: mp3 instead of pcm16\)'),
        ('a', 'a: given twice. Pass each folder of records once'),
        ('none', 'none: no such folder'),
    ],
)
def test_folders_that_do_not_fit_are_refused(home, name, words):
    with pytest.raises(BadRecord, match=words):
        folders.read_card([home / 'a', home / name])


def test_other_class_names_are_refused(home, tmp_path):
    make_records(tmp_path / 'c', count=1, shards=1, seconds=5, teachers={'places': 4}, audio_format='pcm16')
    card = records.read_card(tmp_path / 'c')
    records.write_card(tmp_path / 'c', card, {'places': ('a', 'b', 'c', 'd')})
    with pytest.raises(BadRecord, match=r'c: differs from .*/a \(other class names of places\)'):
        folders.read_card([home / 'a', tmp_path / 'c'])


@pytest.mark.parametrize('parts', [[1], [2, 1], 'x', [0.5], [None], 3])
def test_invalid_parts(home, tmp_path, parts):
    make_records(tmp_path, count=2, shards=2, seconds=1, audio_format='pcm16')
    values = json.loads((tmp_path / 'dataset.json').read_text())
    (tmp_path / 'dataset.json').write_text(json.dumps(values | {'parts': parts}))
    with pytest.raises(BadRecord, match=r'dataset\.json: cannot be read \('):
        records.read_card(tmp_path)


def test_the_shards_of_parts():
    assert records.shard_paths('x', 1, 3) == [
        'x/records-00000-of-00001.tfrecord',
        'x/records-00001-of-00003.tfrecord',
        'x/records-00002-of-00003.tfrecord',
    ]
    assert dataclasses.replace(records.Card({}, 'mp3', 5, 5, 1, 3), parts=(1, 3)).ends == (1, 3)

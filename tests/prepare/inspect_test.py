import numpy as np
import pytest
import tensorflow as tf

from soundnet_tf import records
from soundnet_tf.errors import BadRecord
from soundnet_tf.prepare import inspect
from soundnet_tf.testing import make_records


def test_a_record_as_text(tmp_path):
    make_records(tmp_path, count=5, seconds=10, shards=2, teachers={'places': 4})
    (tmp_path / 'labels' / 'places.txt').write_text('attic\nbeach\ncliff\ndam\n')
    pages = list(inspect.describe(str(tmp_path)))
    assert len(pages) == 5
    (page,) = (page for page in pages if 'clip2' in page)
    lines = page.splitlines()
    assert lines[1:4] == ['  schema    2', '  id        clip2', '  source    made, from 0 s']
    assert lines[4].startswith('  sound     10.00 s (220,500 samples), ')
    assert lines[5] == '  places    at  2.50 s: cliff 100.0%, dam 0.0%, beach 0.0% of 4'
    one = records.shard_paths(tmp_path, 2)[0]
    assert list(inspect.describe(one)) == [page for page in pages if page.startswith(one)]


def test_logits_are_shown_as_probabilities(tmp_path):
    make_records(tmp_path, count=1, seconds=5, shards=1, teachers={'places': 4}, kind='logits')
    (page,) = inspect.describe(str(tmp_path))
    assert f'class 0 {1 / (1 + 3 * np.exp(-20)):.1%}' in page


def test_records_that_parse_rejects_are_shown(tmp_path):
    make_records(tmp_path, count=1, seconds=5, shards=1, teachers={'places': 4})
    (path,) = records.shard_paths(tmp_path, 1)
    (record,) = tf.data.TFRecordDataset(path)
    example = tf.train.Example.FromString(record.numpy())
    del example.features.feature['schema'], example.features.feature['frames/times_s']
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(example.SerializeToString())
    (page,) = inspect.describe(path)
    assert '  schema    none' in page
    assert '  places    4 numbers for 0 frames' in page


def test_files_without_records(tmp_path):
    for path in (tmp_path, tmp_path / 'nowhere'):
        with pytest.raises(BadRecord, match=r'no records\. Pass a shard'):
            next(inspect.describe(str(path)))
    (tmp_path / 'letter.txt').write_text('dear sir, ' * 50)
    with pytest.raises(BadRecord, match=r'letter\.txt: damaged, or not a TFRecord file\. Remove it'):
        next(inspect.describe(str(tmp_path / 'letter.txt')))
    with tf.io.TFRecordWriter(str(tmp_path / 'other')) as writer:
        writer.write(b'dear sir')
    with pytest.raises(BadRecord, match=r'other, record 0: not a tf\.train\.Example'):
        next(inspect.describe(str(tmp_path / 'other')))

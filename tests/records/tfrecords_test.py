"""Single records by their index: what TensorFlow reads in a row."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from soundnet_tf.errors import BadRecord
from soundnet_tf.records import tfrecords


def write(path, contents):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for content in contents:
            writer.write(content)
    return str(path)


@given(files=st.lists(st.lists(st.binary(max_size=50), max_size=6), max_size=5), summarised=st.booleans())
@settings(max_examples=40, deadline=None)
def test_as_tensorflow_reads_them(tmp_path_factory, files, summarised):
    folder = tmp_path_factory.mktemp('files')
    paths = [write(folder / f'{number}.tfrecord', contents) for number, contents in enumerate(files)]
    if summarised:
        for path, contents in zip(paths, files, strict=True):
            pathlib.Path(path).with_suffix('.json').write_text(json.dumps({'sizes': list(map(len, contents))}))
    index = tfrecords.index(paths)
    assert [index.read(number) for number in range(len(index))] == [content for file in files for content in file]
    rows = [(path, row) for path, contents in zip(paths, files, strict=True) for row in range(len(contents))]
    assert [index.where(number) for number in range(len(index))] == rows


@given(contents=st.lists(st.binary(max_size=50), max_size=6))
@settings(max_examples=20, deadline=None)
def test_tensorflow_reads_what_is_framed(tmp_path_factory, contents):
    path = tmp_path_factory.mktemp('files') / 'a.tfrecord'
    path.write_bytes(b''.join(map(tfrecords.framed, contents)))
    assert [record.numpy() for record in tf.data.TFRecordDataset(str(path))] == contents


def test_where_there_is_no_file_system():
    path = write('ram://tfrecords_test/a.tfrecord', [b'one', b'two'])
    index = tfrecords.index([path])
    assert [index.read(number) for number in (1, 0)] == [b'two', b'one']
    with pytest.raises(
        BadRecord, match=r'ram://tfrecords_test/none: cannot be read \(.*Remove it and run soundnet-prepare again'
    ):
        tfrecords.index(['ram://tfrecords_test/none'])


@given(at=st.integers(0, 10**6), bit=st.integers(0, 7))
@settings(max_examples=60, deadline=None)
def test_a_bit_that_flips_is_noticed(tmp_path_factory, at, bit):
    folder = tmp_path_factory.mktemp('flip')
    contents = [bytes([number]) * 20 for number in range(4)]
    path = pathlib.Path(write(folder / 'a.tfrecord', contents))
    whole = bytearray(path.read_bytes())
    whole[at % len(whole)] ^= 1 << bit
    path.write_bytes(whole)
    try:
        index = tfrecords.index([str(path)])
        read = [index.read(number) for number in range(len(index))]
    except BadRecord as error:
        said = str(error)
    else:
        # The checksum of a length is looked at when files are indexed, and again by nobody.
        assert read == contents
        return
    assert str(path) in said


def test_missing_and_truncated_files(tmp_path):
    whole, cut = (write(tmp_path / name, [b'x' * 30] * 3) for name in ('whole', 'cut'))
    pathlib.Path(cut).write_bytes(pathlib.Path(cut).read_bytes()[:-1])
    with pytest.raises(BadRecord, match=r'cut: damaged, 137 bytes instead of 138. Remove it'):
        tfrecords.index([whole, cut])
    with pytest.raises(BadRecord, match=r'gone: cannot be read \(No such file or directory\)\. Remove it'):
        tfrecords.index([whole, str(tmp_path / 'gone')])
    bad = {}
    index = tfrecords.index([cut, whole, str(tmp_path / 'gone')], bad.__setitem__)
    # What is known of the cut one is in the index, and its last record fails by itself.
    assert [index.where(number) for number in range(6)] == [(path, row) for path in (cut, whole) for row in range(3)]
    assert index.read(1) == index.read(5) == b'x' * 30
    with pytest.raises(BadRecord, match=rf'{cut}, record 2: damaged, wrong checksum'):
        index.read(2)
    assert bad.keys() == {str(tmp_path / 'gone')}
    pathlib.Path(whole).unlink()
    with pytest.raises(BadRecord, match=r'whole, record 2: cannot be read \(No such file or directory\)'):
        index.read(5)


def test_an_index_of_nothing():
    assert len(tfrecords.index([])) == 0
    assert tfrecords.index([]).size.dtype == np.int64

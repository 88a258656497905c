"""From shards to batches: what comes out is what went in, fitted as the authors do."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from soundnet_tf import data, decoding, records
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import BadRecord
from soundnet_tf.testing import make_records

SAMPLES = 20 * SAMPLE_RATE


def take(folder, steps=1, **options):
    dataset = data.batches(folder, samples=SAMPLES, batch=4, **options)
    return list(dataset.take(steps).as_numpy_iterator())


def card(frame_every_s=5.0, kind='probabilities'):
    return records.Card({'t': records.TeacherCard(3, kind)}, 'mp3', frame_every_s, 20.0, 1, 1)


def fitted(waveform, rows, samples, about=None):
    clip = {'id': b'x', 'waveform': waveform, 'frames/times_s': np.zeros(len(rows), np.float32), 't/values': rows}
    return {key: np.asarray(value) for key, value in data.fit(clip, about or card(), samples).items()}


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 50), st.integers(1, 4), st.integers(1, 60))
def test_fit_is_the_authors_tiling(length, frames, samples):
    # A unit of 10 samples for short arithmetic.
    about = card(frame_every_s=10 / SAMPLE_RATE)
    waveform = np.arange(1, length + 1, dtype=np.float32)
    rows = np.eye(3, dtype=np.float32)[np.arange(frames) % 3]
    got = fitted(waveform, rows, samples, about)
    unit = np.zeros(frames * 10, np.float32)
    unit[: min(length, frames * 10)] = waveform[: frames * 10]
    np.testing.assert_array_equal(got['waveform'], np.resize(unit, samples))
    wanted_rows = -(-samples // 10)
    np.testing.assert_array_equal(got['t'], np.stack([rows[i % frames] for i in range(wanted_rows)]))


def test_sound_and_labels_repeat_together():
    waveform = np.ones(round(7.6 * SAMPLE_RATE), np.float32)
    got = fitted(waveform, np.eye(3, dtype=np.float32)[:2], SAMPLES)
    quiet = got['waveform'] == 0
    # 7.6 s and two frames: 2.4 s of silence end each of two repetitions of 10 s.
    assert quiet[round(7.6 * SAMPLE_RATE) : 10 * SAMPLE_RATE].all()
    assert not quiet[10 * SAMPLE_RATE : round(17.6 * SAMPLE_RATE)].any()
    np.testing.assert_array_equal(got['t'].argmax(-1), [0, 1, 0, 1])


def test_logits_become_probabilities():
    got = fitted(np.ones(10, np.float32), np.log([[0.5, 0.25, 0.25]]).astype(np.float32), 10, card(kind='logits'))
    np.testing.assert_allclose(got['t'], [[0.5, 0.25, 0.25]], rtol=1e-6)


@pytest.mark.parametrize('audio_format', ['mp3', 'pcm16'])
def test_every_record_comes_once_with_its_own_sound(audio_format, tmp_path):
    make_records(tmp_path, count=6, seconds=5, audio_format=audio_format)
    batches = take(tmp_path, 9, repeat=False)
    assert [len(batch['id']) for batch in batches] == [4, 2]
    seen = {}
    for batch in batches:
        for row, id in enumerate(batch['id']):
            seen[id.decode()] = {key: value[row] for key, value in batch.items()}
    stored = {sample.id: sample for sample in records.read(tmp_path)}
    assert set(seen) == set(stored)
    for id, sample in stored.items():
        if audio_format == 'mp3':
            waveform = decoding.decode(sample.audio, id)
        else:
            waveform = np.frombuffer(sample.audio, '<i2') / np.float32(32768)
        np.testing.assert_array_equal(seen[id]['waveform'][: 5 * SAMPLE_RATE], waveform[: 5 * SAMPLE_RATE])
        np.testing.assert_array_equal(seen[id]['imagenet'], np.repeat(sample.posteriors['imagenet'], 4, axis=0))


def test_the_order_is_a_function_of_the_seed_and_can_be_skipped_into(tmp_path):
    make_records(tmp_path, seconds=1)
    first = [batch['id'].tolist() for batch in take(tmp_path, 6, seed=1)]
    assert [batch['id'].tolist() for batch in take(tmp_path, 6, seed=1)] == first
    assert [batch['id'].tolist() for batch in take(tmp_path, 4, seed=1, skip=8)] == first[2:]
    assert [batch['id'].tolist() for batch in take(tmp_path, 6, seed=2)] != first
    # Each pass over the data has every record, and an order of its own.
    assert sorted(np.ravel(first[:3])) == sorted(np.ravel(first[3:]))
    assert first[:3] != first[3:]


@pytest.mark.parametrize('decoder', ['miniaudio', 'soundfile', 'pyav', 'tfio'])
def test_every_decoder_gives_the_batch(decoder, tmp_path):
    if decoder not in decoding.available():
        pytest.skip(f'{decoder} does not load beside TensorFlow {tf.__version__}')
    make_records(tmp_path, count=4, seconds=2)
    ours, other = take(tmp_path, decoder=decoder)[0], take(tmp_path, decoder='pyav')[0]
    np.testing.assert_array_equal(ours['id'], other['id'])
    np.testing.assert_allclose(ours['waveform'], other['waveform'], atol=1e-4)


@pytest.mark.parametrize('decoder', ['auto', 'tfio'])
def test_records_that_cannot_be_used_are_left_out_and_named(decoder, tmp_path):
    if decoder not in ['auto', *decoding.available()]:
        pytest.skip(f'{decoder} does not load beside TensorFlow {tf.__version__}')
    make_records(tmp_path, count=8, seconds=1, shards=1)
    (path,) = records.shard_paths(tmp_path, 1)
    kept = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]

    def changed(record, **features):
        example = tf.train.Example.FromString(record)
        for key, value in features.items():
            example.features.feature[key.replace('__', '/')].CopyFrom(value)
        return example.SerializeToString()

    text = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b'not an mp3']))
    nan = tf.train.Feature(float_list=tf.train.FloatList(value=[float('nan')] * 4))
    kept[1] = changed(kept[1], audio__encoded=text)
    kept[2] = changed(kept[2], places__values=nan)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in kept:
            writer.write(record)
    lost = data.Lost(records=8)
    batches = take(tmp_path, 9, repeat=False, lost=lost, decoder=decoder)
    assert sum(len(batch['id']) for batch in batches) == 6
    words = {reason.partition(':')[2].strip()[:35] for reason in lost.reasons.values()}
    assert 'places has not one row of numbers for each frame'[:35] in words
    assert len(lost) == 2
    assert any('its sound is no MP3' in reason for reason in lost.reasons.values())
    assert str(lost).startswith('2 records could not be used: clip')


def test_records_that_do_not_belong_to_the_card_are_refused(tmp_path):
    """In the graph too the words say where: which shard, which record, what was expected, what is there."""
    make_records(tmp_path, count=6, seconds=1, shards=2)
    path = records.shard_paths(tmp_path, 2)[1]
    kept = [tf.train.Example.FromString(record.numpy()) for record in tf.data.TFRecordDataset(path)]
    kept[1].features.feature['imagenet/values'].float_list.value.pop()
    with tf.io.TFRecordWriter(path) as writer:
        for example in kept:
            writer.write(example.SerializeToString())
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        list(data.batches(tmp_path, samples=SAMPLE_RATE, batch=2, repeat=False))
    id = kept[1].features.feature['id'].bytes_list.value[0].decode()
    assert records.refusal(caught.value) == (
        f'{path}, record 1 ({id}): expected 10 numbers of imagenet a frame, got 9 for frames: 1' + records.WAY_OUT
    )


def test_it_ends_where_no_record_can_be_used(tmp_path):
    make_records(tmp_path, count=3, seconds=1, shards=1)
    (path,) = records.shard_paths(tmp_path, 1)
    kept = [tf.train.Example.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(path))]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in kept:
            example.features.feature['audio/encoded'].bytes_list.value[0] = b'nothing'
            writer.write(example.SerializeToString())
    with pytest.raises(tf.errors.OpError, match=r'3 records could not be used: .*; none is left to learn from'):
        take(tmp_path)


def test_an_empty_dataset_is_refused(tmp_path):
    make_records(tmp_path, count=0)
    with pytest.raises(BadRecord, match='holds no records: all videos were skipped'):
        take(tmp_path)
    with pytest.raises(BadRecord, match=r'nowhere holds no dataset\.json: give a folder that soundnet-prepare wrote'):
        take(tmp_path / 'nowhere')

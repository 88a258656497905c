"""From shards to batches: the records come back unchanged, and fit the net as those of the authors do."""

import itertools
import json
import os
import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soundnet_tf import records
from soundnet_tf.audio import SAMPLE_RATE, decoding
from soundnet_tf.errors import BadRecord
from soundnet_tf.records import batches
from soundnet_tf.testing import make_records

SAMPLES = 20 * SAMPLE_RATE


def take(folder, steps=1, **options):
    dataset = batches.batches(folder, samples=SAMPLES, batch=4, **options)
    return list(dataset.take(steps).as_numpy_iterator())


def card(frame_every_s=5.0, kind='probabilities'):
    return records.Card({'t': records.TeacherCard(3, kind)}, 'mp3', frame_every_s, 20.0, 1, 1)


def fitted(waveform, rows, samples, about=None):
    clip = {'id': b'x', 'waveform': waveform, 'frames': len(rows), 't': rows}
    return {key: np.asarray(value) for key, value in batches.fit(clip, about or card(), samples).items()}


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
    assert [batch['id'].tolist() for batch in take(tmp_path, 4, seed=1, first=2)] == first[2:]
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


def spoilt(folder, shard, changes):
    """Records of a shard with other features, written anew: whole files that hold what cannot be used."""
    path = records.shard_paths(folder, 2)[shard]
    kept = [tf.train.Example.FromString(record.numpy()) for record in tf.data.TFRecordDataset(path)]
    ids = []
    for number, change in changes.items():
        change(kept[number].features.feature)
        ids.append(kept[number].features.feature['id'].bytes_list.value[0].decode())
    with tf.io.TFRecordWriter(path) as writer:
        for example in kept:
            writer.write(example.SerializeToString())
    return path, ids


def no_mp3(features):
    features['audio/encoded'].bytes_list.value[0] = b'nothing'


def nan(features):
    features['places/values'].float_list.value[0] = float('nan')


def names(batches):
    return [id.decode() for batch in batches for id in batch['id']]


@pytest.mark.parametrize('decoder', ['auto', 'tfio'])
def test_unusable_records_are_skipped_and_reported(decoder, tmp_path):
    if decoder not in ['auto', *decoding.available()]:
        pytest.skip(f'{decoder} does not load beside TensorFlow {tf.__version__}')
    make_records(tmp_path, count=12, seconds=1)
    _, bad = spoilt(tmp_path, 1, {1: no_mp3, 2: nan})
    skipped = batches.SkippedRecords()
    once = names(take(tmp_path, 9, repeat=False, skipped=skipped, decoder=decoder))
    assert sorted(once + bad) == sorted(f'clip{index}' for index in range(12))
    assert len(skipped) == 2
    assert any('not one row of finite numbers for each frame' in reason for reason in skipped.reasons.values())
    assert str(skipped).startswith('2 records could not be used: clip')
    # In training the next in the order takes the place of each, so that no batch is moved.
    whole, order = batches.SkippedRecords(), names(take(tmp_path, 3, seed=5, skipped=skipped, decoder=decoder))
    make_records(tmp_path / 'whole', count=12, seconds=1)
    intended = names(take(tmp_path / 'whole', 3, seed=5, skipped=whole))
    for place, (got, wanted) in enumerate(zip(order, intended, strict=True)):
        after = (intended + intended)[place:]
        assert got == next(id for id in after if id not in bad), wanted


def test_no_usable_record_is_an_error(tmp_path):
    make_records(tmp_path, count=6, seconds=1)
    for shard in (0, 1):
        count = sum(1 for _ in tf.data.TFRecordDataset(records.shard_paths(tmp_path, 2)[shard]))
        spoilt(tmp_path, shard, dict.fromkeys(range(count), no_mp3))
    skipped = batches.SkippedRecords()
    with pytest.raises(tf.errors.OpError):
        take(tmp_path, skipped=skipped)
    assert re.match(r'6 records could not be used: .*; no records are left', str(skipped.stopped))


def test_records_that_do_not_match_the_card_are_an_error(tmp_path):
    make_records(tmp_path, count=6, seconds=1)
    path, (id,) = spoilt(tmp_path, 1, {1: lambda features: features['imagenet/values'].float_list.value.pop()})
    skipped = batches.SkippedRecords()
    with pytest.raises(tf.errors.OpError):
        take(tmp_path, 9, repeat=False, skipped=skipped)
    words = f'{path}, record 1 ({id}): expected 10 classes of imagenet, got 9 numbers for 1 frames. Run'
    assert str(skipped.stopped).startswith(words)


def damaged(folder, shard=1, at=-100):
    path = pathlib.Path(records.shard_paths(folder, 2)[shard])
    content = bytearray(path.read_bytes())
    content[at] ^= 255
    path.write_bytes(content)
    return path


def test_a_damaged_record_is_an_error_or_skipped(tmp_path):
    make_records(tmp_path, count=8, seconds=1)
    path = damaged(tmp_path)
    skipped = batches.SkippedRecords()
    with pytest.raises(tf.errors.OpError):
        take(tmp_path, 9, repeat=False, skipped=skipped)
    assert re.match(rf'{path}, record \d: damaged, wrong checksum\. Remove it', str(skipped.stopped))
    skipped = batches.SkippedRecords()
    assert len(names(take(tmp_path, 9, repeat=False, skip_bad=True, skipped=skipped))) == 7
    assert len(skipped) == 1


def summarised(path):
    sizes = [len(record) for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()]
    path.with_suffix('.json').write_text(json.dumps({'sizes': sizes}))
    return len(sizes)


@pytest.mark.parametrize('summary', [False, True])
def test_a_missing_shard_is_an_error_or_skipped(tmp_path, summary):
    make_records(tmp_path, count=8, seconds=1)
    gone, left = map(pathlib.Path, records.shard_paths(tmp_path, 2))
    count, rest = summarised(gone), summarised(left)
    if not summary:
        gone.with_suffix('.json').unlink()
    order = names(take(tmp_path, 8))
    gone.unlink()
    with pytest.raises(
        BadRecord, match=r'1 of 2 shards are missing, records-00000-of-00002.tfrecord first. Run soundnet-prepare'
    ):
        take(tmp_path)
    skipped = batches.SkippedRecords()
    assert len(names(take(tmp_path, 9, repeat=False, skip_bad=True, skipped=skipped))) == rest
    # Record by record where a summary tells of them.
    assert len(skipped) == (count if summary else 1)
    assert f'{gone}' in str(skipped)
    if summary:
        # The others stay in their places.
        got = names(take(tmp_path, 8, skip_bad=True))
        here = set(names(take(tmp_path, 9, repeat=False, skip_bad=True)))
        assert all(one == other for one, other in zip(got, order, strict=True) if other in here)


@pytest.mark.parametrize('summary', [False, True])
@pytest.mark.parametrize('left', [-7, 0])
def test_a_cut_shard_is_an_error_or_skipped(tmp_path, left, summary):
    make_records(tmp_path, count=8, seconds=1)
    whole, cut = map(pathlib.Path, records.shard_paths(tmp_path, 2))
    summarised(cut)
    os.truncate(cut, left + cut.stat().st_size if left else 0)
    if not summary:
        cut.with_suffix('.json').unlink()
    if left or summary:
        with pytest.raises(BadRecord, match=rf'{cut}: damaged, .* bytes instead of'):
            take(tmp_path)
    skipped = batches.SkippedRecords()
    there = summarised(whole)
    got = names(take(tmp_path, 9, repeat=False, skip_bad=True, skipped=skipped))
    # What is whole before the cut is heard too.
    assert len(got) == (7 if left else there)
    assert bool(skipped) == (summary or left < 0)


def test_a_shard_that_vanishes_in_the_middle(tmp_path):
    make_records(tmp_path, count=8, seconds=1)
    skipped = batches.SkippedRecords()
    examples = iter(batches.batches(tmp_path, samples=SAMPLES, batch=1, skipped=skipped))
    next(examples)
    path = records.shard_paths(tmp_path, 2)[1]
    os.unlink(path)
    with pytest.raises(tf.errors.OpError):
        list(itertools.islice(examples, 60))
    assert re.match(rf'{path}, record \d: cannot be read \(No such file or directory\)', str(skipped.stopped))


@given(workers=st.sampled_from([1, 2, 4]), replicas=st.sampled_from([1, 2]), first=st.integers(0, 9))
@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_workers_and_replicas_share_the_same_batches(made, workers, replicas, first):
    options = {'samples': SAMPLE_RATE, 'batch': 8, 'seed': 3, 'first': first}
    whole = names(batches.batches(made, **options).take(2).as_numpy_iterator())
    parts = []
    for worker in range(workers):
        part = batches.batches(made, **options, part=(worker, workers), replicas=replicas).take(2 * replicas)
        parts.append(names(part.as_numpy_iterator()))
    share = 8 // workers
    joined = [id for step in range(2) for part in parts for id in part[step * share : (step + 1) * share]]
    assert joined == whole


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp('made')
    make_records(folder, count=10, seconds=1, audio_format='pcm16', shards=3)
    return folder


def test_the_place_in_the_order_costs_nothing_to_find(made):
    options = {'samples': SAMPLE_RATE, 'batch': 4, 'seed': 3}
    far = next(iter(batches.batches(made, **options, first=10**9)))
    assert sorted(far) == ['id', 'imagenet', 'places', 'waveform']


def test_some_shards_alone(made):
    every = names(batches.batches(made, samples=SAMPLE_RATE, batch=4, repeat=False).as_numpy_iterator())
    parts = [
        names(batches.batches(made, samples=SAMPLE_RATE, batch=4, repeat=False, shards=shards).as_numpy_iterator())
        for shards in (range(2), range(2, 3))
    ]
    assert parts[0] + parts[1] == every
    assert all(parts)


def test_gain_is_a_function_of_seed_and_place(made):
    options = {'samples': SAMPLE_RATE, 'batch': 10, 'seed': 3}
    plain, louder, again = (
        next(iter(batches.batches(made, **options, gain_db=gain_db))) for gain_db in (0.0, 6.0, 6.0)
    )
    np.testing.assert_array_equal(louder['waveform'], again['waveform'])
    np.testing.assert_array_equal(louder['id'], plain['id'])
    gains = 20 * np.log10(np.asarray(louder['waveform']).std(-1) / np.asarray(plain['waveform']).std(-1))
    assert abs(gains).max() <= 6.001
    assert np.ptp(gains) > 3


@given(frames=st.integers(1, 6), samples=st.integers(1, 60), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_a_crop_takes_sound_and_frames_together(frames, samples, seed):
    about = card(frame_every_s=10 / SAMPLE_RATE)
    clip = {
        'id': b'x',
        'waveform': np.repeat(np.arange(frames, dtype=np.float32), 10),
        'frames': frames,
        't': np.arange(frames, dtype=np.float32)[:, None].repeat(3, 1),
    }
    got = batches.cropped(clip, about, samples, tf.constant([seed, 1], tf.int64))
    np.testing.assert_array_equal(np.asarray(got['waveform'])[::10], np.asarray(got['t'])[:, 0])
    assert len(got['t']) == int(got['frames']) >= min(frames, -(-samples // 10))


def test_an_empty_dataset_is_refused(tmp_path):
    make_records(tmp_path, count=0)
    with pytest.raises(BadRecord, match='no records, all videos were skipped'):
        take(tmp_path)
    with pytest.raises(BadRecord, match=r'nowhere: no such folder\. Check the path'):
        take(tmp_path / 'nowhere')

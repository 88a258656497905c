import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from soundnet_tf import records
from soundnet_tf.errors import SoundNetError
from soundnet_tf.prepare import shards
from soundnet_tf.prepare.manifest import Video
from soundnet_tf.prepare.pace import Clock
from soundnet_tf.prepare.plan import Layout, Part
from soundnet_tf.prepare.stages import Settings, Skipped
from soundnet_tf.records import Sample, tfrecords
from tests.prepare import made

CLASSES = {'scenes': 4}


def sample(id, likeliest=0, seconds=2, size=100):
    values = np.full([1, 4], 0.1, np.float32)
    values[0, likeliest] = 0.7
    return Sample(
        id, f'/{id}', b'x' * size, 'mp3', seconds * 22_050, 0.0, (1.0,), {'scenes': values}, {'scenes': 'probabilities'}
    )


def missing(paths, videos, **options):
    todo, gone = shards.missing([Part(paths, videos)], CLASSES, **options)
    assert not gone
    return todo


@pytest.mark.parametrize('folder', ['{}', 'ram://shards_test'])
def test_the_card(tmp_path, folder):
    folder = folder.format(tmp_path)
    paths = records.shard_paths(folder, 2)
    silent = Skipped('c.mp4', '/c.mp4', 'silent', 'the loudest sample, "0"')
    shards.write(paths[0], [sample('a', 1), silent, sample('b', 1, seconds=4)], Clock())
    assert missing(paths, [Video('a', 'a')]).keys() == {paths[1]}
    shards.write(paths[1], [sample('d', 2)], Clock())
    assert not missing(paths, [])
    report = shards.finish(folder, Layout([Part(paths, [])]), 4, [made.teacher()], Settings(), 'quick')
    assert str(report) == (
        f'3 records (0.00 h) of 4 videos in {folder}; 1 skipped: 1 silent (listed in {folder}/skipped.csv)'
    )
    card = records.read_card(folder)
    assert (card.records, card.videos, card.shards, card.skipped) == (3, 4, 2, {'silent': 1})
    assert card.hours == pytest.approx(8 / 3600, abs=1e-4)
    # The likeliest first, as shares of the clips.
    assert list(card.teachers['scenes'].top1.items()) == [('green', 0.666667), ('blue', 0.333333)]
    if folder.startswith('ram:'):
        return
    assert (tmp_path / 'skipped.csv').read_text() == (
        'id,path,reason,detail\nc.mp4,/c.mp4,silent,"the loudest sample, ""0"""\n'
    )
    assert not list(tmp_path.glob('*.part'))


def test_files_of_a_killed_run_are_removed(tmp_path):
    (path,) = records.shard_paths(tmp_path, 1)
    shards.write(path, [sample('a')], Clock())
    (tmp_path / 'records-00000-of-00001.tfrecord.0123.part').write_text('half')
    (tmp_path / 'labels').mkdir()
    (tmp_path / 'labels' / 'scenes.txt.0123.part').write_text('half')
    shards.finish(str(tmp_path), Layout([Part([path], [])]), 1, [made.teacher()], Settings(), '')
    assert not list(tmp_path.rglob('*.part'))


def test_an_error_leaves_no_partial_shard(tmp_path):
    def samples():
        yield sample('a')
        raise KeyboardInterrupt

    (path,) = records.shard_paths(tmp_path, 1)
    with pytest.raises(KeyboardInterrupt):
        shards.write(path, samples(), Clock())
    assert os.listdir(tmp_path) == []


def test_the_target_of_a_linked_shard_is_replaced(tmp_path):
    (path,) = records.shard_paths(tmp_path / 'records', 1)
    for name in ('disk', 'records'):
        (tmp_path / name).mkdir()
    os.symlink(tmp_path / 'disk' / 'shard', path)
    for id in 'ab':
        shards.write(path, [sample(id)], Clock())
        assert [one.id for one in records.read_shard(tmp_path / 'disk' / 'shard', CLASSES)] == [id]
    assert os.path.islink(path)
    assert os.listdir(tmp_path / 'disk') == ['shard']


FULL = """
import resource, signal, sys
from soundnet_tf import records
from soundnet_tf.errors import SoundNetError
from soundnet_tf.prepare import shards
from soundnet_tf.prepare.pace import Clock
from soundnet_tf.prepare.plan import Layout, Part
from tests.prepare.shards_test import sample

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
(path,) = records.shard_paths(sys.argv[1], 1)
for count in 8, 200:
    try:
        shards.write(path, (sample(str(index), size=40_000) for index in range(count)), Clock())
    except SoundNetError as error:
        print(error)
"""


def test_no_room_left(tmp_path):
    """A limit on the size of files stands for a full disk; at the end of the shard, and long before it."""
    run = [sys.executable, '-c', FULL, str(tmp_path)]
    said = subprocess.run(run, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(said) == 2
    for line in said:
        assert line.startswith(f'{tmp_path}/records-00000-of-00001.tfrecord: cannot be written (')
        assert line.endswith(
            'File too large). Free some space or fix the path, and run the same command again: finished shards are kept'
        )
    assert os.listdir(tmp_path) == []


def test_a_disk_that_is_full(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tfrecords, 'framed', full)
    with pytest.raises(SoundNetError, match=r'cannot be written \(No space left on device\)\. Free some space'):
        shards.write(records.shard_paths(tmp_path, 1)[0], [sample('a')], Clock())
    assert os.listdir(tmp_path) == []


def test_the_summary_of_a_shard(tmp_path):
    (path,) = records.shard_paths(tmp_path, 1)
    shards.write(path, [sample('a', 3)], Clock())
    about = json.loads((tmp_path / 'records-00000-of-00001.json').read_text())
    size = os.path.getsize(path)
    assert about == {
        'records': 1,
        'samples': 44_100,
        'bytes': size,
        'incomplete': 0,
        'sizes': [size - 16],
        'top1': {'scenes': {'3': 1}},
        'skipped': [],
    }


@pytest.mark.parametrize('torn', ['', '{"records"', '{}'])
def test_the_records_of_a_shard_without_its_summary_stay(tmp_path, torn):
    (path,) = records.shard_paths(tmp_path, 1)
    shards.write(path, [sample('a', 3), sample('b', 1)], Clock())
    (tmp_path / 'records-00000-of-00001.json').write_text(torn)
    videos = [Video(id, id) for id in 'ac']
    assert missing([path], videos) == {path: videos[1:]}
    shards.write(path, [*shards.kept(path, CLASSES, videos[1:]), sample('c', 0)], Clock())
    assert [sample.id for sample in records.read_shard(path, CLASSES)] == ['a', 'b', 'c']
    assert not missing([path], videos)


def test_a_damaged_shard_is_written_anew(tmp_path):
    (path,) = records.shard_paths(tmp_path, 1)
    shards.write(path, [sample('a', 3), sample('b', 1)], Clock())
    with open(path, 'r+b') as file:
        file.truncate(os.path.getsize(path) - 1)
    part = Part([path], [Video('a', 'a')], [Video('b', 'b')])
    assert shards.missing([part], CLASSES) == ({path: [Video('a', 'a')]}, 1)
    assert not list(shards.kept(path, CLASSES, []))


def test_a_kill_between_a_rewritten_shard_and_its_summary(tmp_path, monkeypatch):
    (path,) = records.shard_paths(tmp_path, 1)
    failed = [Skipped(id, f'/{id}', 'missing', '') for id in 'bc']
    shards.write(path, [sample('a', 3), *failed], Clock())

    def killed(*_):
        raise KeyboardInterrupt

    retried = [Video('b', '/b'), Video('c', '/c')]
    assert missing([path], [Video('a', '/a'), *retried], retry=True) == {path: retried}
    with monkeypatch.context() as patch:
        patch.setattr(shards._Summary, 'write', killed)
        with pytest.raises(KeyboardInterrupt):
            shards.write(path, [*shards.kept(path, CLASSES, retried), sample('b', 1), failed[1]], Clock())
    assert missing([path], [Video('a', '/a'), *retried]) == {}
    report = shards.finish(str(tmp_path), Layout([Part([path], [])]), 3, [made.teacher()], Settings(), '')
    assert (report.records, report.reasons) == (2, {'missing': 1})
    assert records.read_card(tmp_path).teachers['scenes'].top1 == {'white': 0.5, 'green': 0.5}


def test_a_kill_where_there_were_no_records_before(tmp_path, monkeypatch):
    (path,) = records.shard_paths(tmp_path, 1)
    shards.write(path, [Skipped('b', '/b', 'missing', '')], Clock())

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shards._Summary, 'write', killed)
        with pytest.raises(KeyboardInterrupt):
            shards.write(path, [sample('b', 1)], Clock())
    report = shards.finish(str(tmp_path), Layout([Part([path], [])]), 1, [made.teacher()], Settings(), '')
    assert (report.records, report.reasons) == (1, {})
    assert records.read_card(tmp_path).teachers['scenes'].top1 == {'green': 1.0}


def test_classes_of_one_name_are_counted_together(tmp_path):
    (path,) = records.shard_paths(tmp_path, 1)
    shards.write(path, [sample('a', 0), sample('b', 2), sample('c', 1)], Clock())
    cranes = made.teacher()
    cranes.labels = ('crane', 'dove', 'crane', 'wren')
    shards.finish(str(tmp_path), Layout([Part([path], [])]), 3, [cranes], Settings(), '')
    assert records.read_card(tmp_path).teachers['scenes'].top1 == {'crane': 0.666667, 'dove': 0.333333}


def test_folders_with_any_name(tmp_path):
    for name in ('out1', 'out[1]'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'x.part').touch()
    (path,) = records.shard_paths(tmp_path / 'out[1]', 1)
    shards.write(path, [sample('a')], Clock())
    shards.finish(str(tmp_path / 'out[1]'), Layout([Part([path], [])]), 1, [made.teacher()], Settings(), '')
    assert not list((tmp_path / 'out[1]').glob('*.part'))
    assert (tmp_path / 'out1' / 'x.part').exists()

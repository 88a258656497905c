"""The same stages under Apache Beam give the same records."""

import functools
import importlib
import os
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from soundnet_tf import cli, records
from soundnet_tf.errors import MissingTool, SoundNetError
from soundnet_tf.prepare import local, manifest, stages
from soundnet_tf.prepare.stages import Settings
from tests.prepare import made, served

SETTINGS = Settings(clip_s=4, frame_every_s=2)
TWO_PROCESSES = ['--direct_num_workers=2', '--direct_running_mode=multi_processing']
HERE = Path(__file__).parents[2]


def test_without_beam(monkeypatch):
    monkeypatch.setitem(sys.modules, 'apache_beam', None)
    monkeypatch.delitem(sys.modules, 'soundnet_tf.prepare.beam', raising=False)
    words = r"on a cluster needs apache-beam, which is not installed: pip install 'soundnet_tf\[beam\]'"
    with pytest.raises(MissingTool, match=words):
        importlib.import_module('soundnet_tf.prepare.beam')


@pytest.fixture(scope='module')
def beam():
    pytest.importorskip('apache_beam', reason='apache-beam does not resolve beside the newest TensorFlow')
    from soundnet_tf.prepare import beam

    return beam


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    """Some of one clip, some of several, and two that give none."""
    home = tmp_path_factory.mktemp('videos')
    for index in range(7):
        made.video(home / f'v{index}.mp4', 2 + 1.5 * index, size=(32 + 2 * index, 32))
    (home / 'text.mp4').write_text('dear sir')
    made.video(home / 'mute.mp4', 0, 3)
    return manifest.videos([str(home)])


def teachers(run=made.softmax_of_colours):
    return [made.teacher(run=run)]


def seen_in():
    Path(os.environ['SOUNDNET_TEST_PIDS'], f'pid-{os.getpid()}').touch()
    return teachers()


def raw(report):
    return sorted(
        record.numpy() for path in records.shard_paths(report.folder, 8) for record in tf.data.TFRecordDataset(path)
    )


def same(report, other, exactly):
    """The records as a set, and all that is reported about them."""
    assert report == local.shards.dataclasses.replace(other, folder=report.folder, skipped=report.skipped)
    assert sorted(map(str, report.skipped)) == sorted(map(str, other.skipped))
    card, others = records.read_card(report.folder), records.read_card(other.folder)
    assert card == others
    if exactly:
        assert raw(report) == raw(other)
    ours, theirs = ({sample.id: sample for sample in records.read(r.folder)} for r in (report, other))
    assert ours.keys() == theirs.keys()
    for id, sample in ours.items():
        for field in ('source', 'audio', 'audio_format', 'samples', 'start_s', 'frame_times', 'kinds'):
            assert getattr(sample, field) == getattr(theirs[id], field)
        assert sample.posteriors['scenes'] == pytest.approx(theirs[id].posteriors['scenes'], abs=1e-5)


@pytest.fixture(scope='module')
def alone(videos, tmp_path_factory):
    folder = tmp_path_factory.mktemp('local')
    return local.run(videos, teachers(), folder, SETTINGS, number=8, frames_per_batch=1)


def test_one_machine_and_beam(beam, alone, videos, tmp_path):
    out = str(tmp_path / 'out')
    report = beam.run(videos, teachers, out, SETTINGS, number=8, frames_per_batch=1)
    assert report.records > 10
    same(report, alone, exactly=True)
    assert {'sound', 'frames', 'encode', 'scenes', 'write'} <= {line.split()[0] for line in report.pace.splitlines()}
    # A finished folder is left as it is; a lost shard is made again.
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / 'out').glob('*.tfrecord')}
    lost = max(times, key=lambda path: path.stat().st_size)
    lost.unlink()
    again = beam.run(videos, teachers, out, SETTINGS, number=8)
    same(again, alone, exactly=False)
    assert all(path.stat().st_mtime_ns == time for path, time in times.items() if path != lost)


@pytest.mark.slow
def test_two_processes(beam, alone, videos, tmp_path, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', str(HERE))
    monkeypatch.setenv('SOUNDNET_TEST_PIDS', str(tmp_path))
    report = beam.run(videos, seen_in, str(tmp_path / 'out'), SETTINGS, number=8, options=TWO_PROCESSES)
    same(report, alone, exactly=False)
    assert len(list(tmp_path.glob('pid-*'))) > 2, 'the one here, and two more'


def test_retry(beam, videos, tmp_path):
    path = tmp_path / 'a.mp4'
    path.write_text('dear sir')
    some = [manifest.Video('a.mp4', str(path)), *videos[3:5]]
    first = beam.run(some, teachers, str(tmp_path / 'out'), SETTINGS, number=2)
    path.write_bytes(Path(videos[2].path).read_bytes())
    again = beam.run(some, teachers, str(tmp_path / 'out'), SETTINGS, number=2, retry=True)
    assert (first.reasons, again.reasons) == ({'damaged': 1}, {})
    assert again.records > first.records


def test_buckets(beam, videos):
    """Where there is no file system, but one of TensorFlow's."""
    report = beam.run(videos[3:5], teachers, 'ram://beam_test/out/', SETTINGS, number=3)
    assert report.folder == 'ram://beam_test/out'
    assert len(list(records.read('ram://beam_test/out'))) == report.records > 0


def test_videos_of_the_web(beam, videos, tmp_path):
    with served.files() as server:
        server.files['/a.mp4'] = served.File(Path(videos[2].path).read_bytes())
        urls = [manifest.Video(name, f'{server.url}/{name}') for name in ('a.mp4', 'b.mp4')]
        report = beam.run(urls, teachers, str(tmp_path / 'out'), SETTINGS, number=1)
    assert (report.records, report.reasons) == (1, {'not fetched': 1})
    assert 'fetch' in report.pace


def broken(frames):
    raise SoundNetError('the teacher is ill')


def test_an_error_in_a_worker_stops_the_run(beam, videos, tmp_path):
    out = tmp_path / 'out'
    with pytest.raises(Exception, match='the teacher is ill'):
        beam.run(videos, functools.partial(teachers, broken), str(out), SETTINGS, number=2)
    assert not list(out.glob('*.tfrecord'))
    assert not (out / 'dataset.json').exists()
    report = beam.run(videos, teachers, str(out), SETTINGS, number=2)
    assert report.records > 10
    assert not list(out.glob('*.part'))


def test_another_plan_is_an_error(beam, alone, videos):
    with pytest.raises(SoundNetError, match='shards was 8, is 3'):
        beam.run(videos, teachers, alone.folder, SETTINGS, number=3)
    assert os.path.exists(alone.folder)


def test_options_are_passed_to_the_runner(beam):
    from apache_beam.options.pipeline_options import GoogleCloudOptions, PortableOptions, StandardOptions

    options = cli.beam_options('DataflowRunner', ['--project=p', '--region=r', '--temp_location=gs://b/t'])
    assert options.view_as(StandardOptions).runner == 'DataflowRunner'
    assert options.view_as(GoogleCloudOptions).region == 'r'
    flink = cli.beam_options('FlinkRunner', ['--flink_master=h:8081', '--environment_type=LOOPBACK'])
    assert flink.view_as(PortableOptions).environment_type == 'LOOPBACK'
    assert flink.get_all_options()['flink_master'] == 'h:8081'


def test_stages_are_the_same_functions(beam, monkeypatch, videos, tmp_path):
    called = []
    for name in ('extract', 'label'):
        plain = getattr(stages, name)
        monkeypatch.setattr(stages, name, lambda *a, plain=plain, name=name: (called.append(name), plain(*a))[1])
    beam.run(videos[3:5], teachers, str(tmp_path / 'out'), SETTINGS, number=1)
    assert set(called) == {'extract', 'label'}


@pytest.mark.parametrize(
    ('runner', 'words'),
    [
        ('NoRunner', r'ValueError: Unexpected pipeline runner: NoRunner\. Valid values are '),
        ('no.such.Runner', "ModuleNotFoundError: No module named 'no'"),
        ('FlinkRunner', 'flink-job-server.jar'),
    ],
)
def test_a_runner_that_cannot_be_started_is_one_line(beam, runner, words):
    options = ['--flink_job_server_jar=/nowhere/flink-job-server.jar'] if runner == 'FlinkRunner' else []
    with pytest.raises(SoundNetError, match=words) as caught:
        cli.run_beam(runner, options, lambda pipeline: pipeline | importlib.import_module('apache_beam').Create([1]))
    assert str(caught.value).startswith(f'{runner}: cannot be started (')
    assert str(caught.value).endswith('follow --), or use --runner=DirectRunner')
    assert '\n' not in str(caught.value)

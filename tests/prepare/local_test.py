import csv
import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from soundnet_tf import records
from soundnet_tf.audio import SAMPLE_RATE, decoding
from soundnet_tf.errors import SoundNetError
from soundnet_tf.prepare import local, manifest, plan, readers, stages
from soundnet_tf.prepare.stages import Settings
from tests.prepare import made, served

SETTINGS = Settings(clip_s=4, frame_every_s=2)
UNUSABLE = {'text.mp4': 'damaged', 'none.mp4': 'missing', 'mute.mp4': 'no sound track', 'short.mp4': 'too short'}


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    """12 videos and four that give no record, in a manifest."""
    home = tmp_path_factory.mktemp('videos')
    for index in range(12):
        made.video(home / f'v{index:02}.mp4', 2 + index / 4, size=(32 + 2 * index, 32))
    (home / 'text.mp4').write_text('dear sir')
    made.video(home / 'mute.mp4', 0, 3)
    made.video(home / 'short.mp4', 0.3)
    names = [*(f'v{index:02}.mp4' for index in range(12)), *UNUSABLE]
    (home / 'list.csv').write_text('path\n' + '\n'.join(names))
    return home


@pytest.fixture(scope='module')
def videos(home):
    return manifest.videos([str(home / 'list.csv')])


@pytest.fixture(scope='module')
def undisturbed(videos, tmp_path_factory):
    folder = tmp_path_factory.mktemp('undisturbed') / 'out'
    return local.run(videos, [made.teacher()], folder, SETTINGS)


def same(folder, other):
    """Every field equal, posteriors within 1e-5; cards and lists too."""
    folder, other = Path(folder), Path(other)
    ours, theirs = list(records.read(folder)), list(records.read(other))
    assert [sample.id for sample in ours] == [sample.id for sample in theirs]
    for a, b in zip(ours, theirs, strict=True):
        for field in dataclasses.fields(a):
            if field.name != 'posteriors':
                assert getattr(a, field.name) == getattr(b, field.name)
        assert a.posteriors.keys() == b.posteriors.keys()
        for name in a.posteriors:
            np.testing.assert_allclose(a.posteriors[name], b.posteriors[name], atol=1e-5, rtol=0)
    assert records.read_card(folder) == records.read_card(other)
    assert (folder / 'skipped.csv').read_text() == (other / 'skipped.csv').read_text()
    assert sorted(os.listdir(folder)) == sorted(os.listdir(other))


def test_the_records(undisturbed, videos):
    folder = Path(undisturbed.folder)
    assert (undisturbed.records, undisturbed.failures) == (12, 2)
    assert undisturbed.reasons == dict.fromkeys(UNUSABLE.values(), 1)
    assert str(undisturbed).startswith(f'12 records (0.01 h) of 16 videos in {folder}; 4 skipped: 1 ')
    card = records.read_card(folder)
    assert (card.records, card.shards, card.skipped) == (12, 8, undisturbed.reasons)
    assert records.read_labels(folder) == {'scenes': ('red', 'green', 'blue', 'white')}
    with open(folder / 'skipped.csv', newline='') as file:
        assert {row['id']: row['reason'] for row in csv.DictReader(file)} == UNUSABLE
    for sample in records.read(folder):
        index = int(sample.id[1:3])
        assert sample.source == next(video.path for video in videos if video.id == sample.id)
        assert len(sample.frame_times) == (1 if index < 4 else 2)
        assert sample.posteriors['scenes'].argmax(axis=1).tolist() == [0] * len(sample.frame_times)
        assert len(decoding.decode(sample.audio, sample.id)) == sample.samples
    assert not [name for name in os.listdir(folder) if name.endswith('.part')]


def test_a_record_is_in_the_shard_of_its_id(undisturbed):
    import tensorflow as tf

    for index, path in enumerate(records.shard_paths(undisturbed.folder, 8)):
        for record in tf.data.TFRecordDataset(str(path)):
            assert records.shard_of(records.parse(record.numpy(), {}).id, 8) == index


@pytest.mark.parametrize('jobs', [1, 4])
def test_the_number_of_processes_changes_nothing(undisturbed, videos, tmp_path, jobs):
    local.run(videos, [made.teacher()], tmp_path / 'out', SETTINGS, jobs=jobs)
    same(tmp_path / 'out', undisturbed.folder)


def interrupted(videos, out, error):
    """A run in which the teacher raises `error` at its third batch."""
    calls = []

    def run(frames):
        calls.append(len(frames))
        if len(calls) == 3:
            raise error
        return made.softmax_of_colours(frames)

    with pytest.raises(type(error)):
        local.run(videos, [made.teacher(run=run)], out, SETTINGS)


@pytest.mark.parametrize('error', [RuntimeError('disk on fire'), KeyboardInterrupt()])
def test_a_stopped_run_resumes(undisturbed, videos, tmp_path, error):
    out = tmp_path / 'out'
    interrupted(videos, out, error)
    assert not list(out.glob('*.part'))
    finished = {path: path.stat().st_mtime_ns for path in out.glob('*.tfrecord')}
    assert 0 < len(finished) < 8
    with pytest.raises(records.BadRecord, match='Run soundnet-prepare again to finish it'):
        records.read_card(out)
    report = local.run(videos, [made.teacher()], out, SETTINGS)
    assert (report.records, report.reasons) == (undisturbed.records, undisturbed.reasons)
    assert all(path.stat().st_mtime_ns == time for path, time in finished.items())
    same(out, undisturbed.folder)


def test_a_finished_run_is_unchanged(undisturbed, videos, monkeypatch):
    before = {p: p.stat().st_mtime_ns for p in Path(undisturbed.folder).glob('*.tfrecord')}
    monkeypatch.setattr(readers.Readers, 'read', None)
    assert local.run(videos, [made.teacher()], undisturbed.folder, SETTINGS) == undisturbed
    assert {p: p.stat().st_mtime_ns for p in Path(undisturbed.folder).glob('*.tfrecord')} == before


@pytest.mark.parametrize('lost', ['records-00003-of-00008.json', 'records-00003-of-00008.tfrecord', 'dataset.json'])
def test_missing_files_are_written_again(undisturbed, videos, tmp_path, lost):
    out = tmp_path / 'out'
    local.run(videos, [made.teacher()], out, SETTINGS)
    (out / lost).unlink()
    (out / 'records-00003-of-00008.part').write_bytes(b'half')
    if lost == 'dataset.json':
        (out / 'records-00003-of-00008.part').unlink()
    local.run(videos, [made.teacher()], out, SETTINGS)
    same(out, undisturbed.folder)


def test_relative_and_absolute_spellings_are_the_same_run(undisturbed, home, monkeypatch):
    monkeypatch.chdir(home)
    report = local.run(manifest.videos(['list.csv']), [made.teacher()], os.path.relpath(undisturbed.folder), SETTINGS)
    assert report.records == 12


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'settings': Settings(clip_s=4, frame_every_s=2, audio_format='pcm16')}, 'audio_format was mp3, is pcm16'),
        ({'teachers': [made.teacher(source='other')]}, 'teachers scenes source was colours, is other'),
        ({'teachers': [made.teacher('places')]}, 'teachers places kind was unset, is probabilities'),
        ({'number': 2}, 'shards was 8, is 2'),
    ],
)
def test_other_teachers_or_settings_are_an_error(undisturbed, videos, change, words):
    given = {'videos': videos, 'teachers': [made.teacher()], 'settings': SETTINGS} | change
    with pytest.raises(SoundNetError, match=words) as caught:
        local.run(out=undisturbed.folder, **given)
    assert '\n' not in str(caught.value)
    assert str(caught.value).endswith('Use another --out, or the same teachers and settings')


def test_invalid_output_folders(tmp_path, videos):
    def words(out):
        with pytest.raises(SoundNetError) as caught:
            local.run(videos, [made.teacher()], out, SETTINGS)
        return str(caught.value)

    (tmp_path / 'file').touch()
    assert words(tmp_path / 'file') == f'{tmp_path}/file: exists and is not a folder. Use another path'
    (tmp_path / 'half').mkdir()
    for text in ('{"videos"', '', '[]', '{}', '{"parts": [{}]}', '{"parts": 1}', '[' * 5000, '{"a": "\xff"}'):
        (tmp_path / 'half' / 'plan.json').write_text(text, encoding='latin-1')
        said = words(tmp_path / 'half')
        assert said.startswith(f'{tmp_path}/half/plan.json: cannot be read (')
        assert said.endswith(f'). Remove {tmp_path}/half to start over')
    (tmp_path / 'foreign').mkdir()
    (tmp_path / 'foreign' / 'records-00000-of-00001.tfrecord').touch()
    assert 'has records but no plan.json' in words(tmp_path / 'foreign')


def test_incomplete_sound_is_marked_and_counted(tmp_path):
    path = made.video(tmp_path / 'cut.mp4', 8, options={'movflags': 'faststart'})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    videos = [manifest.Video('cut', str(path))]
    report = local.run(videos, [made.teacher()], tmp_path / 'out', SETTINGS)
    assert str(report).startswith('2 records (0.00 h) of 1 video in ')
    assert str(report).endswith('; 1 record incomplete (clip/missing_s)')
    assert records.read_card(tmp_path / 'out').incomplete == 1
    whole, rest = sorted(records.read(tmp_path / 'out'), key=lambda sample: sample.start_s)
    assert (whole.samples, whole.missing_s) == (4 * SAMPLE_RATE, None)
    assert 4 + rest.samples / SAMPLE_RATE + rest.missing_s == pytest.approx(8, abs=0.1)
    strict = local.run(videos, [made.teacher()], tmp_path / 'strict', dataclasses.replace(SETTINGS, strict=True))
    assert (strict.records, strict.incomplete, strict.reasons, strict.failures) == (1, 0, {'incomplete': 1}, 1)


BARRIER = """
import sys, time
from soundnet_tf.errors import SoundNetError
from soundnet_tf.prepare import plan
from tests.prepare import local_test, made
import tensorflow
print('ready', flush=True)
start = float(sys.stdin.readline())
for index in range(40):
    began = start + 0.05 * index
    time.sleep(max(0, began - time.time()))
    try:
        with plan.lock(f'{sys.argv[1]}/{index}', [], [made.teacher(sys.argv[2])], local_test.SETTINGS):
            print(index, flush=True)
            time.sleep(max(0, began + 0.04 - time.time()))
    except SoundNetError as error:
        assert 'another run is writing' in str(error) or 'started with other settings' in str(error), error
"""


@pytest.mark.slow
def test_two_processes_that_start_at_once(tmp_path):
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen([sys.executable, '-c', BARRIER, str(tmp_path), name], stdin=pipe, stdout=pipe, text=True)
        for name in 'ab'
    ]
    assert [process.stdout.readline() for process in processes] == ['ready\n'] * 2
    began = f'{time.time() + 0.5}\n'
    for process in processes:
        process.stdin.write(began)
        process.stdin.flush()
    inside = [set(process.communicate()[0].split()) for process in processes]
    assert all(process.returncode == 0 for process in processes)
    assert not inside[0] & inside[1]
    assert len(inside[0] | inside[1]) == 40


def test_two_runs_at_once_are_an_error(tmp_path, videos):
    pytest.importorskip('fcntl')
    with (
        plan.lock(str(tmp_path), videos, [], SETTINGS),
        pytest.raises(SoundNetError, match='another run is writing'),
        plan.lock(str(tmp_path), videos, [], SETTINGS),
    ):
        pass
    with plan.lock(str(tmp_path), videos, [], SETTINGS):
        pass


def test_few_videos_wait_in_memory(tmp_path, monkeypatch):
    """However slow the teacher: frames of videos are large."""
    lock, read, labelled = threading.Lock(), [], []
    own, label = readers.Readers.read, stages.label

    def counted(self, video, path):
        with lock:
            read.append(video)
        return own(self, video, path)

    def slowly(clips, *arguments):
        time.sleep(0.02)
        labelled.extend(clips)
        assert len(read) - len(labelled) <= 4
        return label(clips, *arguments)

    monkeypatch.setattr(readers.Readers, 'read', counted)
    monkeypatch.setattr(stages, 'label', slowly)
    path = made.video(tmp_path / 'a.mp4', 1)
    videos = [manifest.Video(str(index), str(path)) for index in range(20)]
    report = local.run(
        videos,
        [made.teacher()],
        tmp_path / 'out',
        Settings(frame_every_s=1, clip_s=1, min_s=0.5),
        jobs=2,
        number=1,
        frames_per_batch=1,
    )
    assert report.records == 20


def test_a_name_that_is_not_utf8(tmp_path):
    (tmp_path / 'in').mkdir()
    made.video(tmp_path / 'in' / 'a.mp4', 2)
    os.rename(tmp_path / 'in' / 'a.mp4', os.fsencode(tmp_path / 'in') + b'/\xff.mp4')
    with open(os.fsencode(tmp_path / 'in') + b'/\xfe\xfe.mp4', 'wb'):
        pass
    report = local.run(manifest.videos([str(tmp_path / 'in')]), [made.teacher()], tmp_path / 'out', SETTINGS)
    assert (report.records, report.reasons) == (1, {'damaged': 1})
    assert next(records.read(tmp_path / 'out')).id == '\ufffd.mp4'
    assert '?' in (tmp_path / 'out' / 'skipped.csv').read_text()


def test_progress_resumes(videos, tmp_path, monkeypatch):
    interrupted(videos, tmp_path / 'out', RuntimeError())
    said = io.StringIO()
    said.isatty = lambda: True  # in a log file the first line comes after a minute
    monkeypatch.setattr(sys, 'stderr', said)
    local.run(videos, [made.teacher()], tmp_path / 'out', SETTINGS)
    first, *_, last = said.getvalue().replace('\r', '\n').strip().splitlines()
    assert ' 0/16' not in first
    assert '16/16' in last


def of_the_web(server, home):
    """Three videos on a server, one of them away, one on a disk, and one whose content is another."""
    for name in ('v00.mp4', 'v01.mp4', 'v02.mp4'):
        server.files[f'/{name}'] = served.File((home / name).read_bytes())
    return [
        *(manifest.Video(name, f'{server.url}/{name}') for name in ('v00.mp4', 'v01.mp4', 'none.mp4')),
        manifest.Video('v02.mp4', f'{server.url}/v02.mp4', sha256='0' * 64),
        manifest.Video('v03.mp4', str(home / 'v03.mp4')),
    ]


def test_videos_of_the_web(home, tmp_path):
    out = tmp_path / 'out'
    with served.files() as server:
        report = local.run(of_the_web(server, home), [made.teacher()], out, SETTINGS, number=2)
    assert (report.records, report.reasons, report.failures) == (3, {'not fetched': 2}, 2)
    assert {sample.id: sample.source for sample in records.read(out)} == {
        'v00.mp4': f'{server.url}/v00.mp4',
        'v01.mp4': f'{server.url}/v01.mp4',
        'v03.mp4': str(home / 'v03.mp4'),
    }
    details = {skip.id: skip.detail for skip in report.skipped}
    assert details['none.mp4'] == 'HTTP 404 Not Found'
    assert 'sha256' in details['v02.mp4']
    # Each was needed for its shard only.
    assert not [path for path in (out / 'downloads').rglob('*') if path.is_file()]


def test_a_stopped_run_reuses_its_downloads(home, tmp_path):
    out = tmp_path / 'out'
    with served.files() as server:
        videos = of_the_web(server, home)[:2]

        def stop(_):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            local.run(videos, [made.teacher(run=stop)], out, SETTINGS, number=1)
        assert server.sent() > 0
        report = local.run(videos, [made.teacher()], out, SETTINGS, number=1)
        assert (report.records, server.sent()) == (2, 0)


def test_a_run_that_stops_does_not_read_a_film_to_its_end(tmp_path, monkeypatch):
    path = made.video(tmp_path / 'long.mkv', 60, sound_codec='pcm_s16le', fps=2)
    taken, own = [], readers.Readers.read

    def counted(self, video, path):
        for clip in own(self, video, path):
            taken.append(clip)
            yield clip

    monkeypatch.setattr(readers.Readers, 'read', counted)

    def stop(_):
        raise KeyboardInterrupt

    videos = [manifest.Video(str(index), str(path)) for index in range(6)]
    settings = Settings(clip_s=1, frame_every_s=1)
    with pytest.raises(KeyboardInterrupt):
        local.run(videos, [made.teacher(run=stop)], tmp_path / 'out', settings, number=1, frames_per_batch=1, jobs=2)
    # Two processes, some clips ahead each, of 360.
    assert len(taken) < 40


def test_retry_repeats_only_failed_videos(home, tmp_path, monkeypatch):
    long = made.video(tmp_path / 'long.mkv', 9, sound_codec='pcm_s16le')
    out, own, read = tmp_path / 'out', readers.Readers.read, []
    with served.files() as server:
        videos = [*of_the_web(server, home), manifest.Video('long.mkv', str(long))]
        whole = long.read_bytes()
        long.write_bytes(b'dear sir')
        local.run(videos, [made.teacher()], out, SETTINGS, number=2)
        long.write_bytes(whole)
        server.files['/none.mp4'] = served.File((home / 'v04.mp4').read_bytes())
        monkeypatch.setattr(readers.Readers, 'read', lambda *a: (read.append(a[1].id), own(*a))[1])
        assert local.run(videos, [made.teacher()], out, SETTINGS, number=2).failures == 3
        assert read == [], 'only when it is asked for'
        report = local.run(videos, [made.teacher()], out, SETTINGS, number=2, retry=True)
        assert sorted(read) == ['long.mkv', 'none.mp4']
        assert report.reasons == {'not fetched': 1}
        monkeypatch.undo()
        fresh = local.run(videos, [made.teacher()], tmp_path / 'fresh', SETTINGS, number=2)
    assert report.records == fresh.records == 4 + 3
    ours, theirs = (sorted(records.read(folder), key=lambda s: s.id) for folder in (out, tmp_path / 'fresh'))
    assert [(s.id, s.audio, s.start_s) for s in ours] == [(s.id, s.audio, s.start_s) for s in theirs]
    assert records.read_card(out) == records.read_card(tmp_path / 'fresh')


def test_a_long_video_and_short_ones(home, tmp_path):
    """More clips than may wait in memory, in the middle of others; the threads do not wait for each other for ever."""
    made.video(tmp_path / 'long.mkv', 50, sound_codec='pcm_s16le', fps=2)
    names = ['v00.mp4', 'v01.mp4', 'v02.mp4']
    videos = [manifest.Video(name, str(home / name)) for name in names]
    videos[1:1] = [manifest.Video(name, str(tmp_path / 'long.mkv')) for name in ('a.mkv', 'b.mkv', 'c.mkv')]
    settings = Settings(clip_s=2, frame_every_s=2, max_clips=None)
    report = local.run(videos, [made.teacher()], tmp_path / 'out', settings, number=1, jobs=2)
    samples = list(records.read(tmp_path / 'out'))
    assert report.records == len(samples) == 3 * 25 + sum(sample.id.startswith('v') for sample in samples)
    assert [sample.id for sample in samples if sample.id.startswith('b')][:3] == ['b.mkv', 'b.mkv#t=2', 'b.mkv#t=4']
    seen = [int(sample.posteriors['scenes'][0].argmax()) for sample in samples if sample.id.startswith('c')]
    assert seen == [int((2 * index + 1) / 5) % 4 for index in range(25)]


RUN = """
import sys, time
from soundnet_tf import cli
from soundnet_tf.prepare import local, manifest
from tests.prepare import local_test, made

def slowly(frames):
    time.sleep(1.0)
    return made.softmax_of_colours(frames)

def main(arguments):
    local.run(manifest.videos(arguments), [made.teacher(run=slowly)], sys.argv[2], local_test.SETTINGS)

sys.argv = ['soundnet-prepare', *sys.argv[1:]]
cli.run(lambda arguments: main(arguments[:1]), 'none', '')
"""


@pytest.mark.slow
@pytest.mark.parametrize('how', [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_resumes(undisturbed, home, videos, tmp_path, how):
    out = tmp_path / 'out'
    command = [sys.executable, '-c', RUN, str(home / 'list.csv'), str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while len(list(out.glob('*.tfrecord'))) < 3 and process.poll() is None:
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    drafts = list(out.glob('*.part'))
    assert 3 <= len(list(out.glob('*.tfrecord'))) < 8
    assert not (out / 'dataset.json').exists()
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert said.splitlines()[-1] == 'soundnet-prepare: stopped; finished outputs are kept'
        assert not drafts
    else:
        assert drafts
    assert [part['shards'] for part in json.loads((out / 'plan.json').read_text())['parts']] == [8]
    local.run(videos, [made.teacher()], out, SETTINGS)
    same(out, undisturbed.folder)


KILLED = """
import json, os, random, signal, sys, time
from pathlib import Path
import tensorflow as tf
from soundnet_tf.prepare import local, manifest, readers
from tests.prepare import local_test, made

def slowly(frames):
    time.sleep(0.2)
    return made.softmax_of_colours(frames)

readers.Readers.read = made.read_here
videos, out = manifest.videos([sys.argv[1]]), Path(sys.argv[2])
finished, rounds, chance = {}, 0, random.Random(int(sys.argv[3]))
while not (out / 'dataset.json').exists():
    child = os.fork()
    if not child:
        sys.stderr = open(os.devnull, 'w')
        local.run(videos, [made.teacher(run=slowly)], out, local_test.SETTINGS)
        os._exit(0)
    time.sleep(chance.uniform(0, 0.6))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    rounds += 1
    seen = {path: path.stat().st_mtime_ns for path in out.glob('*.tfrecord')}
    assert all(seen.get(path) == time_ns for path, time_ns in finished.items()), 'something was done twice'
    finished = seen
    for path in seen:
        about = json.loads(path.with_suffix('.json').read_text())
        # With a checksum for each record: nothing is half.
        assert os.path.getsize(path) == 0 or about['records']
        print(path.name, path.stat().st_size)
    assert rounds < 200
print(rounds)
"""


@pytest.mark.slow
@pytest.mark.parametrize('seed', [1])
def test_killed_at_random_moments_until_it_is_done(undisturbed, home, tmp_path, seed):
    """In a process that forks and reads by itself, so that each start is quick."""
    out = tmp_path / 'out'
    command = [sys.executable, '-c', KILLED, str(home / 'list.csv'), str(out), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    *seen, rounds = done.stdout.splitlines()
    assert int(rounds) > 2
    sizes = {path.name: path.stat().st_size for path in out.glob('*.tfrecord')}
    assert set(seen) <= {f'{name} {size}' for name, size in sizes.items()}, 'a half shard was seen'
    same(out, undisturbed.folder)


TWO_HOURS = """
import dataclasses, resource, sys, time
from soundnet_tf.prepare import local, manifest
from soundnet_tf.prepare.stages import Settings
from tests.prepare import made

def slowly(frames):
    # Slower than the film is read, so that all of it would come together if it could.
    time.sleep(0.05)
    return made.softmax_of_colours(frames)

def peak(path, out):
    # Frames of 256 pixels, 1 MB for each clip.
    teacher = dataclasses.replace(made.teacher(run=slowly), size=224)
    videos, settings = [manifest.Video('film', path)], Settings(audio_format='pcm16')
    report = local.run(videos, [teacher], out, settings, frames_per_batch=4)
    return report.records, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

# One after the other: the peak only rises.
print(*peak(sys.argv[1], sys.argv[3] + '/short'), *peak(sys.argv[2], sys.argv[3] + '/long'))
"""


def film(path, seconds):
    """Sound, and a picture every two seconds, of any length, quickly written."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mpeg4', rate=Fraction(1, 2))
        stream.width, stream.height, stream.pix_fmt = 320, 240, 'yuv420p'
        track = container.add_stream('pcm_s16le', rate=8000, layout='mono')
        noise = (made.sound(10, 8000) * 32767).astype(np.int16)
        for index in range(0, seconds, 10):
            sound = av.AudioFrame.from_ndarray(noise[None], format='s16', layout='mono')
            sound.sample_rate, sound.pts = 8000, index * 8000
            container.mux(track.encode(sound))
            for second in range(index, index + 10, 2):
                picture = av.VideoFrame.from_ndarray(made.picture(second, 1, (320, 240)))
                picture.pts = second // 2
                container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


@pytest.mark.slow
def test_a_film_of_two_hours_takes_little_memory(tmp_path):
    short, long = film(tmp_path / 'short.mkv', 20), film(tmp_path / 'long.mkv', 7200)
    command = [sys.executable, '-c', TWO_HOURS, str(short), str(long), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    of_short, before, of_long, after = map(int, done.stdout.split())
    assert (of_short, of_long) == (1, 360)
    assert after - before < 300, 'MB'
    seen = [sample.posteriors['scenes'].argmax(axis=1).tolist() for sample in records.read(tmp_path / 'long')]
    assert seen == [[0, 1, 2, 3]] * 360

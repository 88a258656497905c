"""The command soundnet-prepare, and real videos where there are some."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import numpy as np
import pytest
from absl import flags
from soundnet_tf.bin import prepare

from soundnet_tf import records
from soundnet_tf.audio import decoding
from soundnet_tf.errors import SoundNetError
from soundnet_tf.prepare.sound import encode
from soundnet_tf.testing import noise
from tests.prepare import made
from tests.prepare.local_test import same

RUN = "import sys; from soundnet_tf.bin import prepare; sys.argv[0] = 'soundnet-prepare'; prepare.run()"
COMMAND = [sys.executable, '-c', RUN]
ROOT = Path(__file__).parents[2]


def call(*arguments, cwd):
    environment = os.environ | {'PYTHONPATH': str(ROOT)}
    done = subprocess.run([*COMMAND, *arguments], cwd=cwd, capture_output=True, text=True, env=environment)
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def main(*arguments):
    """Without the start of TensorFlow in a new process."""
    videos = flags.FLAGS(['soundnet-prepare', *map(str, arguments)])[1:]
    try:
        return prepare.main(videos)
    finally:
        flags.FLAGS.unparse_flags()
        for flag in flags.FLAGS.flags_by_module_dict()[prepare.__name__]:
            flag.unparse()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Two videos, and ready posteriors of them: no network has to be made."""
    (tmp_path / 'videos').mkdir()
    (tmp_path / 'seen').mkdir()
    for name in ('a.mp4', 'b.mp4'):
        made.video(tmp_path / 'videos' / name, 3)
        np.save(tmp_path / 'seen' / f'{name}.npy', np.full([1, 4], 0.25, np.float32))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_all_became_records(home, capsys):
    assert main('videos', '--out=out', '--teacher=scenes=seen', '--audio=pcm16', '--shards=2', '--jobs=1') == 0
    assert capsys.readouterr().out == '2 records (0.00 h) of 2 videos in out\n'
    card = records.read_card('out')
    assert (card.audio_format, card.shards, card.teachers['scenes'].classes) == ('pcm16', 2, 4)


def test_silent_videos_exit_with_0_and_damaged_ones_with_1(home, capsys):
    made.video(home / 'videos' / 'c.mp4', 0, 3)
    assert main('videos', '--out=out', '--teacher=scenes=seen') == 0
    assert 'skipped: 1 no sound track (listed in out/skipped.csv)' in capsys.readouterr().out
    (home / 'videos' / 'd.mp4').write_text('dear sir')
    assert main('videos', '--out=out2', '--teacher=scenes=seen') == 1
    assert '2 records (0.00 h) of 4 videos in out2; 2 skipped: 1 no sound track, 1 damaged' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (
            ['--out=out', '--teacher=scenes=seen'],
            'no input: pass a folder, a glob, video files, web addresses or a CSV manifest',
        ),
        (['videos', '--teacher=scenes=seen'], '--out and at least one --teacher are required'),
        (['videos', '--out=out'], '--out and at least one --teacher are required'),
        (
            ['videos', '--out=out', '--teacher=scenes=seen', '--runner=DirectRunner', '--jobs=2'],
            '--jobs and --downloads do not work with --runner',
        ),
        (['nowhere', '--out=out', '--teacher=scenes=seen'], 'nowhere: no such file or folder'),
        (['videos', '--out=out', '--teacher=scenes=seen', '--teacher=scenes=seen'], 'two teachers have the same name'),
        (['videos', '--out=out', '--teacher=seen'], "teacher 'seen': invalid. Use NAME=WHERE"),
        (
            ['videos', '--out=out', '--teacher=scenes=seen', '--clip_s=3'],
            'clip_s 3.0, frame_every_s 5.0: ',
        ),
    ],
)
def test_mistakes_leave_nothing_behind(home, arguments, words):
    with pytest.raises(SoundNetError, match=words):
        main(*arguments)
    assert not (home / 'out').exists()


def test_sounds_do_where_posteriors_are_ready(home, capsys):
    (home / 'sounds').mkdir()
    for name in ('a.mp3', 'b.wav'):
        (home / 'sounds' / name).write_bytes(encode(noise(3), 'mp3'))
        np.save(home / 'seen' / f'{name[0]}.npy', np.full([1, 4], 0.25, np.float32))
    assert main('sounds', '--out=out', '--teacher=scenes=seen') == 0
    assert capsys.readouterr().out == '2 records (0.00 h) of 2 videos in out\n'


def test_inspect(home, capsys):
    assert main('videos', '--out=out', '--teacher=scenes=seen', '--shards=1') == 0
    capsys.readouterr()
    assert main('--inspect=out/records-00000-of-00001.tfrecord') == 0
    out = capsys.readouterr().out
    assert out.count('  sound     ') == 2
    assert '  scenes    at  1.50 s: class 3 25.0%' in out


def test_under_beam(home, capsys, monkeypatch):
    pytest.importorskip('apache_beam')
    monkeypatch.setattr(prepare, 'OPTIONS', ['--direct_num_workers', '1'])
    assert main('videos', '--out=out', '--teacher=scenes=seen', '--runner=DirectRunner') == 0
    assert capsys.readouterr().out == '2 records (0.00 h) of 2 videos in out\n'


def test_videos_that_failed_are_tried_again(home, capsys):
    good = (home / 'videos' / 'b.mp4').read_bytes()
    (home / 'videos' / 'b.mp4').write_text('dear sir')
    assert main('videos', '--out=out', '--teacher=scenes=seen') == 1
    (home / 'videos' / 'b.mp4').write_bytes(good)
    assert main('videos', '--out=out', '--teacher=scenes=seen', '--retry') == 0
    assert capsys.readouterr().out.splitlines()[-1] == '2 records (0.00 h) of 2 videos in out'


@pytest.mark.slow
def test_as_a_user_runs_it(home):
    (home / 'list.csv').write_text('path\nvideos/a.mp4\nvideos/none.mp4\n')
    (home / 'seen' / 'videos').mkdir()
    (home / 'seen' / 'a.mp4.npy').rename(home / 'seen' / 'videos' / 'a.mp4.npy')
    status, out, err = call('list.csv', '--out=out', '--teacher=scenes=seen', cwd=home)
    assert status == 1
    assert out == ['1 record (0.00 h) of 2 videos in out; 1 skipped: 1 missing (listed in out/skipped.csv)']
    assert not any(line.startswith('preparing') for line in err), 'a log file has no line of less than a minute'
    assert any(line.startswith('encode ') for line in err)
    assert (home / 'out' / 'skipped.csv').read_text().splitlines() == [
        'id,path,reason,detail',
        f'videos/none.mp4,{home}/videos/none.mp4,missing,No such file or directory',
    ]


def test_mistakes_as_a_user_sees_them(home):
    status, out, err = call('videos/*.avi', '--out=out', '--teacher=scenes=seen', cwd=home)
    assert (status, out) == (2, [])
    assert err == [
        'soundnet-prepare: videos/*.avi: no videos. '
        'Pass a folder, a glob, a video or a CSV with a path column'
    ]  # fmt: skip
    status, out, err = call('videos', cwd=home)
    assert status == 2
    assert len(err) == 1
    status, out, err = call('videos', '--out=out', '--teacher=scenes=seen', '--', '--project', 'p', cwd=home)
    assert status == 2
    assert err == [
        'soundnet-prepare: --project after --: options of Apache Beam need a runner. Pass --runner'
    ]  # fmt: skip


@pytest.fixture(scope='module')
def data():
    if 'SOUNDNET_DATA' not in os.environ:
        pytest.skip('SOUNDNET_DATA names no folder with videos/ and teachers/')
    return Path(os.environ['SOUNDNET_DATA']).absolute()


def flags_of(data):
    teachers = data / 'teachers'
    return [
        f'--teacher=imagenet={teachers}/imagenet_mobilenet_v2_uint8.tflite,labels={teachers}/imagenet_labels.txt',
        f'--teacher=places={teachers}/places365_squeezenet_fp16.tflite,labels={teachers}/places365_labels.txt',
    ]


@pytest.fixture(scope='module')
def real(data, tmp_path_factory):
    """Records of the real videos, made without a disturbance."""
    out = tmp_path_factory.mktemp('real') / 'out'
    assert main(data / 'videos', f'--out={out}', *flags_of(data)) == 0
    return out


@pytest.mark.slow
def test_real_videos(real):
    card = records.read_card(real)
    assert card.records == 23
    assert card.hours == pytest.approx(0.06, abs=0.01)
    assert card.skipped == {'silent': 1, 'no sound track': 1}
    assert {name: teacher.classes for name, teacher in card.teachers.items()} == {'imagenet': 1000, 'places': 365}
    labels = records.read_labels(real)
    best = {}
    for sample in records.read(real):
        if sample.start_s:
            continue
        assert len(decoding.decode(sample.audio, sample.id)) == sample.samples
        for name, values in sample.posteriors.items():
            assert values.sum(axis=1) == pytest.approx(1, abs=1e-3)
            top = values.mean(axis=0).argsort()[:-4:-1]
            best[sample.id, name] = ' '.join(labels[name][index] for index in top)
    # What a person sees there: the frames reach the teachers as they should.
    for id, name, seen in (
        ('dog_video_02677.mp4', 'imagenet', 'beagle'),
        ('drum_video_02480.mp4', 'imagenet', 'drumstick'),
        ('boat.mp4', 'imagenet', 'boathouse'),
        ('v_GGSY1Qvo990.mp4', 'imagenet', 'barbell'),
        ('baby_video_01951.mp4', 'imagenet', 'diaper'),
        ('boat.mp4', 'places', 'harbor'),
        ('chaplin.mp4', 'places', 'crosswalk'),
        ('big_buck_bunny_0_30.webm', 'places', 'field'),
        ('video_with_failing_audio.mp4', 'places', 'sky'),
    ):
        assert seen in best[id, name], (id, name, best[id, name])


@pytest.mark.slow
def test_real_videos_with_a_kill_in_the_middle(data, real, tmp_path):
    out = tmp_path / 'out'
    environment = os.environ | {'PYTHONPATH': str(ROOT)}
    command = [*COMMAND, str(data / 'videos'), f'--out={out}', '--jobs=1', *flags_of(data)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
    while len(list(out.glob('*.tfrecord'))) < 3 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (out / 'dataset.json').exists()
    assert main(data / 'videos', f'--out={out}', *flags_of(data)) == 0
    same(out, real)

"""A folder of records grows: videos are added and removed, and what was written stays as it is."""

import json
import shutil

import pytest

from soundnet_tf import records
from soundnet_tf.errors import SoundNetError
from soundnet_tf.prepare import local, plan, readers, shards, stages
from soundnet_tf.prepare.manifest import Skipped, Video
from soundnet_tf.prepare.stages import Settings
from tests.prepare import made

SETTINGS = Settings(clip_s=1, frame_every_s=1, audio_format='pcm16')


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    """Ten names of one video."""
    path = made.video(tmp_path_factory.mktemp('videos') / 'a.mp4', 1, size=(32, 32))
    return [Video(f'v{index}', str(path)) for index in range(10)]


def run(videos, out, **options):
    return local.run(videos, [made.teacher()], out, SETTINGS, **options)


@pytest.fixture(scope='module')
def begun(videos, tmp_path_factory):
    out = tmp_path_factory.mktemp('begun') / 'out'
    run(videos[:4], out, number=2)
    return out


@pytest.fixture
def out(begun, tmp_path):
    shutil.copytree(begun, tmp_path / 'out')
    return tmp_path / 'out'


def content(out):
    return {path.name: path.read_bytes() for path in out.glob('records-*')}


def ids(out):
    return sorted(sample.id for sample in records.read(out))


def test_videos_are_added_in_new_shards(videos, out):
    before = content(out)
    report = run(videos, out)
    assert (report.videos, report.records, report.removed) == (10, 10, 0)
    after = content(out)
    assert {name: after[name] for name in before} == before
    assert sorted(set(after) - set(before)) == ['records-00002-of-00003.json', 'records-00002-of-00003.tfrecord']
    assert ids(out) == [video.id for video in videos]
    card = records.read_card(out)
    assert (card.shards, card.parts, card.records) == (3, (2, 3), 10)
    # Nothing is new any more.
    assert run(videos, out).records == 10
    assert content(out) == after
    more = [*videos, Video('w', videos[0].path)]
    assert run(more, out, number=2).records == 11
    assert records.read_card(out).parts == (2, 3, 5)
    assert ids(out) == ['v0', *(video.id for video in videos[1:]), 'w']


def test_removed_videos_are_reported_and_their_records_stay(videos, out):
    before = content(out)
    report = run([videos[1], videos[5]], out)
    assert (report.videos, report.records, report.removed) == (2, 5, 3)
    assert str(report).endswith('; 3 videos no longer listed, whose records stay')
    assert content(out).items() >= before.items()
    assert run(videos[:6], out).removed == 0
    assert ids(out) == ['v0', 'v1', 'v2', 'v3', 'v4', 'v5']


def test_a_removed_video_is_left_out_of_shards_that_are_not_written(videos, tmp_path):
    with plan.lock(str(tmp_path), videos[:4], [made.teacher()], SETTINGS, 2):
        pass
    report = run(videos[1:6], tmp_path)
    assert (report.removed, report.gone, ids(tmp_path)) == (0, 1, ['v1', 'v2', 'v3', 'v4', 'v5'])
    assert str(report).endswith('; 1 video no longer listed, whose shards had to be written without them')


@pytest.mark.parametrize('damage', [None, '{', '{"records": 1e400}'])
def test_a_lost_summary_costs_no_record(damage, videos, out):
    before = ids(out)
    for path in out.glob('records-*.json'):
        path.write_text(damage) if damage else path.unlink()
    report = run([videos[1], videos[5]], out)
    assert (report.records, report.removed, report.gone) == (5, 3, 0)
    assert ids(out) == [*before, 'v5']
    # The same as before, and finished.
    assert run([videos[1], videos[5]], out) == report


def test_records_that_are_lost_are_not_said_to_stay(videos, out):
    shard = max(out.glob('*.tfrecord'), key=lambda path: path.stat().st_size)
    lost = {sample.id for sample in records.read_shard(shard, {})}
    left = set(ids(out)) - lost
    shard.unlink()
    report = run([videos[5]], out)
    assert (report.gone, report.removed) == (len(lost), len(left))
    assert ids(out) == sorted([*left, 'v5'])


def test_videos_of_another_path_are_an_error(videos, out):
    moved = [Video(video.id, '/elsewhere/a.mp4') for video in videos[:2]]
    words = (
        rf'2 videos have another path or sha256 than when they were added; v0 had the path {videos[0].path}, now /else'
    )
    with pytest.raises(SoundNetError, match=words):
        run([*moved, *videos[2:]], out)
    with pytest.raises(SoundNetError, match=r'v1 had another sha256\. Use other ids for them, or another --out'):
        run([Video('v1', videos[1].path, '0' * 64)], out)


def test_a_damaged_list_is_an_error(videos, out):
    (out / 'videos-00000.jsonl').write_text('["v0"]\n')
    words = r'videos-00000.jsonl: cannot be read \(it is not the list that was written\)\. Remove .*out to start over'
    with pytest.raises(SoundNetError, match=words):
        run(videos, out)


def test_a_kill_while_videos_are_added(videos, out, monkeypatch):
    monkeypatch.setattr(shards, 'write', lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run(videos[:6], out)
    monkeypatch.undo()
    assert run(videos, out).records == 10
    assert records.read_card(out).parts == (2, 3, 4)


def test_what_was_left_out_is_listed(videos, out):
    row = Skipped('=1+1', '', 'bad row', 'list.csv: line 3 has no path')
    report = run(videos[:4], out, left_out=[row])
    assert (report.failures, report.reasons) == (1, {'bad row': 1})
    assert (out / 'skipped.csv').read_text().splitlines()[1] == "'=1+1,,bad row,list.csv: line 3 has no path"
    assert records.read_card(out).skipped == {'bad row': 1}


@pytest.mark.parametrize(
    'text', ['', '[]', '{"skipped": 1}', '[' * 9000, '\xff', '{"records": 1}', '{"records": [], "bytes": {}}', 'half']
)
def test_a_damaged_summary_is_a_missing_shard(videos, out, text):
    path = next(out.glob('records-*.json'))
    if text == 'half':
        text = json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != 'skipped'})
    path.write_text(text, encoding='latin-1')
    assert run(videos[:4], out).records == 4


def test_one_video_never_ends_the_run(videos, tmp_path, monkeypatch):
    real = stages.sound.waveforms

    def waveforms(path, *arguments):
        if path.endswith('odd.mp4'):
            raise AttributeError("'NoneType' has no\nattribute")
        return real(path, *arguments)

    monkeypatch.setattr(readers.Readers, 'read', made.read_here)
    monkeypatch.setattr(stages.sound, 'waveforms', waveforms)
    (tmp_path / 'odd.mp4').touch()
    report = run([Video('odd', str(tmp_path / 'odd.mp4')), videos[0]], tmp_path / 'out', number=1)
    assert (report.records, report.failures) == (1, 1)
    (skip,) = report.skipped
    assert (skip.id, skip.reason, skip.detail) == ('odd', 'error', "AttributeError: 'NoneType' has no attribute")
    for error in (KeyboardInterrupt(), SystemExit(3)):
        monkeypatch.setattr(stages.sound, 'waveforms', lambda *_, error=error: (_ for _ in ()).throw(error))
        with pytest.raises(type(error)):
            run(videos[:1], tmp_path / type(error).__name__)

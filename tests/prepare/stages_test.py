import dataclasses
import functools
import re

import numpy as np
import pytest

from soundnet_tf.audio import SAMPLE_RATE, decoding, to_float
from soundnet_tf.errors import SoundNetError
from soundnet_tf.prepare import stages
from soundnet_tf.prepare.manifest import Video
from soundnet_tf.prepare.media import Unusable
from soundnet_tf.prepare.pace import Clock
from soundnet_tf.prepare.pictures import unit_middles
from soundnet_tf.prepare.stages import Settings, Skipped, VideoClip
from tests.prepare import made


def read(**settings):
    return functools.partial(stages.read, settings=Settings(**settings), side=32, clock=Clock())


def extract(path, **settings):
    return list(stages.extract(Video('it', str(path)), lambda: str(path), read(**settings)))


def test_a_clip(tmp_path):
    (clip,) = extract(made.video(tmp_path / 'a.mp4', 11))
    assert isinstance(clip, VideoClip)
    assert clip.frame_times == pytest.approx((2.5, 7.5), abs=0.01)
    assert [made.colour_of(frame) for frame in clip.frames] == [0, 1]
    decoded = decoding.decode(clip.audio, 'it')
    assert len(decoded) == clip.samples == pytest.approx(11 * SAMPLE_RATE, abs=600)
    late, alike = made.shift(decoded, made.sound(11, SAMPLE_RATE))
    assert abs(late) < 4
    assert alike > 0.97


def test_pcm16(tmp_path):
    (clip,) = extract(made.video(tmp_path / 'a.mp4', 3), audio_format='pcm16')
    assert len(clip.audio) == 2 * clip.samples


@pytest.mark.parametrize(
    ('options', 'reason', 'detail'),
    [
        ({'seconds': 0.3}, 'too short', r'0.3\d s of sound, less than 1.0 s'),
        ({'wave': np.zeros(3 * 44_100, np.float32)}, 'silent', 'the loudest sample is 0.0e.00 of full scale'),
        (
            {'wave': np.full(3 * 44_100, 5e-5, np.float32), 'sound_codec': 'pcm_s16le'},
            'silent',
            r'6.\de-05 of full scale',
        ),
        ({'seconds': 0, 'picture_s': 3}, 'no sound track', ''),
        ({'picture_s': 0}, 'no picture', 'only sound. Use the video, or teachers that listen'),
    ],
)
def test_skipped(tmp_path, options, reason, detail):
    path = made.video(tmp_path / 'a.mkv', **({'seconds': 3} | options))
    (skipped,) = extract(path)
    assert skipped == Skipped('it', str(path), reason, skipped.detail)
    assert re.search(detail, skipped.detail)


def test_a_long_video_becomes_consecutive_clips(tmp_path):
    path = made.video(tmp_path / 'a.mkv', 23.6, sound_codec='pcm_s16le')
    clips = extract(path, clip_s=10, audio_format='pcm16', min_s=2)
    assert [(clip.start_s, clip.first_frame, clip.samples / SAMPLE_RATE) for clip in clips] == [
        (0, 0, 10),
        (10, 2, 10),
        (20, 4, pytest.approx(3.6, abs=0.01)),
    ]
    assert [clip.frame_times for clip in clips] == [(2.5, 7.5), (2.5, 7.5), (pytest.approx(1.8, abs=0.01),)]
    assert [[made.colour_of(frame) for frame in clip.frames] for clip in clips] == [[0, 1], [2, 3], [0]]
    assert [stages.clip_id(clip.video, clip.start_s) for clip in clips] == ['it', 'it#t=10', 'it#t=20']
    joined = to_float(np.frombuffer(b''.join(clip.audio for clip in clips), '<i2'))
    late, alike = made.shift(joined, made.sound(23.6, SAMPLE_RATE))
    assert late == 0
    assert alike > 0.98


def test_the_short_rest_of_a_long_video_is_dropped(tmp_path):
    path = made.video(tmp_path / 'a.mkv', 20.6)
    assert [clip.start_s for clip in extract(path, clip_s=10)] == [0, 10]
    assert [clip.start_s for clip in extract(path, clip_s=10, min_s=0.5)] == [0, 10, 20]
    assert [clip.start_s for clip in extract(path, clip_s=5, max_clips=1)] == [0]


def test_what_comes_before_the_damage_is_used(tmp_path):
    path = made.video(tmp_path / 'a.mp4', 30, options={'movflags': 'faststart'}, fps=1)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    clips = extract(path, clip_s=5)
    assert 3 <= len(clips) <= 5
    assert [clip.missing_s for clip in clips[:-1]] == [None] * (len(clips) - 1)
    there = sum(clip.samples for clip in clips) / SAMPLE_RATE
    assert there + clips[-1].missing_s == pytest.approx(30, abs=0.1)
    *strictly, skipped = extract(path, clip_s=5, strict=True)
    assert [clip.audio for clip in strictly] == [clip.audio for clip in clips[: len(strictly)]]
    assert skipped == Skipped(f'it#t={5 * len(strictly)}', str(path), 'incomplete', skipped.detail)
    assert re.match(r'cut short \([\d.]+ s, at [\d.]+ s\)\. Copy or download it again', skipped.detail)


def test_sound_that_sets_in_late(tmp_path):
    path = made.video(tmp_path / 'a.mkv', 8, picture_s=20, sound_at_s=12.0, sound_codec='pcm_s16le')
    silent, also, third, fourth = extract(path, clip_s=5)
    assert [(skip.id, skip.reason) for skip in (silent, also)] == [('it', 'silent'), ('it#t=5', 'silent')]
    assert [clip.start_s for clip in (third, fourth)] == [10, 15]


def test_ready_rows_stay_with_the_sound():
    """Row r of a whole video stands for its seconds 5 r to 5 r + 5; so do the times of the clip's frames."""
    settings = Settings(clip_s=15, frame_every_s=5)
    per_clip = len(unit_middles(settings.clip_s, settings.frame_every_s))
    for index in range(500):
        times = [15 * index + time for time in unit_middles(15, 5)]
        assert [int(time // 5) for time in times] == list(range(index * per_clip, (index + 1) * per_clip))


def test_silent_parts_of_a_long_video_are_skipped_by_name(tmp_path):
    wave = np.concatenate([made.sound(4.9), np.zeros(229_320, np.float32), made.sound(4.9)])
    path = made.video(tmp_path / 'a.mov', 15, wave=wave, sound_codec='pcm_s16le')
    first, silent, last = extract(path, clip_s=5)
    assert (first.start_s, last.start_s) == (0, 10)
    assert (silent.id, silent.reason) == ('it#t=5', 'silent')


def test_a_missing_file():
    def file():
        raise Unusable('not fetched', 'HTTP 404 Not Found')

    video = Video('it', 'https://nowhere/a.mp4')
    assert list(stages.extract(video, file, read())) == [
        Skipped('it', 'https://nowhere/a.mp4', 'not fetched', 'HTTP 404 Not Found')
    ]


def test_invalid_settings():
    with pytest.raises(SoundNetError, match='as long as the time between frames, or longer'):
        Settings(clip_s=3, frame_every_s=5)
    with pytest.raises(SoundNetError, match='min_s 30: longer than clip_s'):
        Settings(min_s=30)
    with pytest.raises(SoundNetError, match=r'clip_s 7.3: not a multiple of frame_every_s 2.1, .*Use 6.3, or'):
        Settings(clip_s=7.3, frame_every_s=2.1)
    assert Settings(clip_s=7.3, frame_every_s=2.1, max_clips=1).clip_s == 7.3
    for wrong in ({'clip_s': float('inf')}, {'max_clips': 0}):
        with pytest.raises(SoundNetError):
            Settings(**wrong)


def clip(id, frames):
    pictures = tuple(made.picture(5 * frame, 1, (32, 32)) for frame in range(frames))
    return VideoClip(
        Video(id, f'/{id}'),
        *(0.0, 0, b'mp3', 5),
        tuple(5.0 * frame + 2.5 for frame in range(frames)),
        pictures,
        np.zeros(5, np.float32),
    )


def test_frames_of_many_videos_go_to_a_teacher_in_one_batch():
    batches = []

    def run(frames):
        batches.append(len(frames))
        return made.softmax_of_colours(frames)

    samples = stages.label([clip('a', 1), clip('b', 3), clip('c', 2)], [made.teacher(run=run)], Settings(), Clock())
    assert batches == [6]
    assert [sample.id for sample in samples] == ['a', 'b', 'c']
    assert [sample.posteriors['scenes'].argmax(axis=1).tolist() for sample in samples] == [[0], [0, 1, 2], [0, 1]]
    assert [sample.frame_times for sample in samples] == [(2.5,), (2.5, 7.5, 12.5), (2.5, 7.5)]
    assert {sample.kinds['scenes'] for sample in samples} == {'probabilities'}


class Told:
    """A teacher with scripted outputs."""

    name, labels, kind, source, side = 'scripted', ('x', 'y'), 'logits', '', 0

    def __init__(self, *answers):
        self.answers = answers

    def look(self, views):
        return [np.zeros([a, 2], np.float32) if isinstance(a, int) else a for a in self.answers]


def test_a_clip_without_posteriors_is_skipped_with_the_reason():
    clips = [clip('a', 2), clip('b', 2), clip('c', 2), clip('d', 2)]
    a, b, c, d = stages.label(clips, [made.teacher(), Told(2, 'no file', 1, 5)], Settings(), Clock())
    assert a.posteriors['scripted'].shape == (2, 2)
    assert a.kinds == {'scenes': 'probabilities', 'scripted': 'logits'}
    assert (b.reason, b.detail) == ('no posteriors', 'scripted: no file')
    assert (c.reason, c.detail) == ('no posteriors', 'scripted: 1 rows for 2 frames')
    assert d.posteriors['scripted'].shape == (2, 2)


class Wrong(Told):
    """A teacher of the user's own, without the care that ours take."""

    def look(self, views):
        return [np.full([view.count, 2], np.nan, np.float32) for view in views]


def test_nan_never_gets_into_a_record():
    (skipped,) = stages.label([clip('a', 2)], [Wrong()], Settings(), Clock())
    assert (skipped.reason, skipped.detail) == ('no posteriors', 'scripted: the teacher returned NaN')


def test_clips_of_a_long_video_show_teachers_which_frames_they_are():
    shown = []

    class Noting(Told):
        def look(self, views):
            shown.extend(views)
            return super().look(views)

    pictures = clip('a', 2)
    late = dataclasses.replace(pictures, start_s=40.0, first_frame=8)
    sample = stages.label([pictures, late], [Noting(2, 2)], Settings(), Clock())[1]
    assert [(view.id, view.first, view.count, len(view.frames)) for view in shown] == [('a', 0, 2, 2), ('a', 8, 2, 2)]
    assert (sample.id, sample.start_s) == ('a#t=40', 40.0)


def test_batches_of_frames():
    """No more wait than are asked for, but for those of one clip; what was skipped passes by."""
    batches = []

    def run(frames):
        batches.append(len(frames))
        return made.softmax_of_colours(frames)

    clips = [clip('a', 3), Skipped('b', '/b', 'silent'), clip('c', 2), clip('d', 1), clip('e', 6), clip('f', 1)]
    done = list(stages.labelled(clips, [made.teacher(run=run)], Settings(), Clock(), 4))
    assert batches == [5, 7, 1]
    assert sorted(item.id for item in done) == list('abcdef')

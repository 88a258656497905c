import re

import numpy as np
import pytest

from soundnet_tf import decoding
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import SoundNetError
from soundnet_tf.prepare import stages
from soundnet_tf.prepare.manifest import Video
from soundnet_tf.prepare.stages import Clip, Settings, Skipped
from tests.prepare import made


def extract(path, **settings):
    return stages.extract(Video('it', str(path)), Settings(**settings), side=32)


def test_a_clip(tmp_path):
    clip = extract(made.video(tmp_path / 'a.mp4', 11))
    assert isinstance(clip, Clip)
    assert clip.frame_times == pytest.approx((2.5, 7.5), abs=0.01)
    assert [made.colour_of(frame) for frame in clip.frames] == [0, 1]
    decoded = decoding.decode(clip.audio, 'it')
    assert len(decoded) == clip.samples == pytest.approx(11 * SAMPLE_RATE, abs=600)
    late, alike = made.shift(decoded, made.sound(11, SAMPLE_RATE))
    assert abs(late) < 4
    assert alike > 0.97


def test_pcm16(tmp_path):
    clip = extract(made.video(tmp_path / 'a.mp4', 3), audio_format='pcm16')
    assert len(clip.audio) == 2 * clip.samples


@pytest.mark.parametrize(
    ('options', 'reason', 'detail'),
    [
        ({'seconds': 0.3}, 'too short', r'0.3\d s of sound; 1.0 s are asked for'),
        ({'wave': np.zeros(3 * 44_100, np.float32)}, 'silent', 'its loudest sample is 0.0e.00 of full scale'),
        (
            {'wave': np.full(3 * 44_100, 5e-5, np.float32), 'sound_codec': 'pcm_s16le'},
            'silent',
            r'6.\de-05 of full scale',
        ),
        ({'seconds': 0, 'picture_s': 3}, 'no sound track', ''),
        ({'picture_s': 0}, 'no picture', ''),
    ],
)
def test_skipped(tmp_path, options, reason, detail):
    path = made.video(tmp_path / 'a.mkv', **({'seconds': 3} | options))
    skipped = extract(path)
    assert skipped == Skipped(Video('it', str(path)), reason, skipped.detail)
    assert re.search(detail, skipped.detail)


def test_settings_that_make_no_sense():
    with pytest.raises(SoundNetError, match='as long as the time between frames'):
        Settings(clip_s=3, frame_every_s=5)
    with pytest.raises(SoundNetError, match='would all be shorter than the least, 30 s'):
        Settings(min_s=30)


def clip(id, frames):
    pictures = tuple(made.picture(5 * frame, 1, (32, 32)) for frame in range(frames))
    return Clip(Video(id, f'/{id}'), b'mp3', 5, tuple(5.0 * frame + 2.5 for frame in range(frames)), pictures)


def test_frames_of_many_videos_go_to_a_teacher_in_one_batch():
    batches = []

    def run(frames):
        batches.append(len(frames))
        return made.softmax_of_colours(frames)

    samples = stages.label([clip('a', 1), clip('b', 3), clip('c', 2)], [made.teacher(run=run)], Settings())
    assert batches == [6]
    assert [sample.id for sample in samples] == ['a', 'b', 'c']
    assert [sample.posteriors['scenes'].argmax(axis=1).tolist() for sample in samples] == [[0], [0, 1, 2], [0, 1]]
    assert [sample.frame_times for sample in samples] == [(2.5,), (2.5, 7.5, 12.5), (2.5, 7.5)]
    assert {sample.kinds['scenes'] for sample in samples} == {'probabilities'}


class Told:
    """A teacher that answers what it is told to."""

    name, labels, kind, source, side = 'told', ('x', 'y'), 'logits', '', 0

    def __init__(self, *answers):
        self.answers = answers

    def look(self, views):
        return [np.zeros([a, 2], np.float32) if isinstance(a, int) else a for a in self.answers]


def test_what_a_teacher_does_not_know_is_skipped_with_its_words():
    clips = [clip('a', 2), clip('b', 2), clip('c', 2), clip('d', 2)]
    a, b, c, d = stages.label(clips, [made.teacher(), Told(2, 'there is no file', 1, 5)], Settings())
    assert a.posteriors['told'].shape == (2, 2)
    assert a.kinds == {'scenes': 'probabilities', 'told': 'logits'}
    assert (b.reason, b.detail) == ('no posteriors', 'told: there is no file')
    assert (c.reason, c.detail) == ('no posteriors', 'told: 1 rows for 2 frames')
    assert d.posteriors['told'].shape == (2, 2)

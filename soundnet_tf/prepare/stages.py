"""The three steps from a video to a record; every runner calls these same functions.

extract(video) -> Clip | Skipped        sound and frames
label(clips)   -> Sample | Skipped      what the teachers see, frames of many clips together
records.encode(sample)                  the bytes of a record
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from soundnet_tf import records
from soundnet_tf.audio import SAMPLE_RATE, Channel
from soundnet_tf.errors import SoundNetError
from soundnet_tf.prepare import media
from soundnet_tf.prepare.manifest import Video
from soundnet_tf.records import AudioFormat, Card, Sample
from soundnet_tf.teachers import Teacher, View

SILENCE = 1e-4
"""A sound track whose loudest sample is below this (-80 dB) says nothing."""

FAILURES = frozenset({'damaged', 'missing', 'no posteriors'})
"""Reasons that point at something to mend; the others lie in the videos themselves."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a record is made like; two runs with equal settings and teachers give equal records."""

    clip_s: float = 20.0
    frame_every_s: float = 5.0
    min_s: float = 1.0
    audio_format: AudioFormat = 'mp3'
    channel: Channel = 'first'

    def __post_init__(self) -> None:
        if not (self.frame_every_s > 0 and self.clip_s >= self.frame_every_s and self.min_s >= 0):
            raise SoundNetError(
                f'a clip of {self.clip_s} s with a frame every {self.frame_every_s} s: '
                'a clip must be at least as long as the time between frames'
            )
        if self.min_s > self.clip_s:
            raise SoundNetError(f'clips of {self.clip_s} s would all be shorter than the least, {self.min_s} s')


@dataclasses.dataclass(frozen=True)
class Clip:
    """Sound of one video, encoded, and the frames that stand for it."""

    video: Video
    audio: bytes
    samples: int
    frame_times: tuple[float, ...]
    frames: tuple[media.Frame, ...]


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A video that gives no record: `reason` is counted, `detail` is listed."""

    video: Video
    reason: str
    detail: str = ''


def extract(video: Video, settings: Settings, side: int) -> Clip | Skipped:
    """The sound and frames of one video; frames have `side` pixels on their shorter side."""
    try:
        taken = media.take_out(
            video.path,
            clip_s=settings.clip_s,
            frame_every_s=settings.frame_every_s,
            side=side,
            channel=settings.channel,
        )
    except media.Unusable as error:
        return Skipped(video, error.reason, error.detail)
    seconds = len(taken.waveform) / SAMPLE_RATE
    if seconds < settings.min_s:
        return Skipped(video, 'too short', f'{seconds:.2f} s of sound; {settings.min_s} s are asked for')
    loudest = float(np.abs(taken.waveform).max())
    if loudest < SILENCE:
        return Skipped(video, 'silent', f'its loudest sample is {loudest:.1e} of full scale')
    sound = media.statable(taken.waveform) if settings.audio_format == 'mp3' else taken.waveform
    encoded = media.encode_sound(sound, settings.audio_format)
    return Clip(video, encoded, len(sound), taken.frame_times, taken.frames)


def label(clips: Sequence[Clip], teachers: Sequence[Teacher], settings: Settings) -> list[Sample | Skipped]:
    """What each teacher sees in the frames of many clips, which go through it in one batch."""
    views = [View(clip.video.id, clip.frames, count=len(clip.frame_times)) for clip in clips]
    seen = {teacher.name: teacher.look(views) for teacher in teachers}
    return [_sample(clip, index, seen, teachers, settings) for index, clip in enumerate(clips)]


def _sample(clip: Clip, index: int, seen: dict, teachers: Sequence[Teacher], settings: Settings) -> Sample | Skipped:
    posteriors = {}
    for name, answers in seen.items():
        answer = answers[index]
        if isinstance(answer, str):
            return Skipped(clip.video, 'no posteriors', f'{name}: {answer}')
        if len(answer) < len(clip.frame_times):
            return Skipped(
                clip.video, 'no posteriors', f'{name}: {len(answer)} rows for {len(clip.frame_times)} frames'
            )
        posteriors[name] = answer[: len(clip.frame_times)]
    return Sample(
        id=clip.video.id,
        source=clip.video.path,
        audio=clip.audio,
        audio_format=settings.audio_format,
        samples=clip.samples,
        frame_times=clip.frame_times,
        posteriors=posteriors,
        kinds={teacher.name: teacher.kind for teacher in teachers},
    )


def card(teachers: Sequence[Teacher], settings: Settings, shards: int, count: int, skipped: dict[str, int]) -> Card:
    """What the finished dataset says of itself."""
    about = {t.name: records.TeacherCard(len(t.labels), t.kind, t.source) for t in teachers}
    return Card(about, settings.audio_format, settings.frame_every_s, settings.clip_s, count, shards, skipped)

"""The three steps from a video to records, shared by all runners.

extract(video) -> VideoClip | Skipped ...    sound and frames, 20 s at a time
label(clips)   -> Sample | Skipped      the teachers' posteriors, frames of many clips together
records.encode(sample)                  the bytes of a record
"""

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import storage
from soundnet_tf.audio import SAMPLE_RATE, Channel, Waveform, encoding
from soundnet_tf.errors import MissingTool, SoundNetError
from soundnet_tf.prepare import media, pace, sound
from soundnet_tf.prepare.manifest import BAD_ROW, CLIP_MARK, REFUSED, Skipped, Video
from soundnet_tf.prepare.pace import Clock
from soundnet_tf.prepare.pictures import Pictures, unit_middles
from soundnet_tf.prepare.web.videos import Fetcher
from soundnet_tf.records import AudioFormat, Kind, Sample
from soundnet_tf.teachers import Frame, Teacher, View
from soundnet_tf.web.client import Stopped

SILENCE = 1e-4
"""A sound track whose loudest sample is below this (-80 dB) is silent."""

FRAMES_PER_BATCH = 64
"""VGG16 needs about 15 MB of memory for each."""

TOO_SHORT, ERROR = 'too short', 'error'

FAILURES = frozenset(
    {'damaged', 'incomplete', 'missing', 'unreadable', 'not fetched', 'no posteriors', BAD_ROW, REFUSED, ERROR}
)
"""Reasons that a user can fix; the others are properties of the videos."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """How records are made: equal settings and teachers give equal records."""

    clip_s: float = 20.0
    frame_every_s: float = 5.0
    min_s: float = 1.0
    max_clips: int | None = None
    """Max per video; the paper used one."""
    audio_format: AudioFormat = 'mp3'
    channel: Channel = 'first'
    strict: bool = False
    """Whether clips are left out from the first place on where sound is missing."""

    def __post_init__(self) -> None:
        if not (0 < self.frame_every_s <= self.clip_s < math.inf and self.min_s >= 0):
            raise SoundNetError(
                f'clip_s {self.clip_s}, frame_every_s {self.frame_every_s}: '
                'a clip must be as long as the time between frames, or longer. Use a larger clip_s'
            )
        if self.max_clips is not None and self.max_clips < 1:
            raise SoundNetError(f'max_clips {self.max_clips}: no clips would be left. Use 1 or more')
        units = round(self.clip_s / self.frame_every_s)
        if self.max_clips != 1 and abs(units * self.frame_every_s - self.clip_s) > 1e-6:
            raise SoundNetError(
                f'clip_s {self.clip_s:g}: not a multiple of frame_every_s {self.frame_every_s:g}, '
                f'so later clips would drift. Use {units * self.frame_every_s:g}, or one clip per video'
            )
        if self.min_s > self.clip_s:
            raise SoundNetError(
                f'min_s {self.min_s}: longer than clip_s {self.clip_s}, so no clips would be left. Use a smaller min_s'
            )


@dataclasses.dataclass(frozen=True)
class VideoClip:
    """The sound of a part of one video, also encoded, and its frames."""

    video: Video
    start_s: float
    first_frame: int
    """The number of frames before it in the video."""
    audio: bytes
    samples: int
    frame_times: tuple[float, ...]
    """From the start of the clip."""
    frames: tuple[Frame, ...]
    waveform: Waveform
    missing_s: float | None = None
    """Seconds of its sound that are missing or filled with silence; 0 for an unknown part, None for nothing."""


def clip_id(video: Video, start_s: float) -> str:
    """The video's own id for its first clip; `ID#t=20` for the one that starts at 20 s, as in web addresses."""
    return f'{video.id}{CLIP_MARK}{start_s:.10g}' if start_s else video.id


def video_id(id: str) -> str:
    """The id of the video of a `clip_id`; manifests cannot have such ids."""
    return id.partition(CLIP_MARK)[0]


def fetched(video: Video, fetcher: Fetcher, clock: Clock) -> str:
    """The path of a video's file, downloaded if it is not local. Raises Unusable."""
    with clock.at(pace.FETCH) if storage.is_remote(video.path) else contextlib.nullcontext():
        return str(fetcher.fetch(video))


def side_of(teachers: Iterable[Teacher]) -> int:
    """The shorter side of the frames that the teachers need, in pixels; 0 if none uses frames."""
    return max((teacher.side for teacher in teachers), default=0)


def extract(
    video: Video, file: Callable[[], str], read: Callable[[Video, str], Iterator[VideoClip | Skipped]]
) -> Iterator[VideoClip | Skipped]:
    """The clips of a video: what `read`, such as the function below, gives for the path that `file` returns."""
    path = _located(video, file)
    yield from [path] if isinstance(path, Skipped) else read(video, path)


def _located(video: Video, file: Callable[[], str]) -> str | Skipped:
    """The path of a video's file, which `file` returns, or the reason why there is none if it raises Unusable.

    An exception of any other kind concerns this video alone, but for a full disk and missing packages.
    """
    try:
        return file()
    except media.Unusable as error:
        return Skipped(video.id, video.path, error.reason, error.detail)
    except (OSError, Stopped, MissingTool):
        raise
    except Exception as error:
        return unexpected(video.id, video.path, error)


def read(video: Video, path: str, settings: Settings, side: int, clock: Clock) -> Iterator[VideoClip | Skipped]:
    """The clips of a video's file, one after the other, with one of them in memory.

    Frames have `side` pixels on their shorter side, 0 for no frames. Clips before damage are used. An exception
    concerns this video alone; only missing packages concern the run.
    """
    samples, start_s = round(settings.clip_s * SAMPLE_RATE), 0.0
    try:
        waveforms = sound.waveforms(path, samples, settings.channel, settings.strict)
        pictures = Pictures(path, side)
        with media.reading(path), contextlib.closing(waveforms), contextlib.closing(pictures):
            some = itertools.islice(clock.each(pace.SOUND, waveforms), settings.max_clips)
            for index, waveform in enumerate(some):
                unfit = _unfit(waveform, settings)
                if not unfit:
                    missing_s = waveforms.missing_s(start_s, start_s + len(waveform) / SAMPLE_RATE)
                    yield _clip(video, index, start_s, waveform, missing_s, pictures, settings, clock)
                elif not (index and unfit[0] == TOO_SHORT):
                    # The short rest of a video is not worth reporting.
                    yield Skipped(clip_id(video, start_s), video.path, *unfit)
                start_s = (index + 1) * samples / SAMPLE_RATE
    except media.Unusable as error:
        yield Skipped(clip_id(video, start_s), video.path, error.reason, error.detail)
    except MissingTool:
        raise
    except Exception as error:
        yield unexpected(clip_id(video, start_s), video.path, error)


def unexpected(id: str, path: str, error: Exception) -> Skipped:
    """A video or clip whose handling raised what nobody expected: a defect, which must not end the run."""
    return Skipped(id, path, ERROR, f'{type(error).__name__}: {storage.reason(error)}')


def _unfit(waveform: Waveform, settings: Settings) -> tuple[str, str] | None:
    seconds, loudest = len(waveform) / SAMPLE_RATE, float(np.abs(waveform).max())
    if seconds < settings.min_s:
        return TOO_SHORT, f'{seconds:.2f} s of sound, less than {settings.min_s} s'
    if loudest < SILENCE:
        return 'silent', f'the loudest sample is {loudest:.1e} of full scale'
    return None


def _clip(
    video: Video,
    index: int,
    start_s: float,
    waveform: Waveform,
    missing_s: float | None,
    pictures: Pictures,
    settings: Settings,
    clock: Clock,
) -> VideoClip:
    times = unit_middles(len(waveform) / SAMPLE_RATE, settings.frame_every_s)
    with clock.at(pace.FRAMES):
        frames = pictures.at([start_s + time for time in times])
    with clock.at(pace.ENCODE):
        fit = encoding.statable(waveform) if settings.audio_format == 'mp3' else waveform
        encoded = sound.encode(fit, settings.audio_format)
    first_frame = index * len(unit_middles(settings.clip_s, settings.frame_every_s))
    return VideoClip(video, start_s, first_frame, encoded, len(fit), times, frames, fit, missing_s)


def labelled(
    clips: Iterable[VideoClip | Skipped], teachers: Sequence[Teacher], settings: Settings, clock: Clock, frames: int
) -> Iterator[Sample | Skipped]:
    """Label clips in batches of `frames` frames, or more if a single clip has more."""
    batch: list[VideoClip] = []
    for clip in clips:
        if isinstance(clip, Skipped):
            yield clip
            continue
        batch.append(clip)
        if is_full(batch, frames):
            yield from label(batch, teachers, settings, clock)
            batch = []
    if batch:
        yield from label(batch, teachers, settings, clock)


def is_full(batch: Iterable[VideoClip], frames: int) -> bool:
    """Whether a batch has this many frames."""
    return sum(len(clip.frame_times) for clip in batch) >= frames


def label(
    clips: Sequence[VideoClip], teachers: Sequence[Teacher], settings: Settings, clock: Clock
) -> list[Sample | Skipped]:
    """The posteriors of each teacher for many clips in one batch."""
    views = [
        View(clip.video.id, clip.frames, clip.first_frame, len(clip.frame_times), clip.frame_times, clip.waveform)
        for clip in clips
    ]
    seen = {}
    for teacher in teachers:
        with clock.at(teacher.name):
            seen[teacher.name] = teacher.look(views)
    kinds: dict[str, Kind] = {teacher.name: teacher.kind for teacher in teachers}
    return [_sample(clip, {name: seen[name][at] for name in seen}, kinds, settings) for at, clip in enumerate(clips)]


def _sample(
    clip: VideoClip, seen: Mapping[str, NDArray[np.float32] | str], kinds: Mapping[str, Kind], settings: Settings
) -> Sample | Skipped:
    id, posteriors = clip_id(clip.video, clip.start_s), {}
    for name, values in seen.items():
        values = _rows(values, len(clip.frame_times))
        if isinstance(values, str):
            return Skipped(id, clip.video.path, 'no posteriors', f'{name}: {values}')
        posteriors[name] = values
    return Sample(
        id=id,
        source=clip.video.path,
        audio=clip.audio,
        audio_format=settings.audio_format,
        samples=clip.samples,
        start_s=clip.start_s,
        missing_s=clip.missing_s,
        frame_times=clip.frame_times,
        posteriors=posteriors,
        kinds=kinds,
    )


def _rows(values: NDArray[np.float32] | str, count: int) -> NDArray[np.float32] | str:
    """`count` rows, or the reason why not."""
    if isinstance(values, str):
        return values
    if len(values) < count:
        return f'{len(values)} rows for {count} frames'
    return values[:count] if np.isfinite(values[:count]).all() else 'the teacher returned NaN'

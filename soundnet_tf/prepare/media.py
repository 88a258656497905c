"""Sound and frames of a video file, through PyAV: no program needs to be on the machine."""

import dataclasses
import io
import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import audio
from soundnet_tf.audio import SAMPLE_RATE, Channel, Waveform
from soundnet_tf.errors import MissingTool
from soundnet_tf.records import AudioFormat

MP3_BIT_RATE = 64_000
MP3_FRAME = 576
MP3_LEAST_REST = 47
"""In samples: a frame at this rate; what of the last one, if any, must be filled for its padding to be stated."""

LONGEST_SIDE = 8
"""A picture more than so many times as long as it is wide shows nothing in its middle."""

Frame = NDArray[np.uint8]
"""`[height, width, 3]` RGB."""


@dataclasses.dataclass(frozen=True)
class Media:
    """What was taken out of a video: up to so many seconds of sound, and the frames that stand for them."""

    waveform: Waveform
    frames: tuple[Frame, ...]
    frame_times: tuple[float, ...]
    """In seconds from the start of the waveform."""


class Unusable(Exception):
    """The video gives no sample: `reason` is one of a few words that are counted."""

    def __init__(self, reason: str, detail: str = ''):
        super().__init__(f'{reason}: {detail}' if detail else reason)
        self.reason, self.detail = reason, detail


def take_out(path: str, *, clip_s: float, frame_every_s: float, side: int, channel: Channel = 'first') -> Media:
    """The first `clip_s` seconds of a video. Raises Unusable, whatever may be wrong with the file.

    A frame is taken from the middle of each unit of `frame_every_s` seconds of sound; as with the
    rounding of ffmpeg's rate filter, a last unit that is less than half there gets none (paper,
    section 4: a frame every 5 s, at most 4). `side` is the frames' shorter side in pixels; 0 for no
    frames. Of a file that was cut short, in a format that allows it, comes what is there.
    """
    av = _av()
    # FFmpeg takes `12:30.mp4` for an address; an absolute path is always a file's.
    path = os.path.abspath(path)
    try:
        with av.open(path, metadata_errors='ignore') as container:
            waveform = _sound(container, clip_s, channel)
        times = unit_middles(len(waveform) / SAMPLE_RATE, frame_every_s)
        if not side:
            return Media(waveform, (), times)
        # Opened again: sound and pictures lie interleaved, and the times follow from the sound.
        with av.open(path, metadata_errors='ignore') as container:
            return Media(waveform, _frames(container, times, side), times)
    except OSError as error:
        raise Unusable('missing', error.strerror or str(error)) from None
    except (av.error.FFmpegError, ValueError, ArithmeticError, MemoryError) as error:
        # ValueError, and BadAudio among them: sample and pixel formats that nothing can be made of.
        # The others: headers that promise gigabytes, or rates of 0.
        if os.path.getsize(path) == 0:
            raise Unusable('damaged', 'the file is empty') from None
        raise Unusable('damaged', getattr(error, 'strerror', None) or str(error) or type(error).__name__) from None


def unit_middles(sound_s: float, frame_every_s: float) -> tuple[float, ...]:
    """The middles, in seconds, of the units of so much sound; what there is of the last unit counts."""
    units = max(1, math.floor(sound_s / frame_every_s + 0.5))
    ends = [min((index + 1) * frame_every_s, sound_s) for index in range(units)]
    return tuple((index * frame_every_s + end) / 2 for index, end in enumerate(ends))


def _av() -> Any:
    try:
        import av
        import av.logging
    except ImportError:
        raise MissingTool('av', 'reading videos') from None
    # FFmpeg's messages must not go through Python: its threads would wait for the interpreter's lock
    # while this one holds it and waits for them.
    av.logging.set_level(None)
    return av


def _timed(container: Any, stream: Any) -> Iterator[tuple[float, Any]]:
    """The stream's frames with their times in seconds since the container's start."""
    # Videos are read side by side; threads within each would only cost memory.
    stream.thread_type, stream.codec_context.thread_count = 'NONE', 1
    start, time = (container.start_time or 0) / 1_000_000, 0.0
    for frame in container.decode(stream):
        # A frame that does not say when it belongs follows the one before.
        time = time if frame.time is None else frame.time - start
        yield time, frame
        time += frame.samples / frame.sample_rate if stream.type == 'audio' else 1 / (stream.average_rate or 25)


def _sound(container: Any, clip_s: float, channel: Channel) -> Waveform:
    stream = container.streams.best('audio')
    if stream is None:
        raise Unusable('no sound track')
    parts, begins_s, taken_s, kind = [], 0.0, 0.0, None
    for time, frame in _timed(container, stream):
        now = frame.sample_rate, frame.layout.nb_channels
        if kind is None:
            begins_s, kind = time, now
        if now != kind:
            raise Unusable('damaged', f'at {taken_s:.1f} s the sound changes from {_said(kind)} to {_said(now)}')
        if begins_s >= clip_s:
            raise Unusable('silent', f'its sound begins only at {begins_s:.1f} s')
        parts.append(_samples(frame))
        taken_s += frame.samples / frame.sample_rate
        if begins_s + taken_s >= clip_s:
            break
    if kind is None:
        raise Unusable('no sound track', 'it holds no samples')
    waveform = audio.to_waveform(np.concatenate(parts), kind[0], channel, 'its sound')
    # Sound that begins after the picture, or before it, is put where it belongs.
    offset = round(begins_s * SAMPLE_RATE)
    waveform = waveform[-offset:] if offset < 0 else np.pad(waveform, (offset, 0))
    if not waveform.size:
        raise Unusable('no sound track', 'it ends before the picture begins')
    return waveform[: round(clip_s * SAMPLE_RATE)]


def _said(kind: tuple[int, int]) -> str:
    return f'{kind[1]} channels of {kind[0]} Hz'


def _samples(frame: Any) -> NDArray[np.float32]:
    """`[samples, channels]` in [-1, 1] of a PyAV audio frame, packed or planar."""
    values = frame.to_ndarray()
    return audio.to_float(values.T if frame.format.is_planar else values.reshape(-1, frame.layout.nb_channels))


def _frames(container: Any, times: tuple[float, ...], side: int) -> tuple[Frame, ...]:
    """The frame on screen at each time; the first or last one where the picture begins later or ends earlier."""
    stream = container.streams.best('video')
    if stream is None:
        raise Unusable('no picture')
    if stream.disposition & type(stream.disposition).attached_pic:
        raise Unusable('no picture', 'only a cover')
    pictures, shown = [], None
    for time, frame in _timed(container, stream):
        shown = shown or frame
        while len(pictures) < len(times) and time > times[len(pictures)]:
            # Made at once: a frame as it comes from the decoder may be of any size.
            pictures.append(_picture(shown, side))
        if len(pictures) == len(times):
            return tuple(pictures)
        shown = frame
    if shown is None:
        raise Unusable('no picture', 'it holds no frame')
    return tuple(pictures + [_picture(shown, side)] * (len(times) - len(pictures)))


def _picture(frame: Any, side: int) -> Frame:
    """A frame as it is meant to be seen, its shorter side brought to `side`."""
    shorter, longer = sorted((frame.width, frame.height))
    if longer > LONGEST_SIDE * shorter:
        raise Unusable('no picture', f'its frames are {frame.width} by {frame.height} pixels')
    scale = side / shorter
    size = {'width': max(side, round(frame.width * scale)), 'height': max(side, round(frame.height * scale))}
    picture = frame.to_ndarray(format='rgb24', **size)
    # Telephones write how they were held; FFmpeg's program turns such pictures upright too.
    return np.ascontiguousarray(np.rot90(picture, round(frame.rotation / 90)))


def statable(waveform: Waveform) -> Waveform:
    """With silence at the end, at most 2 ms, where the tag of an MP3 could not state the length.

    FFmpeg's encoder forgets the padding after the last samples where it is less than it looks ahead.
    """
    rest = len(waveform) % MP3_FRAME
    return np.pad(waveform, (0, MP3_LEAST_REST - rest)) if 0 < rest < MP3_LEAST_REST else waveform


def encode_sound(waveform: Waveform, audio_format: AudioFormat) -> bytes:
    """A waveform as the bytes of a record.

    'pcm16' gives 16-bit samples back exactly. 'mp3' carries the tag (written by the muxer into the
    first frame) that tells a decoder how many samples of delay and padding to drop, so that every
    decoder gives the same number of samples back: as many as there are in `statable(waveform)`.
    """
    # The inverse of `audio.to_float`.
    pcm = np.clip((waveform * 32_768).round(), -32_768, 32_767).astype('<i2')
    if audio_format == 'pcm16':
        return pcm.tobytes()
    av = _av()
    buffer = io.BytesIO()
    with av.open(buffer, 'w', format='mp3') as container:
        stream = container.add_stream('libmp3lame', rate=SAMPLE_RATE, layout='mono')
        stream.bit_rate = MP3_BIT_RATE
        frame = av.AudioFrame.from_ndarray(pcm[None], format='s16p', layout='mono')
        frame.sample_rate = SAMPLE_RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()

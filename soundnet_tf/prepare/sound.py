"""The sound of a video as waveforms of equal length, and a waveform as the bytes of a record."""

from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import audio
from soundnet_tf.audio import SAMPLE_RATE, Channel, Waveform, encoding
from soundnet_tf.prepare import media
from soundnet_tf.prepare.media import Unusable
from soundnet_tf.records import AudioFormat

BLOCK_S = 1.0
"""Resampled at once: codec frames of about 20 ms would cost more in calls than in work."""

GAP_S, JUMP_S = 0.1, 60.0
"""Time stamps jitter: longer gaps than the first are filled with silence, longer ones than the second are errors."""


def waveforms(path: str, samples: int, channel: Channel = 'first') -> Generator[Waveform]:
    """The sound of a video, `samples` at a time, the last time fewer, in constant memory.

    It starts with the video: later sound is preceded by silence, earlier sound is dropped. Raises
    Unusable if there is none. A file that was cut short, in a format that allows it, is a shorter sound.
    """
    container, stream = media.opened(path, 'audio')
    with container:
        if stream is None:
            raise Unusable('no sound track')
        waiting, count, any_yet = [], 0, False
        for waveform in _waveform(_parts(container, stream), channel):
            waiting, count = [*waiting, waveform], count + len(waveform)
            while count >= samples:
                whole = np.concatenate(waiting)
                yield whole[:samples]
                waiting, count, any_yet = [whole[samples:]], count - samples, True
        if count:
            yield np.concatenate(waiting)
        elif not any_yet:
            raise Unusable('no sound track', 'no samples, or it ends before the picture begins')


def _waveform(parts: Iterator[tuple[int, NDArray[np.float32]]], channel: Channel) -> Iterator[Waveform]:
    """Parts at their own rate, `[samples, channels]`, as parts of a waveform."""
    resampler, rate, waiting = None, 0, []

    def flush(last: bool) -> Waveform:
        samples = np.concatenate([*waiting, np.zeros(0, np.float32)])
        waveform = resampler.push(samples, last) if resampler else samples
        waiting.clear()
        return audio.to_waveform(waveform, SAMPLE_RATE, name='sound track') if waveform.size else waveform

    for rate, part in parts:
        resampler = resampler or audio.Resampler(rate)
        waiting.append(audio.to_mono(part, channel))
        if sum(map(len, waiting)) >= BLOCK_S * rate:
            yield flush(last=False)
    yield flush(last=True)


def _parts(container: Any, stream: Any) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The rate and `[samples, channels]` of each part of the track, with silence in its gaps."""
    start_s, kind, count = media.start_s(container), None, 0
    for frame in container.decode(stream):
        now = frame.sample_rate, frame.layout.nb_channels
        samples = _samples(frame)
        # A frame without a time follows the one before.
        late_s = 0.0 if frame.time is None else frame.time - start_s - count / now[0]
        if kind is not None and now != kind:
            change = ' to '.join(f'{channels} channels of {rate} Hz' for rate, channels in (kind, now))
            raise Unusable('damaged', f'at {count / kind[0]:.1f} s the sound changes from {change}')
        if late_s > JUMP_S:
            raise Unusable('damaged', f'at {count / now[0]:.1f} s the sound jumps ahead by {late_s:,.0f} s')
        if kind is None:
            kind = now
            samples = samples[max(0, -round(late_s * now[0])) :]
        elif late_s <= GAP_S:
            late_s = 0.0
        if late_s > 0:
            samples = np.concatenate([np.zeros([round(late_s * now[0]), now[1]], np.float32), samples])
        count += len(samples)
        yield now[0], samples


def _samples(frame: Any) -> NDArray[np.float32]:
    """A PyAV audio frame as `[samples, channels]` in [-1, 1], packed or planar."""
    values = frame.to_ndarray()
    return audio.to_float(values.T if frame.format.is_planar else values.reshape(-1, frame.layout.nb_channels))


def encode(waveform: Waveform, audio_format: AudioFormat) -> bytes:
    """A waveform as the bytes of a record: 'pcm16' is lossless for 16-bit samples, for 'mp3' see `encoding.mp3`."""
    return encoding.pcm16(waveform).tobytes() if audio_format == 'pcm16' else encoding.mp3(waveform)

"""Small videos for the tests: a colour for each 5 s, and noise that can be found again by correlation."""

from fractions import Fraction

import av
import numpy as np

from soundnet_tf.prepare import stages
from soundnet_tf.teachers import NetworkTeacher

COLOURS = np.array([[220, 20, 20], [20, 220, 20], [20, 20, 220], [230, 230, 230]])
CHANNELS = {'mono': 1, 'stereo': 2, '5.1': 6}


def sound(seconds, rate=44_100):
    """Noise of low pitch, the same for each rate but for its detail: what a lossy codec keeps."""
    slow = np.random.default_rng(7).normal(0, 0.15, round(seconds * 2000) + 2)
    return np.interp(np.arange(round(seconds * rate)) / rate * 2000, np.arange(len(slow)), slow).astype(np.float32)


def picture(index, fps, size):
    return np.broadcast_to(COLOURS[int(index / fps / 5) % 4], (size[1], size[0], 3)).astype(np.uint8)


def video(path, seconds=6.0, picture_s=None, *, fps=4, size=(64, 48), codec='mpeg4', rate=44_100, layout='stereo',
          wave=None, sound_at_s=0.0, sound_codec='aac', format=None, start_s=0.0, options=None, skip=()):  # fmt: skip
    """Write a video; `seconds=0` without sound, `picture_s=0` without picture; frames in `skip` are left out."""
    packets = []
    with av.open(str(path), 'w', format=format, options=options or {}) as container:
        if picture_s != 0:
            stream = container.add_stream(codec, rate=fps)
            stream.width, stream.height, stream.pix_fmt = *size, 'yuv420p'
        if seconds:
            track = container.add_stream(sound_codec, rate=rate, layout=layout)
        if picture_s != 0:
            for index in range(round((picture_s or seconds) * fps)):
                if index not in skip:
                    frame = av.VideoFrame.from_ndarray(picture(index, fps, size))
                    frame.pts, frame.time_base = index + round(start_s * fps), Fraction(1, fps)
                    packets += stream.encode(frame)
            packets += stream.encode(None)
        if seconds:
            wave = sound(seconds, rate) if wave is None else wave
            frame = av.AudioFrame.from_ndarray(
                np.repeat(wave[None], CHANNELS[layout], 0) if wave.ndim == 1 else wave, format='fltp', layout=layout
            )
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = round((sound_at_s + start_s) * rate)
            packets += track.encode(frame) + track.encode(None)
        for packet in sorted(packets, key=lambda p: float(p.dts * p.time_base)):
            container.mux(packet)
    return path


def read_here(self, video, path):
    """`Readers.read` in this process, where functions can be replaced, and which takes no time to start."""
    return stages.read(video, path, self._settings, self._side, self._clock)


def colour_of(frame):
    """Which of COLOURS a frame is, by its mean."""
    distance = abs(COLOURS - np.asarray(frame, np.float64).mean(axis=(0, 1))).sum(axis=1)
    assert distance.min() < 60, frame.mean(axis=(0, 1))
    return int(distance.argmin())


def shift(waveform, expected):
    """By how many samples `waveform` comes later than `expected`, and how alike they are then."""
    size = 1 << (len(waveform) + len(expected)).bit_length()
    spectrum = np.fft.rfft(waveform, size) * np.conj(np.fft.rfft(expected, size))
    correlation = np.fft.irfft(spectrum, size)
    at = int(correlation.argmax())
    alike = correlation[at] / (np.linalg.norm(waveform) * np.linalg.norm(expected))
    return (at if at < size // 2 else at - size), alike


def softmax_of_colours(frames):
    """`[n, 4]`: a network that knows the colours."""
    distance = abs(frames.mean(axis=(1, 2))[:, None] - COLOURS).sum(axis=2) / 50
    values = np.exp(-distance)
    return (values / values.sum(axis=1, keepdims=True)).astype(np.float32)


def teacher(name='scenes', run=softmax_of_colours, source='colours'):
    return NetworkTeacher(name, ('red', 'green', 'blue', 'white'), run, 28, source=source)

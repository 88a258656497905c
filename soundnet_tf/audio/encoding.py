"""Waveforms and pictures as the bytes of files: 16-bit samples, MP3, PNG."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import SAMPLE_RATE, Waveform, pyav

MP3_BIT_RATE = 64_000
MP3_QUALITY = 7
"""LAME's -q. By `benchmarks/lame.py` it takes 0.74 of the time of 5, FFmpeg's own, and the original net hears less of a
difference to the sound as it was; 9 is the same, 3 and 4 take longer and are no better."""
MP3_FRAME = 576
MP3_MIN_REST = 47
"""In samples: a frame at this rate, and the min length of a partial last frame for its padding to be stated."""


def pcm16(waveform: Waveform) -> NDArray[np.int16]:
    """`[samples]` little-endian int16: the inverse of `audio.to_float`, clipped."""
    return np.clip((waveform * 32_768).round(), -32_768, 32_767).astype('<i2')


def statable(waveform: Waveform) -> Waveform:
    """Padded with up to 2 ms of silence if the tag of an MP3 could not state the length.

    FFmpeg's encoder does not write the padding after the last samples if it is shorter than its lookahead.
    """
    rest = len(waveform) % MP3_FRAME
    return np.pad(waveform, (0, MP3_MIN_REST - rest)) if 0 < rest < MP3_MIN_REST else waveform


def mp3(waveform: Waveform, quality: int = MP3_QUALITY) -> bytes:
    """An MP3 file. Raises MissingTool without PyAV.

    It carries the tag (written by the muxer into the first frame) with the samples of delay and padding to
    drop, so that every decoder returns the same number of samples: the length of
    `statable(waveform)`.
    """
    av = pyav.library('writing MP3')
    buffer = io.BytesIO()
    with av.open(buffer, 'w', format='mp3') as container:
        options = {'compression_level': str(quality)}
        stream = container.add_stream('libmp3lame', rate=SAMPLE_RATE, layout='mono', options=options)
        stream.bit_rate = MP3_BIT_RATE
        frame = av.AudioFrame.from_ndarray(pcm16(waveform)[None], format='s16p', layout='mono')
        frame.sample_rate = SAMPLE_RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def png(picture: NDArray[np.uint8], palette: NDArray[np.uint8] | None = None) -> bytes:
    """`[height, width, 3]` RGB, or `[height, width]` of numbers of a `palette` `[colours, 3]`, as a PNG file.

    Raises MissingTool without PyAV.
    """
    av = pyav.library('writing PNG')
    if palette is None:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format='rgb24')
    else:
        argb = np.full([256, 4], 255, np.uint8)
        argb[: len(palette), 1:] = palette
        frame = av.VideoFrame.from_ndarray((np.ascontiguousarray(picture), argb), format='pal8')
    buffer = io.BytesIO()
    with av.open(buffer, 'w', format='image2pipe') as container:
        stream: Any = container.add_stream('png', rate=1)
        stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], frame.format.name
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return buffer.getvalue()

"""Files that FFmpeg writes, what it plays of them, and what the package hears."""

import contextlib
import fractions
import io

import av
import numpy as np
import soxr

from soundnet_tf.audio import SAMPLE_RATE, blocks

RATE = 22_050
TIME = np.arange(3 * RATE) / RATE
LOW, HIGH = (0.4 * np.sin(2 * np.pi * hz * TIME).astype(np.float32) for hz in (440, 2000))
BOTH = np.concatenate([LOW, HIGH])


def muxed(sound, codec, format, rate=RATE, channels=1, gap=None, **options):
    """A file by FFmpeg; `gap` is (packet, seconds): from that packet on, time stamps are that much later."""
    out = io.BytesIO()
    with av.open(out, 'w', format=format, options=options) as container:
        layout = 'stereo' if channels == 2 else 'mono'
        stream = container.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = 96_000
        stream.codec_context.open()
        frame = av.AudioFrame.from_ndarray(np.repeat(sound[None], channels, 0), format='fltp', layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, fractions.Fraction(1, RATE)
        size = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(stream.codec_context.format.name, layout, rate, size)
        frames = [*resampler.resample(frame), *resampler.resample(None), None]
        for number, packet in enumerate(packet for frame in frames for packet in stream.encode(frame)):
            late = int(gap[1] / packet.time_base) if gap and number >= gap[0] else 0
            packet.dts = packet.pts if packet.dts is None else packet.dts
            packet.pts, packet.dts, packet.stream = packet.pts + late, packet.dts + late, stream
            container.mux(packet)
    return out.getvalue()


def played(data, found=()):
    """The first channel, at 22,050 Hz, by FFmpeg's own calls, and the silence that notes report.

    Ends where FFmpeg does; raises its errors for what it cannot open.
    """
    parts, rate = [], 0
    with av.open(io.BytesIO(data)) as container, contextlib.suppress(av.error.FFmpegError):
        for packet in container.demux(audio=0):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue
            for frame in frames:
                rate = frame.sample_rate
                if frame.format.bytes == 8 and frame.format.name[0] == 's':  # NumPy has it, PyAV does not
                    (frame,) = av.AudioResampler('dbl').resample(frame)
                values = frame.to_ndarray()
                values = values[0] if frame.format.is_planar else values.reshape(-1, frame.layout.nb_channels)[:, 0]
                parts.append(values / {'u': 128, 's': 2.0 ** (8 * frame.format.bytes - 1)}.get(frame.format.name[0], 1))
                parts[-1] -= frame.format.name[0] == 'u'
    sound = np.concatenate(parts).astype(np.float32)
    for note in found:
        if note.filled:
            sound = np.insert(sound, round(note.at_s * rate), np.zeros(round(note.seconds * rate)))
    return np.clip(soxr.resample(sound, rate, SAMPLE_RATE), -1, 1)


def heard(data, **options):
    sound = blocks.of_bytes(data, 'rain.any', **options)
    waveform = np.concatenate(list(sound))
    return waveform, sound.notes


def same(one, other, name=''):
    """Within 50 ms of the same length, and correlated; codecs' delays apart."""
    assert abs(len(one) - len(other)) <= 0.05 * SAMPLE_RATE, f'{name}: {len(one)} and {len(other)} samples'
    size = 1 << (len(one) + len(other)).bit_length()
    product = np.fft.irfft(np.fft.rfft(one, size) * np.conj(np.fft.rfft(other, size)))
    alike = product.max() / np.linalg.norm(one) / np.linalg.norm(other)
    assert alike > 0.999, f'{name}: correlation {alike:.4f}'

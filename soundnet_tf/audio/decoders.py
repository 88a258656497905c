"""The decoding libraries, each behind one small class. Importing this module imports none of them."""

import contextlib
import importlib.util
import io
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import containers, pyav, to_float
from soundnet_tf.audio.containers import AGAIN
from soundnet_tf.errors import BadAudio, MissingTool, SoundNetError

Decoded = tuple[NDArray[np.float32], int]

BLOCK = 65_536
"""Samples of each channel that are decoded at a time where a file is read piece by piece."""


class Decoder(Protocol):
    """One decoding library. `module` is what Python imports, `formats` the results of `sniff` that it reads.

    `streams` are the formats that it can also decode in pieces, as a `StreamingDecoder`.
    """

    name: str
    module: str
    formats: frozenset[str]
    streams: frozenset[str]

    def decode(self, data: bytes) -> Decoded:
        """A whole file to float32 `[samples, channels]`, full scale 1, and its sample rate in Hz.

        Raises MissingTool without the library, and whatever the library raises on data it cannot read.
        """
        ...


@runtime_checkable
class StreamingDecoder(Decoder, Protocol):
    """A decoder that can also decode some formats in pieces."""

    def blocks(self, file: containers.Part, format: str) -> Iterator[Decoded]:
        """As `decode`, of an open file, about a second at a time, in constant memory."""
        ...


class Miniaudio:
    """Single-file C decoders. Not its Ogg decoder, which decodes 5.1 sound wrongly and is no faster."""

    name, module = 'miniaudio', 'miniaudio'
    formats = frozenset({'mp3', 'wav', 'flac'})
    streams = frozenset({'mp3'})  # libsndfile is as fast for the others

    def decode(self, data: bytes) -> Decoded:
        try:
            import miniaudio
        except ImportError:
            raise MissingTool('miniaudio', 'decoding with miniaudio') from None
        readers = {'mp3': miniaudio.mp3_read_f32, 'wav': miniaudio.wav_read_f32, 'flac': miniaudio.flac_read_f32}
        sound = readers[containers.sniff(data) or '?'](data)
        return np.frombuffer(sound.samples, np.float32).reshape(-1, sound.nchannels), sound.sample_rate

    def blocks(self, file: containers.Part, format: str) -> Iterator[Decoded]:
        try:
            import miniaudio
        except ImportError:
            raise MissingTool('miniaudio', 'decoding with miniaudio') from None

        class Source(miniaudio.StreamableSource):
            def read(self, num_bytes: int) -> bytes:
                return file.read(num_bytes)

            def seek(self, offset: int, origin: miniaudio.SeekOrigin) -> bool:
                return file.seek(offset, origin.value) >= 0

        channels, rate = containers.mp3_layout(file[:4])
        layout: Any = miniaudio.FileFormat.MP3, miniaudio.SampleFormat.FLOAT32, channels, rate, BLOCK
        for samples in miniaudio.stream_any(Source(), *layout):
            yield np.array(samples, np.float32).reshape(-1, channels), rate


class SoundFile:
    """libsndfile through python-soundfile."""

    name, module = 'soundfile', 'soundfile'
    formats = frozenset({'mp3', 'wav', 'aiff', 'flac', 'ogg', 'opus'})
    streams = formats - {'mp3'}  # it seeks after each piece, which breaks MP3

    def decode(self, data: bytes) -> Decoded:
        return _joined(self._blocks(io.BytesIO(containers.true_tag(data)), -1))

    def blocks(self, file: containers.Part, format: str) -> Iterator[Decoded]:
        return self._blocks(file, BLOCK)

    def _blocks(self, source: Any, size: int) -> Iterator[Decoded]:
        try:
            import soundfile
        except (ImportError, OSError):  # OSError: the package is there and its libsndfile is not
            raise MissingTool('soundfile', 'decoding with soundfile') from None
        with soundfile.SoundFile(source) as file:
            total, given = 0, size
            while given == size:
                samples = file.read(size, dtype='float32', always_2d=True)
                given = len(samples)
                total += given
                yield to_float(samples), file.samplerate
            if file.format != 'MP3':  # an MP3's tag may promise more than a cut file holds
                check_length(total, file.frames)


class PyAV:
    """FFmpeg's libraries through PyAV: the only decoder here that reads M4A, and the sound of videos."""

    name, module = 'pyav', 'av'
    formats = frozenset({'mp3', 'wav', 'aiff', 'flac', 'ogg', 'opus', 'm4a', 'mkv'}) | containers.FFMPEG_ONLY
    streams = formats
    _block = 2048  # a container's stated length counts samples; the codec returns blocks of up to this many

    def decode(self, data: bytes) -> Decoded:
        return _joined(self._blocks(io.BytesIO(data), containers.sniff(data) or '?'))

    def blocks(self, file: containers.Part, format: str) -> Iterator[Decoded]:
        return self._blocks(file, format)

    def _blocks(self, source: Any, format: str) -> Iterator[Decoded]:
        av = pyav.library('decoding with pyav')
        # The format is fixed, so that FFmpeg never reads the data as a playlist that opens other files.
        demuxer = {'m4a': 'mov', 'mkv': 'matroska', 'opus': 'ogg'}.get(format, format)
        strict = {'err_detect': 'crccheck+explode'}  # by default FFmpeg plays damaged FLAC frames
        opened: Any = av.open(source, 'r', format=demuxer, container_options=strict)
        with opened as container:
            if not container.streams.audio:
                raise BadAudio('no sound track. Use a file with sound')
            stream = container.streams.audio[0]
            stream.codec_context.options = strict
            total, rate, beyond = 0, 0, []
            stated = None
            for frame in container.decode(stream):
                if rate not in (0, frame.sample_rate):
                    raise BadAudio(f'the sample rate changes midway. {AGAIN}')
                rate = frame.sample_rate
                if not total and format in ('m4a', 'ogg', 'opus') and stream.duration and stream.time_base:
                    stated = round(float(stream.duration * stream.time_base) * rate)
                block = frame.to_ndarray()
                block = to_float(block.T if frame.format.is_planar else block.reshape(-1, frame.layout.nb_channels))
                total += len(block)
                # Slightly more samples than stated are the codec's padding; many more mean that the length is wrong.
                if stated and stated < total <= stated + self._block:
                    beyond.append(block[max(0, len(block) - (total - stated)) :])
                    block = block[: len(block) - len(beyond[-1])]
                elif beyond:
                    block, beyond = np.concatenate([*beyond, block]), []
                yield block, rate
            if not total:
                raise BadAudio(f'no sound. {AGAIN}')
            if stated:
                check_length(total, stated - self._block)


class TensorflowIO:
    """tensorflow-io, eagerly. Through a file, since only its file reader returns the sample rate."""

    name, module = 'tfio', 'tensorflow_io'
    formats = frozenset({'mp3', 'wav', 'flac', 'ogg'})
    streams = frozenset[str]()

    def decode(self, data: bytes) -> Decoded:
        tfio = load_tfio()
        import tensorflow as tf

        if containers.sniff(data) == 'wav' and containers.is_int32(data):  # it reads them as floats
            raise BadAudio("tfio does not read 32-bit integer WAV. Use decoder='auto'")
        try:
            with tempfile.NamedTemporaryFile() as file, tf.device('cpu'):
                file.write(data)
                file.flush()
                sound = tfio.audio.AudioIOTensor(file.name)
                return to_float(sound.to_tensor().numpy()), int(sound.rate)
        except tf.errors.OpError as error:
            raise damaged('tfio', error.message.rpartition('}} ')[2]) from None


def _joined(blocks: Iterator[Decoded]) -> Decoded:
    pieces = list(blocks)
    if not pieces:
        return np.zeros([0, 1], np.float32), 1
    return np.concatenate([samples for samples, _ in pieces]), pieces[0][1]


DECODERS: dict[str, Decoder] = {
    'miniaudio': Miniaudio(),
    'soundfile': SoundFile(),
    'pyav': PyAV(),
    'tfio': TensorflowIO(),
}
"""By name, in the order in which `auto` tries them."""


def named(name: str) -> Decoder:
    """The decoder of this name. Raises SoundNetError where there is none."""
    if name not in DECODERS:
        raise SoundNetError(f'no decoder {name!r}. Use auto, {", ".join(DECODERS)}')
    return DECODERS[name]


def installed(decoder: Decoder) -> bool:
    """Whether the library is installed; it is not loaded."""
    return importlib.util.find_spec(decoder.module) is not None


def load_tfio() -> Any:
    """tensorflow-io, with its native library. Raises MissingTool where it does not load beside this TensorFlow."""
    try:
        import tensorflow as tf
    except ImportError:
        raise MissingTool('tensorflow-io with TensorFlow 2.16.2 or 2.17.1', 'decoding with tfio', 'tfio') from None
    try:
        with warnings.catch_warnings(action='ignore'):
            import tensorflow_io as tfio

        # Its native library loads with the first op, and only beside the TensorFlow that it was built for.
        with contextlib.suppress(tf.errors.OpError):
            tfio.audio.decode_wav(b'', dtype=tf.int16)
    except (ImportError, NotImplementedError, AttributeError):
        works = f'tensorflow-io with TensorFlow 2.16.2 or 2.17.1 (here is {tf.__version__})'
        raise MissingTool(works, 'decoding with tfio', 'tfio') from None
    return tfio


def damaged(decoder: str, error: object) -> BadAudio:
    """The error for data that a library cannot decode."""
    reason = getattr(error, 'strerror', None) or error
    return BadAudio(f'damaged: {decoder} cannot decode it ({" ".join(str(reason).split())[:160]}). {AGAIN}')


def check_length(samples: int, min_samples: int) -> None:
    """Raise BadAudio if fewer samples were decoded than the file must hold."""
    if samples < min_samples:
        raise BadAudio(f'cut short or damaged: {samples:,} of {min_samples:,} samples can be decoded. {AGAIN}')

"""The decoding libraries, each behind one small class. Importing this module imports none of them."""

import contextlib
import importlib.util
import io
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import containers, pyav, to_float
from soundnet_tf.audio.containers import AGAIN
from soundnet_tf.audio.part import Part
from soundnet_tf.errors import BadAudio, MissingTool, SoundNetError

Decoded = tuple[NDArray[np.float32], int]

BLOCK = 65_536
"""Samples of each channel that are decoded at a time."""

WHOLE_BYTES = 1 << 18
"""A shorter MP3, Ogg or Opus file is decoded at once, which is quicker."""


class Decoder(Protocol):
    """One decoding library. `module` is what Python imports, `formats` the plain formats that it reads.

    `streams` are those that it reads in constant memory, and at least as fast as any other.
    """

    name: str
    module: str
    formats: frozenset[str]
    streams: frozenset[str]

    def blocks(self, file: Part, format: str) -> Iterator[Decoded]:
        """A plain file as float32 `[samples, channels]`, full scale 1, and its sample rate in Hz, piece by piece.

        Raises MissingTool without the library, and whatever the library raises on data it cannot read.
        """
        ...


class Miniaudio:
    """Single-file C decoders. Not its Ogg decoder, which decodes 5.1 sound wrongly and is no faster."""

    name, module = 'miniaudio', 'miniaudio'
    formats, streams = frozenset({'mp3', 'wav', 'flac'}), frozenset({'mp3'})

    def blocks(self, file: Part, format: str) -> Iterator[Decoded]:
        try:
            import miniaudio
        except ImportError:
            raise MissingTool('miniaudio', 'decoding with miniaudio') from None
        if format != 'mp3' or len(file) <= WHOLE_BYTES:
            readers = {'mp3': miniaudio.mp3_read_f32, 'wav': miniaudio.wav_read_f32, 'flac': miniaudio.flac_read_f32}
            sound = readers[format](file[:])
            yield np.frombuffer(sound.samples, np.float32).reshape(-1, sound.nchannels), sound.sample_rate
            return

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
    # It seeks after each piece, which breaks MP3, and ends a FLAC where its header says, which may be too soon.
    streams = formats - {'mp3', 'flac'}

    def blocks(self, file: Part, format: str) -> Iterator[Decoded]:
        try:
            import soundfile
        except (ImportError, OSError):  # OSError: the package is there and its libsndfile is not
            raise MissingTool('soundfile', 'decoding with soundfile') from None
        whole = format not in self.streams
        source: Any = file
        if whole:
            source = io.BytesIO(containers.true_tag(file[:]))
        elif format in ('ogg', 'opus') and len(file) <= WHOLE_BYTES:
            source = io.BytesIO(file[:])
        size = BLOCK if source is file else -1
        with soundfile.SoundFile(source) as sound:
            total, given = 0, size
            while given == size:
                samples: Any = sound.read(size, dtype='float32', always_2d=True)
                given = len(samples)
                total += given
                yield samples, sound.samplerate
            if not whole:  # an MP3's tag may promise more than a cut file holds
                check_length(total, sound.frames)


class PyAV:
    """FFmpeg's libraries through PyAV, which read everything: see `pyav`."""

    name, module = 'pyav', 'av'
    formats = frozenset({'mp3', 'wav', 'aiff', 'flac', 'ogg', 'opus'})
    streams = frozenset[str]()

    def blocks(self, file: Part, format: str) -> Iterator[Decoded]:
        yield from pyav.blocks(file, lambda note: None)


class TensorflowIO:
    """tensorflow-io, eagerly. Through a file, since only its file reader returns the sample rate."""

    name, module = 'tfio', 'tensorflow_io'
    formats, streams = frozenset({'mp3', 'wav', 'flac', 'ogg'}), frozenset[str]()

    def blocks(self, file: Part, format: str) -> Iterator[Decoded]:
        tfio = load_tfio()
        import tensorflow as tf

        header = containers.wav_header(file) if format == 'wav' else None
        if header and header.kind == 1 and header.width == 4:  # it reads them as floats
            raise BadAudio("tfio does not read 32-bit integer WAV. Use decoder='auto'")
        try:
            with tempfile.NamedTemporaryFile() as copy, tf.device('cpu'):
                copy.write(file[:])
                copy.flush()
                sound = tfio.audio.AudioIOTensor(copy.name)
                yield to_float(sound.to_tensor().numpy()), int(sound.rate)
        except tf.errors.OpError as error:
            raise damaged('tfio', error.message.rpartition('}} ')[2]) from None


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

"""Bytes of a sound file to a waveform, through whichever decoding library is chosen or installed.

`auto` takes the fastest decoder that is installed and reads the format: miniaudio, soundfile (libsndfile), pyav
(PyAV, which carries FFmpeg), and tfio (tensorflow-io, as it loads TensorFlow) only where no other is installed.
The format is told by the first bytes, never by the file's name. Importing this module imports no decoder.

**Encoder delay.** An MP3 with a Xing or LAME tag is trimmed to its original length by every decoder. Without the tag
all frames are kept: 1,105 samples of delay, and padding at the end, with every decoder. (libsndfile guesses the length
of an untagged MP3 of variable bit rate, mostly far too short: such a result is refused.) M4A and Ogg are trimmed to
the length that the container states, except that PyAV may drop up to 1,024 samples from the end of an Ogg file of less
than about two seconds.

**Agreement.** WAV, AIFF and FLAC: the same samples, exactly. MP3: within 5e-5 with miniaudio, which rounds to 16 bits,
and within 4e-6 between the others. Ogg: within 1e-6. Overshoot of lossy codecs is clipped at full scale. Channels come
in the file's order, but PyAV puts Ogg of more than two in FFmpeg's; the first is the front left one in both.

**Damage.** WAV, AIFF, FLAC, M4A and most WebM state their length: a file that holds less is refused. MP3 and Ogg are
streams that may be cut anywhere: the whole frames that are there are given, but an MP3 with a hole in it, and an Ogg
file with a lost page, are refused. tensorflow-io alone also refuses cut Ogg files, and cut MP3 files that have the tag.
PCM and AAC carry no checksum: changed bytes cannot be noticed. `auto` tries the next decoder where one fails, under the
same checks. libsndfile's MP3 decoder prints its own complaints about damaged frames to standard error.
"""

import contextlib
import importlib.util
import io
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import Channel, Waveform, containers, pyav, to_float, to_waveform
from soundnet_tf.audio.containers import AGAIN
from soundnet_tf.errors import BadAudio, MissingTool, SoundNetError

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ['DECODERS', 'Decoder', 'available', 'decode', 'read', 'require', 'tfio_graph_decoder']

Decoded = tuple[NDArray[np.float32], int]

BLOCK = 65_536
"""Samples of each channel that are decoded at a time where a file is read piece by piece."""


class Decoder(Protocol):
    """One decoding library. `module` is what Python imports, `formats` what `sniff` may call the data.

    `streams` are the formats that it also gives piece by piece, as a `StreamingDecoder`.
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
    """One that also gives some formats piece by piece."""

    def blocks(self, file: containers.Part, format: str) -> Iterator[Decoded]:
        """What `decode` gives, of an open file, a second or so at a time, in constant memory."""
        ...


class Miniaudio:
    """Single-file C decoders. Not its Ogg decoder: that one gives 5.1 sound wrongly, and is no faster."""

    name, module = 'miniaudio', 'miniaudio'
    formats = frozenset({'mp3', 'wav', 'flac'})
    streams = frozenset({'mp3'})  # libsndfile is as good with the others

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
    streams = formats - {'mp3'}  # it seeks after each piece, which tears an MP3

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
    formats = frozenset({'mp3', 'wav', 'aiff', 'flac', 'ogg', 'opus', 'm4a', 'mkv'})
    streams = formats
    _block = 2048  # a container's stated length counts samples; the codec gives blocks of up to so many

    def decode(self, data: bytes) -> Decoded:
        return _joined(self._blocks(io.BytesIO(data), containers.sniff(data) or '?'))

    def blocks(self, file: containers.Part, format: str) -> Iterator[Decoded]:
        return self._blocks(file, format)

    def _blocks(self, source: Any, format: str) -> Iterator[Decoded]:
        av = pyav.library('decoding with pyav')
        # The container is named, so that FFmpeg does not take the data for a playlist that opens other files.
        demuxer = {'m4a': 'mov', 'mkv': 'matroska', 'opus': 'ogg'}.get(format, format)
        strict = {'err_detect': 'crccheck+explode'}  # by default FFmpeg plays damaged FLAC frames
        opened: Any = av.open(source, 'r', format=demuxer, container_options=strict)
        with opened as container:
            if not container.streams.audio:
                raise BadAudio('it has no sound track. Give a file with sound')
            stream = container.streams.audio[0]
            stream.codec_context.options = strict
            total, rate, beyond = 0, 0, []
            stated = None
            for frame in container.decode(stream):
                if rate not in (0, frame.sample_rate):
                    raise BadAudio(f'its sample rate changes midway. {AGAIN}')
                rate = frame.sample_rate
                if not total and format in ('m4a', 'ogg', 'opus') and stream.duration and stream.time_base:
                    stated = round(float(stream.duration * stream.time_base) * rate)
                block = frame.to_ndarray()
                block = to_float(block.T if frame.format.is_planar else block.reshape(-1, frame.layout.nb_channels))
                total += len(block)
                # A little more than the container states is the codec's padding; much more, and the statement is wrong.
                if stated and stated < total <= stated + self._block:
                    beyond.append(block[max(0, len(block) - (total - stated)) :])
                    block = block[: len(block) - len(beyond[-1])]
                elif beyond:
                    block, beyond = np.concatenate([*beyond, block]), []
                yield block, rate
            if not total:
                raise BadAudio(f'it holds no sound. {AGAIN}')
            if stated:
                check_length(total, stated - self._block)


class TensorflowIO:
    """tensorflow-io, eagerly. Through a file, as only its reader of files tells the sample rate."""

    name, module = 'tfio', 'tensorflow_io'
    formats = frozenset({'mp3', 'wav', 'flac', 'ogg'})
    streams = frozenset[str]()

    def decode(self, data: bytes) -> Decoded:
        tfio = _load_tfio()
        import tensorflow as tf

        if containers.sniff(data) == 'wav' and containers.is_int32(data):  # it takes them for floats
            raise BadAudio("tfio does not read WAV of 32-bit whole numbers. Use decoder='auto'")
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


def decode(data: bytes, name: str, decoder: str = 'auto', channel: Channel = 'first') -> Waveform:
    """A whole sound file's bytes to a waveform: float32 `[samples]`, mono, 22,050 Hz, in [-1, 1].

    `decoder` is a key of DECODERS or 'auto'. Raises BadAudio, one line that begins with `name`, for data that is no
    sound, is damaged, cut (see above) or of a format that the decoder does not read; MissingTool without a library
    that reads it; SoundNetError for an unknown decoder.
    """
    try:
        data = containers.without_id3(data)
        format = containers.sniff(data)
        if format is None:
            raise BadAudio(no_sound(data))
        samples, sample_rate = _decode(data, format, decoder)
    except BadAudio as error:
        raise BadAudio(f'{name}: {error}') from error.__cause__
    try:
        return to_waveform(samples, sample_rate, channel, name)
    except BadAudio as error:
        raise BadAudio(f'{error}. {AGAIN}') from None


def read(path: str | Path, decoder: str = 'auto', channel: Channel = 'first') -> Waveform:
    """The sound file at `path` as `decode` gives it. Raises BadAudio too where the file cannot be read."""
    with readable(path):
        data = Path(path).read_bytes()
    return decode(data, str(path), decoder, channel)


@contextlib.contextmanager
def readable(path: str | Path) -> Iterator[None]:
    """What goes wrong in reading the file inside becomes BadAudio, one line that names it."""
    try:
        yield
    except FileNotFoundError:
        raise BadAudio(f'{path}: there is no such file. Check the path') from None
    except IsADirectoryError:
        raise BadAudio(f'{path}: this is a folder. Give a sound file') from None
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise BadAudio(f'{path}: cannot be read ({reason}). Check the path and its permissions') from None


def tfio_graph_decoder() -> 'Callable[[tf.Tensor], tf.Tensor]':
    """For tf.data: tensorflow-io's decoder of a record's MP3, a scalar string to float32 `[samples]`, inside the graph.

    Data that cannot be decoded raises a tf.errors.OpError when the element is asked for. Raises
    MissingTool at once where tensorflow-io is not installed, or does not load beside this TensorFlow.
    """
    tfio = _load_tfio()
    import tensorflow as tf

    return lambda data: tf.clip_by_value(tfio.audio.decode_mp3(data)[:, 0], -1, 1)


def require(decoder: str) -> None:
    """Raise SoundNetError for an unknown decoder, MissingTool for one that is not installed; 'auto' is neither."""
    if decoder != 'auto' and not installed(_decoder(decoder)):
        raise MissingTool(_decoder(decoder).module, f'decoding with {decoder}')


def available() -> list[str]:
    """The names of the decoders that work here, in order of preference. Imports TensorFlow if tfio is installed."""
    names = [name for name, decoder in DECODERS.items() if installed(decoder)]
    if 'tfio' in names:
        try:
            _load_tfio()
        except MissingTool:
            names.remove('tfio')
    return names


def _decoder(name: str) -> Decoder:
    if name not in DECODERS:
        raise SoundNetError(f'there is no decoder {name!r}: give auto, {", ".join(DECODERS)}')
    return DECODERS[name]


def installed(decoder: Decoder) -> bool:
    """Whether the library is there, as far as can be told without loading it."""
    return importlib.util.find_spec(decoder.module) is not None


def _load_tfio() -> Any:
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


def _decode(data: bytes, format: str, decoder: str) -> Decoded:
    """By the named decoder, or by the first one that succeeds."""
    readers = [one for one in DECODERS.values() if format in one.formats]
    if decoder != 'auto':
        if _decoder(decoder) not in readers:
            names = ' or '.join(one.name for one in readers)
            raise BadAudio(f"{decoder} does not read {format.upper()}. Use decoder='auto', or {names}")
        readers = [_decoder(decoder)]
    data, least = containers.whole(data, format)
    missing, failed = None, None
    for one in readers:
        if failed and one.name == 'tfio':  # not worth loading TensorFlow for a damaged file
            break
        try:
            return _attempt(one, data, least)
        except MissingTool as error:
            missing = missing or error
        except BadAudio as error:
            failed = failed or error
    raise failed or missing or AssertionError(format)


def _attempt(decoder: Decoder, data: bytes, least: int) -> Decoded:
    try:
        samples, sample_rate = decoder.decode(data)
    except SoundNetError:
        raise
    except Exception as error:  # every library has errors of its own, and some have bare MemoryErrors
        raise damaged(decoder.name, error) from error
    check_length(len(samples), max(least, 1))
    return samples, sample_rate


def damaged(decoder: str, error: object) -> BadAudio:
    """What is raised where a library gives up."""
    reason = getattr(error, 'strerror', None) or error
    return BadAudio(f'damaged, {decoder} gives up ({" ".join(str(reason).split())[:160]}). {AGAIN}')


def check_length(samples: int, least: int) -> None:
    """Raise BadAudio where fewer samples came out than must be in there."""
    if samples < least:
        raise BadAudio(f'cut short or damaged: {samples:,} samples of {least:,} can be decoded. {AGAIN}')


def no_sound(data: bytes) -> str:
    """What is wrong with a file that begins so and is of no known format."""
    if not data:
        return f'the file is empty. {AGAIN}'
    start = data[:16].decode('latin-1').strip()
    what = f'it begins with the text {start!r}' if start.isprintable() else f'it begins with bytes {data[:8].hex(" ")}'
    return f'not a sound file, {what}. Give MP3, WAV, AIFF, FLAC, Ogg, M4A, MP4 or WebM'

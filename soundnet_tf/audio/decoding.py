"""Sound files to waveforms, with any of four decoding libraries.

`auto` uses the fastest installed decoder that reads the format: miniaudio, soundfile (libsndfile), pyav
(PyAV, which carries FFmpeg), and tfio (tensorflow-io, as it loads TensorFlow) only where no other is installed.
The format is detected from the first bytes, never from the file's name. Importing this module imports no decoder.

**Encoder delay.** An MP3 with a Xing or LAME tag is trimmed to its original length by every decoder. Without the tag
all frames are kept: 1,105 samples of delay, and padding at the end, with every decoder. (libsndfile guesses the length
of an untagged MP3 of variable bit rate, mostly far too short: such a result raises BadAudio.) M4A and Ogg are trimmed
to the length that the container states, except that PyAV may drop up to 1,024 samples from the end of an Ogg file
of less than about two seconds.

**Agreement.** WAV, AIFF and FLAC: the same samples, exactly. MP3: within 5e-5 with miniaudio, which rounds to 16 bits,
and within 4e-6 between the others. Ogg: within 1e-6. Overshoot of lossy codecs is clipped at full scale. Channels come
in the file's order, but PyAV puts Ogg of more than two in FFmpeg's; the first is the front left one in both.

**Damage.** WAV, AIFF, FLAC, M4A and most WebM state their length: a shorter file raises BadAudio. MP3 and Ogg are
streams that may be cut anywhere: all whole frames are decoded, but an MP3 with a gap, and an Ogg file with a missing
page, raise BadAudio. tensorflow-io alone also rejects cut Ogg files, and cut MP3 files that have the tag.
PCM and AAC carry no checksum: changed bytes cannot be detected. `auto` tries the next decoder if one fails, with the
same checks. libsndfile's MP3 decoder prints its own complaints about damaged frames to standard error.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from soundnet_tf.audio import Channel, Waveform, containers, decoders, to_waveform
from soundnet_tf.audio.containers import AGAIN
from soundnet_tf.audio.decoders import DECODERS, Decoded, Decoder, check_length, damaged, installed, named
from soundnet_tf.errors import BadAudio, MissingTool, SoundNetError

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ['DECODERS', 'Decoder', 'available', 'decode', 'read', 'require', 'tfio_graph_decoder']


def decode(data: bytes, name: str, decoder: str = 'auto', channel: Channel = 'first') -> Waveform:
    """A whole sound file's bytes to a waveform: float32 `[samples]`, mono, 22,050 Hz, in [-1, 1].

    `decoder` is a key of DECODERS or 'auto'. Raises BadAudio, one line that begins with `name`, for data that is not
    sound, is damaged, cut (see above) or of a format that the decoder does not read; MissingTool if no library that
    reads it is installed; SoundNetError for an unknown decoder.
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
    """`decode` of the file at `path`. Also raises BadAudio if the file cannot be read."""
    with readable(path):
        data = Path(path).read_bytes()
    return decode(data, str(path), decoder, channel)


@contextlib.contextmanager
def readable(path: str | Path) -> Iterator[None]:
    """Turn errors of reading the file into BadAudio, one line that begins with the path."""
    try:
        yield
    except FileNotFoundError:
        raise BadAudio(f'{path}: no such file. Check the path') from None
    except IsADirectoryError:
        raise BadAudio(f'{path}: is a folder. Pass a sound file') from None
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise BadAudio(f'{path}: cannot be read ({reason}). Check the path and its permissions') from None


def tfio_graph_decoder() -> 'Callable[[tf.Tensor], tf.Tensor]':
    """For tf.data: tensorflow-io's decoder of a record's MP3, a scalar string to float32 `[samples]`, inside the graph.

    Data that cannot be decoded raises a tf.errors.OpError when the element is read. Raises MissingTool
    at once if tensorflow-io is not installed, or does not load with this TensorFlow.
    """
    tfio = decoders.load_tfio()
    import tensorflow as tf

    return lambda data: tf.clip_by_value(tfio.audio.decode_mp3(data)[:, 0], -1, 1)


def require(decoder: str) -> None:
    """Raise SoundNetError for an unknown decoder, MissingTool for one that is not installed; 'auto' is neither."""
    if decoder != 'auto' and not installed(named(decoder)):
        raise MissingTool(named(decoder).module, f'decoding with {decoder}')


def available() -> list[str]:
    """The names of the decoders that work here, in order of preference. Imports TensorFlow if tfio is installed."""
    names = [name for name, decoder in DECODERS.items() if installed(decoder)]
    if 'tfio' in names:
        try:
            decoders.load_tfio()
        except MissingTool:
            names.remove('tfio')
    return names


def _decode(data: bytes, format: str, decoder: str) -> Decoded:
    """With the chosen decoder, or the first one that succeeds."""
    readers = [one for one in DECODERS.values() if format in one.formats]
    if decoder != 'auto':
        if named(decoder) not in readers:
            names = ' or '.join(one.name for one in readers)
            raise BadAudio(f"{decoder} does not read {format.upper()}. Use decoder='auto', or {names}")
        readers = [named(decoder)]
    data, min_samples = containers.whole(data, format)
    missing, failed = None, None
    for one in readers:
        if failed and one.name == 'tfio':  # not worth loading TensorFlow for a damaged file
            break
        try:
            return _attempt(one, data, min_samples)
        except MissingTool as error:
            missing = missing or error
        except BadAudio as error:
            failed = failed or error
    raise failed or missing or AssertionError(format)


def _attempt(decoder: Decoder, data: bytes, min_samples: int) -> Decoded:
    try:
        samples, sample_rate = decoder.decode(data)
    except SoundNetError:
        raise
    except Exception as error:  # every library has errors of its own, and some have bare MemoryErrors
        raise damaged(decoder.name, error) from error
    check_length(len(samples), max(min_samples, 1))
    return samples, sample_rate


def no_sound(data: bytes) -> str:
    """What is wrong with a file of unknown format that begins like this."""
    if not data:
        return f'the file is empty. {AGAIN}'
    start = data[:16].decode('latin-1').strip()
    what = f'it begins with the text {start!r}' if start.isprintable() else f'it begins with bytes {data[:8].hex(" ")}'
    return f'not a sound file, {what}. Use MP3, WAV, AIFF, FLAC, Ogg, M4A, MP4 or WebM'

"""Sound files to waveforms.

Whatever FFmpeg reads is read: `auto` leaves only plain files (`containers.plain`) to a faster decoder that gives the
same samples, miniaudio for MP3 and libsndfile for WAV, AIFF, Ogg and Opus. The format is detected from the
content, never from the file's name. Importing this module imports no decoder.

**Incomplete files.** What is there is decoded. What is missing is reported with the place and the seconds: gaps in
time stamps and damaged parts are filled with silence as far as the file says how long they are; a file that is
shorter than its header states is decoded to its end. `strict` refuses such files. What states no length (ADTS, MPEG
streams, MP3 without a tag) can be cut between frames without a trace; PCM and most codecs have no checksums.

**Encoder delay.** An MP3 with a Xing or LAME tag is trimmed to its original length by every decoder. Without the tag
all frames are kept: 1,105 samples of delay, and padding at the end. M4A and Ogg are trimmed to the length that the
file states, except that PyAV may drop up to 1,024 samples from the end of an Ogg file of less than two seconds.

**Agreement.** WAV, AIFF and FLAC: the same samples, exactly. MP3: within 5e-5 with miniaudio, which rounds to 16 bits,
and within 4e-6 between the others. Ogg: within 1e-6. Overshoot of lossy codecs is clipped at full scale. Channels come
in the file's order, but PyAV puts Ogg of more than two in FFmpeg's; the first is the front left one in both.

A decoder that is chosen by name reads plain files of its formats alone, except pyav, which reads everything.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from soundnet_tf.audio import Channel, Waveform, blocks, decoders, notes
from soundnet_tf.audio.blocks import Sound
from soundnet_tf.audio.decoders import DECODERS, Decoder, installed, named
from soundnet_tf.errors import MissingTool

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ['DECODERS', 'Decoder', 'available', 'decode', 'read', 'require', 'tfio_graph_decoder']


def decode(data: bytes, name: str, decoder: str = 'auto', channel: Channel = 'first', strict: bool = False) -> Waveform:
    """A whole sound file's bytes to a waveform: float32 `[samples]`, mono, 22,050 Hz, in [-1, 1].

    `decoder` is a key of DECODERS or 'auto'. What is missing or filled is logged as a warning. Raises BadAudio, one
    line that begins with `name`, for data that is not sound, for files of which nothing can be decoded or that the
    decoder does not read, and with `strict` for anything incomplete; MissingTool if no library that reads it is
    installed; SoundNetError for an unknown decoder.
    """
    return _whole(blocks.of_bytes(data, name, decoder, channel, notes.check_of(strict)), name)


def read(path: str | Path, decoder: str = 'auto', channel: Channel = 'first', strict: bool = False) -> Waveform:
    """`decode` of the file at `path`. Also raises BadAudio if the file cannot be read."""
    return _whole(blocks.read(path, decoder, channel, notes.check_of(strict)), path)


def _whole(sound: Sound, name: str | Path) -> Waveform:
    pieces = list(sound)
    notes.log(name, sound.notes)
    return blocks.joined(pieces)


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

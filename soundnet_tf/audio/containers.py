"""The format of a sound file, and whether the file is complete, from its bytes, before anything is decoded.

Decoders treat damaged files differently, from an error to silence. With the checks here, all of them
reject the same files.
"""

import functools
import io
from collections.abc import Callable
from typing import Any, BinaryIO

from soundnet_tf.errors import BadAudio

AGAIN = 'Copy or download it again, or leave it out'


def sniff(data: bytes) -> str | None:
    """The format by its first bytes, or None.

    One of mp3, wav, aiff, flac, ogg (Vorbis), opus (in Ogg), m4a (any MP4), mkv (any Matroska, as WebM is), aac, asf
    (WMA, WMV), avi, flv, mpeg or mpegts.
    """
    if data[:4] in (b'RIFF', b'RF64') and data[8:12] == b'WAVE':
        return 'wav'
    if data[:4] == b'FORM' and data[8:12] in (b'AIFF', b'AIFC'):
        return 'aiff'
    if data[:4] == b'fLaC':
        return 'flac'
    if data[:4] == b'OggS':
        return 'opus' if data[28:36] == b'OpusHead' else 'ogg'
    if data[4:8] == b'ftyp':
        return 'm4a'
    if data[:4] == b'\x1aE\xdf\xa3':
        return 'mkv'
    if data[:3] == b'ID3' or mp3_frame(data[:3]):
        return 'mp3'
    return next((name for name, fits in _FFMPEG.items() if fits(data)), None)


_FFMPEG: dict[str, Callable[[bytes], bool]] = {
    'aac': lambda data: data[:1] == b'\xff' and len(data) > 1 and data[1] & 0xF6 == 0xF0,
    'asf': lambda data: data[:8] == bytes.fromhex('3026b2758e66cf11'),
    'avi': lambda data: data[:4] == b'RIFF' and data[8:12] == b'AVI ',
    'flv': lambda data: data[:4] == b'FLV\x01',
    'mpeg': lambda data: data[:4] == b'\x00\x00\x01\xba',
    'mpegts': lambda data: data[:1] == data[188:189] == b'\x47',
}
"""By the name of FFmpeg's demuxer: formats that PyAV alone reads."""

FFMPEG_ONLY = frozenset(_FFMPEG)


def whole(data: bytes, format: str) -> tuple[bytes, int]:
    """What to decode of the file, and the min number of samples in it. Raises BadAudio if it is cut short."""
    end, samples = extent(data, format)
    return data[:end], samples


def extent(data: Any, format: str) -> tuple[int, int]:
    """As `whole`, with the end of the sound instead of its bytes; `data` is anything that slices like bytes."""
    if format == 'flac':  # the last 36 bits of the stream's own description; 0 if its writer did not know
        return len(data), int.from_bytes(data[18:26], 'big') & (1 << 36) - 1
    if format == 'wav':
        _check_wav(data)
    if format == 'mp3':
        return _mp3_frames(data)
    stated = {'aiff': _aiff_size, 'mkv': _mkv_size}.get(format, len)(data)
    if stated > len(data):
        raise BadAudio(f'cut short: its header states {stated:,} bytes, the file has {len(data):,}. {AGAIN}')
    return len(data), 0


def _aiff_size(data: Any) -> int:
    return 8 + int.from_bytes(data[4:8], 'big')


def _mkv_size(data: Any) -> int:
    """Of its two outermost elements, the header and the segment; 0 if a live writer did not know."""
    end = 0
    for _ in range(2):
        start = data[end + 4 : end + 12] + bytes(8)
        # The size has as many bytes as the first one has zeros in front, and one more.
        length = 9 - start[0].bit_length()
        unknown = (1 << 7 * length) - 1
        size = int.from_bytes(start[:length], 'big') & unknown
        if size == unknown:
            return 0
        end += 4 + length + size
    return end


def _wav_chunks(data: Any) -> dict[bytes, tuple[int, int]]:
    """Where each chunk's content begins, and its stated size in bytes."""
    chunks, at = {}, 12
    while at + 8 <= len(data) and b'data' not in chunks:
        size = int.from_bytes(data[at + 4 : at + 8], 'little')
        chunks[data[at : at + 4]] = at + 8, size
        at += 8 + size + size % 2
    return chunks


def _check_wav(data: Any) -> None:
    chunks = _wav_chunks(data)
    if b'data' not in chunks or b'fmt ' not in chunks:
        raise BadAudio(f'cut short: a WAV header without sound after it. {AGAIN}')
    start, size = chunks[b'data']
    there = len(data) - start
    if not size:
        raise BadAudio(f'no samples, according to its header. {AGAIN}')
    if there < size < 0x7FFF_0000:  # sizes beyond are those of writers that did not know the length
        raise BadAudio(f'cut short: its header states {size:,} bytes of sound, the file has {there:,}. {AGAIN}')


def is_int32(data: bytes) -> bool:
    """Whether a WAV holds 32-bit integers."""
    kind, bits = _wav_kind(data)
    return kind == 1 and bits == 32


def is_pcm(data: Any) -> bool:
    """Whether a WAV holds PCM, integer or float; it may hold MP3 and other formats."""
    return _wav_kind(data)[0] in (1, 3)


def _wav_kind(data: Any) -> tuple[int, int]:
    """The format code of a WAV, 0 if it has none, and the bits per sample."""
    start, _ = _wav_chunks(data).get(b'fmt ', (len(data), 0))
    kind, bits = data[start : start + 2], data[start + 14 : start + 16]
    kind = data[start + 24 : start + 26] if kind == b'\xfe\xff' else kind
    return int.from_bytes(kind, 'little'), int.from_bytes(bits, 'little')


def without_id3(data: bytes) -> bytes:
    """Without the tags at the start, and the zeros that some writers pad them with."""
    return data[start(data) :]


def start(data: Any) -> int:
    """Where the sound begins, after any tags; `data` is anything that slices like bytes."""
    at = 0
    while data[at : at + 3] == b'ID3' and len(data) - at > 10:
        at += 10 + functools.reduce(lambda total, byte: total << 7 | byte & 127, data[at + 6 : at + 10], 0)
        while (zeros := data[at : at + 4096]) and not zeros.strip(b'\0'):
            at += len(zeros)
        at += len(zeros) - len(zeros.lstrip(b'\0'))
    return min(at, len(data))


class Part:
    """An open file, or its bytes from `start` to `end`, sliced like bytes and read like a file, in constant memory."""

    _window = 1 << 20

    def __init__(self, file: BinaryIO, start: int = 0, end: int | None = None) -> None:
        self.path = file.name
        self._file, self._start, self._at = file, start, 0
        self._length = (file.seek(0, io.SEEK_END) if end is None else end) - start
        self._cached, self._from = b'', 0

    def part(self, start: int, end: int | None = None) -> 'Part':
        """A part of this part."""
        return Part(self._file, self._start + start, self._start + (self._length if end is None else end))

    def __repr__(self) -> str:  # libraries put it into their messages
        return self.path

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, wanted: slice) -> bytes:
        begin, end, _ = wanted.indices(self._length)
        end = max(begin, end)
        if not self._from <= begin <= end <= self._from + len(self._cached):
            self._file.seek(self._start + begin)
            self._cached, self._from = self._file.read(max(self._window, end - begin)), begin
        return self._cached[begin - self._from : end - self._from]

    def read(self, size: int = -1) -> bytes:
        """The next bytes, as of any file."""
        rest = max(0, self._length - self._at)
        size = rest if size < 0 else min(size, rest)
        self._file.seek(self._start + self._at)
        data = self._file.read(size)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """To another place, as in any file."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        return self._at

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at


_KBITS = {  # by MPEG version: by the header's four bits, layer III; 0 (free) and 15 are not supported
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
}


@functools.lru_cache(1024)
def mp3_frame(header: bytes) -> tuple[int, int] | None:
    """The length in bytes and in samples of the frame that begins with these three bytes; None if there is none."""
    if len(header) < 3 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2 or header[1] & 0x18 == 0x08:
        return None
    version = 1 if header[1] & 0x18 == 0x18 else 2
    kbits = _KBITS[version][header[2] >> 4]
    rate = _mp3_rate(header)
    if not kbits or not rate:
        return None
    samples = 1152 // version
    return samples // 8 * kbits * 1000 // rate + (header[2] >> 1 & 1), samples


def mp3_layout(header: bytes) -> tuple[int, int]:
    """Channels and sample rate in Hz of the frame that begins with these four bytes."""
    return (1 if header[3] >> 6 == 3 else 2), _mp3_rate(header)


def _mp3_rate(header: bytes) -> int:
    return (44_100, 48_000, 32_000, 0)[header[2] >> 2 & 3] >> {0x18: 0, 0x10: 1, 0x00: 2}[header[1] & 0x18]


def _mp3_frames(data: Any) -> tuple[int, int]:
    """Where the last whole frame ends, and the min number of samples in all of them."""
    end, samples = 0, 0
    while (frame := mp3_frame(data[end : end + 3])) and end + frame[0] <= len(data):
        end, samples = end + frame[0], samples + frame[1]
    rest = data[end : end + 8]
    if not samples:
        raise BadAudio(f'cut short: no whole MP3 frame. {AGAIN}')
    if len(data) - end > 4096 and not rest.startswith((b'TAG', b'APETAGEX', b'LYRICS', b'ID3')):
        raise BadAudio(f'damaged at byte {end:,} of {len(data):,}: no MP3 frame begins there. {AGAIN}')
    # The tag's own frame, the encoder's delay and the padding are trimmed: less than four frames together.
    return end, samples - 4 * 1152


def true_tag(data: bytes) -> bytes:
    """An MP3 whose tag states its true size, since libsndfile prints a warning about a cut file."""
    at = max(data.find(b'Xing', 0, 64), data.find(b'Info', 0, 64))
    if sniff(data) != 'mp3' or at < 0 or data[at + 7] & 3 != 3:
        return data
    return data[: at + 12] + len(data).to_bytes(4, 'big') + data[at + 16 :]

"""Which files are plain: complete, and of a format that fast decoders read exactly as FFmpeg does.

Only plain files take a fast decoder; FFmpeg's demuxers decide about all others. So nothing here has to understand a
file, only to notice that it is out of the ordinary.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterator
from typing import Any

from soundnet_tf.audio import ogg
from soundnet_tf.audio.part import Part, find, windows
from soundnet_tf.errors import BadAudio

AGAIN = 'Copy or download it again, or leave it out'


@dataclasses.dataclass(frozen=True)
class Plain:
    """What is known of a plain file: mp3, wav, aiff, flac, ogg (Vorbis) or opus."""

    format: str
    end: int
    """Where its sound ends, in bytes."""
    min_samples: int = 1
    """A decoder must give as many."""
    ffmpeg: bool = True
    """Whether FFmpeg reads it too."""


def plain(data: Any) -> Plain | None:
    """What a plain file is, or None; `data` is anything that slices like bytes.

    Raises BadAudio for what no decoder reads right.
    """
    head = data[:12]
    if head[:4] == b'RIFF' and head[8:] == b'WAVE':
        return _plain_wav(data)
    if head[:4] == b'RIFX':  # FFmpeg does not swap its bytes
        return Plain('wav', len(data), ffmpeg=False)
    if head[:4] == b'FORM' and head[8:] in (b'AIFF', b'AIFC'):
        about = data[:4096].find(b'COMM', 12)
        samples = int.from_bytes(data[about + 10 : about + 14], 'big') if about > 0 else 0
        coding = data[about + 26 : about + 30] if head[8:] == b'AIFC' else b'NONE'
        # Others are counted in blocks.
        return Plain('aiff', len(data), samples) if samples and coding in (b'NONE', b'sowt', b'fl32', b'FL32') else None
    if head[:4] == b'fLaC':  # the last 36 bits of the stream's own description; 0 if its writer did not know
        samples = int.from_bytes(data[18:26], 'big') & (1 << 36) - 1
        return Plain('flac', len(data), samples) if samples else None
    if head[:4] == b'OggS':
        return Plain(format, len(data)) if (format := ogg.complete(data)) else None
    return _plain_mp3(data)


def sound_of(file: Part) -> Part:
    """The file without what stands in front of its sound: tags, the zeros that some writers pad them with, or junk."""
    file = file.part(start(file))
    return file if looks_like_sound(file) else file.part(_junk(file[:MAX_JUNK]))


MAX_JUNK = 1 << 16

FLAC = b'fLaC\0\0\0\x22'
"""A FLAC file begins with its mark, and a description of 34 bytes."""


def _junk(head: bytes) -> int:
    """How much stands in front of an Ogg or FLAC file. Of MP3s, FFmpeg finds out itself."""
    page = next(ogg.pages(head), None)
    return page.start if page and page.begins else max(head.find(FLAC), 0)


def start(data: Any) -> int:
    """Where the sound begins, after any ID3 tags; `data` is anything that slices like bytes."""
    at = 0
    while len(data) - at > 10 and 0 < (size := id3_bytes(data[at : at + 10])) < len(data) - at:
        at += size
        while (zeros := data[at : at + 4096]) and not zeros.strip(b'\0'):
            at += len(zeros)
        at += len(zeros) - len(zeros.lstrip(b'\0'))
    return min(at, len(data))


TAGS = (b'ID3', b'TAG', b'APETAGEX', b'LYRICS')
"""What stands behind an MP3, and between joined ones, and is no sound."""


def tag_end(data: Any, at: int) -> int:
    """Where the tag at this place in an MP3 ends; `at` itself if it has no length, or one that is not true."""
    end = at + id3_bytes(data[at : at + 10])
    if end > len(data):
        return at
    frame = mp3_frame(data[end : end + 3])
    follows = end == len(data) or data[end : end + 8].startswith(TAGS) or not any(data[end : end + 64])
    # Two frames in a row are no chance.
    return end if follows or (frame and mp3_frame(data[end + frame[0] : end + frame[0] + 3])) else at


def id3_bytes(head: bytes) -> int:
    """The length of the ID3 tag that begins with these ten bytes, 0 if none does."""
    if head[:3] != b'ID3':
        return 0
    return 10 + functools.reduce(lambda total, byte: total << 7 | byte & 127, head[6:10], 0)


def stated_bytes(data: Any) -> int:
    """The file's length according to its header, of WAV, AIFF, Wave64, Matroska and ASF; 0 where it does not say."""
    head = data[:24]
    if head[:4] == b'RIFF' and (header := wav_header(data)):
        return len(data) - header.there + header.stated if header.stated < UNKNOWN_SIZE else 0
    if head[:4] in (b'RIFF', b'RIFX', b'FORM'):
        size = int.from_bytes(head[4:8], 'little' if head[:4] == b'RIFF' else 'big')
        # Sizes beyond are those of writers that did not know the length.
        return 8 + size if size < UNKNOWN_SIZE else 0
    if head[:4] == b'riff':
        return int.from_bytes(head[16:24], 'little')
    if head[:4] == ASF:
        about = data[:4096]
        at = about.find(ASF_FILE)
        # Its lowest flag is set by live writers, who do not know the length.
        return int.from_bytes(about[at + 40 : at + 48], 'little') if at > 0 and not about[at + 88] & 1 else 0
    return _mkv_size(data) if head[:4] == b'\x1aE\xdf\xa3' else 0


UNKNOWN_SIZE = 0x7FFF_0000

ASF = bytes.fromhex('3026b275')
ASF_FILE = bytes.fromhex('a1dcab8c47a9cf118ee400c00c205365')
"""What WMA and WMV files begin with, and their object that states the length."""

MAX_CHUNKS = 1000
"""In front of the sound of a WAV; a file may hold gigabytes of zeros instead."""


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


@dataclasses.dataclass(frozen=True)
class WavHeader:
    """Of a WAV: the format code, channels, bytes of a sample, bits, and the stated and true bytes of its sound."""

    kind: int
    channels: int
    width: int
    bits: int
    stated: int
    there: int


def wav_header(data: Any) -> WavHeader | None:
    """None if it has no format, or no sound."""
    chunks, at = {}, 12
    for _ in range(MAX_CHUNKS):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], 'little')
        if b'data' in chunks or at + 8 > len(data) or name == bytes(4):
            break
        chunks[name] = at + 8, size
        at += 8 + size + size % 2
    if b'data' not in chunks or b'fmt ' not in chunks or data[:12][8:] != b'WAVE':
        return None
    at, stated = chunks[b'data']
    fmt = chunks[b'fmt '][0]
    numbers = [int.from_bytes(data[fmt + i : fmt + i + 2], 'little') for i in (0, 2, 12, 14, 24)]
    kind, channels, block, bits, extensible = numbers
    kind = extensible if kind == 0xFFFE else kind
    return WavHeader(kind, channels, block // channels, bits, stated, len(data) - at) if channels else None


def _plain_wav(data: Any) -> Plain | None:
    header = wav_header(data)
    if header and header.bits > 64:  # damaged
        return None
    if header and header.kind == 1 and header.width > -(-header.bits // 8):
        if (header.bits, header.width) != (24, 4):
            raise BadAudio(f'{header.bits} bits in {header.width} bytes are not supported. Save it as 16-bit WAV')
        # FFmpeg takes these for floats.
        return Plain('wav', len(data), ffmpeg=False)
    # FFmpeg would take every eight of them for the head of a chunk.
    if not header and len(data) > 64 and not any(map(any, windows(data, 64))):
        raise BadAudio(f'damaged: nothing but zeros follows its header. {AGAIN}')
    if header and header.bits < 8 and header.kind in NOISE_BY_FFMPEG:
        return Plain('wav', len(data), ffmpeg=False)
    if not header or not 0 < header.stated <= header.there or overflows(data):
        return None
    known = header.width in (1, 2, 3, 4) if header.kind == 1 else header.kind == 3 and header.width in (4, 8)
    return Plain('wav', len(data)) if known else None


NOISE_BY_FFMPEG = (0x38, 0x40)
"""ADPCM of Natural MicroSystems, and G.721. With 16 bits the first one is FFmpeg's AMR."""

RIFF_LIMIT = 1 << 32


def overflows(data: Any) -> bool:
    """Whether a WAV is too large for its header, whose size is then what is left of the true one."""
    return data[:4] == b'RIFF' and len(data) > RIFF_LIMIT


def is_unfinished(data: Any) -> bool:
    """Whether the header of a WAV, or of its form for large files, still states no sound at all."""
    if data[:4] in (b'RF64', b'BW64'):
        return data[12:16] == b'ds64' and not any(data[28:36])
    header = wav_header(data) if data[:4] == b'RIFF' else None
    return header is not None and not header.stated


def links(file: Part) -> list[Part]:
    """The recordings of a chained Ogg or of joined FLAC files, each with its own rate and channels."""
    starts = {b'OggS': ogg.starts, FLAC[:4]: _flac_starts}.get(file[:4], lambda file: [])(file)
    # What is in front of the first belongs to it.
    return [file.part(*edges) for edges in itertools.pairwise([0, *starts[1:], len(file)])]


def _flac_starts(file: Part) -> list[int]:
    starts, at = [], -1
    while (at := find(file, FLAC, at + 1)) >= 0:
        starts.append(at)
    return starts


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


def mp3_stated_s(data: Any) -> float:
    """The length in seconds that the tag in the first frame states, 0 without one."""
    head = data[:256]
    frame, frames, at = mp3_frame(head[:3]), _tagged_frames(head), _tag(head)
    if not frame or not frames:
        return 0.0
    # The encoder's own part, behind the optional ones, has 12 bits each of delay and of padding.
    flags = head[at + 7]
    at += 29 + sum(size for bit, size in enumerate((4, 4, 100, 4)) if flags >> bit & 1)
    trimmed = int.from_bytes(head[at : at + 3], 'big')
    return (frames * frame[1] - (trimmed >> 12) - (trimmed & 4095)) / _mp3_rate(head)


def _tagged_frames(data: Any) -> int:
    head, at = data[:76], _tag(data)
    return int.from_bytes(head[at + 8 : at + 12], 'big') if at and head[at + 7] & 1 else 0


def _tag(data: Any) -> int:
    head = data[:64]
    return max(head.find(b'Xing'), head.find(b'Info'), 0)


def _plain_mp3(data: Any) -> Plain | None:
    """Frames of one layout from the first byte on, as many as the tag says, and none after them."""
    if len(data) <= Part.window:
        data = data[:]  # quicker to slice
    layout, end, samples, frames = mp3_layout(data[:4]) if mp3_frame(data[:3]) else None, 0, 0, 0
    while (frame := mp3_frame(data[end : end + 3])) and end + frame[0] <= len(data):
        if mp3_layout(data[end : end + 4]) != layout:
            return None
        end, samples, frames = end + frame[0], samples + frame[1], frames + 1
    rest = data[end : end + Part.window]
    # The tag's own frame may be counted or not.
    if not samples or b'VBRI' in data[:64] or (_tagged_frames(data) or frames) not in (frames, frames - 1):
        return None
    if end + len(rest) < len(data) or any(mp3_frame(rest[at : at + 3]) for at in _places(rest, b'\xff')):
        return None
    if rest.strip(b'\0') and not rest.startswith(TAGS):
        return None
    # The tag's own frame, the encoder's delay and the padding are trimmed: less than four frames together.
    return Plain('mp3', end, max(1, samples - 4 * 1152))


def _places(data: bytes, what: bytes) -> Iterator[int]:
    at = data.find(what)
    while at >= 0:
        yield at
        at = data.find(what, at + 1)


def true_tag(data: bytes) -> bytes:
    """An MP3 whose tag states its true size, since libsndfile prints a warning about a cut file."""
    at = _tag(data) if mp3_frame(data[:3]) else 0
    if not at or data[at + 7] & 3 != 3:
        return data
    return data[: at + 12] + len(data).to_bytes(4, 'big') + data[at + 16 :]


def looks_like_sound(data: Any) -> bool:
    """Whether a file begins as a known format does: for messages alone."""
    head = data[:12]
    magic = head[:4] in (b'RIFF', b'RF64', b'FORM', b'fLaC', b'OggS', b'\x1aE\xdf\xa3') or head[4:8] == b'ftyp'
    return magic or head[:3] == b'ID3' or bool(mp3_frame(head[:3]))


A_LIST = 'a list of other files'
PLAYLISTS = (
    *(b'v=0\r\n', b'v=0\n', b'file "', b"file '", b'rem ', b'title "', b'performer "', b'catalog '),
    *b'#extm3u ffconcat [playlist] [reference] <?xml <?wpl <mpd <playlist <asx <smil'.split(),
    *b'http:// https:// rtsp:// mms:// pnm:// file://'.split(),
)


def unknown(data: Any) -> str:
    """What is wrong with a file that nothing here reads."""
    head = data[:16]
    if not head:
        return f'the file is empty. {AGAIN}'
    text = data[:512].lstrip(b'\xef\xbb\xbf \r\n\t').lower()
    if text.startswith(PLAYLISTS):
        return f'{A_LIST}, not a sound file. Pass those files themselves'
    start = head.decode('latin-1').strip().partition('\n')[0].strip()
    what = f'it begins with the text {start!r}' if start.isprintable() else f'it begins with bytes {head[:8].hex(" ")}'
    return f'not a sound file, {what}. Use a sound or video file that FFmpeg reads'

"""The pages of Ogg files, as far as it takes to notice what is out of the ordinary."""

import dataclasses
import zlib
from collections.abc import Iterator
from typing import Any

from soundnet_tf.audio.part import find


@dataclasses.dataclass(frozen=True)
class Page:
    """Of an Ogg file: where it begins and ends, and its header."""

    start: int
    end: int
    flags: int
    stream: bytes
    number: int
    content: bytes

    @property
    def begins(self) -> bool:
        return bool(self.flags & 2)


def pages(data: Any) -> Iterator[Page]:
    """The undamaged pages; FFmpeg, too, searches for the next one where one is not."""
    at = 0
    while (at := find(data, b'OggS\0', at)) >= 0:
        head = data[at : at + 27 + 255]
        end = at + 27 + head[26] + sum(head[27 : 27 + head[26]]) if len(head) > 27 else len(data) + 1
        page = data[at:end] if end <= len(data) else b''
        if not page or _checksum(page[:22] + bytes(4) + page[26:]) != page[22:26]:
            at += 4
            continue
        body = 27 + head[26]
        yield Page(at, end, head[5], head[14:18], int.from_bytes(head[18:22], 'little'), page[body : body + 8])
        at = end


_MIRRORED = bytes(int(f'{byte:08b}'[::-1], 2) for byte in range(256))


def _checksum(page: bytes) -> bytes:
    """Ogg's CRC has zlib's polynomial with the bits of each byte in the other order, and begins and ends with 0."""
    crc = zlib.crc32(page.translate(_MIRRORED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return crc.to_bytes(4, 'big').translate(_MIRRORED)


def starts(data: Any) -> list[int]:
    """Where the recordings of a chained file begin."""
    found, last = list[int](), None
    for page in pages(data):
        if page.begins and not (last and last.begins):
            found.append(page.start)
        last = page
    return found


def faults(data: Any) -> tuple[bool, bool]:
    """Whether there is no last page, and whether one is missing before it."""
    last, gap = dict[bytes, Page](), False
    for page in pages(data):
        gap |= page.stream in last and page.number != last[page.stream].number + 1
        last[page.stream] = page
    return not any(page.flags & 4 for page in last.values()), gap


def complete(data: Any) -> str | None:
    """`ogg` (Vorbis) or `opus` for one stream of undamaged pages from its first one to its last one, else None."""
    every = pages(data)
    first = last = next(every, None)
    if not first or not last or first.start or not first.begins:
        return None
    for page in every:
        if page.begins or page.start != last.end or page.number != last.number + 1:
            return None
        last = page
    if not last.flags & 4 or last.end != len(data):
        return None
    return next((name for start, name in CODECS.items() if first.content.startswith(start)), None)


CODECS = {b'\x01vorbis': 'ogg', b'OpusHead': 'opus'}
"""By the first bytes of their streams."""

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
    granule: int
    """The samples, from the start of the stream, at the end of the last packet that ends here; -1 if none does."""
    stream: bytes
    number: int
    lacing: bytes
    content: bytes

    @property
    def begins(self) -> bool:
        return bool(self.flags & 2)

    @property
    def ends(self) -> bool:
        return bool(self.flags & 4)

    def packets(self) -> Iterator[tuple[bytes, bool]]:
        """What it holds of each packet, and whether the packet ends here."""
        start = end = 0
        for size in self.lacing:
            end += size
            if size < 255:
                yield self.content[start:end], True
                start = end
        yield self.content[start:], False


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
        granule = int.from_bytes(head[6:14], 'little', signed=True)
        number = int.from_bytes(head[18:22], 'little')
        yield Page(at, end, head[5], granule, head[14:18], number, head[27:body], page[body:])
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
    return not any(page.ends for page in last.values()), gap


def complete(data: Any) -> str | None:
    """`ogg` (Vorbis) or `opus` for one stream of undamaged pages from its first one to its last one, else None.

    Its granule positions must be the samples that its packets hold, of which the last one may cut the last packet: fast
    decoders do not notice that more time passes, and cut what FFmpeg plays.
    """
    every = pages(data)
    first = last = next(every, None)
    if not first or not last or first.start or not first.begins:
        return None
    name = next((name for start, name in CODECS.items() if first.content.startswith(start)), None)
    samples_of = _Vorbis(first.content) if name == 'ogg' else _opus_samples
    samples, last_samples, packet = 0, 0, b''
    for page in every if name else ():
        if page.begins or page.start != last.end or page.number != last.number + 1:
            return None
        for piece, is_end in page.packets():
            packet += piece
            if is_end:
                last_samples, packet = samples_of(packet), b''
                samples += last_samples
        least = samples - last_samples if page.ends else samples
        if page.granule != -1 and not least <= page.granule <= samples:
            return None
        last = page
    return name if last.ends and last.end == len(data) else None


CODECS = {b'\x01vorbis': 'ogg', b'OpusHead': 'opus'}
"""By the first bytes of their streams."""


def _opus_samples(packet: bytes) -> int:
    """At 48,000 Hz, by the packet's first two bytes (RFC 6716, section 3)."""
    if not packet or packet.startswith(b'OpusTags'):
        return 0
    config, frames = packet[0] >> 3, packet[0] & 3
    if config < 12:
        size = (480, 960, 1920, 2880)[config & 3]
    else:
        size = (120, 240, 480, 960)[config & 3] if config > 15 else (480, 960)[config & 1]
    return size * (1, 2, 2, int.from_bytes(packet[1:2]) & 63)[frames]


class _Vorbis:
    """The samples of Vorbis packets one after the other: half of each block overlaps with the one before."""

    def __init__(self, header: bytes) -> None:
        sizes = int.from_bytes(header[28:29])
        self._sizes, self._modes, self._before = (1 << (sizes & 15), 1 << (sizes >> 4)), [0], 0

    def __call__(self, packet: bytes) -> int:
        if packet.startswith(b'\x05vorbis'):
            self._modes = _vorbis_modes(packet)
        if not packet or packet[0] & 1:  # a header
            return 0
        mode = packet[0] >> 1 & (1 << (len(self._modes) - 1).bit_length()) - 1
        before, self._before = self._before, self._sizes[self._modes[mode % len(self._modes)]]
        return (before + self._before) // 4 if before else 0


def _vorbis_modes(setup: bytes) -> list[int]:
    """Whether each mode has long blocks, 1 or 0. They stand at the end of what need not be understood otherwise.

    From the end: a bit that is set, and for each mode a mapping of 8 bits, 32 bits that are 0, and one for its blocks;
    in front of them their number, in 6 bits.
    """
    bits, found, modes = int.from_bytes(setup, 'little'), [0], list[int]()
    end = bits.bit_length() - 1
    while end > 47 and len(modes) < 64 and not bits >> end - 40 & (1 << 32) - 1 and bits >> end - 8 & 255 < 64:
        end -= 41
        modes.insert(0, bits >> end & 1)
        if (bits >> end - 6 & 63) + 1 == len(modes):
            found = list(modes)
    return found

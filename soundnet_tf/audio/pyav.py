"""FFmpeg's libraries through PyAV, without a program on the machine: what decides what a file is, and where it ends.

FFmpeg opens nothing but the named file: no playlists, no lists of other files, no devices, no other protocols.
"""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import containers, ogg, to_float
from soundnet_tf.audio.containers import AGAIN
from soundnet_tf.audio.notes import Note, Report
from soundnet_tf.audio.part import Part
from soundnet_tf.errors import BadAudio, MissingTool

DEMUXERS = (
    '3g2 3gp 4xm aa aac aax ac3 ac4 ace acm adx aea aiff aix alp amr amrnb amrwb apc ape apm argo_asf argo_brp asf '
    'ast au avi avr bethsoftvid bfstm bink binka boa bonk brstm caf codec2 dcstr derf dff dhav dsf dsicin dss dts '
    'dtshd dv dxa eac3 epaf f4v film_cpk flac flv fsb fwse g722 genh gsm gxf hca hcom iamf iff ilbc ipmovie ircam iss '
    'ivf ivr kux kvag laf latm lc3 live_flv loas lxf m4a matroska mca mj2 mlp mmf mods moflex mov mp2 mp3 mp4 mpc '
    'mpc8 mpeg mpegts mpegtsraw mpegvideo msf mtaf musx mv mxf nistsphere nsp nsv nut nuv ogg oma opus osq paf pmp '
    'pva pvf qcp qoa redspark rka rm roq rpl rsd rso sbc scd sdns sds sdx shn siff smjpeg smk smush sox spdif spx '
    'svag swf tak thp truehd tta ty usm vag vividas vivo voc vpk vqf w64 wady wav wavarc wc3movie webm wsd wsvqa '
    'wtv wv wve xa xmd xmv xvag xwma'
)
"""Formats of sound, or of pictures with sound, whose files are complete in themselves and known by their content."""

ONLY_ITSELF = {'format_whitelist': ','.join(DEMUXERS.split()), 'protocol_whitelist': 'file'}

GAP_S, JUMP_S = 0.1, 60.0
"""Time stamps jitter: longer gaps than the first are filled with silence, but not longer ones than the second."""

JUMP = 'time stamps jump ahead, nothing filled in'
"""The note on one, which matters to pictures."""

FILLED_TIMES = 10
"""Silence is filled in for at most so many times the sound, and a minute: a small file may state days of it."""

RESTART_S = -1.0
"""Time stamps that fall back so far begin anew, as where recordings were joined."""

BLOCK_S = 1.0
"""Silence is given in blocks of at most this length."""

UNTIMED = ('mp3', 'aac', 'loas', 'avi')
"""Formats without time stamps: FFmpeg counts frames or bytes, and is wrong where their length is not the stated one."""

MISTIMED = ('asf', 'wtv')
"""Formats in which FFmpeg sets all FLAC frames but the first one too late."""

TRIMMED = ('mov', 'ogg')
"""The length that these state leaves out the codec's padding at the end."""

PADDING = 2048
"""Samples at most that a codec pads; many more mean that the stated length is wrong."""

STATED = (*TRIMMED, 'aiff', 'ape', 'apm', 'au', 'caf', 'flac', 'kvag', 'smjpeg', 'tak', 'tta', 'wav', 'wv')
"""Formats whose files state the length of their sound; others let FFmpeg estimate it."""

SHORT_S = 0.05
"""Less than this is not worth a note."""

AVI_ROUGH = 0.02
"""So much of its length may be missing from an AVI: some writers state it by the mean bit rate."""


class NoSound(BadAudio):
    """A file without a sound track."""


def library(purpose: str) -> Any:
    """The package `av`. Raises MissingTool, with the purpose, if it is not installed."""
    try:
        import av
        import av.logging
    except ImportError:
        raise MissingTool('av', purpose) from None
    # FFmpeg's messages must not go through Python: its threads would wait for the interpreter's lock
    # while this one holds it and waits for them.
    av.logging.set_level(None)
    return av


@dataclasses.dataclass
class Media:
    """An open file and its best stream of a kind; None where it has none, or FFmpeg does not know its codec."""

    container: Any
    stream: Any

    @property
    def start_s(self) -> float:
        """The start time of the file in seconds; all times are relative to it."""
        return (self.container.start_time or 0) / 1_000_000

    def close(self) -> None:
        """Close the file."""
        self.container.close()


def opened(source: str | os.PathLike[str] | Part, kind: str, **options: str) -> Media:
    """Open a file for its 'audio' or 'video'. Raises FFmpeg's errors, which are OSErrors and ValueErrors."""
    av = library('reading sound and videos')
    # FFmpeg takes `12:30.mp4` for an address.
    file = source if isinstance(source, Part) else f'file:{os.path.abspath(source)}'
    container: Any = av.open(file, 'r', metadata_errors='ignore', options=ONLY_ITSELF | options)
    wanted = container.streams.best(kind)
    for stream in container.streams:
        if stream is not wanted:
            # Most formats then skip its data.
            stream.discard = type(stream.discard).all
    if wanted is not None and wanted.codec_context is None:
        wanted = None
    if wanted is not None:
        # Files are read in parallel; threads within each would only use memory.
        wanted.thread_type, wanted.codec_context.thread_count = 'NONE', 1
    return Media(container, wanted)


def packets(container: Any, stream: Any) -> Iterator[Any]:
    """The packets of a stream, and an empty one that flushes its codec. Raises FFmpeg's errors, and OSErrors."""
    # At the end, PyAV also flushes streams that appeared midway, which it does not know; this one has been flushed.
    with contextlib.suppress(IndexError):
        yield from container.demux(stream)


def blocks(file: Part, report: Report) -> Iterator[tuple[NDArray[np.float32], int]]:
    """The sound of any file that FFmpeg reads: `[samples, channels]` and their rate, again and again.

    Gaps in the time stamps are filled with silence; what cannot be decoded, or is missing at the end, is reported.
    Beside pictures, the sound begins when the file does. Raises NoSound, and BadAudio where nothing can be decoded.
    """
    av = library('reading this file')
    try:
        no_length = containers.overflows(file) or containers.is_unfinished(file)
        media = opened(file, 'audio', **({'ignore_length': '1'} if no_length else {}))
    except (av.error.FFmpegError, OSError, ValueError, MemoryError) as error:
        raise BadAudio(_unopened(file, error)) from None
    try:
        if media.stream is None:
            raise NoSound('no sound track that FFmpeg can decode. Use a file with sound')
        yield from _Track(file, media, report).blocks()
    except BadAudio:
        raise
    except (ValueError, ArithmeticError, MemoryError) as error:  # rates of 0, formats that PyAV does not know
        raise BadAudio(f'damaged: FFmpeg cannot decode it ({reason(error)}). {AGAIN}') from None
    finally:
        media.close()


def _unopened(file: Part, error: BaseException) -> str:
    if not containers.looks_like_sound(file):
        return containers.unknown(file)
    return f'damaged: FFmpeg cannot open it ({reason(error)}). {AGAIN}'


def reason(error: BaseException) -> str:
    """An error of FFmpeg's in a few words."""
    return ' '.join(str(getattr(error, 'strerror', None) or error or type(error).__name__).split())[:160]


class _Track:
    """The sound track of an open file, as it is decoded."""

    def __init__(self, file: Part, media: Media, report: Report) -> None:
        self._file, self._media, self._report = file, media, report
        self._formats = frozenset(media.container.format.name.split(','))
        # In floats from here on: fractions take a third of the time of a short frame.
        self._tick_s = float(media.stream.time_base or 0)
        self._rate, self._heard_s, self._filled_s, self._jumped_s = 0, 0.0, 0.0, 0.0
        # What could not be decoded since the last frame, and where the tag ends that is being skipped.
        self._lost, self._lost_s, self._tag_end = '', 0.0, 0
        # The time stamp that belongs to the next sample, how late the first one came, and how early any other one:
        # joined fragments overlap.
        self._next_s, self._lead_s, self._early_s = 0.0, 0.0, 0.0
        is_flac = media.stream.codec_context.name == 'flac'
        self._untimed = (*UNTIMED, *MISTIMED) if is_flac else UNTIMED

    def blocks(self) -> Iterator[tuple[NDArray[np.float32], int]]:
        total, beyond, is_trimmed = 0, list[NDArray[np.float32]](), self._is(*TRIMMED)
        for block in self._timed():
            total += len(block)
            over = 0
            if is_trimmed:  # others are not asked for their length at each block
                over = total - round((self._stated_s() + self._lead_s + self._early_s) * self._rate)
            if 0 < over <= PADDING < total:
                kept = max(0, len(block) - over)
                beyond, block = [*beyond, block[kept:]], block[:kept]
            elif beyond:
                beyond, block = [], np.concatenate([*beyond, block])
            self._heard_s += len(block) / self._rate
            yield block, self._rate
        if not total:
            why = f'damaged: FFmpeg cannot decode it ({self._lost})' if self._lost else 'no samples in it'
            raise BadAudio(f'{why}. {AGAIN}')
        self._check_end()

    def _timed(self) -> Iterator[NDArray[np.float32]]:
        """Decoded blocks, with silence in gaps."""
        for frame in self._decoded():
            samples, late_s, first = _samples(frame), self._late_s(frame), not self._rate
            self._rate = frame.sample_rate
            length_s, jumps = len(samples) / self._rate, self._is_jump(late_s)
            self._early_s = max(self._early_s, -late_s)
            gap = late_s > (0 if first else GAP_S) and not jumps
            if jumps:
                self._report(Note(JUMP, self._heard_s, late_s))
                self._jumped_s += late_s
            elif first:
                self._lead_s = late_s
                samples = samples[max(0, -round(late_s * self._rate)) :]
            elif gap:
                what = 'damaged, filled with silence' if self._lost else 'a gap, filled with silence'
                self._report(Note(what, self._heard_s, late_s, filled=True))
            elif self._lost:
                self._report(Note('damaged, left out', self._heard_s, self._lost_s))
            self._lost, self._lost_s = '', 0.0
            if gap:
                self._filled_s += late_s
                yield from self._silence(round(late_s * self._rate), samples.shape[1])
            if first or late_s > GAP_S or late_s < RESTART_S:
                self._next_s = frame.time or 0.0
            self._next_s += length_s
            yield samples

    def _is_jump(self, late_s: float) -> bool:
        """Whether a gap is too long to be filled, by itself or with all others beside the little sound there is."""
        return late_s > JUMP_S or self._filled_s + late_s > JUMP_S + FILLED_TIMES * (self._heard_s - self._filled_s)

    def _late_s(self, frame: Any) -> float:
        """How much later a frame comes than the end of the one before; one without a time follows it."""
        if frame.time is None or (self._rate and self._is(*self._untimed)):
            return 0.0
        if not self._rate:
            # Sound alone begins with itself.
            seen = any(stream.type == 'video' for stream in self._media.container.streams)
            self._next_s = self._media.start_s if seen else frame.time
        return frame.time - self._next_s

    def _silence(self, samples: int, channels: int) -> Iterator[NDArray[np.float32]]:
        size = round(BLOCK_S * self._rate)
        for at in range(0, samples, size):
            yield np.zeros([min(size, samples - at), channels], np.float32)

    def _decoded(self) -> Iterator[Any]:
        """FFmpeg's frames; what it cannot decode is left out and noted in `_lost`."""
        error = library('reading this file').error.FFmpegError
        try:
            for packet in packets(self._media.container, self._media.stream):
                if self._is_tag(packet):
                    continue
                try:
                    frames = packet.decode()
                except error as why:
                    if not self._is_padding(packet):
                        self._lost = reason(why)
                        self._lost_s += float((packet.duration or 0) * (packet.time_base or 0))
                else:
                    yield from frames
        except (error, OSError) as why:
            self._lost = reason(why)

    def _is_tag(self, packet: Any) -> bool:
        """Whether a packet is a part of a tag between joined MP3 files: no sound, though it may look like frames."""
        if not self._is('mp3') or packet.pos is None:
            return False
        if bytes(packet)[:10].startswith(containers.TAGS):
            self._tag_end = max(packet.pos + packet.size, containers.tag_end(self._file, packet.pos))
        return packet.pos < self._tag_end

    def _is_padding(self, packet: Any) -> bool:
        """Whether a packet holds no sound: an empty one, or what pads Wave64 to a multiple of 8 bytes."""
        return not packet.size or (self._is('w64') and packet.size < 8 and not any(bytes(packet)))

    def _stated_s(self) -> float:
        """The length of the sound according to the file, 0 where it does not say."""
        stream, container = self._media.stream, self._media.container
        is_pcm = stream.codec_context.name.startswith('pcm')
        if self._is('caf') and stream.frames and is_pcm:
            return stream.frames / self._rate
        if self._is('aiff') and not is_pcm:  # counted in blocks, whose length it does not say
            return 0.0
        if self._is(*STATED) and stream.duration and self._tick_s:
            return stream.duration * self._tick_s
        if self._is('mp3'):
            return containers.mp3_stated_s(self._file)
        if self._is('avi') and stream.frames and stream.time_base:
            # In samples or packets, of which the last may be padded.
            return float((stream.frames - 1) * stream.time_base)
        if len(container.streams) > 1 or not self._is('matroska', 'flv'):
            return 0.0
        # The time that these state includes the codec's delay, and all of the last frame, which may be padded.
        codec = stream.codec_context
        unheard_s = (codec.delay + codec.frame_size) / self._rate
        return max(0.0, (container.duration or 0) / 1_000_000 - self._media.start_s - unheard_s)

    def _is(self, *formats: str) -> bool:
        return not self._formats.isdisjoint(formats)

    def _check_end(self) -> None:
        stated, there, stated_s = containers.stated_bytes(self._file), len(self._file), self._stated_s()
        missing_s = max(stated_s + self._lead_s - self._jumped_s - self._heard_s, 0.0)
        if missing_s < SHORT_S and stated > there:
            missing_s = self._heard_s * (stated / there - 1)
        if missing_s >= (max(SHORT_S, AVI_ROUGH * stated_s) if self._is('avi') else SHORT_S):
            # Without time stamps, nothing tells where.
            inside = self._is('avi') and stated <= there
            self._report(
                Note('damaged, left out' if inside else 'cut short', 0.0 if inside else self._heard_s, missing_s)
            )
        elif self._lost:
            self._report(Note('damaged at the end', self._heard_s, self._lost_s))
        elif self._is('ogg'):
            no_end, gap = ogg.faults(self._file)
            if no_end:
                self._report(Note('cut short', self._heard_s))
            elif gap and not self._filled_s:
                self._report(Note('damaged, left out'))
        if containers.is_unfinished(self._file):
            self._report(Note('its header was never finished: read to the end of the file'))


def _samples(frame: Any) -> NDArray[np.float32]:
    """A PyAV audio frame as `[samples, channels]` in [-1, 1], packed or planar."""
    if frame.format.name.removesuffix('p') not in ('u8', 's16', 's32', 'flt', 'dbl'):
        (frame,) = library('reading this file').AudioResampler('fltp').resample(frame)
    values = frame.to_ndarray()
    values = values.T if frame.format.is_planar else values.reshape(-1, frame.layout.nb_channels)
    # `to_float` copies, and most frames are short.
    return values if values.dtype == np.float32 else to_float(values)

"""The frames on screen at given times of a video, decoding as little else as possible."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from soundnet_tf.audio import pyav
from soundnet_tf.prepare.media import Unusable
from soundnet_tf.teachers import Frame

TIMED = ('mov', 'matroska')
"""Formats with a time for every frame and an index of keyframes, such as MP4 and WebM. In others, the times after a
jump may be guesses."""

MAX_ASPECT = 8
"""The centre crop of a longer picture would show too little of it."""

SOUND_ONLY = 'Use the video, or teachers that listen (hear:soundnet8) or are precomputed'

MARGIN_S = 0.5
"""The durations of packets are not exact in videos of variable frame rate."""


def unit_middles(sound_s: float, frame_every_s: float) -> tuple[float, ...]:
    """The middles, in seconds, of the units of this much sound; the last one may be partial.

    As in ffmpeg's rate filter, a last unit of less than half its length has no frame (paper, section 4:
    a frame every 5 s, up to 4).
    """
    units = max(1, math.floor(sound_s / frame_every_s + 0.5))
    ends = [min((index + 1) * frame_every_s, sound_s) for index in range(units)]
    return tuple((index * frame_every_s + end) / 2 for index, end in enumerate(ends))


class Pictures:
    """Frames of a video, `side` pixels on their shorter side, at increasing times.

    The frames equal those of decoding everything. Others are skipped with the file's index of keyframes,
    if it has one, and by not decoding frames that no other frame refers to.
    """

    def __init__(self, path: str, side: int) -> None:
        self._path, self._side = path, side
        self._media: pyav.Media | None = None
        self._may_jump, self._wanted_s = True, 0.0

    def _open(self) -> None:
        self.close()
        self._media = pyav.opened(self._path, 'video')
        self._container, self._stream = self._media.container, self._media.stream
        if self._stream is None:
            raise Unusable('no picture', f'only sound. {SOUND_ONLY}')
        if self._stream.disposition & type(self._stream.disposition).attached_pic:
            raise Unusable('no picture', f'only sound and a cover. {SOUND_ONLY}')
        self._start_s, self._time_base = self._media.start_s, float(self._stream.time_base)
        formats = self._container.format.name.split(',')
        self._jumps = self._may_jump and any(format in TIMED for format in formats)
        if self._jumps and 'matroska' in formats:
            # Matroska reads its index at the first seek.
            self._container.seek(0)
        self._shown = None
        self._begin()

    def close(self) -> None:
        """Close the file, which `at` opens when it is first called."""
        if self._media:
            self._media.close()

    def at(self, times: Sequence[float]) -> tuple[Frame, ...]:
        """The frame on screen at each time, in seconds; the first or last frame outside the video's times.

        Empty if `side` is 0. Raises Unusable if there is no picture.
        """
        if not self._side:
            return ()
        if not self._media:
            self._open()
        return tuple(self._picture(self._at(time)) for time in times)

    def _at(self, time: float) -> Any:
        self._wanted_s = time
        self._jump()
        while self._coming is not None and self._coming_s <= time:
            self._shown = self._coming
            self._step()
        shown = self._shown or self._coming
        if shown is None:
            raise Unusable('no picture', 'no frames')
        return shown

    def _jump(self) -> None:
        """Seek to the keyframe before the requested time, if it is ahead."""
        if not self._jumps or self._coming is None:
            return
        stamp = int((self._wanted_s + self._start_s) / self._time_base)
        entries = self._stream.index_entries
        index = entries.search_timestamp(stamp, backward=True)
        if index < 0 or entries[index].timestamp * self._time_base - self._start_s <= self._coming_s:
            return
        self._container.seek(stamp, stream=self._stream, backward=True)
        self._begin()
        if self._coming is None or self._coming_s > self._wanted_s:
            # The index is wrong: start again without it.
            self._may_jump = False
            self._open()

    def _begin(self) -> None:
        self._coming_s, self._frames = 0.0, self._decoded()
        self._step()

    def _step(self) -> None:
        before = self._coming_s
        self._coming = next(self._frames, None)
        if self._coming is not None and self._coming.time is None:
            # A frame without a time follows the one before, which is unknown after a jump.
            self._jumps = False
            self._coming_s = before + float(1 / (self._stream.average_rate or 25))
        elif self._coming is not None:
            self._coming_s = self._coming.time - self._start_s

    def _decoded(self) -> Iterator[Any]:
        damaged = pyav.library('reading this file').error.FFmpegError
        for packet in pyav.packets(self._container, self._stream):
            self._stream.codec_context.skip_frame = 'NONREF' if self._is_over(packet) else 'DEFAULT'
            frames = []
            # A damaged packet has no frame: the one before stays on screen.
            with contextlib.suppress(damaged):
                frames = packet.decode()
            yield from frames

    def _is_over(self, packet: Any) -> bool:
        """Whether the packet's frame ends before the requested time."""
        if packet.pts is None or not packet.duration or not self._jumps:
            return False
        end_s = (packet.pts + packet.duration) * self._time_base - self._start_s
        return end_s + MARGIN_S < self._wanted_s

    def _picture(self, frame: Any) -> Frame:
        """An upright frame, its shorter side scaled to `side`."""
        shorter, longer = sorted((frame.width, frame.height))
        if longer > MAX_ASPECT * shorter:
            raise Unusable('no picture', f'frames of {frame.width} by {frame.height} pixels')
        width, height = (max(self._side, round(n * self._side / shorter)) for n in (frame.width, frame.height))
        picture = frame.to_ndarray(format='rgb24', width=width, height=height)
        # Phones store the rotation; the ffmpeg program applies it too.
        return np.ascontiguousarray(np.rot90(picture, round(frame.rotation / 90)))

"""The sound of videos, in pieces, and as the bytes of a record."""

from collections.abc import Generator, Iterator

import numpy as np

from soundnet_tf.audio import Channel, Waveform, blocks, encoding, notes, pyav
from soundnet_tf.audio.containers import AGAIN
from soundnet_tf.audio.notes import Note
from soundnet_tf.errors import BadAudio
from soundnet_tf.records import AudioFormat


class Track(Iterator[Waveform]):
    """The sound of a video in pieces, and what is missing of it."""

    def __init__(self, sound: blocks.Sound, samples: int) -> None:
        self._sound, self._pieces = sound, _cut(sound, samples)

    def __next__(self) -> Waveform:
        return next(self._pieces)

    def close(self) -> None:
        """Close the file."""
        self._pieces.close()
        self._sound.close()

    def missing_s(self, start_s: float, end_s: float) -> float | None:
        """Seconds that are missing or filled with silence between two times of the sound so far.

        0 where it is not known how many, None where nothing is missing.
        """
        shares = [_share(note, start_s, end_s) for note in self._sound.notes if note.incomplete]
        return sum(share for share in shares if share) if any(share is not None for share in shares) else None


def waveforms(path: str, samples: int, channel: Channel = 'first', strict: bool = False) -> Track:
    """The sound of a video, `samples` at a time, the last time fewer, in constant memory.

    It is what `audio.blocks` reads: it starts with the video, and gaps are filled with silence. Raises BadAudio where
    time stamps jump, since the pictures would belong to other sound, and with `strict` where anything is missing.
    """

    def check(note: Note) -> None:
        if note.what == pyav.JUMP:
            raise BadAudio(f'{notes.lines([note])[0]}. {AGAIN}')
        notes.check_of(strict)(note)

    return Track(blocks.read(path, channel=channel, check=check), samples)


def _share(note: Note, start_s: float, end_s: float) -> float | None:
    if not note.filled:
        return note.seconds if start_s <= note.at_s <= end_s else None
    seconds = min(note.at_s + note.seconds, end_s) - max(note.at_s, start_s)
    return seconds if seconds > 0 else None


def _cut(sound: Iterator[Waveform], samples: int) -> Generator[Waveform]:
    waiting, count = list[Waveform](), 0
    for waveform in sound:
        waiting, count = [*waiting, waveform], count + len(waveform)
        while count >= samples:
            whole = np.concatenate(waiting)
            yield whole[:samples]
            waiting, count = [whole[samples:]], count - samples
    if count:
        yield np.concatenate(waiting)


def encode(waveform: Waveform, audio_format: AudioFormat) -> bytes:
    """A waveform as the bytes of a record: 'pcm16' is lossless for 16-bit samples, for 'mp3' see `encoding.mp3`."""
    return encoding.pcm16(waveform).tobytes() if audio_format == 'pcm16' else encoding.mp3(waveform)

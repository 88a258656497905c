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
        self._sound, self._noted, self._pieces = sound, 0, _cut(sound, samples)

    def __next__(self) -> Waveform:
        return next(self._pieces)

    def close(self) -> None:
        """Close the file."""
        self._pieces.close()
        self._sound.close()

    def missing_s(self) -> float:
        """Seconds that were missing, or filled with silence, since the last call."""
        new, self._noted = self._sound.notes[self._noted :], len(self._sound.notes)
        return sum(note.seconds for note in new if note.incomplete)


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

"""The input and output of a net: a clip, the embedding of a layer, and the protocol that turns one into the other."""

import dataclasses
import functools
import math
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import audio
from soundnet_tf.audio import SAMPLE_RATE, SILENCE_DBFS, Short, Waveform
from soundnet_tf.audio.notes import Note
from soundnet_tf.errors import BadAudio, MissingTool, ShortClip
from soundnet_tf.inference.frames import frame

if TYPE_CHECKING:
    import pandas as pd

Path = str | os.PathLike[str]

InputError = BadAudio | ShortClip | MissingTool
"""Errors of one file, which do not affect others."""


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
    """A sound that is processed in one piece: its waveform, extended where it was too short, and its own length.

    `notes` say what of its file is missing.
    """

    waveform: Waveform
    samples: int
    notes: Sequence[Note] = ()

    @functools.cached_property
    def level_dbfs(self) -> float:
        """Of the sound without what extends it; see `audio.LevelMeter`."""
        return audio.level_dbfs(self.waveform[: self.samples])


Opened = Clip | Iterator[Waveform]
"""A sound file that was opened: a clip, or the pieces of a file too long to be processed in one piece."""


class Timed(Protocol):
    """A result that knows how long its sound was."""

    @property
    def seconds(self) -> float:
        """The length of the sound."""
        ...


Result = TypeVar('Result', bound=Timed)


class Listener(Protocol[Result]):
    """Opens sound files and gives a result for each layer; `listening` and `files.listen` work with any listener."""

    @property
    def decoder(self) -> str:
        """The decoding library, or 'auto'."""
        ...

    def open_file(self, path: Path, layers: Sequence[str]) -> Opened:
        """Decode a file far enough to know whether it is long. Raises an InputError."""
        ...

    def listen_clips(self, clips: Sequence[Clip], layers: Sequence[str]) -> list[dict[str, Result]]:
        """The results of several clips, as one batch."""
        ...

    def listen_pieces(self, pieces: Iterator[Waveform], layers: Sequence[str], name: str) -> dict[str, Result]:
        """The results of a sound that comes in pieces, in constant memory."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class Embedding:
    """The output of a layer for a sound.

    `values` is float32 `[time, channels]`, `times` the centre of each step in seconds from the first sample.
    `seconds` is the length of the sound itself, of a stream so far; `tiled` says that it was repeated to be long
    enough, `padded` that silence was appended. `level_dbfs` is the level of the loudest second of that sound
    (`audio.LevelMeter`), NaN if it was not measured.
    """

    values: NDArray[np.float32]
    times: NDArray[np.float64]
    layer: str
    seconds: float = 0.0
    tiled: bool = False
    padded: bool = False
    level_dbfs: float = math.nan

    @classmethod
    def of(
        cls,
        values: NDArray[np.float32],
        times: NDArray[np.float64],
        layer: str,
        samples: int,
        filled: Short,
        level_dbfs: float,
    ) -> 'Embedding':
        """Of a sound of so many samples; `filled` says how it was extended, 'error' if it was not."""
        return cls(values, times, layer, samples / SAMPLE_RATE, filled == 'tile', filled == 'pad', level_dbfs)

    @property
    def silent(self) -> bool:
        """Whether the sound is digital silence, or below -70 dBFS (`audio.SILENCE_DBFS`) in each of its seconds."""
        return self.level_dbfs < SILENCE_DBFS

    def mean(self) -> NDArray[np.float32]:
        """`[channels]`: the average over time."""
        return self.values.mean(axis=0)

    def max(self) -> NDArray[np.float32]:
        """`[channels]`: the maximum over time."""
        return self.values.max(axis=0)

    def to_frame(self) -> 'pd.DataFrame':
        """A table of pandas: a row for each time step, by its centre in seconds, and a column for each channel.

        Raises MissingTool without pandas.
        """
        columns = [f'{self.layer}_{channel}' for channel in range(self.values.shape[1])]
        return frame(self.values, self.times, 'seconds', columns)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        time, channels = self.values.shape
        steps = f'{time} {"step" if time == 1 else "steps"} x {channels} channels'
        filled = ', tiled' if self.tiled else ', padded' if self.padded else ''
        return f'Embedding({self.layer}: {steps} of {self.seconds:.2f} s{filled})'


def join(parts: Sequence[Embedding]) -> Embedding:
    """The parts that a stream gave as one embedding."""
    values, times = (np.concatenate([getattr(part, name) for part in parts]) for name in ('values', 'times'))
    return dataclasses.replace(parts[-1], values=values, times=times)


Embeddings = dict[str, Embedding]
"""By layer or head."""

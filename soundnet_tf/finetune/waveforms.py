"""The waveforms of all clips, decoded once.

They are 16-bit samples in a memory-mapped temporary file: data sets larger than the memory work too, and nothing is
left on disk afterwards.
"""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import progress
from soundnet_tf.audio import Waveform, decoding
from soundnet_tf.errors import BadAudio
from soundnet_tf.evaluation.datasets import raise_unreadable
from soundnet_tf.finetune import loudness
from soundnet_tf.parallel import threads

FULL_SCALE = 32_767

Samples = NDArray[np.int16]


class Sounds:
    """The samples of each clip at 22,050 Hz and, optionally, its loudness over time."""

    def __init__(self, samples: Samples, ends: Sequence[int], powers: Sequence[NDArray[np.float32]] = ()):
        self._samples = samples
        self._ends = [0, *ends]
        self._powers = powers

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, clip: int) -> Samples:
        """`[samples]` int16."""
        return self._samples[self._ends[clip] : self._ends[clip + 1]]

    def length(self, clip: int) -> int:
        """Number of samples."""
        return self._ends[clip + 1] - self._ends[clip]

    def span(self, clip: int, below_db: float) -> tuple[int, int]:
        """Start and end of the part within `below_db` of the clip's max level; the whole clip for 0, or for silence."""
        levels = loudness.levels(self._powers[clip]) if below_db else np.zeros(0)
        loud = np.flatnonzero((levels > loudness.SILENCE_DB) & (levels >= levels.max(initial=-np.inf) - below_db))
        if not len(loud):
            return 0, self.length(clip)
        # A level covers one step on each side.
        begin, end = (int(loud[0]) - 1) * loudness.STEP, (int(loud[-1]) + 1) * loudness.STEP
        return max(0, begin), min(self.length(clip), end)

    def loudest(self, clip: int, start: int, samples: int, gains_db: loudness.Gains = 0.0) -> float:
        """The max level, in A-weighted dB, of a part of a clip, with gains per octave."""
        return loudness.loudest(self._powers[clip], start, samples, gains_db)


def read(
    paths: Sequence[str], folder: str | os.PathLike[str], *, with_powers: bool = False, decoder: str = 'auto'
) -> Sounds:
    """Decode `paths` into a temporary file in `folder`. Raises BadAudio, which lists all files that cannot be read."""

    def work(path: str) -> tuple[Samples, NDArray[np.float32]] | BadAudio:
        try:
            waveform = decoding.read(path, decoder)
        except BadAudio as error:
            return error
        return to_int16(waveform), loudness.powers(waveform) if with_powers else np.zeros(0, np.float32)

    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    ends, powers, end, bad = [], [], 0, []
    clips = threads.ahead(work, paths, os.cpu_count())
    with tempfile.TemporaryFile(dir=folder) as file, contextlib.closing(clips):
        bar = progress.bar(clips, total=len(paths), unit='clip')
        for path, decoded in zip(paths, bar, strict=True):
            if isinstance(decoded, BadAudio):
                bad.append((path, decoded))
                continue
            samples, own = decoded
            file.write(samples.tobytes())
            end += len(samples)
            ends.append(end)
            powers.append(own)
        raise_unreadable(bad, len(paths))
        file.flush()
        # The map keeps the file alive.
        return Sounds(np.memmap(file, np.int16, 'r'), ends, powers)


def to_int16(waveform: Waveform) -> Samples:
    """`[samples]` in [-1, 1] to the nearest 16-bit samples."""
    return np.rint(waveform * FULL_SCALE).astype(np.int16)

"""A user's own clips, which judge an export in 8 bits."""

import dataclasses
import os
import pathlib
import sys
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from soundnet_tf import progress
from soundnet_tf.audio import SAMPLE_RATE, Waveform, decoding
from soundnet_tf.errors import BadAudio

MAX_CLIPS = 320
"""More clips do not change the answer."""

MAX_CLIP_S = 10.0
"""Seconds of a clip that are used; the default length of tags."""


@dataclasses.dataclass(frozen=True, eq=False)
class CalibrationClip:
    """A waveform `[samples]` and its class, the name of its folder."""

    waveform: Waveform
    label: str


def read(paths: Sequence[str | os.PathLike[str]], length_s: float | str | None = None) -> list[CalibrationClip]:
    """The sound files at `paths`, at most MAX_CLIPS of them, evenly spaced; the first `length_s` seconds of each.

    MAX_CLIP_S if `length_s` is not a number. Files that cannot be read are reported and left out; BadAudio if all are.
    """
    samples = round(SAMPLE_RATE * (length_s if isinstance(length_s, float | int) else MAX_CLIP_S))
    count = min(MAX_CLIPS, len(paths))
    chosen = [paths[index] for index in np.linspace(0, len(paths) - 1, count).round().astype(int)]
    clips, bad = list[CalibrationClip](), list[BadAudio]()
    for path in progress.bar(chosen, desc='clips', unit='clip'):
        try:
            # A copy, so that the rest is freed.
            clips.append(CalibrationClip(decoding.read(path)[:samples].copy(), pathlib.Path(path).parent.name))
        except BadAudio as error:
            bad.append(error)
            tqdm.write(f'{error} (left out)', file=sys.stderr)
    if bad and not clips:
        raise bad[0]
    return clips

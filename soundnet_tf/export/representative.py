"""A user's own clips, which a quantised export is set by, and judged on."""

import dataclasses
import os
import pathlib
import sys
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from soundnet_tf.audio import SAMPLE_RATE, Waveform, decoding
from soundnet_tf.errors import BadAudio

MOST_CLIPS = 320
"""More tell no more of the ranges that the values of a net take."""

LONGEST_S = 10.0
"""Of a clip, in seconds: what tags are made of by default."""


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
    """A waveform `[samples]` and the class that its folder is named by."""

    waveform: Waveform
    label: str


def read(paths: Sequence[str | os.PathLike[str]], length_s: float | str | None = None) -> list[Clip]:
    """The sound files at `paths`, evenly thinned out to MOST_CLIPS of them; of each the first `length_s` seconds.

    That is LONGEST_S where it is no number. What cannot be read is told and left out. BadAudio where that is all.
    """
    samples = round(SAMPLE_RATE * (length_s if isinstance(length_s, float | int) else LONGEST_S))
    count = min(MOST_CLIPS, len(paths))
    chosen = [paths[index] for index in np.linspace(0, len(paths) - 1, count).round().astype(int)]
    clips, bad = list[Clip](), list[BadAudio]()
    for path in tqdm(chosen, desc='clips', unit='clip', leave=False, disable=None):
        try:
            # A copy, or what is cut off would be kept too.
            clips.append(Clip(decoding.read(path)[:samples].copy(), pathlib.Path(path).parent.name))
        except BadAudio as error:
            bad.append(error)
            tqdm.write(f'{error} (left out)', file=sys.stderr)
    if bad and not clips:
        raise bad[0]
    return clips

"""A user's own clips, which a quantised export is set by, and judged on."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from soundnet_tf import decoding
from soundnet_tf.audio import Waveform

MOST_CLIPS = 320
"""More tell no more of the ranges that the values of a net take."""


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
    """A waveform `[samples]` and the class that its folder is named by."""

    waveform: Waveform
    label: str


def read(paths: Sequence[str | os.PathLike[str]]) -> list[Clip]:
    """The sound files at `paths`, evenly thinned out to MOST_CLIPS of them. Raises BadAudio for one of no use."""
    count = min(MOST_CLIPS, len(paths))
    chosen = [paths[index] for index in np.linspace(0, len(paths) - 1, count).round().astype(int)]
    return [
        Clip(decoding.read(path), pathlib.Path(path).parent.name)
        for path in tqdm(chosen, desc='clips', unit='clip', leave=False, disable=None)
    ]

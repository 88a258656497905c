"""The input of a teacher."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import Waveform

Frame = NDArray[np.uint8]
"""`[height, width, 3]` RGB."""


@dataclasses.dataclass(frozen=True)
class View:
    """The frames and the sound of one clip, and their position in its video."""

    id: str
    """Of the video."""
    frames: tuple[Frame, ...] = ()
    """Empty if no teacher needs them."""
    first: int = 0
    """The number of frames of the video before this clip."""
    count: int = 1
    """The number of frames of the clip."""
    times: tuple[float, ...] = ()
    """The times of its frames in seconds, from the start of the clip."""
    waveform: Waveform = dataclasses.field(default_factory=lambda: np.zeros(0, np.float32))
    """`[samples]` at 22,050 Hz."""

"""What a teacher is shown."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
"""`[height, width, 3]` RGB."""


@dataclasses.dataclass(frozen=True)
class View:
    """The pictures of one clip, and where they come among those of its video."""

    id: str
    """Of the video."""
    frames: tuple[Frame, ...] = ()
    """Empty for teachers that look at none."""
    first: int = 0
    """How many frames of the video come before: a long video becomes several clips."""
    count: int = 1
    """How many frames stand for the clip."""

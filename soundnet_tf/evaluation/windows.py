"""Windows over the time steps of a layer: the inputs of a classifier."""

import math

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.errors import ShortClip

Values = NDArray[np.float32]
"""`[time, channels]`."""


def steps(seconds: float, hop_s: float) -> int:
    """Seconds in time steps, rounded up as the authors do: 1 s of pool5 is 3 steps, 5 s are 14."""
    return max(1, math.ceil(round(seconds / hop_s, 6)))


def windows(
    values: Values,
    window_s: float,
    step_s: float,
    hop_s: float,
    name: str = 'the clip',
    hint: str = 'Increase clip_s, or use a shorter window_s',
) -> Values:
    """`[time, channels]` to `[windows, steps * channels]`, time step by time step; with `window_s` 0 their mean.

    Windows start every `step_s` seconds, with 0 at every time step. Raises ShortClip if there is none.
    """
    if not window_s:
        return values.mean(axis=0, keepdims=True)
    size, move = steps(window_s, hop_s), steps(step_s, hop_s)
    if len(values) < size:
        raise ShortClip(
            f'{name}: {len(values)} time step{"" if len(values) == 1 else "s"}, a window of {window_s:g} s needs '
            f'{size}. {hint}'
        )
    slid = np.lib.stride_tricks.sliding_window_view(values, size, axis=0)[::move]
    return slid.transpose(0, 2, 1).reshape(len(slid), -1)

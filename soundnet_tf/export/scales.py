"""A net whose channels have similar ranges, so that they can share a scale in 8 bits.

The 8-bit values of a layer have one scale for all of its channels, set by the largest. In the authors' net the channels
of conv5 peak anywhere from 0.4 to 36, so most would be left with a few steps. ReLU and max pooling let a positive
factor through: what a channel is divided by, the weights that read it can be multiplied by, and the net is the same.

The factor is the root of the channel's peak. The whole peak would even out the values, and make the weights as uneven
as the values were (cross-layer equalisation: Nagel et al., 2019, arXiv:1906.04721).
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import Waveform
from soundnet_tf.export.folded import Operations, Weights
from soundnet_tf.spec import Conv, NetSpec, Pool

Factors = dict[str, NDArray[np.float32]]
"""By layer, `[channels]`: the factors that restore the values of the original net."""

FLOOR = 1e-3
"""Relative to a layer's largest peak: a channel that is quiet on these clips may be loud on others."""


def factors(spec: NetSpec, weights: Weights, waveforms: Iterable[Waveform]) -> Factors:
    """The factors for these sounds, `[batch, samples]` each. A channel that is silent on all of them stays as it is."""
    convolutions = [row.name for row in spec.layers if isinstance(row, Conv)]
    operations, peaks = Operations(spec, weights), dict[str, NDArray[np.float32]]()
    for waveform in waveforms:
        for name, values in operations(waveform, convolutions).items():
            peak = np.asarray(values).max(axis=(0, 1), initial=0)
            peaks[name] = np.maximum(peaks[name], peak) if name in peaks else peak
    found, last = Factors(), np.ones(1, np.float32)
    for row in spec.layers:
        if not isinstance(row, Pool):
            peak = peaks[row.name]
            largest = max(peak.max(), np.finfo(np.float32).tiny)
            last = np.sqrt(np.where(peak > 0, np.maximum(peak / largest, FLOOR), 1)).astype(np.float32)
        found[row.name] = last
    return found


def balanced(spec: NetSpec, weights: Weights, factors: Factors) -> Weights:
    """The weights of the same net with its layers' values divided by the factors; the heads are unchanged."""
    made, source = Weights(), np.ones(1, np.float32)
    for row in spec.rows:
        if isinstance(row, Pool):
            continue
        kernel, bias = weights[row.name]
        own = factors.get(row.name, np.ones(1, np.float32))
        made[row.name] = kernel * source[:, None] / own, bias / own
        source = factors.get(row.name, source)
    return made

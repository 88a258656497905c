"""The filters of the first convolution: their waveforms, spectra and centre frequencies."""

import dataclasses
import pathlib

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.nets import saved
from soundnet_tf.spec import SAMPLE_RATE, Conv, NetSpec

FFT = 1024
"""FFT length of the spectra, for kernels of any length."""


@dataclasses.dataclass(frozen=True, eq=False)
class Filters:
    """The filters of a layer, sorted by centre frequency in ascending order."""

    layer: str
    units: NDArray[np.int64]
    """`[filters]`: their indices in the layer."""
    waves: NDArray[np.float32]
    """`[filters, kernel]`, each scaled to a peak of 1."""
    hz: NDArray[np.float64]
    """`[bins]`, up to half the sample rate."""
    levels_db: NDArray[np.float64]
    """`[filters, bins]`, 0 at each filter's loudest bin."""
    centres_hz: NDArray[np.float64]
    """`[filters]`: the mean frequency, weighted by power."""


def read(folder: pathlib.Path, spec: NetSpec) -> Filters:
    """Read the first-layer filters of a saved model. Raises SoundNetError if its weights cannot be read."""
    layer = next(row.name for row in spec.layers if isinstance(row, Conv))
    return of(layer, saved.Tensors(folder, spec)[f'{layer}/kernel'])


def of(layer: str, kernel: NDArray[np.floating]) -> Filters:
    """Compute the filters from a kernel `[steps, 1, filters]`."""
    waves = kernel[:, 0].T.astype(np.float64)
    power = abs(np.fft.rfft(waves, FFT)) ** 2 + 1e-30
    hz = np.fft.rfftfreq(FFT, 1 / SAMPLE_RATE)
    centres = (power * hz).sum(1) / power.sum(1)
    levels = 10 * np.log10(power / power.max(1, keepdims=True))
    waves = waves / np.maximum(abs(waves).max(1, keepdims=True), 1e-30)
    order = np.argsort(centres, kind='stable')
    return Filters(layer, order, waves[order].astype(np.float32), hz, levels[order], centres[order])

"""The filters of the first convolution: their waveforms, spectra and centre frequencies."""

import dataclasses
import pathlib
import zipfile

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.errors import SoundNetError
from soundnet_tf.spec import SAMPLE_RATE, Conv, NetSpec

FFT = 1024
"""So finely a kernel's spectrum is drawn, whatever its length."""


@dataclasses.dataclass(frozen=True, eq=False)
class Filters:
    """The filters of a layer, by centre frequency from low to high."""

    layer: str
    units: NDArray[np.int64]
    """`[filters]`: their numbers in the net."""
    waves: NDArray[np.float32]
    """`[filters, kernel]`, each brought to a peak of 1."""
    hz: NDArray[np.float64]
    """`[bins]`, up to half the sample rate."""
    levels_db: NDArray[np.float64]
    """`[filters, bins]`, 0 at each filter's loudest bin."""
    centres_hz: NDArray[np.float64]
    """`[filters]`: the mean frequency, weighted by power."""


def read(folder: pathlib.Path, spec: NetSpec) -> Filters:
    """The filters of the first convolution of a saved net. Raises SoundNetError where its weights cannot be read."""
    layer = next(row.name for row in spec.layers if isinstance(row, Conv))
    path = folder / 'weights.npz'
    try:
        with np.load(path, allow_pickle=False) as weights:
            kernel = weights[f'{layer}/kernel']
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise SoundNetError(f'{path}: cannot read the weights ({error}). Save the model again') from error
    return of(layer, kernel)


def of(layer: str, kernel: NDArray[np.floating]) -> Filters:
    """From a kernel `[steps, 1, filters]`."""
    waves = kernel[:, 0].T.astype(np.float64)
    power = abs(np.fft.rfft(waves, FFT)) ** 2 + 1e-30
    hz = np.fft.rfftfreq(FFT, 1 / SAMPLE_RATE)
    centres = (power * hz).sum(1) / power.sum(1)
    levels = 10 * np.log10(power / power.max(1, keepdims=True))
    waves = waves / np.maximum(abs(waves).max(1, keepdims=True), 1e-30)
    order = np.argsort(centres, kind='stable')
    return Filters(layer, order, waves[order].astype(np.float32), hz, levels[order], centres[order])

"""The net in plain numpy, from a weight file's own tensors: the reference for an imported net.

It shares only the `NetSpec` with the Keras net, not the transposition of the weights.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import Waveform
from soundnet_tf.spec import BATCH_NORM_EPSILON, GAIN, Conv, Head, NetSpec, Pool

_AXES = {'Torch7': 'oik', 'PyTorch': 'oik', 'numpy': 'kio'}


def forward(spec: NetSpec, form: str, tensors: Mapping[str, NDArray], waveform: Waveform) -> dict[str, NDArray]:
    """Every layer by name, after ReLU, and every head's logits, `[time, channels]` float64.

    `tensors` are the file's own, by variable (`conv1/kernel`); the waveform is `[samples]` in [-1, 1].
    """
    outputs: dict[str, NDArray] = {}
    x = waveform.astype(np.float64)[:, None] * GAIN
    for row in spec.layers:
        if isinstance(row, Pool):
            x = np.lib.stride_tricks.sliding_window_view(x, row.kernel, axis=0)[:: row.stride].max(axis=2)
        else:
            x = np.maximum(_normalised(row.name, tensors, _convolved(row, form, tensors, x)), 0)
        outputs[row.name] = x
    return outputs | {head.name: _convolved(head, form, tensors, x) for head in spec.heads}


def _convolved(row: Conv | Head, form: str, tensors: Mapping[str, NDArray], x: NDArray) -> NDArray:
    axes, kernel = _AXES[form], tensors[f'{row.name}/kernel'].astype(np.float64)
    if kernel.ndim == 4:  # of a picture, with an axis of size 1
        at = axes.index('k')
        kernel = np.squeeze(kernel, axis=at if kernel.shape[at] == 1 else at + 1)
    padded = np.pad(x, (row.paddings, (0, 0)))
    steps = np.lib.stride_tricks.sliding_window_view(padded, row.extent, axis=0)[:: row.stride, :, :: row.spacing]
    return np.einsum(f'tik,{axes}->to', steps, kernel, optimize=True) + tensors[f'{row.name}/bias'].astype(np.float64)


def _normalised(name: str, tensors: Mapping[str, NDArray], x: NDArray) -> NDArray:
    kinds = ('gamma', 'beta', 'moving_mean', 'moving_variance')
    gamma, beta, mean, variance = (tensors[f'{name}/{kind}'].astype(np.float64) for kind in kinds)
    return (x - mean) / np.sqrt(variance + BATCH_NORM_EPSILON) * gamma + beta

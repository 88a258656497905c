"""Tensor names and kernel layouts of each kind of weight file.

Sources: the authors' training scripts for Torch's modules; the ports that read sound8.npy, and the names that their
PyTorch modules have.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping

from numpy.typing import NDArray

from soundnet_tf.spec import Head, NetSpec, Row

_TORCH = {
    'kernel': 'weight',
    'bias': 'bias',
    'gamma': 'weight',
    'beta': 'bias',
    'moving_mean': 'running_mean',
    'moving_variance': 'running_var',
}
_NUMPY = {
    'kernel': 'weights',
    'bias': 'biases',
    'gamma': 'gamma',
    'beta': 'beta',
    'moving_mean': 'mean',
    'moving_variance': 'var',
}
NORM = ('gamma', 'beta', 'moving_mean', 'moving_variance')


@dataclasses.dataclass(frozen=True)
class Form:
    """Tensor names and kernel layout of one kind of weight file."""

    kinds: Mapping[str, str]
    """A variable's kind to the last part of a tensor's name."""
    stems: Callable[[NetSpec, Row, int], tuple[list[str], list[str]]]
    """Possible prefixes of the names of a row's convolution, and of its batch norm, given its module number."""
    kernel: Callable[[NDArray], NDArray | None]
    """A convolution's weights as Keras has them, `[kernel, in, out]`; None if it is not a kernel."""


def _torch7(spec: NetSpec, row: Row, place: int) -> tuple[list[str], list[str]]:
    if isinstance(row, Head):
        return [f'{place}.{1 + spec.heads.index(row)}.'], []
    return [f'{place}.'], [f'{place + 1}.']


def _numpy(spec: NetSpec, row: Row, place: int) -> tuple[list[str], list[str]]:
    stem = f'{_name(spec, row, "", "_2")}/'
    return [stem], [stem]


def _pytorch(spec: NetSpec, row: Row, place: int) -> tuple[list[str], list[str]]:
    if isinstance(row, Head):
        short = _name(spec, row, '', '_2')
        return [f'{_name(spec, row, "_objs", "_scns")}.', f'{short}.', f'{short}.0.'], []
    number = row.name.removeprefix('conv')
    return (
        [f'{row.name}.', f'{row.name}.0.', f'features.{place - 1}.'],
        [f'batchnorm{number}.', f'{row.name}.1.', f'features.{place}.'],
    )


def _name(spec: NetSpec, row: Row, first: str, second: str) -> str:
    """A row's own name; for a head the paper's name of their row, conv8, with a suffix."""
    return spec.head_alias + (first, second)[spec.heads.index(row)] if isinstance(row, Head) else row.name


def _torch_kernel(tensor: NDArray) -> NDArray | None:
    """`[out, in, kernel]`, or with an extra axis of size 1, as for pictures, on either side of the last."""
    if tensor.ndim == 4 and 1 in tensor.shape[2:]:
        tensor = tensor.reshape(*tensor.shape[:2], math.prod(tensor.shape[2:]))
    return tensor.transpose(2, 1, 0) if tensor.ndim == 3 else None


def _numpy_kernel(tensor: NDArray) -> NDArray | None:
    """`[kernel, 1, in, out]`."""
    return tensor[:, 0] if tensor.ndim == 4 and tensor.shape[1] == 1 else None


FORMS = {
    'Torch7': Form(_TORCH, _torch7, _torch_kernel),
    'numpy': Form(_NUMPY, _numpy, _numpy_kernel),
    'PyTorch': Form(_TORCH, _pytorch, _torch_kernel),
}

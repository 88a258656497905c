"""Batch norm in inference, folded into the convolutions before it, in plain numpy."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.spec import BATCH_NORM_EPSILON, Conv, Head, NetSpec

Folded = dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]
"""By the name of a row: its kernel and bias."""


def normed(values: Mapping[str, Any], name: str) -> tuple[Any, Any]:
    """The scale and the bias that batch norm in inference applies to a convolution's outputs."""
    kinds = ('bias', 'gamma', 'beta', 'moving_mean', 'moving_variance')
    bias, gamma, beta, mean, variance = (values[f'{name}/{kind}'] for kind in kinds)
    scale = gamma / (variance + BATCH_NORM_EPSILON) ** 0.5
    return scale, (bias - mean) * scale + beta


def folded(row: Conv | Head, values: Mapping[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel and bias of a row, of weights by the keys of `model.variables_of`; a head has no batch norm."""
    if isinstance(row, Head):
        return values[f'{row.name}/kernel'], values[f'{row.name}/bias']
    scale, bias = normed(values, row.name)
    return values[f'{row.name}/kernel'] * scale, bias


def folded_rows(spec: NetSpec, values: Mapping[str, Any]) -> Folded:
    """`folded` of each row that has weights."""
    return {row.name: folded(row, values) for row in spec.rows if isinstance(row, Conv | Head)}

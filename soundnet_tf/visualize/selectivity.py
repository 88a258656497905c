"""Selects the units to show: strong responses to few sounds, without near-duplicates."""

import numpy as np
from numpy.typing import NDArray

DUPLICATE_CORRELATION = 0.9
"""Correlation over the sounds above which two units are near-duplicates: they share four fifths of their variance."""

MIN_SOUNDS = 20
"""Min sounds for the near-duplicate check: with fewer, high correlations occur by chance."""

SILENT = float(np.finfo(np.float32).eps)
"""Responses below this fraction of the layer's max are rounding errors."""


def sparseness(responses: NDArray[np.floating]) -> NDArray[np.float64]:
    """`[units]`: lifetime sparseness (Vinje and Gallant, 2000) of responses `[sounds, units]`.

    0 for a unit that responds to all sounds equally, or to none; 1 for one that responds to a single sound.
    """
    sounds = max(len(responses), 2)
    total, squares = responses.sum(axis=0, dtype=float), np.square(responses, dtype=float).sum(axis=0)
    even = np.divide(total**2, sounds * squares, out=np.ones_like(total), where=squares > 0)
    return np.clip((1 - even) / (1 - 1 / sounds), 0, 1)


def reach(values: NDArray[np.float32], sounds: int) -> NDArray[np.float64]:
    """`[units]`: the smallest response among the unit's top sounds, so a single outlier does not make it strong.

    `values` `[units, top]` are in descending order. With few `sounds`, only the top half counts: the other half is the
    baseline.
    """
    place = max(1, min(values.shape[1], sounds // 2)) - 1
    return np.maximum(values[:, place], 0).astype(float)


def scores(values: NDArray[np.float32], responses: NDArray[np.float32]) -> NDArray[np.float64]:
    """`[units]`, 0 to 1: sparseness times strength / (1 + strength).

    Sparseness is that of the responses `[sounds, units]`, clipped at the unit's reach. It is scale-invariant, and
    would be highest for a unit with a single rounding error. Strength is the reach relative to the
    layer's: the mean over its units, weighted by itself, so units with weak responses do not lower it.
    """
    own = reach(values, len(responses))
    typical = np.square(own).sum() / max(own.sum(), np.finfo(float).tiny)
    strong = np.divide(own, own + typical, out=np.zeros_like(own), where=own > 0)
    return sparseness(np.minimum(responses, own)) * strong


def ranking(values: NDArray[np.float32], responses: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """The `count` most selective units in descending order, without silent units and near-duplicates.

    Of units with correlated responses `[sounds, units]`, the most selective is kept. `values` are `[units, top]`.
    """
    active = values[:, 0] > SILENT * values.max(initial=0)
    centred = (responses - responses.mean(axis=0, dtype=float)).T if len(responses) else np.zeros([len(values), 0])
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    directions = np.divide(centred, norms, out=np.zeros_like(centred), where=norms > 0)
    kept: list[int] = []
    for unit in np.argsort(-scores(values, responses), kind='stable'):
        if len(kept) == count:
            break
        own = len(responses) < MIN_SOUNDS or (directions[kept] @ directions[unit] < DUPLICATE_CORRELATION).all()
        if active[unit] and own:
            kept.append(int(unit))
    return np.array(kept, np.int64)

"""A map of embeddings by t-SNE: neighbours are preserved, and large distances are not meaningful."""

import importlib.util

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.errors import MissingTool

MIN_CLIPS = 6
"""Min clips for a map."""

PERPLEXITY, DIMENSIONS = 30, 50
"""The usual perplexity, and the PCA dimensions before t-SNE, as its authors recommend."""


def require() -> None:
    """Raise MissingTool early, before any sound is processed, if scikit-learn is not installed."""
    if importlib.util.find_spec('sklearn') is None:
        raise MissingTool('scikit-learn', 'the map of clips', 'visualize')


def places(vectors: NDArray[np.float32], seed: int) -> NDArray[np.float64] | None:
    """`[clips, channels]` to `[clips, 2]` in 0 to 1 by t-SNE; NaN for a clip that has NaN.

    None if there are too few clips, or all are identical. Vectors are scaled to length 1 first, so loudness does not
    move a point.
    """
    there = np.isfinite(vectors).all(axis=1)
    if there.sum() < MIN_CLIPS:
        return None
    import threadpoolctl  # a dependency of scikit-learn
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    x = vectors[there].astype(np.float64)
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    if np.ptp(x, axis=0).max() < 1e-9:  # scikit-learn's tree crashes the process on identical clips
        return None
    if x.shape[1] > DIMENSIONS:
        x = PCA(min(DIMENSIONS, len(x)), random_state=seed).fit_transform(x)
    perplexity = min(PERPLEXITY, (len(x) - 1) / 3)
    # More threads do not speed up its many small steps, and slow them down a lot on a busy machine.
    with threadpoolctl.threadpool_limits(1):
        xy = TSNE(perplexity=perplexity, init='pca', random_state=seed).fit_transform(x)
    low, high = xy.min(axis=0), xy.max(axis=0)
    placed = np.full([len(vectors), 2], np.nan)
    placed[there] = (xy - low) / np.maximum(high - low, 1e-12)
    return placed

"""Maps of clips: those that are alike to a layer, or to vision, lie close together."""

import importlib.util
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.errors import MissingTool, SoundNetError
from soundnet_tf.inference.files import SoundFile

FEWEST = 6
"""Clips that make a map."""

PERPLEXITY, DIMENSIONS = 30, 50
"""t-SNE's usual ones; channels are first reduced to so many by PCA, as its authors do."""


def require() -> None:
    """Raise MissingTool at the start rather than after the sounds, where scikit-learn is not installed."""
    if importlib.util.find_spec('sklearn') is None:
        raise MissingTool('scikit-learn', 'the map of clips', 'visualize')


def places(vectors: NDArray[np.float32], seed: int) -> NDArray[np.float64] | None:
    """`[clips, channels]` to `[clips, 2]` in 0 to 1 by t-SNE; NaN for a clip that has NaN; None for too few clips.

    Vectors are brought to length 1 first, so that a louder clip lies no further out.
    """
    there = np.isfinite(vectors).all(axis=1)
    if there.sum() < FEWEST:
        return None
    import threadpoolctl  # scikit-learn's own
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    x = vectors[there].astype(np.float64)
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    if x.shape[1] > DIMENSIONS:
        x = PCA(min(DIMENSIONS, len(x)), random_state=seed).fit_transform(x)
    perplexity = min(PERPLEXITY, (len(x) - 1) / 3)
    # Its many small steps are no quicker with more threads, and many times slower where others want the processor.
    with threadpoolctl.threadpool_limits(1):
        xy = TSNE(perplexity=perplexity, init='pca', random_state=seed).fit_transform(x)
    low, high = xy.min(axis=0), xy.max(axis=0)
    placed = np.full([len(vectors), 2], np.nan)
    placed[there] = (xy - low) / np.maximum(high - low, 1e-12)
    return placed


def vision(folder: str | os.PathLike[str], sounds: Sequence[SoundFile]) -> NDArray[np.float32]:
    """`[sounds, channels]`: the mean over frames of FOLDER/NAME.npy `[frames, channels]`; NaN where there is none.

    NAME is the sound's, below the folder that all share, with or without its extension. Raises SoundNetError where
    there is a file for none of them, or files differ in channels.
    """
    from soundnet_tf.teachers.ready import Folder
    from soundnet_tf.teachers.store import Rows

    store, found = Folder(pathlib.Path(folder)), dict[int, NDArray[np.float32]]()
    why = 'no sound is on the map'
    for index, sound in enumerate(sounds):
        rows = store.find(sound.name.as_posix())
        values = (rows.misfit(None) or rows.take(0, len(rows.values))) if isinstance(rows, Rows) else rows
        if isinstance(values, str):
            why = values
        else:
            found[index] = values.mean(axis=0)
    if not found:
        raise SoundNetError(f'{folder} has vision features of none of the sounds: {why}')
    sizes = sorted({len(values) for values in found.values()})
    if len(sizes) > 1:
        raise SoundNetError(f'{folder}: features of {sizes[0]} and of {sizes[1]} channels. Give those of one layer')
    together = np.full([len(sounds), sizes[0]], np.nan, np.float32)
    together[list(found)] = list(found.values())
    return together

"""A folder of sounds as one table, for work in Python; `soundnet-embed` is for many."""

import os
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference.embed import Embedder, load
from soundnet_tf.inference.embedding import Embeddings, Path
from soundnet_tf.inference.files import SoundFile, Tally, echo, find, listen
from soundnet_tf.inference.frames import frame

if TYPE_CHECKING:
    import pandas as pd

POOLS = 'mean', 'max'


def embed_folder(
    folder: Path, model: Path | Embedder | None = None, *, layer: str | None = None, pool: str = 'mean'
) -> 'pd.DataFrame':
    """A row for each sound file in a folder, at any depth: a layer of a net, its mean over time.

    Args:
      folder: or one file, or a glob such as `tapes/**/*.flac`.
      model: the folder or name of a saved net, by default the original; or an Embedder.
      layer: a layer or head; by default the net's feature layer.
      pool: 'mean' or 'max' over time.

    Returns a table indexed by the files' paths below the folder, with a column for each channel: `pool5_0_mean`, ...
    A file that cannot be used is left out, with a line on stderr that says why. Raises SoundNetError if there are no
    sounds, or none of them can be used.
    """
    if pool not in POOLS:
        raise SoundNetError(f'pool={pool!r}: must be {" or ".join(POOLS)}')
    embedder = model if isinstance(model, Embedder) else load(model)
    layer = embedder.listener.resolve_layer(layer)
    names, rows, tally = list[str](), list[NDArray[np.float32]](), Tally()

    def done(file: SoundFile, embeddings: Embeddings | None) -> None:
        if embeddings is not None:
            names.append(str(file.name))
            rows.append(getattr(embeddings[layer], pool)())

    sounds = find([os.fspath(folder)])
    listen(embedder.listener, sounds, [layer], done, tally, len(sounds))
    if not rows:
        raise SoundNetError(f'{folder}: {tally}. The lines above say why')
    if tally.failed:
        echo(f'{folder}: {tally}')
    columns = [f'{layer}_{channel}_{pool}' for channel in range(len(rows[0]))]
    return frame(np.stack(rows), names, 'path', columns)

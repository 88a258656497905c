"""What is seen of the clips on the map, from files of vision features."""

import os
import pathlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference.files import SoundFile


def of_clips(folder: str | os.PathLike[str], sounds: Sequence[SoundFile]) -> NDArray[np.float32]:
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

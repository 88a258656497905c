"""Vision features of the clips on the map, from files."""

import os
import pathlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference.files import SoundFile, echo


def of_clips(folder: str | os.PathLike[str], sounds: Sequence[SoundFile]) -> NDArray[np.float32]:
    """`[sounds, channels]`: the mean over frames of FOLDER/NAME.npy `[frames, channels]`; NaN if missing.

    NAME is the path of the sound below the common folder, with or without its extension. Unusable files are reported.
    Raises SoundNetError if there are none, or if files differ in channels.
    """
    from soundnet_tf.teachers.ready import Folder
    from soundnet_tf.teachers.store import Rows, names

    store, found = Folder(pathlib.Path(folder)), dict[int, NDArray[np.float32]]()
    why = 'the map is empty'
    for index, sound in enumerate(sounds):
        rows = store.find(sound.name.as_posix())
        if not isinstance(rows, Rows):
            why = rows
            if any((store.path / f'{name}.npy').exists() for name in names(sound.name.as_posix())):
                echo(f'{folder}: {why}: omitted from the map')
            continue
        values = rows.misfit(None) or rows.take(0, len(rows.values))
        if isinstance(values, str):
            why = values
            echo(f'{folder}: {why}: omitted from the map')
        else:
            found[index] = values.mean(axis=0)
    if not found:
        raise SoundNetError(f'{folder}: no vision features for any sound ({why}). Pass a folder of NAME.npy')
    sizes = sorted({len(values) for values in found.values()})
    if len(sizes) > 1:
        of = [next(sounds[index].name for index, values in found.items() if len(values) == size) for size in sizes]
        raise SoundNetError(
            f'{folder}: features have {sizes[0]} channels ({of[0]}) and {sizes[1]} ({of[1]}). Use features of one layer'
        )
    together = np.full([len(sounds), sizes[0]], np.nan, np.float32)
    together[list(found)] = list(found.values())
    return together

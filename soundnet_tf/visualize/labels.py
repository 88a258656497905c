"""Labels of the sounds, from a CSV or from folder names."""

import os
import pathlib
import re
from collections.abc import Sequence

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference.files import SoundFile

_NUMBERED = re.compile(r'\d+ *- *(?=\S)')
"""Number prefix of class folders such as `001 - Dog bark`."""


def of_folders(sounds: Sequence[SoundFile]) -> list[str | None]:
    """The top folder of each sound below the common folder, without its number. None if there are fewer than two."""
    folders = [sound.name.parts[0] if len(sound.name.parts) > 1 else None for sound in sounds]
    if None in folders or len(set(folders)) < 2:
        return [None] * len(sounds)
    return [_NUMBERED.sub('', folder or '', count=1) for folder in folders]


def of_csv(path: str | os.PathLike[str], sounds: Sequence[SoundFile]) -> list[str | None]:
    """Read the columns path (relative to the CSV) and label; None for a sound that is not listed.

    Raises SoundNetError if the CSV cannot be read, lacks a column, or lists none of the sounds.
    """
    hint = 'Pass a CSV with the columns path and label'
    _, rows = storage.csv_table(path, hint)
    with storage.readable(path, hint):
        top = pathlib.Path(path).parent
        known = {os.path.abspath(top / row['path']): row['label'] or None for _, row in rows}
    paths = [os.path.abspath(sound.path) for sound in sounds]
    if known.keys().isdisjoint(paths):
        raise SoundNetError(
            f'{path}: none of the sounds is listed, for example {sounds[0].path}. Use paths relative to the CSV'
        )
    return [known.get(one) for one in paths]

"""Who made the clips that a net learned from, as the data set's own list beside them tells it."""

import os
import pathlib
import re
from collections.abc import Sequence

from soundnet_tf.errors import SoundNetError

LIST = 'ATTRIBUTION.txt'

_LINE = re.compile(r'- \[(.+?)\]:\s*(.+)')
"""`- [1-100032-A.ogg]: clip derived from ... by ... [CC0]`, as ESC-10 and ESC-50 have it."""


def of(data: str | os.PathLike[str], clips: Sequence[str]) -> list[str]:
    """A line for each clip, by the files' names: `NAME: ...`; nothing where the data has no such list.

    Raises SoundNetError where there is a list that lacks a clip: what was used has to be named.
    """
    path = pathlib.Path(data) / LIST
    if not path.is_file():
        return []
    lines = path.read_text(encoding='utf-8').splitlines()
    told = {found[1]: found[2] for line in lines if (found := _LINE.fullmatch(line.strip()))}
    names = [pathlib.PurePath(clip).name for clip in clips]
    lacking = [name for name in names if name not in told]
    if lacking:
        raise SoundNetError(f'{path} does not tell whose {lacking[0]} is, nor {len(lacking) - 1} others: complete it')
    return [f'{name}: {told[name]}' for name in names]

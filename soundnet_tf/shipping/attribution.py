"""Who made the clips that a net learned from, as the data set's own list beside them tells it."""

import itertools
import os
import pathlib
import re
from collections.abc import Sequence

from soundnet_tf.errors import SoundNetError

LIST = 'ATTRIBUTION.txt'

_ADDRESS = re.compile(r'https?://[^\s()]+')

_LINE = re.compile(r'- \[(.+?)\]:\s*(.+)')
"""`- [1-100032-A.ogg]: clip derived from ... by ... [CC0]`, as ESC-10 and ESC-50 have it."""


def of(data: str | os.PathLike[str], clips: Sequence[str]) -> dict[str, list[str]]:
    """`attribution`, a line for each clip, by the files' names: `NAME: ...`; `addresses` of the data and its licence.

    Nothing where there is no such list in the folder of the data. Raises SoundNetError where there is one that lacks a
    clip: what was used has to be named.
    """
    place = pathlib.Path(data)
    path = (place if place.is_dir() else place.parent) / LIST
    if not path.is_file():
        return {'attribution': [], 'addresses': []}
    lines = path.read_text(encoding='utf-8').splitlines()
    told = {found[1]: found[2] for line in lines if (found := _LINE.fullmatch(line.strip()))}
    names = [pathlib.PurePath(clip).name for clip in clips]
    lacking = [name for name in names if name not in told]
    if lacking:
        more = f', nor {len(lacking) - 1} others' if len(lacking) > 1 else ''
        raise SoundNetError(f'{path} does not tell whose {lacking[0]} is{more}: complete it')
    head = itertools.takewhile(lambda line: not _LINE.fullmatch(line.strip()), lines)
    addresses = dict.fromkeys(_ADDRESS.findall(' '.join(head)))
    return {'attribution': [f'{name}: {told[name]}' for name in names], 'addresses': list(addresses)}

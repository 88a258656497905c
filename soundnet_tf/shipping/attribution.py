"""Authors and licences of the training clips, read from the list that comes with the data set."""

import itertools
import os
import pathlib
import re
from collections.abc import Sequence

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError

LIST = 'ATTRIBUTION.txt'

_ADDRESS = re.compile(r'https?://[^\s()]+')

_LINE = re.compile(r'- \[(.+?)\]:\s*(.+)')
"""`- [1-100032-A.ogg]: clip derived from ... by ... [CC0]`, the format of ESC-10 and ESC-50."""


def of(data: str | os.PathLike[str], clips: Sequence[str]) -> dict[str, list[str]]:
    """`attribution`: one line per clip, `FILE NAME: ...`; `addresses`: the URLs of the data and its licence.

    Both are empty if the folder of the data has no ATTRIBUTION.txt. Raises SoundNetError if the list lacks a clip:
    every clip used must be credited.
    """
    data = pathlib.Path(data)
    path = (data if data.is_dir() else data.parent) / LIST
    if not path.is_file():
        return {'attribution': [], 'addresses': []}
    lines = storage.read_text(path).splitlines()
    credits = {found[1]: found[2] for line in lines if (found := _LINE.fullmatch(line.strip()))}
    names = [pathlib.PurePath(clip).name for clip in clips]
    missing = [name for name in names if name not in credits]
    if missing:
        more = f' and {len(missing) - 1} more' if len(missing) > 1 else ''
        raise SoundNetError(f'{path}: no entry for {missing[0]}{more}. Add one line per clip')
    head = itertools.takewhile(lambda line: not _LINE.fullmatch(line.strip()), lines)
    addresses = dict.fromkeys(_ADDRESS.findall(' '.join(head)))
    return {'attribution': [f'{name}: {credits[name]}' for name in names], 'addresses': list(addresses)}

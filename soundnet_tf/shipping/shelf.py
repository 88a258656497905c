"""The list of the nets that ship, models.json: what `registry` reads."""

import hashlib
import json
import pathlib
from typing import Any

from soundnet_tf import registry, saved
from soundnet_tf.errors import SoundNetError


def put(folder: pathlib.Path, spec: str, origin: str, licence: str, default: bool) -> pathlib.Path:
    """List the net in `folder` in the models.json beside it, under the folder's name; return that list's path.

    It becomes the default where there is none yet, or where `default` says so.
    """
    if not registry.is_name(folder.name):
        raise SoundNetError(f'{folder.name!r} is no name for a net: take letters, digits, _, - and ., at most 100')
    path = folder.parent / registry.LIST
    nets: dict[str, Any] = json.loads(path.read_text(encoding='utf-8')) if path.exists() else {'nets': {}}
    entry = {'spec': spec, 'origin': origin, 'licence': licence, 'source': registry.SHIPPED, 'files': hashes(folder)}
    listed = dict(sorted({**nets['nets'], folder.name: entry}.items()))
    first = folder.name if default else nets.get('default') or folder.name
    saved.write_json(path, {'default': first, 'nets': listed})
    return path


def hashes(folder: pathlib.Path) -> dict[str, str]:
    """The sha256 of each file, by its path in the folder."""
    files = sorted(path for path in folder.rglob('*') if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

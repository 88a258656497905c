"""models.json, the list of released nets that `registry` reads."""

import pathlib
from typing import Any

from soundnet_tf import storage
from soundnet_tf.nets import registry


def put(folder: pathlib.Path, spec: str, origin: str, licence: str, default: bool) -> pathlib.Path:
    """List the net in `folder` in the models.json beside it, under the folder's name; return that list's path.

    It becomes the default if there is none yet or if `default` is true.
    """
    path = folder.parent / registry.LIST
    with storage.in_turn(path):
        nets = read(path)
        entry = {'spec': spec, 'origin': origin, 'licence': licence, 'source': registry.SHIPPED}
        listed = dict(sorted({**nets['nets'], folder.name: {**entry, 'files': hashes(folder)}}.items()))
        default_name = folder.name if default else nets.get('default') or folder.name
        storage.write_json(path, {'default': default_name, 'nets': listed})
    return path


def read(path: pathlib.Path) -> dict[str, Any]:
    """The list, empty if the file does not exist. Raises SoundNetError for an invalid file."""
    return registry.read(path) if path.exists() else {'nets': {}}


def hashes(folder: pathlib.Path) -> dict[str, str]:
    """The sha256 of each file, by its path in the folder."""
    files = sorted(path for path in folder.rglob('*') if path.is_file())
    return {path.relative_to(folder).as_posix(): storage.sha256(path) for path in files}

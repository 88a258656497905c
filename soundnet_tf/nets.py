"""A net by its path or name becomes a folder on this machine: found where it lies, or fetched and verified.

nets.find('runs/first/net')   a folder
nets.find('soundnet8-esc10')  a net that ships, that was registered, or that a list has (see `registry`)
nets.find()                   the default net
"""

import hashlib
import os
import pathlib

from soundnet_tf import locks, registry
from soundnet_tf.errors import SoundNetError
from soundnet_tf.registry import Listed

Path = str | os.PathLike[str]


def find(name_or_path: Path | None = None) -> pathlib.Path:
    """The folder of a saved net: the path itself where there is one, else the net that is registered or listed so.

    A path that is not there comes back as it is, for whoever opens it to tell. Raises SoundNetError for a published
    net that was not imported yet, with the command that does, and for a listed one that cannot be had.
    """
    name = registry.default() if name_or_path is None else os.fspath(name_or_path)
    path = pathlib.Path(name)
    if (path.exists() and name_or_path is not None) or not registry.is_name(name):
        return path
    if registry.place(name).is_dir():
        return registry.place(name)
    if (net := registry.listed().get(name)) is not None:
        return _had(net)
    if name in registry.PUBLISHED:
        raise SoundNetError(
            f'{name} is not registered on this machine: '
            f'soundnet-import_weights {name} FOLDER --register={name} fetches the published weights'
        )
    return path


def _had(net: Listed) -> pathlib.Path:
    """Its folder, verified; but for what ships, which the tests hold, and whoever installs packages."""
    if net.url:
        _fetch(net, net.url)
    if not net.is_ours:
        for file, digest in net.files.items():
            _verify(net.folder / file, digest, net)
    return net.folder


def _fetch(net: Listed, url: str) -> None:
    """Each file that is not there yet."""
    if not _lacking(net):
        return
    from soundnet_tf.web import fetch

    claim = locks.Claim.of(net.folder)
    if claim is None:
        raise SoundNetError(f'{net.name} is being fetched by another run: wait for that')
    try:
        for file in _lacking(net):
            way_out = f'Try again later, or get it elsewhere and put it at {net.folder / file}'
            fetch.fetch(url + file, net.folder / file, way_out)
    finally:
        claim.release()


def _lacking(net: Listed) -> list[str]:
    return [file for file in net.files if not (net.folder / file).is_file()]


def _verify(path: pathlib.Path, sha256: str, net: Listed) -> None:
    try:
        with path.open('rb') as file:
            got = hashlib.file_digest(file, 'sha256').hexdigest()
    except OSError as error:
        raise SoundNetError(f'{path} of {net.name} cannot be read ({error.strerror}): put it there') from None
    if got != sha256:
        way_out = 'delete it and try again' if net.url else 'put the right one there'
        raise SoundNetError(f'{path} of {net.name} has sha256 {got}, not {sha256}: {way_out}')

"""A net by its path or name becomes a folder on this machine: found where it lies, or fetched and verified.

nets.find('runs/first/net')   a folder
nets.find('soundnet8-esc10')  a net that ships, that was registered, or that a list has (see `registry`)
nets.find()                   the default net
"""

import hashlib
import os
import pathlib
import time

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
            if (wrong := _wrong_with(net.folder / file, digest, net)) is not None:
                raise SoundNetError(f'{wrong}: {"delete it and try again" if net.url else "put the right one there"}')
        # Of what a net is read from nothing may be there that nobody has told the hash of.
        there = [path.relative_to(net.folder).as_posix() for path in sorted(net.folder.rglob('*')) if path.is_file()]
        more = [file for file in there if registry.is_part(file) and file not in net.files]
        if more:
            raise SoundNetError(f'{net.folder / more[0]} is not among the files listed of {net.name}: list its sha256')
    return net.folder


def _fetch(net: Listed, url: str) -> None:
    """Each file that is not there yet."""
    if not _lacking(net):
        return
    from soundnet_tf.web import fetch

    while (claim := locks.Claim.of(net.folder)) is None:
        time.sleep(0.2)  # another run is fetching it
    try:
        for file in _lacking(net):
            path = net.folder / file
            fetch.fetch(url + file, path, f'Try again later, or get it elsewhere and put it at {path}')
            if (wrong := _wrong_with(path, net.files[file], net)) is not None:
                path.unlink()
                raise SoundNetError(f'{wrong}: it was removed. Try again later, or get the right one elsewhere')
    finally:
        claim.release()


def _lacking(net: Listed) -> list[str]:
    return [file for file in net.files if not (net.folder / file).is_file()]


def _wrong_with(path: pathlib.Path, sha256: str, net: Listed) -> str | None:
    try:
        with path.open('rb') as file:
            got = hashlib.file_digest(file, 'sha256').hexdigest()
    except OSError as error:
        return f'{path} of {net.name} cannot be read ({error.strerror})'
    return None if got == sha256 else f'{path} of {net.name} has sha256 {got}, not {sha256}'

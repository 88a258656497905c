"""Nets by name: those that ship, those registered on this machine, and the weights that SoundNet's authors published.

What ships is listed in `models.json` of the package `soundnet_tf.savedmodels`, the folder savedmodels/ of a checkout;
a `models.json` of the user's own may list more. What belongs to a user lies in one folder: `$SOUNDNET_HOME`, else
`soundnet_tf` in `$XDG_CACHE_HOME`, else `~/.cache/soundnet_tf`.

    models.json   nets in other folders or on the web, by name
    nets/NAME/    a saved net that was registered
    fetched/NAME/ a net that a list has on the web
    published/    weights that were fetched to be imported

`soundnet_tf.nets.lookup.find` is who looks a name up.
"""

import dataclasses
import importlib.resources
import json
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from soundnet_tf.errors import SoundNetError


@dataclasses.dataclass(frozen=True)
class Listed:
    """A net of a list, `models.json`."""

    name: str
    spec: str
    """The name of its table."""
    origin: str
    """What it learned from, in words."""
    licence: str
    """Of the weights."""
    source: str
    """`shipped` beside the list, the path of a folder (from the list's own), or the address of one on the web."""
    files: Mapping[str, str]
    """The sha256 of each file, by its path in the folder."""
    beside: pathlib.Path
    """The folder that the list lies in."""

    @property
    def url(self) -> str | None:
        """Where on the web it is, with a slash at the end; None where it is not."""
        return self.source.rstrip('/') + '/' if re.match('https?://', self.source) else None

    @property
    def folder(self) -> pathlib.Path:
        """Where it lies; on the web, where it will lie once it was fetched."""
        if self.url:
            return home() / 'fetched' / self.name
        return self.beside / (self.name if self.source == SHIPPED else self.source)

    @property
    def is_ours(self) -> bool:
        """Whether it ships with this package, rather than beside a list of the user's."""
        return self.source == SHIPPED and self.beside == _own_list().parent


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
    """The weight file's, once somebody has told it: soundnet-import-weights prints it."""


@dataclasses.dataclass(frozen=True)
class Packaged:
    """A weight file inside a package of the Python index."""

    package: str
    version: str
    member: str
    """The weight file's path below the folder that packages are installed in."""
    sha256: str
    """The weight file's."""
    archive_sha256: str
    archive_bytes: int

    @property
    def requirement(self) -> str:
        """As pip takes it."""
        return f'{self.package}=={self.version}'


LIST, SHIPPED = 'models.json', 'shipped'

_WORDS = ('spec', 'origin', 'licence', 'source')

_NAME = re.compile(r'\w[\w.-]{,99}')
_ZIP = 'http://data.csail.mit.edu/soundnet/soundnet_models_public.zip'

PUBLISHED = {
    'soundnet5': Published(_ZIP, 'soundnet5_final.t7', 101_000_000),
}
"""By the name of the net. Source: the README of the authors' code, github.com/cvondrick/soundnet, and its issue 8."""

PACKAGED = {
    'soundnet8': Packaged(
        package='soundnet',
        version='0.1.2',
        member='soundnet/models/sound8.npy',
        sha256='7bef691761d00a23b027751bb8e7bdadc603a03f3bbec5574e7cd54c98a850c5',
        archive_sha256='3c9beec2ae14bc0cc80ce48688b07927ccd2466a9725459915b2dbf1aca916bc',
        archive_bytes=53_589_281,
    )
}
"""By the name of the net: the authors' weights (MIT) in a package whose code needs TensorFlow 1 and is not imported."""

WEIGHT_FILES = ('.npy', '.t7', '.pth', '.pt')
"""What weight files that are not saved nets are called."""


def home() -> pathlib.Path:
    """The user's folder, whether it exists or not."""
    if own := os.environ.get('SOUNDNET_HOME'):
        return pathlib.Path(own).expanduser()
    caches = os.environ.get('XDG_CACHE_HOME')
    return (pathlib.Path(caches) if caches else pathlib.Path.home() / '.cache') / 'soundnet_tf'


def is_name(text: str) -> bool:
    """Whether a net may be called so."""
    return _NAME.fullmatch(text) is not None


def is_part(name: str) -> bool:
    """Whether a saved net is read from the file of this path in its folder; see `soundnet_tf.nets.saved`."""
    return re.fullmatch(r'weights\.npz|spec\.json|model\.json|net\.tflite|labels/[^/]+', name) is not None


def place(name: str) -> pathlib.Path:
    """The folder of the net that is, or would be, registered under `name`. Raises SoundNetError for no name."""
    if not is_name(name):
        raise SoundNetError(f'{name!r} is no name for a net: take letters, digits, _, - and ., at most 100')
    return home() / 'nets' / name


def lists() -> tuple[pathlib.Path, ...]:
    """The lists that there are, the user's own last."""
    return tuple(path for path in (_own_list(), home() / LIST) if path.is_file())


def _own_list() -> pathlib.Path:
    return pathlib.Path(str(importlib.resources.files('soundnet_tf.savedmodels'))) / LIST


def listed() -> dict[str, Listed]:
    """All nets of the lists by name; the user's own before what ships. Raises SoundNetError for a damaged list."""
    return {net.name: net for path in lists() for net in _nets(path)}


def default() -> str:
    """The name of the net that is taken where none is named. Raises SoundNetError where there is none."""
    names = [name for path in lists() if (name := read(path).get('default'))]
    if not names:
        example = "load('runs/first/net'), or --model=runs/first/net"
        raise SoundNetError(f'no net ships with this version: name the folder of a saved net, such as {example}')
    return names[-1]


def _nets(path: pathlib.Path) -> list[Listed]:
    found = []
    for name, about in read(path)['nets'].items():
        wrong = _wrong_with(name, about)
        if wrong:
            raise SoundNetError(f'{path}: {name!r} cannot be listed so: {wrong}. See docs/models.md')
        words = {key: about[key] for key in _WORDS}
        words['source'] = os.path.expanduser(words['source'])
        found.append(Listed(name, beside=path.parent, files=about['files'], **words))
    return found


def _wrong_with(name: str, about: Any) -> str:
    """What keeps an entry of a list from being one, in words; nothing where nothing does."""
    # Names become paths on this machine.
    if not is_name(name):
        return 'a name has letters, digits, _, - and ., at most 100'
    lacking = [key for key in (*_WORDS, 'files') if key not in about] if isinstance(about, dict) else [*_WORDS, 'files']
    if lacking:
        return f'it lacks {", ".join(lacking)}'
    odd = [key for key in _WORDS if not (isinstance(about[key], str) and about[key])]
    if odd:
        return f'{odd[0]} is no text'
    if '://' in about['source'] and not re.match('https?://', about['source']):
        return f'the source {about["source"]} is no folder, and neither http:// nor https://'
    if not isinstance(about['files'], dict) or not {'weights.npz', 'spec.json'} <= about['files'].keys():
        return 'files tells the sha256 of each file of a saved net, weights.npz and spec.json among them'
    for file, digest in about['files'].items():
        if not all(map(is_name, file.split('/'))):
            return f'{file!r} is no path of a file of a saved net'
        if not isinstance(digest, str) or not re.fullmatch('[0-9a-f]{64}', digest):
            return f'the sha256 of {file} is not 64 digits of 0-9 and a-f, but {digest!r}'
    return ''


def read(path: pathlib.Path) -> dict[str, Any]:
    """A list as it is written: `nets` by name, and perhaps the `default`. Raises SoundNetError for anything else."""
    try:
        values = json.loads(path.read_text(encoding='utf-8-sig'))
    except (OSError, ValueError, RecursionError) as error:
        raise SoundNetError(f'{path} cannot be read ({error}): mend it, or remove it') from error
    if not isinstance(values, dict) or not isinstance(values.get('nets'), dict):
        raise SoundNetError(f'{path} lists no nets (it is no object with the key nets): see docs/models.md')
    default = values.get('default')
    if default is not None and not (isinstance(default, str) and is_name(default)):
        raise SoundNetError(f'{path} lists no nets ({default!r} is no name for the default one): see docs/models.md')
    return values

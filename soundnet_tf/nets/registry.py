"""Nets by name: the included ones, those registered on this machine, and the weights that SoundNet's authors published.

`models.json` of the package `soundnet_tf.savedmodels`, the folder savedmodels/ of a checkout, lists the included nets;
a `models.json` of the user may list more. All that belongs to a user is in one folder: `$SOUNDNET_HOME`, else
`soundnet_tf` in `$XDG_CACHE_HOME`, else `~/.cache/soundnet_tf`.

    models.json   nets in other folders or on the web, by name
    nets/NAME/    a saved net that was registered
    fetched/NAME/ a listed net, downloaded from its URL
    published/    published weights to import: fetched from the authors' site, or put there by the user

`soundnet_tf.nets.lookup.find` turns a name into a folder.
"""

import dataclasses
import difflib
import importlib.resources
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError


@dataclasses.dataclass(frozen=True)
class Listed:
    """A net of a list, `models.json`."""

    name: str
    spec: str
    """The name of its `NetSpec`."""
    origin: str
    """What it was trained on, in words."""
    licence: str
    """Of the weights."""
    source: str
    """`shipped` beside the list, the path of a folder (relative to the list), or a URL."""
    files: Mapping[str, str]
    """The sha256 of each file, by its path in the folder."""
    beside: pathlib.Path
    """The folder of the list."""

    @property
    def url(self) -> str | None:
        """Its URL, with a slash at the end; None for a folder."""
        return self.source.rstrip('/') + '/' if re.match('https?://', self.source) else None

    @property
    def folder(self) -> pathlib.Path:
        """Its folder; for a URL, the folder that it is downloaded to."""
        if self.url:
            return home() / 'fetched' / self.name
        return self.beside / (self.name if self.source == SHIPPED else self.source)

    @property
    def is_ours(self) -> bool:
        """Whether it is included in this package, rather than beside a list of the user's."""
        return self.source == SHIPPED and self.beside == _own_list().parent


@dataclasses.dataclass(frozen=True)
class Published:
    """A weight file in a zip on its authors' site."""

    url: str
    """Of the zip."""
    member: str
    """The weight file's name in it."""
    about_bytes: int
    """The zip's size as stated by its authors, rounded."""
    sha256: str | None = None
    """The weight file's; None while it is unknown. The importer prints it."""


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
        """As pip expects it."""
        return f'{self.package}=={self.version}'


LIST, SHIPPED = 'models.json', 'shipped'

_WORDS = ('spec', 'origin', 'licence', 'source')

_PART = re.compile(
    r'weights\.npz|spec\.json|model\.json|net\.tflite|labels/[^/]+'
    # The optional TF-Hub module in the same folder.
    r'|saved_model\.pb|fingerprint\.pb|variables/[^/]+|assets/[^/]+'
)

_NAME = re.compile(r'\w[\w.-]{,99}')
INVALID_NAME = "invalid model name. Use up to 100 letters, digits, '_', '-' or '.'"
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

KNOWN: dict[str, dict[str, Any]] = {
    PACKAGED['soundnet8'].sha256: {
        'title': 'SoundNet, 8 layers, the original weights',
        'authors': 'Yusuf Aytar, Carl Vondrick, Antonio Torralba',
        'paper': 'SoundNet: Learning Sound Representations from Unlabeled Video, NIPS 2016, arXiv:1610.09001',
        'licence': 'MIT',
        'learned_from': 'the sound of two million unlabelled Flickr videos, 20 s of each, with the outputs of an '
        'ImageNet and a Places network for the frames as targets',
        'package': 'soundnet 0.1.2 on the Python index, soundnet/models/sound8.npy',
        'measured': {
            'ESC-10, folds 1 to 4, linear SVM on pool5, %': '89.7 ± 5.9',
            'ESC-10, folds 1 to 4, linear SVM on conv6, %': '93.1 ± 1.2',
            'ESC-10, folds 1 to 4, linear SVM on conv8, %': '60.3 ± 5.1',
            'how': 'soundnet-evaluate --data=ESC-10/ --model=soundnet8 --layer=pool5; each fold is '
            'tested after training on the other three',
        },
    }
}
"""Facts about known weight files, by their sha256."""

WEIGHT_FILES = ('.npy', '.t7', '.pth', '.pt')
"""Suffixes of weight files, which are not saved nets, in lower case."""


def home() -> pathlib.Path:
    """The user's folder, whether it exists or not."""
    if own := os.environ.get('SOUNDNET_HOME'):
        return pathlib.Path(own).expanduser()
    caches = os.environ.get('XDG_CACHE_HOME')
    return (pathlib.Path(caches) if caches else pathlib.Path.home() / '.cache') / 'soundnet_tf'


def is_name(text: str) -> bool:
    """Whether it is a valid model name."""
    return _NAME.fullmatch(text) is not None


def is_part(name: str) -> bool:
    """Whether a file of this path is part of a saved net; see `soundnet_tf.nets.saved`."""
    return _PART.fullmatch(name) is not None


def files_of(folder: pathlib.Path) -> list[str]:
    """The files in a folder and those below it, by their paths relative to it."""
    return [path.relative_to(folder).as_posix() for path in sorted(folder.rglob('*')) if path.is_file()]


def is_net(folder: str | os.PathLike[str]) -> bool:
    """Whether it is the folder of a saved net."""
    return (pathlib.Path(folder) / 'spec.json').is_file()


def place(name: str) -> pathlib.Path:
    """The folder of the net that is, or would be, registered under `name`. Raises SoundNetError for an invalid name."""
    if not is_name(name):
        raise SoundNetError(f'{name!r}: {INVALID_NAME}')
    return home() / 'nets' / name


def lists() -> tuple[pathlib.Path, ...]:
    """The lists that exist, the user's own last."""
    return tuple(path for path in (_own_list(), home() / LIST) if path.is_file())


def _own_list() -> pathlib.Path:
    """The list of the included nets: in the package that is installed, or in the checkout that is imported."""
    try:
        folder = importlib.resources.files('soundnet_tf.savedmodels')
    except ModuleNotFoundError:
        # Python started in a checkout imports its source folder, which the package's data is not part of.
        folder = pathlib.Path(__file__).parents[2] / 'savedmodels'
    return pathlib.Path(str(folder)) / LIST


def listed() -> dict[str, Listed]:
    """All listed nets by name; the user's list overrides the included one. Raises SoundNetError for a damaged list."""
    return {net.name: net for path in lists() for net in _nets(path)}


def names() -> list[str]:
    """The nets available by name on this machine: listed, registered, or converted at the first use."""
    registered = [path.parent.name for path in (home() / 'nets').glob('*/spec.json')]
    return sorted({*listed(), *PACKAGED, *registered})


def similar(name: str) -> str | None:
    """The known name closest to an unknown one; None if none is close."""
    return next(iter(difflib.get_close_matches(name, [*names(), *PUBLISHED], n=1)), None)


def default() -> str:
    """The name of the default net. Raises SoundNetError if there is none."""
    names = [name for path in lists() if (name := read(path).get('default'))]
    if not names:
        example = "load('runs/first/net'), or --model=runs/first/net"
        raise SoundNetError(f'this version includes no net. Pass the folder of a saved net, such as {example}')
    return names[-1]


def _nets(path: pathlib.Path) -> list[Listed]:
    found = []
    for name, about in read(path)['nets'].items():
        wrong = _wrong_with(name, about)
        if wrong:
            raise SoundNetError(f'{path}: {name!r}: {wrong}. See docs/models.md')
        words = {key: about[key] for key in _WORDS}
        words['source'] = os.path.expanduser(words['source'])
        found.append(Listed(name, beside=path.parent, files=about['files'], **words))
    return found


def _wrong_with(name: str, about: Any) -> str:
    """What is wrong with an entry of a list; an empty string if nothing is."""
    # Names become paths on this machine.
    if not is_name(name):
        return INVALID_NAME
    missing = [key for key in (*_WORDS, 'files') if key not in about] if isinstance(about, dict) else [*_WORDS, 'files']
    if missing:
        return f'missing keys: {", ".join(missing)}'
    odd = [key for key in _WORDS if not (isinstance(about[key], str) and about[key])]
    if odd:
        return f'{odd[0]} must be a non-empty string'
    if '://' in about['source'] and not re.match('https?://', about['source']):
        return f'the source {about["source"]} is neither a folder nor an http:// or https:// URL'
    if not isinstance(about['files'], dict) or not {'weights.npz', 'spec.json'} <= about['files'].keys():
        return 'files must have the sha256 of each file of the saved net, including weights.npz and spec.json'
    for file, digest in about['files'].items():
        if not all(map(is_name, file.split('/'))):
            return f'{file!r} is not a valid path of a file of a saved net'
        if not isinstance(digest, str) or not re.fullmatch('[0-9a-f]{64}', digest):
            return f'the sha256 of {file} must be 64 digits of 0-9 and a-f, got {digest!r}'
    return ''


def read(path: pathlib.Path) -> dict[str, Any]:
    """The content of a list: `nets` by name, and optionally the `default`. Raises SoundNetError for anything else."""
    values = storage.read_json(path, 'Fix this file, or remove it', kind=object)
    if not isinstance(values, dict) or not isinstance(values.get('nets'), dict):
        raise SoundNetError(f'{path}: not a list of nets (not an object with the key nets). See docs/models.md')
    default = values.get('default')
    if default is not None and not (isinstance(default, str) and is_name(default)):
        raise SoundNetError(f'{path}: not a list of nets (invalid default {default!r}). See docs/models.md')
    return values

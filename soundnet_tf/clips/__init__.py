"""Five short sounds to try a net on: 5 s each, in the public domain (CC0). CREDITS.md names their authors.

soundnet_tf.clips.names()          # ('dog_bark', 'helicopter', ...)
soundnet_tf.clips.path('rooster')  # the path of its Ogg Vorbis file
"""

import functools
import pathlib
from importlib import resources

from soundnet_tf.errors import SoundNetError


@functools.cache
def names() -> tuple[str, ...]:
    """The included clips, in alphabetical order."""
    return tuple(sorted(file.stem for file in _folder().glob('*.ogg')))


def path(name: str) -> pathlib.Path:
    """The sound file of a clip, such as 'rooster'. Raises SoundNetError, listing them all, for another name."""
    if name not in names():
        raise SoundNetError(f'{name!r}: no included clip has this name. Use one of {", ".join(names())}')
    return _folder() / f'{name}.ogg'


def _folder() -> pathlib.Path:
    return pathlib.Path(str(resources.files(__name__)))

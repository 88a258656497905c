"""The class names of the paper's two teachers, one per line, in their order.

`imagenet`: the 1000 objects of ILSVRC. `places`: the 401 scenes of the original model's scene head.
"""

import functools
import re
from importlib import resources

from soundnet_tf.errors import SoundNetError

CONTROL = re.compile(r'[\x00-\x08\x0a-\x1f\x7f-\x9f]')
"""Characters that no name may have: not the tab, with which some lists separate codes from names."""


@functools.cache
def shipped(head: str, classes: int) -> tuple[str, ...] | None:
    """The included names for a head of so many classes; None if there are none."""
    file = resources.files(__name__) / f'{head}.txt'
    if not file.is_file():
        return None
    names = parse(file.read_text(encoding='utf-8'), file.name)
    return names if len(names) == classes else None


def numbered(classes: int) -> tuple[str, ...]:
    """Names for classes without names: `class 0`, `class 1`, ..."""
    return tuple(f'class {index}' for index in range(classes))


def short(head: str, name: str) -> str:
    """A class name for a line of text: the first of ImageNet's synonyms, `tench, Tinca tinca`."""
    return name.split(', ')[0] if head == 'imagenet' else name


def parse(text: str, source: str) -> tuple[str, ...]:
    """One name per line. Raises SoundNetError if a line in the middle is empty, or has control characters."""
    names = tuple(name.strip() for name in text.rstrip('\n').split('\n'))
    for number, name in enumerate(names, start=1):
        if not name:
            raise SoundNetError(f'{source}: line {number} is empty. Every class needs a name')
        if found := CONTROL.search(name):
            raise SoundNetError(f'{source}: line {number} has the control character {found[0]!r}. Remove it')
    return names

"""The names of the classes that the paper's two teachers tell apart, one per line, in their order.

`imagenet`: the 1000 objects of ILSVRC. `places`: the 401 scenes of the original model's scene head.
"""

import functools
from importlib import resources

from soundnet_tf.errors import SoundNetError


@functools.cache
def shipped(head: str, classes: int) -> tuple[str, ...] | None:
    """The names that ship for a head of so many classes; None where we know none."""
    file = resources.files(__name__) / f'{head}.txt'
    if not file.is_file():
        return None
    names = parse(file.read_text(encoding='utf-8'), file.name)
    return names if len(names) == classes else None


def numbered(classes: int) -> tuple[str, ...]:
    """Names for classes that nobody named: `class 0`, `class 1`, ..."""
    return tuple(f'class {index}' for index in range(classes))


def short(head: str, name: str) -> str:
    """A class as a line of text has it: of ImageNet's synonyms, `tench, Tinca tinca`, the first."""
    return name.split(', ')[0] if head == 'imagenet' else name


def parse(text: str, source: str) -> tuple[str, ...]:
    """One name per line. Raises SoundNetError where a line in the middle is empty."""
    names = text.rstrip('\n').split('\n')
    for number, name in enumerate(names, start=1):
        if not name.strip():
            raise SoundNetError(f'{source}: line {number} is empty; every class needs a name')
    return tuple(name.strip() for name in names)

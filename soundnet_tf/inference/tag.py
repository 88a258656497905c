"""The most probable classes of each head, and how a file's are shown."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference.files import SoundFile, Tally, each, tell

if TYPE_CHECKING:
    from soundnet_tf.inference.embed import Embedder


class Tag(NamedTuple):
    """What a head says of a sound: a class and how probable it is."""

    head: str
    name: str
    probability: float


def top(head: str, names: Sequence[str], probabilities: NDArray[np.float32], count: int) -> list[Tag]:
    """The `count` most probable classes, or all where there are fewer, of `[classes]`; equal ones in their order."""
    if count < 1:
        raise SoundNetError(f'top is a number of classes, at least 1, not {count}')
    best = np.argsort(-probabilities, kind='stable')[:count]
    return [Tag(head, names[int(index)], float(probabilities[index])) for index in best]


def tag_files(embedder: 'Embedder', files: Sequence[SoundFile], format: str = 'text', count: int = 5) -> Tally:
    """Print the tags of each file as 'text' or 'json', a line for each file.

    A bad sound is told and counted, see `files.each`. Raises SoundNetError where the net has no heads.
    """
    heads = embedder.heads()

    def work(file: SoundFile) -> bool:
        heard = embedder.listen_file(file.path, heads)
        tags = embedder.tags_in(heard, count)
        first = heard[heads[0]]
        if format == 'json':
            facts = {'path': file.path, 'seconds': first.seconds, 'tiled': first.tiled}
            tell(json.dumps({**facts, 'tags': as_json(tags)}), aloud=True)
            return True
        if first.tiled:
            tell(f'{file.path} is {first.seconds:.2f} s, too short for the heads of {embedder.spec.name}: it was tiled')
        tell(as_text(file.path, tags), aloud=True)
        return True

    return each(files, work, embedder.decoder)


def as_text(path: str, tags: Sequence[Tag]) -> str:
    """For people: the file's name, and below it a line per tag in columns."""
    width = max(len(tag.head) for tag in tags)
    heads = [tag.head for tag in tags]
    lines = [path]
    for index, tag in enumerate(tags):
        head = '' if tag.head in heads[:index] else tag.head
        lines.append(f'  {head:{width}}  {tag.probability:6.1%}  {tag.name}')
    return '\n'.join(lines)


def as_json(tags: Sequence[Tag]) -> dict[str, list[dict[str, Any]]]:
    """By head: a list of names and probabilities, the most probable first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for tag in tags:
        found.setdefault(tag.head, []).append({'name': tag.name, 'probability': round(tag.probability, 6)})
    return found

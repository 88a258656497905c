"""What the default net, which knows real sounds alone, says to the made world: "not sure", where it is honest."""

import dataclasses
import pathlib
from collections.abc import Sequence

from soundnet_tf import inference
from soundnet_tf.demo.stage import Scene


@dataclasses.dataclass(frozen=True)
class Said:
    """Of one video: what it is about, the best guess, its probability, and whether the net is sure."""

    kind: str
    guess: str
    probability: float
    sure: bool

    def __str__(self) -> str:
        return self.guess if self.sure else f'not sure (best guess {self.guess})'


def listen(videos: pathlib.Path, scenes: Sequence[Scene]) -> list[Said]:
    """By the default net, of the first video of each kind in the folder `videos`."""
    embedder = inference.load(short='tile')
    first = {scene.kind: scene for scene in reversed(scenes)}
    found = []
    for kind, scene in sorted(first.items()):
        ((head, name, probability),) = embedder.tag_file(videos / f'{scene.id}.mp4', top=1)
        found.append(Said(kind, name, probability, probability >= embedder.sure_from.get(head, 0.0)))
    return found

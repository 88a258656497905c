"""Predictions of nets trained on real sounds: a released net for the demo's videos, the original net for real clips."""

import dataclasses
import pathlib
from collections.abc import Sequence

from soundnet_tf import clips, inference, labels
from soundnet_tf.demo.stage import Scene
from soundnet_tf.errors import SoundNetError


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Of one video: its true kind, the top prediction, its probability, and whether the net is confident."""

    kind: str
    guess: str
    probability: float
    confident: bool

    def __str__(self) -> str:
        return self.guess if self.confident else f'not sure (best guess {self.guess})'


def listen(videos: pathlib.Path, scenes: Sequence[Scene]) -> list[Prediction]:
    """Predictions of a net with ten real classes for the first video of each kind in the folder `videos`."""
    embedder = inference.load('soundnet8-esc10', short='tile')
    first = {scene.kind: scene for scene in reversed(scenes)}
    found = []
    for kind, scene in sorted(first.items()):
        ((head, name, probability),) = embedder.tag_file(videos / f'{scene.id}.mp4', top=1)
        found.append(Prediction(kind, name, probability, probability >= embedder.confidence_threshold.get(head, 0.0)))
    return found


def original() -> list[str]:
    """Predictions of the original net, one line per clip of the package; or why it cannot be loaded."""
    try:
        embedder = inference.load('soundnet8', short='tile')
    except SoundNetError as error:  # without a network, and without the package that carries its weights
        return [str(error)]
    lines = []
    for name in clips.names():
        tags = embedder.tag_file(clips.path(name), top=2)
        scenes_first = sorted(tags, key=lambda tag: (tag.head != 'places', -tag.probability))
        predictions = [f'{labels.short(tag.head, tag.name)} {tag.probability:.0%}' for tag in scenes_first]
        lines.append(f'{name:<10} {", ".join(predictions)}')
    return lines

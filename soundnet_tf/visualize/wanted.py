"""Options of a report, and its inputs besides the sounds."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import Embedder, files
from soundnet_tf.spec import Conv, NetSpec, Pool
from soundnet_tf.visualize import filters, labels, learning, vision


@dataclasses.dataclass(frozen=True)
class Wanted:
    """Options of a report. A section whose path is None is omitted."""

    layers: tuple[str, ...] = ()
    """Layers and heads to show; by default `default_layers` and all heads."""
    units: int = 64
    """Max units per layer, and classes per head; the most selective ones."""
    top: int = 6
    """Max excerpts per unit."""
    labels: str | None = None
    """A CSV with the columns path and label; by default, labels are the folder names."""
    vision: str | None = None
    """A folder of NAME.npy, `[frames, channels]` of each sound's video."""
    timeline: str | None = None
    """A sound file; by default the longest of the sounds."""
    run: str | None = None
    """The folder of a training run."""
    evaluation: str | None = None
    """A JSON file, or a folder with `result.json`, with a confusion matrix."""
    seed: int = 0


def default_layers(spec: NetSpec) -> tuple[str, ...]:
    """The last convolution, and the one before the last pool: conv5 and conv7 of the 8-layer net, as in the paper."""
    convolutions = [index for index, row in enumerate(spec.layers) if isinstance(row, Conv)]
    pools = [index for index, row in enumerate(spec.layers) if isinstance(row, Pool)]
    before = [index for index in convolutions if pools and index < pools[-1]]
    return tuple(spec.layers[index].name for index in dict.fromkeys([*before[-1:], convolutions[-1]]))


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Inputs read before any sound is processed, so errors are reported early."""

    filters: filters.Filters
    labels: list[str | None]
    curves: list[dict[str, Any]]
    confusions: list[dict[str, Any]]
    vision: Any
    """`[mapped, channels]`, or None."""

    @classmethod
    def read(
        cls,
        embedder: Embedder,
        net: pathlib.Path,
        sounds: Sequence[files.SoundFile],
        mapped: Sequence[int],
        wanted: Wanted,
    ) -> 'Inputs':
        for path in filter(None, (sounds[0].path, wanted.timeline)):
            if not os.path.exists(path):
                raise SoundNetError(f'{path}: there is no such file or folder. Check the path')
        if wanted.timeline and not embedder.spec.heads:
            raise SoundNetError(f'--timeline: {embedder.spec.name} has no heads to plot. Omit this flag')
        if wanted.timeline:
            embedder.listener.open_file(wanted.timeline, list(embedder.listener.heads()))
        return cls(
            filters.read(net, embedder.spec),
            labels.of_csv(wanted.labels, sounds) if wanted.labels else labels.of_folders(sounds),
            learning.curves(wanted.run) if wanted.run else [],
            learning.confusions(wanted.evaluation) if wanted.evaluation else [],
            vision.of_clips(wanted.vision, [sounds[index] for index in mapped]) if wanted.vision else None,
        )

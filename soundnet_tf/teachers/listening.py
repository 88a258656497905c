"""Nets that listen: the posteriors of a saved net's head for the sound itself, so that sounds need no pictures."""

import dataclasses
import functools
import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import embed
from soundnet_tf.inference.embedding import Embedding, Embeddings
from soundnet_tf.nets import lookup, saved
from soundnet_tf.records import Kind
from soundnet_tf.teachers.options import PREFIX, Wanted
from soundnet_tf.teachers.view import View


@dataclasses.dataclass
class ListeningTeacher:
    """One head of a saved net. A frame's posteriors are those of the time step nearest to it."""

    name: str
    labels: tuple[str, ...]
    net: '_Net'
    head: str
    source: str
    kind: Kind = 'probabilities'
    side: int = 0

    def look(self, views: Sequence[View]) -> list[NDArray[np.float32] | str]:
        """Per view `[frames, classes]`."""
        heard = self.net.listen(views)
        return [_nearest(embeddings[self.head], view.times) for embeddings, view in zip(heard, views, strict=True)]


class _Net:
    """A saved net, which listens once for the teachers of all its heads."""

    def __init__(self, folder: str) -> None:
        self.embedder = embed.load(folder)
        self._views: Sequence[View] = ()
        self._heard: list[Embeddings] = []

    def listen(self, views: Sequence[View]) -> list[Embeddings]:
        """Per view the posteriors of each head."""
        if views is not self._views:
            heads = self.embedder.spec.head_names
            self._heard = self.embedder.embed_batch([view.waveform for view in views], SAMPLE_RATE, layers=heads)
            self._views = views
        return self._heard


_shared = functools.cache(_Net)


def load(wanted: Wanted) -> ListeningTeacher:
    """The teacher `NAME=hear:NET[,head=HEAD]`. Raises SoundNetError if the net has no such head."""
    folder = lookup.find(wanted.where.removeprefix(PREFIX))
    heads, head = saved.read_spec(folder).head_names, wanted.options.get('head', wanted.name)
    if head not in heads:
        way_out = f'Use head={" or head=".join(heads)}' if heads else 'Use another net'
        raise SoundNetError(f'teacher {wanted.name}: {wanted.where} has no head {head!r}. {way_out}')
    net = _shared(os.fspath(folder))
    source = f'{folder.name} (sha256 {saved.fingerprint(folder)[:16]}), head {head}'
    return ListeningTeacher(wanted.name, tuple(net.embedder.labels[head]), net, head, source)


def _nearest(heard: Embedding, times: Sequence[float]) -> NDArray[np.float32]:
    """`[len(times), classes]`: the time steps nearest to these times in seconds."""
    return heard.values[abs(np.subtract.outer(times, heard.times)).argmin(axis=1)]

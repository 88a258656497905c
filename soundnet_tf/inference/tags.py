"""From the outputs of heads to tags: the most probable classes, pooled over time, and how far to trust them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import SILENCE_DBFS
from soundnet_tf.nets.predictions import best, softmax
from soundnet_tf.spec import Head


class Tag(NamedTuple):
    """A class of a head, and its probability."""

    head: str
    name: str
    probability: float


SILENCE = 'silence'
"""In place of a class, for a sound that is silent."""
SILENCE_TEXT = f'  {SILENCE} (below {SILENCE_DBFS:.0f} dBFS)'
"""In text: the line that takes the place of all others."""


def top_classes(head: str, names: Sequence[str], probabilities: NDArray[np.float32], count: int) -> list[Tag]:
    """The `count` most probable classes, or all where there are fewer, of `[classes]`; equal ones in their order."""
    return [Tag(head, names[int(index)], float(probabilities[index])) for index in best(probabilities, count)]


def silence(heads: Iterable[str]) -> list[Tag]:
    """The tag of each head for a silent sound."""
    return [Tag(head, SILENCE, 1.0) for head in heads]


def clip_probabilities(head: Head, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """A head's probabilities for a whole clip, `[classes]`, from those of its time steps, `[time, classes]`.

    The mean is over probabilities or logits, as `head.clip_mean` says. Probabilities determine the logits up to a
    constant, which a softmax ignores.
    """
    return pooled_probabilities(head, pool_inputs(head, probabilities).mean(axis=0))


def pool_inputs(head: Head, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is averaged over time, `[time, classes]`: probabilities, or logits up to a constant."""
    if head.clip_mean == 'probabilities':
        return probabilities
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))


def pooled_probabilities(head: Head, mean: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities `[classes]` from the mean over time of the `pool_inputs`."""
    if head.clip_mean == 'probabilities':
        return mean
    return softmax(mean)


def confident_heads(tags: Sequence[Tag], thresholds: Mapping[str, float]) -> dict[str, bool]:
    """By head, whether its best tag reaches the head's confidence threshold; only for heads that have one.

    A threshold of 1 marks a head that is never confident, whatever a softmax rounds to.
    """
    best: dict[str, float] = {}
    for tag in tags:
        best[tag.head] = max(tag.probability, best.get(tag.head, 0.0))
    return {head: 1 > thresholds[head] <= value for head, value in best.items() if head in thresholds}

"""`preprocess_input` and `decode_predictions`, as the nets of `keras.applications` have them."""

import os
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soundnet_tf import audio, labels
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import BadAudio, SoundNetError

MAX_CHANNELS = 8
"""A longer array with at most so many columns is a recording `[samples, channels]`, not a batch."""


def softmax(logits: NDArray[np.floating]) -> NDArray[Any]:
    """Probabilities over the last axis, in numpy."""
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return odds / odds.sum(axis=-1, keepdims=True)


def best(probabilities: NDArray[np.floating], top: int) -> NDArray[np.int64]:
    """The `top` most probable classes, or all where there are fewer, of `[classes]`; equal ones in their order.

    Raises SoundNetError unless `top` is a whole number of at least 1.
    """
    if not isinstance(top, Integral) or top < 1:
        raise SoundNetError(f'top={top!r}: must be a whole number, at least 1')
    return np.argsort(-probabilities, kind='stable')[:top]


def preprocess_input(x: ArrayLike, sample_rate: int = SAMPLE_RATE) -> NDArray[np.float32]:
    """Mono sounds `[samples]` or `[batch, samples]`, at `sample_rate` in Hz, as input of the nets, of the same rank.

    float32 at 22,050 Hz in [-1, 1]; integers are PCM. Raises BadAudio if there are no usable samples, and for a
    recording `[samples, channels]` or a path.
    """
    if isinstance(x, str | bytes | os.PathLike):
        path = os.fsdecode(x)
        raise BadAudio(f'{path}: pass samples, not a path: soundnet_tf.audio.decoding.read({path!r})')
    sounds = audio.to_array(x)
    if sounds.ndim == 2 and 0 < sounds.shape[1] <= MAX_CHANNELS < sounds.shape[0]:
        shape = list(sounds.shape)
        raise BadAudio(f'sounds of shape {shape} are [samples, channels]: pass mono sounds, such as x[:, 0]')
    if sounds.ndim not in (1, 2) or not len(sounds):
        raise BadAudio(f'sounds of shape {list(sounds.shape)}: pass [samples] or [batch, samples]')
    if sounds.ndim == 1:
        return audio.to_waveform(sounds, sample_rate)
    return np.stack([audio.to_waveform(sound, sample_rate, name=f'sound {i}') for i, sound in enumerate(sounds)])


def decode_predictions(
    outputs: Mapping[str, Any] | Any, top: int = 5, names: Mapping[str, Sequence[str]] | None = None
) -> list[list[tuple[str, str, float]]]:
    """For each sound of a batch `(head, class, probability)`, the `top` of each head, the most probable first.

    Args:
      outputs: of a net, by head: `[batch, time, classes]`, which is averaged over time, or `[batch, classes]`.
      names: the class names of each head, such as `net.labels`; by default the included ones, or numbers.

    Probabilities are averaged, also of a head trained on labels, whose mean logits `Embedder.tag` uses. Raises
    SoundNetError if shapes or names do not fit, and unless `top` is a whole number of at least 1.
    """
    if not isinstance(outputs, Mapping):
        raise SoundNetError('outputs must be those of a net with heads, {head: [batch, time, classes]}')
    decoded: dict[int, list[tuple[str, str, float]]] = {}
    for head, values in outputs.items():
        values = np.asarray(values)
        if values.ndim == 3 and not values.shape[1]:
            raise SoundNetError(
                f'head {head}: outputs of shape {list(values.shape)} hold no time step. Use longer clips'
            )
        if values.ndim not in (2, 3) or not values.size:
            raise SoundNetError(
                f'head {head}: outputs of shape {list(values.shape)}, not [batch, time, classes] or [batch, classes]'
            )
        values = values.mean(axis=1) if values.ndim == 3 else values
        count = values.shape[-1]
        own = (names or {}).get(head) or labels.shipped(head, count) or labels.numbered(count)
        if len(own) != count:
            raise SoundNetError(f'head {head}: {len(own)} names for {count} classes')
        for sound, row in enumerate(values):
            decoded.setdefault(sound, []).extend((head, own[int(i)], float(row[i])) for i in best(row, top))
    return [decoded[sound] for sound in sorted(decoded)]

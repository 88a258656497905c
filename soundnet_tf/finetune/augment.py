"""Training crops: random choices in numpy, and the waveforms in the graph.

The random choices of an epoch depend on the seed and the epoch's number only, so a resumed run is the same as one that
was never stopped. The graph does the arithmetic: stretching, weighting, filtering, adding.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.experiments.recipes import Recipe
from soundnet_tf.finetune import equaliser
from soundnet_tf.finetune.loudness import OCTAVES_HZ
from soundnet_tf.finetune.waveforms import FULL_SCALE, Samples, Sounds

Floats = NDArray[np.float32]


@dataclasses.dataclass(frozen=True, eq=False)
class Batch:
    """The inputs of `render` and the targets. A crop has one voice, or two when mixed.

    `pieces` is int16 `[batch, voices, samples]`; `speeds` `[batch, voices]`, samples of the piece per sample of the
    crop; `weights` `[batch, voices]`; `filters` `[batch, voices, taps]`, no taps without filtering;
    `targets` `[batch, classes]`, which sum to 1.
    """

    pieces: Samples
    speeds: Floats
    weights: Floats
    filters: Floats
    targets: Floats


def render(
    pieces: tf.Tensor, speeds: tf.Tensor, weights: tf.Tensor, filters: tf.Tensor, samples: int, *, stretched: bool
) -> tf.Tensor:
    """Waveforms `[batch, samples]`: the pieces resampled linearly to their speeds, weighted, filtered, added."""
    if stretched:
        batch, voices, long = tf.unstack(tf.shape(pieces))
        # Bilinear interpolation of images; a sound is an image one pixel high. It accepts int16 on CPUs, not on GPUs.
        rows = tf.reshape(pieces, [-1, 1, long, 1])
        rows = tf.cast(rows, tf.float32) if tf.config.list_physical_devices('GPU') else rows
        end = tf.reshape(speeds, [-1]) * (samples - 1) / tf.cast(long - 1, tf.float32)
        zero = tf.zeros_like(end)
        boxes = tf.stack([zero, zero, zero, end], axis=1)
        sound = tf.image.crop_and_resize(rows, boxes, tf.range(batch * voices), [1, samples])
        sound = tf.reshape(sound, [batch, voices, samples])
    else:
        sound = tf.cast(pieces, tf.float32)
    sound = tf.ensure_shape(sound * tf.expand_dims(weights / FULL_SCALE, -1), [None, weights.shape[1], samples])
    return equaliser.mixed(sound, filters) if filters.shape[2] else tf.reduce_sum(sound, axis=1)


class Crops:
    """The training crops of a recipe, epoch by epoch, in batches of nearly equal size."""

    def __init__(
        self, recipe: Recipe, sounds: Sounds, clips: Sequence[int], targets: ArrayLike, classes: int, seed: int
    ):
        # `targets` are those of all clips of `sounds`; `clips` are the indices of the training clips.
        self._recipe, self._sounds, self._classes, self._seed = recipe, sounds, classes, seed
        self._clips = np.asarray(clips)
        self._targets = np.asarray(targets)
        self._pad = round(recipe.pad_s * SAMPLE_RATE)
        self._spans = {clip: sounds.span(clip, recipe.trim_db) for clip in clips}
        self.samples = round(recipe.crop_s * SAMPLE_RATE)
        self.stretched = recipe.stretch > 1
        # One more sample on each side for rounding.
        self.piece = math.ceil(self.samples * recipe.stretch) + 2 if self.stretched else self.samples
        self.voices = 2 if recipe.mix else 1
        self.taps = equaliser.TAPS if recipe.filter_db else 0
        """Taps of a filter; 0 without filtering."""
        self.steps = -(-len(clips) // recipe.batch)
        """Batches in an epoch."""

    def epoch(self, number: int, skip: int = 0) -> Iterator[Batch]:
        """The batches of an epoch after the first `skip`; each training clip comes once."""
        order = np.random.default_rng([self._seed, number]).permutation(self._clips)
        for index, clips in enumerate(np.array_split(order, self.steps)):
            if index >= skip:
                yield self._batch(np.random.default_rng([self._seed, number, index]), clips)

    def _batch(self, rng: np.random.Generator, clips: NDArray[np.int64]) -> Batch:
        recipe, count = self._recipe, len(clips)
        voices = np.stack([clips, self._others(rng, clips)], axis=1) if recipe.mix else clips[:, None]
        speeds = recipe.stretch ** rng.uniform(-1, 1, voices.shape)
        gains_db, filters = np.zeros([*voices.shape, len(OCTAVES_HZ)]), np.zeros([*voices.shape, 0])
        if recipe.filter_db:
            gains_db = rng.uniform(-recipe.filter_db, recipe.filter_db, gains_db.shape)
            filters = equaliser.filters(gains_db)
        pieces = np.zeros([*voices.shape, self.piece], np.int16)
        levels = np.zeros(voices.shape)
        for place, clip in np.ndenumerate(voices):
            start, length = self._cut(rng, int(clip), speeds[place], pieces[place])
            levels[place] = self._sounds.loudest(int(clip), start, length, gains_db[place]) if recipe.mix else 0
        share = rng.uniform(size=count) if recipe.mix else np.ones(count)
        weights = mixing_weights(share, levels[:, 0], levels[:, 1]) if recipe.mix else np.ones([count, 1])
        weights *= 10 ** (rng.uniform(-recipe.gain_db, recipe.gain_db, [count, 1]) / 20)
        weights *= rng.choice([-1, 1], voices.shape) if recipe.flip else 1
        shares = np.stack([share, 1 - share], axis=1)[:, : self.voices]
        targets = np.zeros([count, self._classes])
        np.add.at(targets, (np.arange(count)[:, None], self._targets[voices]), shares)
        return Batch(pieces, *(part.astype(np.float32) for part in (speeds, weights, filters, targets)))

    def _others(self, rng: np.random.Generator, clips: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each clip a random clip of another class."""
        others = rng.choice(self._clips, len(clips))
        while (same := self._targets[others] == self._targets[clips]).any():
            others[same] = rng.choice(self._clips, same.sum())
        return others

    def _cut(self, rng: np.random.Generator, clip: int, speed: float, piece: Samples) -> tuple[int, int]:
        """Fill `piece` with a random part of the clip; return its start in the clip and its length."""
        begin, end = self._spans[clip]
        samples = self._sounds[clip][begin:end]
        length = math.ceil(self.samples * speed) + 1 if self.stretched else self.samples
        short = math.ceil((length - len(samples)) / 2)
        if short > 0 and not self._pad:
            piece[:length] = np.resize(samples, length)  # repeated, as the authors do
            return begin, length
        pad = max(self._pad, short)
        start = int(rng.integers(-pad, len(samples) + pad - length, endpoint=True))
        first, last = max(0, start), min(len(samples), start + length)
        if first < last:
            piece[first - start : last - start] = samples[first:last]
        return begin + start, length


def mixing_weights(share: NDArray[np.float64], first_db: NDArray[np.float64], second_db: NDArray[np.float64]) -> Floats:
    """`[batch, 2]`: weights of two sounds of these levels that make the first one `share` of the mixture's loudness.

    Amplitude p / sqrt(p^2 + (1 - p)^2) with p = 1 / (1 + 10^((first - second) / 20) (1 - share) / share), and the
    rest for the second: the louder sound is attenuated, and the power is preserved.
    """
    # Both multiplied by `share`, which may be 0.
    second = 10 ** ((first_db - second_db) / 20) * (1 - share)
    both = np.stack([share, second], axis=1)
    return (both / np.sqrt(np.square(both).sum(axis=1, keepdims=True))).astype(np.float32)

"""Training crops: random choices, and the waveforms that they make of the clips.

The random choices of an epoch depend on the seed and the epoch's number only, so a resumed run is the same as one that
was never stopped. All of it is numpy and scipy, one crop at a time, which stays in the processor's cache: on processors
it takes half of the time of the same arithmetic in TensorFlow's graph.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
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


def render(batch: Batch, samples: int, *, stretched: bool) -> Floats:
    """Waveforms `[batch, samples]`: the pieces resampled linearly to their speeds, weighted, filtered, added."""
    waveforms = np.empty([len(batch.pieces), samples], np.float32)
    parts = zip(batch.pieces, batch.speeds, batch.weights, batch.filters, strict=True)
    for row, (pieces, speeds, weights, filters) in enumerate(parts):
        voices = [_resampled(*voice, samples) for voice in zip(pieces, speeds, strict=True)] if stretched else pieces
        voices = np.stack([voice * (weight / FULL_SCALE) for voice, weight in zip(voices, weights, strict=True)])
        waveforms[row] = equaliser.mixed(voices, filters) if filters.shape[1] else voices.sum(axis=0)
    return waveforms


def _resampled(piece: Samples, speed: np.float32, samples: int) -> Floats:
    """What `np.interp` computes, in half of the time, since the places are even."""
    places = np.arange(samples) * float(speed)
    before = places.astype(np.int32)
    sound = piece.astype(np.float32)
    slopes = np.diff(sound)
    # No place is outside; 'clip' leaves out the check.
    return sound.take(before, mode='clip') + slopes.take(before, mode='clip') * (places - before).astype(np.float32)


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

"""Temperature scaling and the confidence threshold of a net.

Both are fitted on the logits of held-out clips. They are evaluated fold by fold, each fold with values fitted on the
other folds.

Temperature scaling and the calibration error in 15 bins:
Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks" (2017).
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.errors import SoundNetError
from soundnet_tf.nets.predictions import softmax

Floats = NDArray[np.floating]
Booleans = NDArray[np.bool_]
Fit = Callable[[Floats, NDArray[np.integer]], float]
"""Logits and the truth to a temperature."""

BINS = 15
NEVER = 1.0
"""A threshold that no confidence reaches: softmax outputs are below 1."""

COLDEST, HOTTEST = 0.05, 20.0
"""Search range of the temperature: outside it, the probabilities are practically one-hot or uniform."""


@dataclasses.dataclass(frozen=True, eq=False)
class Answers:
    """A net's outputs for the clips of its held-out fold: `logits` `[clips, classes]`, `truth` `[clips]`.

    `ood` `[sounds, classes]` are its logits for sounds of none of the classes, the same ones for all nets.
    """

    fold: int
    logits: Floats
    truth: NDArray[np.integer]
    ood: Floats | None = None

    @property
    def right(self) -> Booleans:
        """`[clips]`: whether the top class is correct."""
        return self.logits.argmax(axis=1) == self.truth


@dataclasses.dataclass(frozen=True)
class Goal:
    """What a threshold must reach: the precision at or above it, and at most so many sounds of no class there."""

    precision: float
    max_ood: float = 1.0

    @property
    def rule(self) -> str:
        """In words."""
        rule = f'the lowest one with a precision of at least {100 * self.precision:.3g}% on held-out clips'
        return rule if self.max_ood == 1 else f'{rule}, and at most {100 * self.max_ood:.3g}% of other sounds above it'

    def threshold(self, confidences: Floats, right: Booleans, ood: Floats) -> float:
        """The lowest of the `confidences` `[clips]` that reaches it; NEVER if there is none.

        `ood` `[sounds]` is the confidence in out-of-distribution sounds. Predictions of equal confidence are on the
        same side of the threshold.
        """
        order = np.argsort(-confidences, kind='stable')
        ordered = confidences[order]
        shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
        above = len(ood) - np.searchsorted(np.sort(ood), ordered)
        is_last_of_ties = np.append(ordered[1:] < ordered[:-1], True)
        good = np.flatnonzero(is_last_of_ties & (shares >= self.precision) & (above <= self.max_ood * len(ood)))
        return float(ordered[good[-1]]) if good.size else NEVER


@dataclasses.dataclass(frozen=True)
class Calibration:
    """The temperature and the threshold fitted on all held-out clips, and how well such values generalize.

    The temperature is 1 if fitted ones do not lower the calibration error on other folds. All measurements are taken on
    each fold with values fitted on the other folds, then pooled.
    """

    temperature: float
    confidence_threshold: float
    rule: str
    error_before: float
    error_after: float
    """Expected calibration error before and after temperature scaling."""
    loss_before: float
    loss_after: float
    """Mean negative log-likelihood in nats, before and after temperature scaling."""
    confident: float
    """The share of predictions at or above the threshold."""
    accuracy_when_confident: float | None
    accuracy_when_not_confident: float | None
    """None if there is no such prediction."""
    ood_confident: float | None = None
    """The share of out-of-distribution sounds at or above the threshold; None if there were none."""

    def __str__(self) -> str:
        accuracy = (
            ''
            if self.accuracy_when_confident is None
            else f', with accuracy {self.accuracy_when_confident:.1%} on these'
        )
        confident = (
            f'confidence threshold {self.confidence_threshold:.3f}: '
            f'confident on {self.confident:.0%} of the held-out clips{accuracy}'
        )
        fix = 'Pass a lower --target_precision, or train longer'
        if self.ood_confident is not None:
            confident += f'; on {self.ood_confident:.0%} of the out-of-distribution sounds'
        never = f'never confident: no threshold meets the rule ({self.rule}). {fix}'
        return (
            f'temperature {self.temperature:.3f}: calibration error {self.error_before:.1%} before, '
            f'{self.error_after:.1%} after; {never if self.confidence_threshold >= NEVER else confident}'
        )


def calibrate(answers: Sequence[Answers], target: float, max_ood: float = 1.0) -> Calibration:
    """Fit on the outputs for at least two folds.

    `target` is the accuracy required at or above the threshold, `max_ood` the share of out-of-distribution sounds that
    may be there. Each fold is measured with a part of these sounds, with a threshold fitted on the others. Raises
    SoundNetError for fewer folds.
    """
    goal = Goal(target, max_ood)
    scaled = _calibrate(answers, goal, fit_temperature)
    # The lowest loss on some folds need not be the lowest error on another.
    return scaled if scaled.error_after < scaled.error_before else _calibrate(answers, goal, lambda *_: 1.0)


def _calibrate(answers: Sequence[Answers], goal: Goal, fit: Fit) -> Calibration:
    folds = sorted({own.fold for own in answers})
    if len(folds) < 2:
        raise SoundNetError(f'calibration: needs at least 2 held-out folds, got {len(folds)}. Use data with more folds')
    measurements = []
    for part, fold in enumerate(folds):
        others, own = (
            [_of_part(a, part, len(folds), is_own) for a in answers if (a.fold == fold) == is_own]
            for is_own in (False, True)
        )
        measurements.append(_evaluate_fold(others, own, goal, fit))
    before, after, confident, right, loss_before, loss_after, ood = (
        np.concatenate(part) for part in zip(*measurements, strict=True)
    )
    logits, truth, all_right = _concatenate(answers)
    temperature = fit(logits, truth)
    return Calibration(
        temperature=temperature,
        confidence_threshold=goal.threshold(confidence(logits, temperature), all_right, _ood(answers, temperature)),
        rule=goal.rule if len(ood) else Goal(goal.precision).rule,
        error_before=calibration_error(before, right),
        error_after=calibration_error(after, right),
        loss_before=float(loss_before.mean()),
        loss_after=float(loss_after.mean()),
        confident=float(confident.mean()),
        accuracy_when_confident=_share(right[confident]),
        accuracy_when_not_confident=_share(right[~confident]),
        ood_confident=_share(ood),
    )


def _of_part(answers: Answers, part: int, parts: int, is_own: bool) -> Answers:
    """With this part of the out-of-distribution sounds, or with all others."""
    if answers.ood is None:
        return answers
    return dataclasses.replace(answers, ood=answers.ood[(np.arange(len(answers.ood)) % parts == part) == is_own])


def _ood(answers: Sequence[Answers], temperature: float) -> Floats:
    """`[sounds]`: the confidence in out-of-distribution sounds, of all nets."""
    found = [confidence(own.ood.astype(np.float64), temperature) for own in answers if own.ood is not None]
    return np.concatenate([np.zeros(0), *found])


def _evaluate_fold(
    others: Sequence[Answers], own: Sequence[Answers], goal: Goal, fit: Fit
) -> tuple[Floats | Booleans, ...]:
    """Per clip of `own`: confidence before and after, whether confident, whether correct, losses before and after.

    Last, whether confident for each of its out-of-distribution sounds.
    """
    logits, truth, right = _concatenate(others)
    temperature = fit(logits, truth)
    confidence_threshold = goal.threshold(confidence(logits, temperature), right, _ood(others, temperature))
    logits, truth, right = _concatenate(own)
    before, after = confidence(logits, 1.0), confidence(logits, temperature)
    return (
        before,
        after,
        (after >= confidence_threshold) & (confidence_threshold < NEVER),
        right,
        _losses(logits, truth, 1.0),
        _losses(logits, truth, temperature),
        (_ood(own, temperature) >= confidence_threshold) & (confidence_threshold < NEVER),
    )


def _concatenate(answers: Sequence[Answers]) -> tuple[Floats, NDArray[np.integer], Booleans]:
    logits = np.concatenate([own.logits for own in answers])
    truth, right = (np.concatenate([getattr(own, name) for own in answers]) for name in ('truth', 'right'))
    return logits.astype(np.float64), truth, right


def probabilities(logits: Floats, temperature: float) -> Floats:
    """`[clips, classes]`: the softmax of `logits / temperature`."""
    return softmax(logits / temperature)


def confidence(logits: Floats, temperature: float) -> Floats:
    """`[clips]`: the probability of the top class."""
    return probabilities(logits, temperature).max(axis=1)


def _losses(logits: Floats, truth: NDArray[np.integer], temperature: float) -> Floats:
    scaled = logits / temperature
    highest = scaled.max(axis=1)
    total = highest + np.log(np.exp(scaled - highest[:, None]).sum(axis=1))
    return total - scaled[np.arange(len(truth)), truth]


def fit_temperature(logits: Floats, truth: NDArray[np.integer]) -> float:
    """The temperature that minimizes the negative log-likelihood, to five digits.

    By golden-section search: the loss is convex in 1 / temperature, so it has a single minimum.
    """
    low, high = 1 / HOTTEST, 1 / COLDEST
    golden = (math.sqrt(5) - 1) / 2

    def loss(inverse: float) -> float:
        return float(_losses(logits, truth, 1 / inverse).mean())

    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = loss(left), loss(right)
    while high - low > 1e-6 * low:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = loss(right)
    return 2 / (low + high)


def calibration_error(confidences: Floats, right: Booleans) -> float:
    """Expected calibration error: the mean gap between confidence and accuracy over the bins, weighted by bin size."""
    bins = np.minimum((confidences * BINS).astype(int), BINS - 1)
    off = [abs(confidences[bins == b].sum() - right[bins == b].sum()) for b in np.unique(bins)]
    return float(sum(off) / len(confidences))


def _share(right: Booleans) -> float | None:
    return float(right.mean()) if right.size else None

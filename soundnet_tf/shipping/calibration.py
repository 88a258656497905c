"""How far a net's confidence can be believed: a temperature, and the confidence from which an answer is one.

Both are fitted on logits of clips that the nets never learned from. What they are worth is measured fold by fold, with
the values that the other folds give.

Temperature: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks" (2017); so is the calibration
error in 15 bins.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.errors import SoundNetError
from soundnet_tf.nets.predictions import softmax

Floats = NDArray[np.floating]
Booleans = NDArray[np.bool_]

BINS = 15
NEVER = 1.0
"""A threshold that no confidence reaches: a softmax gives less."""

COLDEST, HOTTEST = 0.05, 20.0
"""Between which a temperature is looked for: beyond, all answers are certain, or all alike."""


@dataclasses.dataclass(frozen=True, eq=False)
class Answers:
    """What a net said of clips of a fold that it never met: `logits` `[clips, classes]`, `truth` `[clips]`."""

    fold: int
    logits: Floats
    truth: NDArray[np.integer]

    @property
    def right(self) -> Booleans:
        """`[clips]`."""
        return self.logits.argmax(axis=1) == self.truth


@dataclasses.dataclass(frozen=True)
class Calibration:
    """The temperature and the threshold that all left-out answers give, and what such values are worth.

    Shares are measured on each fold with values from the other folds, and counted over all.
    """

    temperature: float
    confidence_threshold: float
    rule: str
    error_before: float
    error_after: float
    """Expected calibration error without a temperature and with one."""
    loss_before: float
    loss_after: float
    """Mean negative log-likelihood, in nats, likewise."""
    confident: float
    """The share of answers at or above the threshold."""
    accuracy_when_confident: float | None
    accuracy_when_not_confident: float | None
    """None where there is no such answer."""

    def __str__(self) -> str:
        right = (
            ''
            if self.accuracy_when_confident is None
            else f', and right of {self.accuracy_when_confident:.1%} of these'
        )
        confident = (
            f'confident from {self.confidence_threshold:.3f}, of {self.confident:.0%} of the left-out clips{right}'
        )
        never = f'never confident (there is not {self.rule}; ask for less with --target_precision, or train longer)'
        return (
            f'temperature {self.temperature:.3f}: calibration error {self.error_before:.1%} before, '
            f'{self.error_after:.1%} after; {never if self.confidence_threshold >= NEVER else confident}'
        )


def calibrate(answers: Sequence[Answers], wanted: float) -> Calibration:
    """By the answers of at least two folds; of those from the threshold upward a share of `wanted` are right.

    Raises SoundNetError for fewer folds.
    """
    folds = sorted({own.fold for own in answers})
    if len(folds) < 2:
        raise SoundNetError(f'calibration needs answers of two left-out folds or more, and has {len(folds)}')
    told = []
    for fold in folds:
        others, own = ([a for a in answers if (a.fold == fold) == is_own] for is_own in (False, True))
        told.append(_apart(others, own, wanted))
    before, after, confident, right, loss_before, loss_after = (
        np.concatenate(part) for part in zip(*told, strict=True)
    )
    logits, truth, all_right = _joined(answers)
    temperature = fit_temperature(logits, truth)
    share = f'{100 * wanted:.3g}%'
    return Calibration(
        temperature=temperature,
        confidence_threshold=threshold(confidence(logits, temperature), all_right, wanted),
        rule=f'the least confidence from which on at least {share} of the answers to left-out clips are right',
        error_before=calibration_error(before, right),
        error_after=calibration_error(after, right),
        loss_before=float(loss_before.mean()),
        loss_after=float(loss_after.mean()),
        confident=float(confident.mean()),
        accuracy_when_confident=_share(right[confident]),
        accuracy_when_not_confident=_share(right[~confident]),
    )


def _apart(others: Sequence[Answers], own: Sequence[Answers], wanted: float) -> tuple[Floats | Booleans, ...]:
    """Confidence before and after, whether confident, whether right, losses before and after, of each own answer."""
    logits, truth, right = _joined(others)
    temperature = fit_temperature(logits, truth)
    confidence_threshold = threshold(confidence(logits, temperature), right, wanted)
    logits, truth, right = _joined(own)
    before, after = confidence(logits, 1.0), confidence(logits, temperature)
    return (
        before,
        after,
        (after >= confidence_threshold) & (confidence_threshold < NEVER),
        right,
        _losses(logits, truth, 1.0),
        _losses(logits, truth, temperature),
    )


def _joined(answers: Sequence[Answers]) -> tuple[Floats, NDArray[np.integer], Booleans]:
    logits = np.concatenate([own.logits for own in answers])
    truth, right = (np.concatenate([getattr(own, name) for own in answers]) for name in ('truth', 'right'))
    return logits.astype(np.float64), truth, right


def probabilities(logits: Floats, temperature: float) -> Floats:
    """`[clips, classes]`: the softmax of `logits / temperature`."""
    return softmax(logits / temperature)


def confidence(logits: Floats, temperature: float) -> Floats:
    """`[clips]`: the probability of the best class."""
    return probabilities(logits, temperature).max(axis=1)


def _losses(logits: Floats, truth: NDArray[np.integer], temperature: float) -> Floats:
    scaled = logits / temperature
    highest = scaled.max(axis=1)
    total = highest + np.log(np.exp(scaled - highest[:, None]).sum(axis=1))
    return total - scaled[np.arange(len(truth)), truth]


def fit_temperature(logits: Floats, truth: NDArray[np.integer]) -> float:
    """The temperature under which the classes of these clips are likeliest, to five digits.

    By golden section: the loss is convex in 1 / temperature, so it has one valley.
    """
    low, high = 1 / HOTTEST, 1 / COLDEST
    golden = (math.sqrt(5) - 1) / 2

    def loss(sharpness: float) -> float:
        return float(_losses(logits, truth, 1 / sharpness).mean())

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
    """Expected calibration error: by bins of confidence, how far its mean is from the share of right answers."""
    bins = np.minimum((confidences * BINS).astype(int), BINS - 1)
    off = [abs(confidences[bins == b].sum() - right[bins == b].sum()) for b in np.unique(bins)]
    return float(sum(off) / len(confidences))


def threshold(confidences: Floats, right: Booleans, wanted: float) -> float:
    """The least of the confidences from which on, all equal ones included, a share of `wanted` of the answers is right.

    NEVER where there is none.
    """
    order = np.argsort(-confidences, kind='stable')
    ordered = confidences[order]
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    last_of_equals = np.append(ordered[1:] < ordered[:-1], True)
    good = np.flatnonzero(last_of_equals & (shares >= wanted))
    return float(ordered[good[-1]]) if good.size else NEVER


def _share(right: Booleans) -> float | None:
    return float(right.mean()) if right.size else None

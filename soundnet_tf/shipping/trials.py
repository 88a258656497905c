"""Predictions for corrupted held-out clips, synthetic sounds, and real out-of-distribution sounds."""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import inference, progress
from soundnet_tf.evaluation.datasets import DataSet
from soundnet_tf.inference import files
from soundnet_tf.nets.predictions import softmax
from soundnet_tf.shipping import outputs, probes
from soundnet_tf.shipping.calibration import Calibration
from soundnet_tf.shipping.rows import FoldResult, of_first_seed

VARIANTS = 20
"""Sounds per kind of synthetic sound."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """A net's predictions for sounds of one kind."""

    kind: str
    sounds: int
    not_sure: float
    """The share of predictions below the confidence threshold."""
    confidence: float
    """Mean probability of the top class."""
    said: tuple[tuple[str, int], ...]
    """The three most frequent predictions, with counts."""
    right: float | None = None
    """Accuracy; None if no class is correct."""


def of(
    kind: str,
    classes: tuple[str, ...],
    probabilities: NDArray[np.floating],
    confidence_threshold: float,
    truth: Any = None,
) -> Trial:
    """From probabilities `[sounds, classes]`; `truth` is `[sounds]`, or None if no class is correct."""
    best, answers = probabilities.max(axis=1), probabilities.argmax(axis=1)
    names = [classes[int(answer)] for answer in answers]
    common = collections.Counter(names).most_common(3)
    right = None if truth is None else float((answers == np.asarray(truth)).mean())
    return Trial(kind, len(best), float((best < confidence_threshold).mean()), float(best.mean()), tuple(common), right)


def corrupted(dataset: DataSet, rows: Sequence[FoldResult], calibration: Calibration) -> list[Trial]:
    """Held-out clips, original and corrupted, each through the net of the first seed that was not trained on it."""
    first = of_first_seed(rows)
    truth = np.concatenate([row.answers.truth for row in first])
    found = {kind: np.concatenate([row.outputs[kind] for row in first]) for kind in probes.CORRUPTIONS}
    return [
        of(kind, dataset.classes, softmax(logits / calibration.temperature), calibration.confidence_threshold, truth)
        for kind, logits in found.items()
    ]


def synthetic(embedder: inference.Embedder) -> list[Trial]:
    """Synthetic sounds of none of the classes, kind by kind, through the final net."""
    (head,) = embedder.spec.head_names
    return [
        of(
            kind,
            embedder.labels[head],
            softmax(outputs.of_waveforms(embedder, [probes.synthetic(kind, seed) for seed in range(VARIANTS)])),
            embedder.confidence_threshold[head],
        )
        for kind in progress.bar(probes.SYNTHETIC, desc='synthetic sounds', unit='kind')
    ]


def out_of_distribution(embedder: inference.Embedder, paths: Sequence[str]) -> tuple[Trial, files.Tally]:
    """Real sounds of none of the classes through the final net; unusable files are reported and counted."""
    (head,) = embedder.spec.head_names
    logits, tally = outputs.of_files(embedder, paths)
    classes, threshold = embedder.labels[head], embedder.confidence_threshold[head]
    return of('real sounds of no class', classes, softmax(logits), threshold), tally

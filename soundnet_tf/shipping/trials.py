"""Predictions for corrupted held-out clips, synthetic sounds, and real out-of-distribution sounds."""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tqdm
from numpy.typing import NDArray

from soundnet_tf import inference
from soundnet_tf.audio import SAMPLE_RATE, Waveform, decoding
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation.datasets import DataSet
from soundnet_tf.inference import files, tags
from soundnet_tf.nets.predictions import softmax
from soundnet_tf.shipping import probes
from soundnet_tf.shipping.calibration import Answers, Calibration
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


def probabilities(
    embedder: inference.Embedder, waveforms: Sequence[Waveform], temperature: float = 1.0
) -> NDArray[np.float64]:
    """`[sounds, classes]`: the only head's probabilities for whole clips, as soundnet-tag prints them.

    Pass `temperature` for nets whose head is not calibrated yet: the logits are recovered up to a constant per sound.
    """
    (head,) = embedder.spec.heads
    outputs = embedder.embed_batch(waveforms, SAMPLE_RATE, head.name)
    return softmax(_logits([tags.clip_probabilities(head, own.values) for own in outputs]) / temperature)


def _logits(probabilities: Any) -> NDArray[np.float64]:
    """Up to a constant per sound."""
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))


def corrupted(dataset: DataSet, rows: Sequence[FoldResult], calibration: Calibration) -> list[Trial]:
    """Held-out clips, original and corrupted, each through the net of the first seed that was not trained on it."""
    found: dict[str, list[NDArray[np.float64]]] = collections.defaultdict(list)
    first, truth = of_first_seed(rows), []
    for row in tqdm.tqdm(first, desc='corrupted clips', unit='net', leave=False, disable=None):
        embedder = inference.load(row.net, short='tile')
        clips = [decoding.read(dataset.clips[clip].path) for clip in row.clips]
        for kind, alter in probes.CORRUPTIONS.items():
            found[kind].append(probabilities(embedder, [alter(clip) for clip in clips], calibration.temperature))
        truth.append(row.answers.truth)
    of_all = np.concatenate(truth)
    return [
        of(kind, dataset.classes, np.concatenate(parts), calibration.confidence_threshold, of_all)
        for kind, parts in found.items()
    ]


def synthetic(embedder: inference.Embedder) -> list[Trial]:
    """Synthetic sounds of none of the classes, kind by kind, through the final net."""
    (head,) = embedder.spec.head_names
    return [
        of(
            kind,
            embedder.labels[head],
            probabilities(embedder, [probes.synthetic(kind, seed) for seed in range(VARIANTS)]),
            embedder.confidence_threshold[head],
        )
        for kind in tqdm.tqdm(probes.SYNTHETIC, desc='synthetic sounds', unit='kind', leave=False, disable=None)
    ]


def out_of_distribution(embedder: inference.Embedder, paths: Sequence[str]) -> tuple[Trial, files.Tally]:
    """Real sounds of none of the classes through the final net; unusable files are reported and counted."""
    (head,) = embedder.spec.head_names
    values, tally = _of_ood(embedder, paths)
    classes, threshold = embedder.labels[head], embedder.confidence_threshold[head]
    return of('real sounds of no class', classes, values, threshold), tally


def with_ood(rows: Sequence[FoldResult], paths: Sequence[str]) -> list[Answers]:
    """The answers of each row, with its net's for out-of-distribution sounds: their logits up to a constant."""
    found = []
    for row in tqdm.tqdm(rows, desc='out-of-distribution sounds', unit='net', leave=False, disable=None):
        values, _ = _of_ood(inference.load(row.net, short='tile'), paths)
        found.append(dataclasses.replace(row.answers, ood=_logits(values)))
    return found


def _of_ood(embedder: inference.Embedder, paths: Sequence[str]) -> tuple[NDArray[np.float64], files.Tally]:
    """The only head's probabilities `[sounds, classes]` for whole files, in their order; unusable ones are counted."""
    (head,) = embedder.spec.heads
    tally, found = files.Tally(), []

    def done(file: files.SoundFile, outputs: Any) -> None:
        if outputs is not None:
            found.append(tags.clip_probabilities(head, outputs[head.name].values))

    listed = files.find(paths)
    files.listen(embedder.listener, listed, [head.name], done, tally, len(listed))
    if not found:
        raise SoundNetError(f'--ood_sounds: none of the {len(listed)} files can be used. Pass other files')
    return np.array(found, np.float64).reshape(len(found), head.classes), tally

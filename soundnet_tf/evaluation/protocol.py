"""Evaluation protocols: linear classifiers on features, by cross-validation. The defaults are the authors'.

    protocol = PROTOCOLS['esc']
    evaluation = evaluate(datasets.load('ESC-50/'), embedders.make('runs/first/net'), protocol, cache='features/')
    print(evaluation)

Each fold is held out in turn. C and the scale of the features are chosen within the other folds.
"""

import dataclasses
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from soundnet_tf import progress, storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation import datasets, features, svm
from soundnet_tf.evaluation.datasets import DataSet
from soundnet_tf.evaluation.embedders.kinds import AnyEmbedder
from soundnet_tf.evaluation.embedders.precomputed import Precomputed
from soundnet_tf.evaluation.result import Evaluation, Fold
from soundnet_tf.evaluation.scores import Scores
from soundnet_tf.evaluation.splits import check_unseen, checked_folds, split
from soundnet_tf.evaluation.windows import Values, windows

INNER_FOLDS = 3
"""Max number of folds to choose C with, if the training clips are in one fold or none."""


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How clips are classified. The prediction is the class with the highest mean score over a clip's windows."""

    layer: str | None = None
    """The layer to use; by default the net's feature layer (pool5 of the 8-layer net)."""
    clip_s: float = 10.0
    """Shorter clips are repeated to this length; 0: only to the min length of the layer."""
    window_s: float = 1.0
    """Rounded up to whole time steps; 0: one vector per clip, the mean over time."""
    step_s: float = 0.0
    """Hop between windows, rounded up to whole time steps; 0: one time step."""
    gain: float = 1.0
    """Multiplies the waveform. The authors' evaluation scripts use 2."""
    probe: str = 'svm'
    """`svm`, `logistic` or `nearest`."""
    C: tuple[float, ...] = (0.01,)
    """One value, or several to choose from by cross-validation within the training folds."""
    standardise: bool = False
    """Scale each feature to mean 0 and standard deviation 1 over the training windows."""

    def __post_init__(self) -> None:
        if self.probe not in svm.PROBES:
            raise SoundNetError(f'probe must be {", ".join(svm.PROBES)}, got {self.probe!r}')
        for name in ('clip_s', 'window_s', 'step_s'):
            if not 0 <= getattr(self, name) < math.inf:
                raise SoundNetError(f'{name} must be at least 0, got {getattr(self, name):g}')
        if not 0 < self.gain < math.inf:
            raise SoundNetError(f'gain must be more than 0, got {self.gain:g}')
        if not self.C or not all(0 < value < math.inf for value in self.C):
            raise SoundNetError(f'C must be one or several values above 0, got {self.C}')

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dataclasses.asdict(self) | {'C': list(self.C)}

    def __str__(self) -> str:
        own = {**self.to_dict(), 'layer': self.layer or 'its own', 'C': ' or '.join(f'{c:g}' for c in self.C)}
        return ', '.join(f'{k} {v:.4g}' if isinstance(v, float) else f'{k} {v}' for k, v in own.items())


PROTOCOLS = {
    'esc': Protocol(),
    'dcase': Protocol(clip_s=30.0, window_s=5.0),
    'probe': Protocol(clip_s=0.0, window_s=0.0, probe='logistic', C=(0.01, 0.1, 1.0, 10.0), standardise=True),
    'nearest': Protocol(clip_s=0.0, window_s=0.0, probe='nearest', standardise=True),
}
"""The authors' for ESC-10, ESC-50 and acoustic scenes; a linear probe and nearest neighbour, one vector per clip."""


def evaluate(
    dataset: DataSet,
    embedder: AnyEmbedder,
    protocol: Protocol,
    *,
    test_folds: Sequence[int] | None = None,
    cache: str | os.PathLike[str] | None = None,
    decoder: str = 'auto',
) -> Evaluation:
    """Hold out each of `test_folds`, by default all, in turn; train on the other clips, test on those held out.

    Features in the folder `cache` are not computed again. Raises what `check` raises, and BadAudio for files that
    cannot be read.
    """
    layers = [protocol.layer]
    (found,) = evaluate_layers(dataset, embedder, protocol, layers, test_folds=test_folds, cache=cache, decoder=decoder)
    return found


def evaluate_layers(
    dataset: DataSet,
    embedder: AnyEmbedder,
    protocol: Protocol,
    layers: Sequence[str | None],
    *,
    test_folds: Sequence[int] | None = None,
    cache: str | os.PathLike[str] | None = None,
    decoder: str = 'auto',
) -> Iterator[Evaluation]:
    """`evaluate` of each of `layers` instead of the protocol's, in turn, with one pass over the sound for all."""
    names = list(dict.fromkeys(map(embedder.resolve_layer, layers)))
    for name in names:
        folds = check(dataset, embedder, dataclasses.replace(protocol, layer=name), test_folds)
    # Printable, since JSON cannot have file names that are not text.
    paths = map(storage.printable, dataset.relative_paths())
    named = [dataclasses.replace(clip, path=path) for path, clip in zip(paths, dataset.clips, strict=True)]
    values = features.of_layers(dataset, embedder, names, protocol.clip_s, protocol.gain, cache, decoder)
    data_sha256 = dataset.fingerprint()
    for layer in names:
        # The windows of one layer at a time: they can take 20 times the memory of its values.
        windowed = window_all(dataset, values.pop(layer), protocol, embedder, layer)
        found = []
        with progress.bar(folds, unit='fold') as bar:
            for fold in bar:
                bar.set_description(f'{layer}, fold {fold}', refresh=False)
                parts = split(dataset, fold)
                c = choose_c(dataset, windowed, parts.train, protocol)
                scores = train_and_score(dataset, windowed, parts.train, parts.test, protocol, c)
                found.append(Fold(fold, c, tuple(named[clip] for clip in parts.test), scores))
        about = {'layer': layer, 'name': embedder.name, 'fingerprint': embedder.fingerprint}
        used = protocol.to_dict() | {'layer': layer, 'decoder': decoder}
        yield Evaluation(dataset.name, data_sha256, about, used, tuple(found))


def check(
    dataset: DataSet, embedder: AnyEmbedder, protocol: Protocol, test_folds: Sequence[int] | None = None
) -> tuple[int, ...]:
    """The folds to hold out, after all checks that need nothing computed.

    Raises SoundNetError for folds that cannot be held out, for a net that was trained on test clips, if C cannot be
    chosen within the other folds, for an unknown layer, and for precomputed features that are missing or cannot be
    used; MissingTool without scikit-learn.
    """
    svm.require()
    folds = checked_folds(dataset, test_folds)
    check_unseen(dataset, folds, embedder.origin)
    for fold in folds if len(protocol.C) > 1 else ():
        _inner(dataset, split(dataset, fold).train)
    layer = embedder.resolve_layer(protocol.layer)
    if isinstance(embedder, Precomputed):
        embedder.check([clip.path for clip in dataset.clips], layer, protocol.window_s > 0)
    return folds


def window_all(
    dataset: DataSet, values: Sequence[Values], protocol: Protocol, embedder: AnyEmbedder, layer: str
) -> list[Values]:
    """The windows of each clip."""
    # The mean over time needs no hop, which features of others may not state.
    hop_s = embedder.hop_s(layer) if protocol.window_s else math.inf
    how = (protocol.window_s, protocol.step_s, hop_s)
    if isinstance(embedder, Precomputed):
        hint = 'Use a shorter window_s or, for one vector per clip, no seconds per time step behind the name'
        return [
            windows(own, *how, embedder.source(clip.path), hint)
            for own, clip in zip(values, dataset.clips, strict=True)
        ]
    return [windows(own, *how, clip.path) for own, clip in zip(values, dataset.clips, strict=True)]


def train_and_score(
    dataset: DataSet,
    windowed: Sequence[Values],
    train: Sequence[int],
    test: Sequence[int],
    protocol: Protocol,
    c: float,
) -> Scores:
    """Train on the windows of some clips, and score others."""
    targets = np.array(dataset.targets)
    own = np.concatenate([windowed[clip] for clip in train])
    of_window = np.repeat(targets[list(train)], [len(windowed[clip]) for clip in train])
    machine = svm.fit(protocol.probe, own, of_window, len(dataset.classes), c, protocol.standardise)
    return Scores.of(dataset.classes, targets[list(test)], np.stack([machine.clip(windowed[clip]) for clip in test]))


def choose_c(dataset: DataSet, windowed: Sequence[Values], train: Sequence[int], protocol: Protocol) -> float:
    """The best of the protocol's C, the smallest of equals, by cross-validation within the training clips."""
    if len(protocol.C) == 1:
        return protocol.C[0]
    inner = _inner(dataset, train)
    accuracy: dict[float, float] = {}
    bar = progress.bar(sorted(protocol.C), unit='C')
    for c in bar:
        bar.set_description(f'C {c:g}', refresh=False)
        accuracies = []
        for fold in inner.folds:
            parts = split(inner, fold)
            learn, choose = ([train[clip] for clip in clips] for clips in (parts.train, parts.test))
            accuracies.append(train_and_score(dataset, windowed, learn, choose, protocol, c).accuracy)
        accuracy[c] = float(np.mean(accuracies))
    return max(accuracy, key=lambda c: accuracy[c])


def _inner(dataset: DataSet, train: Sequence[int]) -> DataSet:
    """The training clips as a data set with folds: their own, or else random ones.

    Their own if every class is in two or more of them, so that each fold can be held out.
    """
    inner = dataclasses.replace(dataset, clips=tuple(dataset.clips[clip] for clip in train))
    folds = {label: {c.fold for c in inner.clips if c.label == label} - {None} for label in inner.classes}
    if min(map(len, folds.values())) > 1:
        return inner
    recordings = {label: {c.source or c.path for c in inner.clips if c.label == label} for label in inner.classes}
    rarest = min(recordings, key=lambda label: len(recordings[label]))
    if len(recordings[rarest]) < 2:
        raise SoundNetError(
            f'{dataset.name}: C cannot be chosen with one training recording of {rarest!r}. Set one value of C'
        )
    return datasets.assign_folds(inner, min(INNER_FOLDS, len(recordings[rarest])))

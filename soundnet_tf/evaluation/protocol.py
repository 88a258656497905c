"""How features are put to the test, as a value; the authors' protocol is its default.

    protocol = PROTOCOLS['esc']
    evaluation = evaluate(datasets.load('ESC-50/'), embedders.make('runs/first/net'), protocol, cache='features/')
    print(evaluation)

Each fold is held out in turn. Everything that is chosen or measured on the way, C and the features' scale included, is
so within the other folds.
"""

import dataclasses
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tqdm

from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation import datasets, features, svm
from soundnet_tf.evaluation.datasets import DataSet
from soundnet_tf.evaluation.embedders.kinds import AnyEmbedder
from soundnet_tf.evaluation.result import Evaluation, Fold
from soundnet_tf.evaluation.scores import Scores
from soundnet_tf.evaluation.splits import check_unseen, split
from soundnet_tf.evaluation.windows import Values, windows

INNER_FOLDS = 3
"""At most, within the training clips, to choose C, where they lie in one fold or none."""


@dataclasses.dataclass(frozen=True)
class Protocol:
    """From clips to answers. A clip's answer is the class of the greatest mean over its windows."""

    layer: str | None = None
    """What is read of the net; its own feature layer (pool5 of the 8-layer net) where none is named."""
    clip_s: float = 10.0
    """A shorter clip is repeated up to here; 0: only up to what the layer needs."""
    window_s: float = 1.0
    """Rounded up to whole time steps; 0: one vector for each clip, the mean over time."""
    step_s: float = 0.0
    """From window to window, rounded up likewise; 0: one time step."""
    gain: float = 1.0
    """Multiplies the waveform. The authors' evaluation scripts have 2."""
    probe: str = 'svm'
    """`svm`, `logistic` or `nearest`."""
    C: tuple[float, ...] = (0.01,)
    """One value, or several of which the best within the training folds is taken."""
    standardise: bool = False
    """Give each feature mean 0 and deviation 1 over the training windows."""

    def __post_init__(self) -> None:
        if self.probe not in svm.PROBES:
            raise SoundNetError(f'probe is {", ".join(svm.PROBES)}, not {self.probe!r}')
        for name in ('clip_s', 'window_s', 'step_s'):
            if not 0 <= getattr(self, name) < math.inf:
                raise SoundNetError(f'{name} must be at least 0, got {getattr(self, name):g}')
        if not 0 < self.gain < math.inf:
            raise SoundNetError(f'gain must be more than 0, got {self.gain:g}')
        if not self.C or not all(0 < value < math.inf for value in self.C):
            raise SoundNetError(f'C must be one value above 0, or several, got {self.C}')

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
"""The authors' for ESC-10 and ESC-50 and for acoustic scenes; a linear probe and a neighbour, one vector per clip."""


def evaluate(
    dataset: DataSet,
    embedder: AnyEmbedder,
    protocol: Protocol,
    *,
    test_folds: Sequence[int] | None = None,
    cache: str | os.PathLike[str] | None = None,
    decoder: str = 'auto',
) -> Evaluation:
    """Hold out each of `test_folds`, by default all, in turn; learn from the other clips, judge those held out.

    Features that lie in the folder `cache` are not computed again. Raises SoundNetError for a net that has learned
    from clips that it would be judged by, BadAudio, naming the file, for unreadable sound.
    """
    svm.require()
    folds = checked_folds(dataset, test_folds)
    check_unseen(dataset, folds, embedder.origin)
    layer = embedder.known(protocol.layer)
    values = features.of_clips(dataset, embedder, layer, protocol.clip_s, protocol.gain, cache, decoder)
    slid = slide(dataset, values, protocol, embedder.hop_s(layer))
    found = []
    for fold in tqdm.tqdm(folds, unit='fold', leave=False, disable=None):
        parts = split(dataset, fold)
        c = choose_c(dataset, slid, parts.train, protocol)
        found.append(Fold(fold, c, judge(dataset, slid, parts.train, parts.test, protocol, c)))
    about = {'layer': layer, 'name': embedder.name, 'fingerprint': embedder.fingerprint}
    told = protocol.to_dict() | {'layer': layer, 'decoder': decoder}
    return Evaluation(dataset.name, dataset.fingerprint(), about, told, tuple(found))


def slide(dataset: DataSet, values: Sequence[Values], protocol: Protocol, hop_s: float) -> list[Values]:
    """The windows of each clip."""
    return [
        windows(own, protocol.window_s, protocol.step_s, hop_s, clip.path)
        for own, clip in zip(values, dataset.clips, strict=True)
    ]


def judge(
    dataset: DataSet, slid: Sequence[Values], train: Sequence[int], test: Sequence[int], protocol: Protocol, c: float
) -> Scores:
    """Learn from the windows of some clips, and score others."""
    targets = np.array(dataset.targets)
    own = np.concatenate([slid[clip] for clip in train])
    of_window = np.repeat(targets[list(train)], [len(slid[clip]) for clip in train])
    machine = svm.fit(protocol.probe, own, of_window, len(dataset.classes), c, protocol.standardise)
    return Scores.of(dataset.classes, targets[list(test)], np.stack([machine.clip(slid[clip]) for clip in test]))


def choose_c(dataset: DataSet, slid: Sequence[Values], train: Sequence[int], protocol: Protocol) -> float:
    """The best of the protocol's C, the least of equals, by cross-validation within the training clips."""
    if len(protocol.C) == 1:
        return protocol.C[0]
    inner = _inner(dataset, train)
    right: dict[float, float] = {}
    for c in sorted(protocol.C):
        told = []
        for fold in inner.folds:
            parts = split(inner, fold)
            learn, choose = ([train[clip] for clip in clips] for clips in (parts.train, parts.test))
            told.append(judge(dataset, slid, learn, choose, protocol, c).accuracy)
        right[c] = float(np.mean(told))
    return max(right, key=lambda c: right[c])


def _inner(dataset: DataSet, train: Sequence[int]) -> DataSet:
    """The training clips as a data set with folds of their own: those that they have, or else some that are dealt.

    Of their own where every class is in two of them or more, so that each can be learned without any.
    """
    inner = dataclasses.replace(dataset, clips=tuple(dataset.clips[clip] for clip in train))
    folds = {label: {c.fold for c in inner.clips if c.label == label} - {None} for label in inner.classes}
    if min(map(len, folds.values())) > 1:
        return inner
    recordings = {label: {c.source or c.path for c in inner.clips if c.label == label} for label in inner.classes}
    rarest = min(recordings, key=lambda label: len(recordings[label]))
    if len(recordings[rarest]) < 2:
        raise SoundNetError(
            f'{dataset.name}: C cannot be chosen where one recording of {rarest!r} is learned from: give one C'
        )
    return datasets.dealt(inner, min(INNER_FOLDS, len(recordings[rarest])))


def checked_folds(dataset: DataSet, test_folds: Sequence[int] | None) -> tuple[int, ...]:
    """The folds to hold out in turn. Raises SoundNetError where there are none."""
    if not dataset.folds:
        raise SoundNetError(
            f'{dataset.name} has no folds to hold out: give its CSV a column fold, or have them dealt (folds=5)'
        )
    for fold in test_folds or ():
        split(dataset, fold)
    return tuple(dict.fromkeys(test_folds or dataset.folds))

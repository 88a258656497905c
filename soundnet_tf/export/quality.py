"""The loss of a quantised export on the user's own clips: nearest neighbours, and a linear classifier's accuracy.

A cosine measures how far the features moved, not whether that matters, which depends on the distances between clips.
So with enough clips these two decide.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import fit_length
from soundnet_tf.export import reload, truth
from soundnet_tf.export.representative import CalibrationClip

if TYPE_CHECKING:
    from soundnet_tf.export.verify import Plan
    from soundnet_tf.nets.model import SoundNet

Features = NDArray[np.float32]
"""`[clips, channels]`: an output of each clip, averaged over time."""

MIN_CLIPS = 20
"""With fewer one neighbour would count more than a twentieth."""

MIN_PER_CLASS = 4

MIN_NEIGHBOURS = 0.9
"""The share of clips that must keep their nearest neighbour. Weights in float16 keep 0.98 to 1 of ESC-10's, 8 bits that
work 0.91 and more, 8-bit values that lost the quiet of loud clips 0.74; near ties change without a loss."""

MAX_POINTS = 2.0
"""Percentage points of a linear classifier's accuracy that may be lost: about the effect of another choice of training
clips. One clip is always allowed, which is more among few clips."""


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """The accuracy of a linear classifier on held-out clips."""

    clips: int
    classes: int
    keras: float
    export: float

    @property
    def lost(self) -> bool:
        """Whether the export loses more than MAX_POINTS, and more than one clip."""
        return self.keras - self.export > max(MAX_POINTS / 100, 1 / self.clips) + 1e-9

    def __str__(self) -> str:
        return (
            f'a linear classifier of {self.classes} classes has an accuracy of {self.keras:.1%} on {self.clips} clips '
            f'with Keras, {self.export:.1%} with the export'
        )


@dataclasses.dataclass(frozen=True)
class Quality:
    """For one output: the share of clips with the same nearest neighbour as in Keras, and the classifier's accuracy, or
    why there is none."""

    output: str
    clips: int
    neighbours: float
    accuracy: Accuracy | str

    def wrong(self) -> list[str]:
        """The losses beyond the limits, in words."""
        found = []
        # Not `<`: NaN must not pass.
        if not self.neighbours >= MIN_NEIGHBOURS:
            found.append(
                f'{self.neighbours:.1%} of {self.clips} clips keep their nearest neighbour on {self.output} '
                f'({MIN_NEIGHBOURS:.0%} required)'
            )
        if isinstance(self.accuracy, Accuracy) and self.accuracy.lost:
            found.append(f'on {self.output}, {self.accuracy} (a loss of {MAX_POINTS:g} points is allowed)')
        return found

    def __str__(self) -> str:
        kept = f'{self.output}: {self.neighbours:.1%} of {self.clips} clips keep their nearest neighbour'
        return f'{kept}; {self.accuracy}'


def is_measurable(clips: Sequence[CalibrationClip]) -> bool:
    """Whether there are enough of them to judge a quantised export by."""
    return len(clips) >= MIN_CLIPS


def measured(net: 'SoundNet', plan: 'Plan', folder: pathlib.Path, clips: Sequence[CalibrationClip]) -> list[Quality]:
    """The quality of each output that is a vector, or of the feature layer averaged over time, on these clips."""
    names = plan.outputs[:1] if plan.about.get('kind') == 'layers' else plan.outputs
    minimum = truth.min_samples(net.spec, plan.outputs)
    runs = (truth.truth_of(net, names), reload.FORMS[plan.form](folder))
    keras, export = ([_averaged(run, names, clip, plan.samples, minimum) for clip in clips] for run in runs)
    return [_quality(name, _stacked(keras, name), _stacked(export, name), clips) for name in names]


def _stacked(vectors: Sequence[Mapping[str, Features]], name: str) -> Features:
    return np.stack([one[name] for one in vectors])


def _averaged(
    run: Any, names: Sequence[str], clip: CalibrationClip, samples: int | None, minimum: int
) -> Mapping[str, Features]:
    values = run(fit_length(clip.waveform, samples or max(minimum, len(clip.waveform))))
    return {name: values[name].mean(axis=0) if values[name].ndim > 1 else values[name] for name in names}


def _quality(name: str, keras: Features, export: Features, clips: Sequence[CalibrationClip]) -> Quality:
    finite = bool(np.isfinite(export).all())
    kept = float((nearest(keras) == nearest(export)).mean()) if finite else float('nan')
    accuracy = _accuracy(keras, export, [clip.label for clip in clips]) if finite else 'it has NaN or infinity'
    return Quality(name, len(clips), kept, accuracy)


def nearest(features: Features) -> NDArray[np.int64]:
    """`[clips]`: the index of each clip's nearest other clip, by cosine."""
    lengths = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    unit = features / np.maximum(lengths, np.finfo(np.float64).tiny)
    likeness = unit @ unit.T
    np.fill_diagonal(likeness, -np.inf)
    return likeness.argmax(axis=1)


def _accuracy(keras: Features, export: Features, labels: Sequence[str]) -> Accuracy | str:
    """Fit on Keras' features of every other clip of a class, and score the rest with both."""
    of_class = [np.flatnonzero(np.array(labels) == label) for label in sorted(set(labels))]
    of_class = [own for own in of_class if len(own) >= MIN_PER_CLASS]
    if len(of_class) < 2:
        return f'no linear classifier, which needs two folders of {MIN_PER_CLASS} or more clips (--calibration)'
    try:
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import LinearSVC
    except ImportError:
        return "no linear classifier, which needs scikit-learn: pip install 'soundnet_tf[transfer]'"
    seen, held = (np.concatenate([own[start::2] for own in of_class]) for start in (0, 1))
    names = np.array(labels)
    classifier = make_pipeline(StandardScaler(), LinearSVC(C=0.01, random_state=0)).fit(keras[seen], names[seen])
    rates = [float(classifier.score(features[held], names[held])) for features in (keras, export)]
    return Accuracy(len(held), len(of_class), *rates)

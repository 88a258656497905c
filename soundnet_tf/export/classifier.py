"""How much of a quantised export's worth is lost: a linear classifier on its features beside one on Keras'."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import Waveform, fit_length
from soundnet_tf.export import reload, truth
from soundnet_tf.export.calibration import Clip

if TYPE_CHECKING:
    from soundnet_tf.export.verify import Plan
    from soundnet_tf.model import SoundNet

FEWEST = 4
"""Clips of a class."""


@dataclasses.dataclass(frozen=True)
class Fall:
    """Shares of the clips that were kept from the classifier which it names rightly."""

    output: str
    clips: int
    classes: int
    keras: float
    export: float

    def __str__(self) -> str:
        return (
            f'a linear classifier of {self.classes} classes on {self.output}: {self.keras:.1%} of {self.clips} clips '
            f'on Keras, {self.export:.1%} on the export'
        )


def fall(net: 'SoundNet', plan: 'Plan', folder: pathlib.Path, clips: Sequence[Clip]) -> Fall | str:
    """Fit on Keras' features of every other clip of a class, ask for the rest by both.

    The features are the first output's, averaged over time; classes of fewer clips than FEWEST are left out. In words
    why nothing was asked, where that is so: an export that has passed is not lost for it.
    """
    every = sorted({clip.label for clip in clips})
    of_class = [own for label in every if len(own := [clip for clip in clips if clip.label == label]) >= FEWEST]
    labels = [own[0].label for own in of_class]
    if len(labels) < 2:
        return f'no linear classifier was tried: that takes two folders of {FEWEST} or more clips (calibration)'
    try:
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import LinearSVC
    except ImportError:
        return "no linear classifier was tried: that takes scikit-learn, pip install 'soundnet_tf[transfer]'"
    seen, held = ([clip for group in of_class for clip in group[start::2]] for start in (0, 1))
    name, run = plan.outputs[0], reload.FORMS[plan.form](folder)
    keras = truth.truth_of(net, [name])
    least = truth.min_samples(net.spec, [name])

    def features(run: Any, clips: Sequence[Clip]) -> NDArray[np.float32]:
        values = [run(_fitted(clip.waveform, plan.samples, least))[name] for clip in clips]
        return np.stack([value.mean(axis=0) if value.ndim > 1 else value for value in values])

    classifier = make_pipeline(StandardScaler(), LinearSVC(C=0.01, random_state=0)).fit(
        features(keras, seen), [clip.label for clip in seen]
    )
    names = [clip.label for clip in held]
    rates = [classifier.score(features(one, held), names) for one in (keras, run)]
    return Fall(name, len(held), len(labels), *rates)


def _fitted(waveform: Waveform, samples: int | None, least: int) -> Waveform:
    return fit_length(waveform, samples or max(least, len(waveform)))

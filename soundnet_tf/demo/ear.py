"""Evaluate the ear (the student network) on held-out videos."""

import dataclasses
import importlib.util
import pathlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.demo.stage import KINDS, Scene
from soundnet_tf.errors import MissingTool
from soundnet_tf.nets import model
from soundnet_tf.records import batches

BATCH = 32


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Predictions of the eye and the ear for a set of videos, one row per video."""

    ids: list[str]
    kinds: NDArray[np.int64]
    """The true kind of each video, as an index into KINDS."""
    eye: NDArray[np.float32]
    """`[videos, kinds]` probabilities from the frames."""
    ear: NDArray[np.float32]
    """`[videos, kinds]` probabilities from the sound."""
    features: NDArray[np.float32]
    """`[videos, channels]`: activations of the ear's feature layer, averaged over time."""

    @property
    def agreement(self) -> float:
        """The share of videos for which the top predictions of ear and eye agree."""
        return float(np.mean(self.ear.argmax(-1) == self.eye.argmax(-1)))

    @property
    def eye_right(self) -> float:
        """Top-1 accuracy of the eye."""
        return float(np.mean(self.eye.argmax(-1) == self.kinds))

    @property
    def ear_right(self) -> float:
        """Top-1 accuracy of the ear."""
        return float(np.mean(self.ear.argmax(-1) == self.kinds))

    @property
    def confusion(self) -> NDArray[np.int64]:
        """`[kinds, kinds]` confusion matrix of the ear: rows are true kinds, columns predictions."""
        counts = np.zeros([len(KINDS), len(KINDS)], np.int64)
        np.add.at(counts, (self.kinds, self.ear.argmax(-1)), 1)
        return counts


def listen(net: model.SoundNet, records: pathlib.Path, scenes: Sequence[Scene], seconds: float) -> Predictions:
    """Run the net on the sound of every record; the eye's probabilities are stored in the records."""
    kind_of = {f'{scene.id}.mp4': KINDS.index(scene.kind) for scene in scenes}
    layer, (head,) = net.spec.feature_layer, net.spec.head_names
    part = model.features(net, [layer, head])
    ids, eye, ear, features = [], [], [], []
    for batch in batches.batches(records, samples=round(seconds * SAMPLE_RATE), batch=BATCH, repeat=False):
        outputs = part(batch['waveform'], training=False)
        ids += [id.decode() for id in batch['id'].numpy()]
        eye.append(batch[head].numpy().mean(axis=1))
        ear.append(np.asarray(outputs[head]).mean(axis=1))
        features.append(np.asarray(outputs[layer]).mean(axis=1))
    kinds = np.array([kind_of[id] for id in ids])
    return Predictions(ids, kinds, np.concatenate(eye), np.concatenate(ear), np.concatenate(features))


def require() -> None:
    """Raise MissingTool early if scikit-learn, which the final SVM needs, is not installed."""
    if importlib.util.find_spec('sklearn') is None:
        raise MissingTool('scikit-learn', 'the demo', 'transfer')


def svm_accuracy(learned: Predictions, held_out: Predictions) -> float:
    """Test accuracy of a linear SVM trained on the ear's features."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    classifier = make_pipeline(StandardScaler(), LinearSVC(C=0.01))
    return float(classifier.fit(learned.features, learned.kinds).score(held_out.features, held_out.kinds))

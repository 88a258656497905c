"""What the student has learned, measured on held-out videos with their own sound and picture."""

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
class Heard:
    """What eye and ear made of a set of videos, row by row."""

    ids: list[str]
    kinds: NDArray[np.int64]
    """What each video is about."""
    eye: NDArray[np.float32]
    """`[videos, kinds]` probabilities from the frames."""
    ear: NDArray[np.float32]
    """`[videos, kinds]` probabilities from the sound."""
    features: NDArray[np.float32]
    """`[videos, channels]` of the ear's feature layer, averaged over time."""

    @property
    def agreement(self) -> float:
        """How often the ear names first what the eye names first."""
        return float(np.mean(self.ear.argmax(-1) == self.eye.argmax(-1)))

    @property
    def eye_right(self) -> float:
        """How often the eye names first what the video is about."""
        return float(np.mean(self.eye.argmax(-1) == self.kinds))

    @property
    def ear_right(self) -> float:
        """How often the ear names first what the video is about."""
        return float(np.mean(self.ear.argmax(-1) == self.kinds))

    @property
    def confusion(self) -> NDArray[np.int64]:
        """`[kinds, kinds]`: of the videos about a row's kind, how many the ear names by the column's."""
        counts = np.zeros([len(KINDS), len(KINDS)], np.int64)
        np.add.at(counts, (self.kinds, self.ear.argmax(-1)), 1)
        return counts


def listen(net: model.SoundNet, records: pathlib.Path, scenes: Sequence[Scene], seconds: float) -> Heard:
    """Put the sound of every record through the net; what the eye saw comes with the records."""
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
    return Heard(ids, kinds, np.concatenate(eye), np.concatenate(ear), np.concatenate(features))


def require() -> None:
    """Raise MissingTool at the start rather than at the end, where the SVM's library is not installed."""
    if importlib.util.find_spec('sklearn') is None:
        raise MissingTool('scikit-learn', 'the demo', 'transfer')


def svm_accuracy(learned: Heard, held_out: Heard) -> float:
    """Accuracy of a linear SVM that learns the kinds from the ear's features: what they hold in plain sight."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    machine = make_pipeline(StandardScaler(), LinearSVC(C=0.01))
    return float(machine.fit(learned.features, learned.kinds).score(held_out.features, held_out.kinds))

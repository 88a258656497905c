"""The scale of a study: the paper's training and evaluation, or a smaller one for a laptop."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from soundnet_tf import geometry
from soundnet_tf.config import NETS, Experiment
from soundnet_tf.evaluation.protocol import PROTOCOLS, Protocol
from soundnet_tf.experiments import named
from soundnet_tf.experiments.recipes import RECIPES, Recipe
from soundnet_tf.experiments.tables import TableRow
from soundnet_tf.spec import SAMPLE_RATE
from soundnet_tf.study.material import Labelled, Material


@dataclasses.dataclass(frozen=True)
class Effort:
    """Settings shared by all rows of a study, so that they can be compared."""

    width: float = 1.0
    """Fraction of the filters of each layer, for every net."""
    steps: int = 100_000
    batch: int = 64
    clip_s: float = 20.0
    learning_rate: float = 1e-3
    save_every: int = 500
    epochs: int = RECIPES['authors'].epochs
    """For training from scratch."""
    protocols: Mapping[str, Protocol] = dataclasses.field(
        default_factory=lambda: {'esc50': PROTOCOLS['esc'], 'esc10': PROTOCOLS['esc'], 'dcase': PROTOCOLS['dcase']}
    )

    def experiment(self, row: TableRow, material: Material, seed: int) -> Experiment:
        """How the net of a distilled row, or of an autoencoder, is trained; with the authors' reduction."""
        paper = named('paper')
        heads = tuple(material.teachers[row.network][role] for role in row.roles) if row.start == 'distilled' else ()
        training = dataclasses.replace(
            paper.training,
            steps=self.steps,
            batch=self.batch,
            clip_s=self.clip_s,
            learning_rate=self.learning_rate,
            save_every=self.save_every,
            seed=seed,
            loss=row.loss,
            teachers=heads,
        )
        return Experiment(f'study-{row.start}', 'a row of a study', row.net, self.width, training)

    def recipe(self) -> Recipe:
        """The authors', for training from scratch; the test fold is evaluated once, at the end."""
        return dataclasses.replace(RECIPES['authors'], epochs=self.epochs, evaluate_every=self.epochs)

    def protocol(self, data: Labelled, row: TableRow) -> Protocol:
        """That of the paper's set which the data stands for, on the row's layer.

        The hop of the windows is that of the feature layer, on every layer: conv4 has eight times as many steps, whose
        features of ESC-50 would take 9 GB.
        """
        spec = NETS[row.net]
        step_s = geometry.hop(spec, spec.feature_layer) / SAMPLE_RATE
        return dataclasses.replace(self.protocols[data.stands_for], layer=row.layer, step_s=step_s)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        protocols = {name: protocol.to_dict() for name, protocol in self.protocols.items()}
        return dataclasses.asdict(self) | {'protocols': protocols}


DEMO = Effort(
    width=0.25,
    steps=150,
    batch=16,
    clip_s=10.0,
    save_every=50,
    epochs=30,
    protocols={'esc50': dataclasses.replace(PROTOCOLS['esc'], standardise=True)},
)
"""For the synthetic world: a few minutes per net on two cores. After so few steps the scale of the features differs
from net to net, so they are standardised.
"""

SMOKE = Effort(width=1 / 16, steps=1, batch=2, clip_s=10.0, save_every=1, epochs=1)
"""To test that it runs."""

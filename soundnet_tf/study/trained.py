"""The nets of the rows: trained, random or existing; rows share a net where they can."""

import contextlib
import hashlib
import pathlib
import sys

from soundnet_tf import config
from soundnet_tf.evaluation.datasets import DataSet
from soundnet_tf.evaluation.embedders import AnyEmbedder, make, saved_nets
from soundnet_tf.experiments.tables import TableRow
from soundnet_tf.finetune import fit
from soundnet_tf.spec import NetSpec, thin
from soundnet_tf.study import autoencoder
from soundnet_tf.study.effort import Effort
from soundnet_tf.study.material import Labelled, Material
from soundnet_tf.training import trainer


def spec_of(row: TableRow, effort: Effort) -> NetSpec:
    """The architecture, at the study's width."""
    return thin(config.NETS[row.net], effort.width)


def embedder_of(row: TableRow, material: Material, effort: Effort, seed: int, out: pathlib.Path) -> AnyEmbedder:
    """The embedder of a row: distilled, autoencoder, random, MFCC or an existing net. `out/nets` has those trained."""
    if row.start == 'mfcc':
        return make('mfcc')
    if row.start == 'existing':
        return make(row.weights)
    if row.start == 'random':
        return saved_nets.random_net(row.net, seed, spec_of(row, effort))
    run = out / 'nets' / f'{name_of(row)}-seed{seed}'
    if not (run / 'net' / 'model.json').exists():
        # Stdout is for the tables of the study.
        with contextlib.redirect_stdout(sys.stderr):
            experiment = effort.experiment(row, material, seed)
            train = trainer.train if row.start == 'distilled' else autoencoder.train
            train(material.records[row.network], experiment, run)
    return saved_nets.saved_net(run / 'net')


def name_of(row: TableRow) -> str:
    """Identifies the net of a row, whatever layer is used."""
    if row.start == 'existing':
        return f'existing-{hashlib.sha256(row.fingerprint.encode()).hexdigest()[:8]}'
    parts = [row.net, row.start]
    if row.start in ('distilled', 'multimodal'):
        parts += [row.loss, '+'.join(row.roles), row.network]
    return '-'.join(parts)


def from_scratch(
    row: TableRow, dataset: DataSet, data: Labelled, effort: Effort, seed: int, out: pathlib.Path
) -> dict[int, fit.Result]:
    """For each test fold the result of a net trained on the other folds."""
    return {
        fold: fit.finetune(
            dataset,
            effort.recipe(),
            out / 'nets' / f'{row.net}-scratch-{dataset.name}-fold{fold}-seed{seed}',
            spec=spec_of(row, effort),
            test_fold=fold,
            seed=seed,
        )
        for fold in data.test_folds or dataset.folds
    }

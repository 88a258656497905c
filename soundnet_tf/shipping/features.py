"""Evaluate inner layers with the SVM protocol on each net's held-out fold, compared with random nets and MFCC."""

import dataclasses
import functools
import hashlib
import json
import pathlib
import statistics
from collections.abc import Callable, Sequence

import keras

from soundnet_tf import storage
from soundnet_tf.evaluation.embedders import AnyEmbedder, saved_nets
from soundnet_tf.evaluation.embedders.mfcc import Mfcc
from soundnet_tf.evaluation.protocol import PROTOCOLS, Protocol, evaluate
from soundnet_tf.evaluation.text_tables import columns
from soundnet_tf.experiments.results import format_mean_std
from soundnet_tf.nets import model, saved
from soundnet_tf.shipping.rows import CrossValidation, FoldResult, of_first_seed

FOLDER, TABLE = 'features', 'features.md'


def run(
    cv: CrossValidation, rows: Sequence[FoldResult], work: pathlib.Path, protocol: Protocol = PROTOCOLS['esc']
) -> str:
    """A printable table for the feature layer and the last layer of the rows' nets, random nets, and MFCC.

    Each accuracy is cached in a file in `work/features`; the table is also written to `work/features.md`.
    """
    kinds: dict[str, Callable[[FoldResult], AnyEmbedder]] = {
        'trained': lambda row: saved_nets.saved_net(row.net),
        'random': functools.partial(_random, cv),
    }
    lines = [['features', 'accuracy %', 'by seed']]
    for layer in dict.fromkeys((cv.spec.feature_layer, cv.spec.layer_names[-1])):
        own = dataclasses.replace(protocol, layer=layer)
        lines += [_line(f'{layer}, {kind}', rows, cv, own, work, make) for kind, make in kinds.items()]
    # MFCC is deterministic, so one seed is enough.
    lines.append(_line('MFCC', of_first_seed(rows), cv, protocol, work, lambda row: Mfcc()))
    text = columns(lines)
    storage.write_text(work / TABLE, text + '\n')
    return text


def _line(
    name: str,
    rows: Sequence[FoldResult],
    cv: CrossValidation,
    protocol: Protocol,
    work: pathlib.Path,
    make: Callable[[FoldResult], AnyEmbedder],
) -> list[str]:
    found: dict[int, list[float]] = {}
    for row in rows:
        inputs = saved.fingerprint(row.net), cv.dataset.fingerprint(), protocol.to_dict()
        digest = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:8]
        path = work / FOLDER / f'{name.replace(", ", "-")}-fold{row.fold}-seed{row.seed}-{digest}.json'
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            evaluation = evaluate(cv.dataset, make(row), protocol, test_folds=[row.fold])
            storage.write_json(path, evaluation.to_dict())
            keras.utils.clear_session()
            print(f'{name}, fold {row.fold}, seed {row.seed}: {evaluation.accuracy:.1%}', flush=True)
        found.setdefault(row.seed, []).append(_accuracy(path))
    means = [statistics.fmean(accuracies) for accuracies in found.values()]
    deviation = statistics.stdev(means) if len(means) > 1 else None
    return [name, format_mean_std(statistics.fmean(means), deviation), ' '.join(f'{100 * mean:.1f}' for mean in means)]


def _accuracy(path: pathlib.Path) -> float:
    with storage.readable(path, 'Remove it, and run the command again'):
        return float(storage.read_json(path)['accuracy'])


def _random(cv: CrossValidation, row: FoldResult) -> AnyEmbedder:
    keras.utils.set_random_seed(row.seed)
    return saved_nets.in_memory(model.build(cv.spec.with_heads({})), f'{cv.spec.name}, random weights')

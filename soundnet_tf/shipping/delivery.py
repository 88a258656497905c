"""Write the released net: trained on all folds, calibrated, with float16 weights and all measurements."""

import dataclasses
import os
import pathlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from soundnet_tf import inference, storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation import datasets
from soundnet_tf.export import hub, tflite
from soundnet_tf.inference import files
from soundnet_tf.inference.speeds import AS_IT_IS
from soundnet_tf.nets import model, registry, saved
from soundnet_tf.nets.predictions import softmax
from soundnet_tf.shipping import attribution, card, outputs, rows, shelf, trials
from soundnet_tf.shipping.calibration import Calibration
from soundnet_tf.shipping.rows import CrossValidation, FoldResult

FINAL = 'final'
"""Run folder, inside the work folder, of the training on all folds."""

MAX_BYTES = 8_000_000
"""Maximum size of a file of a released net."""

MAX_ACCURACY_LOSS = 0.005
"""Weights are stored in float16 if the accuracy on held-out clips drops by no more than this."""


@dataclasses.dataclass(frozen=True)
class Terms:
    """Settings of a release that are not measured."""

    data: str | os.PathLike[str]
    """The data set, optionally with an ATTRIBUTION.txt that credits the authors of its clips."""
    about: str
    """A description of the data."""
    licence: str
    """Of the weights."""
    credits: str | None = None
    """The URL of a page that credits the authors, for data without an ATTRIBUTION.txt."""
    default: bool = False
    """Whether it becomes the default net."""


def check(cv: CrossValidation, out: pathlib.Path, terms: Terms) -> None:
    """Fail early, before hours of training. Raises SoundNetError for an invalid model name, and as `deliver` does."""
    if not registry.is_name(out.name):
        raise SoundNetError(f"{out.name}: invalid model name. Use up to 100 letters, digits, '_', '-' or '.'")
    dataset = cv.dataset
    saved.require_ours(out)
    shelf.read(out.parent / registry.LIST)
    attribution.of(terms.data, dataset.learnable)
    training_ids = set().union(*map(dataset.identifiers, range(len(dataset.clips))))
    for file in files.find(cv.ood_sounds) if cv.ood_sounds else ():
        if not os.path.exists(file.path):
            raise SoundNetError(f'{file.path}: no such file. Check --ood_sounds')
        if datasets.content(file.path) in training_ids:
            raise SoundNetError(f'{file.path}: is a clip of {dataset.name}. Pass sounds of none of its classes')


def deliver(
    cv: CrossValidation,
    found: Sequence[FoldResult],
    calibration: Calibration,
    work: pathlib.Path,
    out: pathlib.Path,
    terms: Terms,
) -> pathlib.Path:
    """Train on all folds, write the folder `out`, add it to the models.json beside it, and return the folder.

    Raises SoundNetError if another run uses the work folder, `out` holds anything else, a file is larger than
    MAX_BYTES, a clip has no attribution, or none of its `ood_sounds` is usable.
    """
    check(cv, out, terms)
    with storage.exclusive(work / FINAL):
        trained = cv.learn(work / FINAL, None, 0)
        with tempfile.TemporaryDirectory(dir=work) as temporary:
            folder = pathlib.Path(temporary) / out.name
            facts = _fill(folder, cv, found, calibration, trained.net, terms)
            with storage.whole_folder(out) as draft:
                shutil.copytree(folder, draft, dirs_exist_ok=True)
        shelf.put(out, facts['spec']['name'], terms.about, terms.licence, terms.default)
    return out


def _fill(
    folder: pathlib.Path,
    cv: CrossValidation,
    found: Sequence[FoldResult],
    calibration: Calibration,
    trained: str,
    terms: Terms,
) -> dict[str, Any]:
    """Write the folder of the trained net; returns the contents of model.json."""
    by_dtype = halves(found)
    dtype = 'float16' if by_dtype['float16'] >= by_dtype['float32'] - MAX_ACCURACY_LOSS else 'float32'
    net = saved.load_net(trained)
    warm(net, calibration.temperature)
    saved.save_net(net, folder, origin=_without_paths(saved.read_facts(trained)['origin']), dtype=dtype)
    tflite.add_tflite(folder, dtype)
    hub.add_module(folder)
    (head,) = net.spec.head_names
    credits = attribution.of(terms.data, cv.dataset.learnable)
    if terms.credits:
        credits['addresses'].append(terms.credits)
    tested = sorted(pathlib.PurePath(clip.path).stem for clip in cv.dataset.clips if clip.test_only)
    facts = saved.read_facts(folder) | {
        'name': folder.name,
        'spec': net.spec.to_dict(),
        'licence': terms.licence,
        'data': {'about': terms.about, 'folds': list(cv.dataset.folds), 'test_only': tested, **credits},
        'confidence_threshold': {head: calibration.confidence_threshold},
        'measured': measured(cv, found, calibration) | {'halves': by_dtype},
        **({'speeds': list(cv.speeds)} if cv.speeds else {}),
    }
    storage.write_json(folder / 'model.json', facts)
    facts['measured'] |= _tried(cv, found, calibration, folder)
    storage.write_json(folder / 'model.json', facts)
    (folder / card.NAME).write_text(card.write(net.spec, net.labels[head], facts), encoding='utf-8')
    _check_sizes(folder)
    return facts


def _without_paths(origin: Mapping[str, Any]) -> dict[str, Any]:
    """Without local paths, for the net and for the nets that it was fine-tuned from."""
    kept = {key: value for key, value in origin.items() if key not in ('started_from', 'trained_on')}
    return kept | {'before': _without_paths(kept['before'])} if kept.get('before') else kept


def warm(net: model.SoundNet, temperature: float) -> None:
    """Fold the temperature into the weights of the only head, so all formats return the same probabilities."""
    (head,) = net.spec.head_names
    own = model.variables_of(net)
    for key in (f'{head}/kernel', f'{head}/bias'):
        own[key].assign(np.asarray(own[key]) / np.float32(temperature))


def measured(cv: CrossValidation, found: Sequence[FoldResult], calibration: Calibration) -> dict[str, Any]:
    """The results of the rows, in the format of model.json."""
    answers = np.concatenate([row.answers.logits.argmax(axis=1) for row in found])
    truth = np.concatenate([row.answers.truth for row in found])
    confusion = np.zeros([len(cv.dataset.classes)] * 2, int)
    np.add.at(confusion, (truth, answers), 1)
    at_speeds = {'accuracy_at_speeds': _accuracy(cv, rows.at_speeds(found))} if cv.speeds else {}
    return {
        'accuracy': _accuracy(cv, found),
        **at_speeds,
        'calibration': dataclasses.asdict(calibration),
        'confusion': confusion.tolist(),
    }


def _accuracy(cv: CrossValidation, found: Sequence[FoldResult]) -> dict[str, Any]:
    interval = rows.interval(found, cv.dataset)
    return rows.summary(found, cv.dataset.folds) | {'interval': interval.to_dict() if interval else None}


def halves(found: Sequence[FoldResult]) -> dict[str, Any]:
    """Accuracy of the first seed's nets on held-out clips, with float32 weights and with float16 weights in LiteRT.

    Includes the share of clips with the same prediction, and the largest difference of a probability.
    """
    first = rows.of_first_seed(found)
    right = np.concatenate([row.answers.truth for row in first])
    whole, half = (
        softmax(np.concatenate(logits))
        for logits in ([row.answers.logits for row in first], [row.outputs[outputs.HALF] for row in first])
    )
    return {
        'clips': len(right),
        'float32': float((whole.argmax(axis=1) == right).mean()),
        'float16': float((half.argmax(axis=1) == right).mean()),
        'same_answer': float((whole.argmax(axis=1) == half.argmax(axis=1)).mean()),
        'largest_difference': float(np.abs(whole - half).max()),
    }


def _tried(
    cv: CrossValidation, found: Sequence[FoldResult], calibration: Calibration, folder: pathlib.Path
) -> Mapping[str, Any]:
    """Results on corrupted, synthetic and out-of-distribution sounds, in the format of model.json."""
    embedder = inference.load(folder, short='tile', speeds=AS_IT_IS)
    trials_by_kind: dict[str, Any] = {
        'corrupted': [dataclasses.asdict(trial) for trial in trials.corrupted(cv.dataset, found, calibration)],
        'synthetic': [dataclasses.asdict(trial) for trial in trials.synthetic(embedder)],
    }
    if cv.ood_sounds:
        trial, tally = trials.out_of_distribution(embedder, cv.ood_sounds)
        trials_by_kind['out_of_distribution'] = dataclasses.asdict(trial) | {'unusable': tally.failed.total()}
    return trials_by_kind


def _check_sizes(folder: pathlib.Path) -> None:
    for path in folder.iterdir():
        if path.stat().st_size > MAX_BYTES:
            raise SoundNetError(
                f'{path}: {path.stat().st_size:,} bytes, the maximum is {MAX_BYTES:,}. Use a smaller net'
            )

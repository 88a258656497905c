"""The net that ships: learned from all folds, its head's temperature worked in, its weights in halves, all told."""

import dataclasses
import os
import pathlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from soundnet_tf import inference, storage
from soundnet_tf.audio import decoding
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation import datasets
from soundnet_tf.evaluation.datasets import DataSet
from soundnet_tf.export import tflite
from soundnet_tf.inference import files
from soundnet_tf.nets import model, registry, saved
from soundnet_tf.shipping import attribution, card, rows, shelf, trials
from soundnet_tf.shipping.calibration import Calibration
from soundnet_tf.shipping.rows import CrossValidation, Row

FINAL = 'final'
"""In the folder of the work: the run that learns from all folds."""

MOST_BYTES = 8_000_000
"""Of a file that ships."""

MOST_LOST = 0.005
"""Halves are taken where not more of the left-out clips' accuracy is lost."""


@dataclasses.dataclass(frozen=True)
class Terms:
    """What no measurement tells."""

    data: str | os.PathLike[str]
    """Where the data set lies, perhaps with a list of who made its clips."""
    about: str
    """The data, in words."""
    licence: str
    """Of the weights."""
    ood_sounds: Sequence[str] = ()
    """Files, folders and globs of real sounds of none of the classes."""
    default: bool = False
    """Whether it is the net that is taken where none is named."""


def check(dataset: DataSet, out: pathlib.Path, terms: Terms) -> None:
    """What need not be found out after hours. Raises SoundNetError for a name that is none, and as `deliver` does."""
    if not registry.is_name(out.name):
        raise SoundNetError(f"{out.name}: invalid model name. Use up to 100 letters, digits, '_', '-' or '.'")
    saved.require_ours(out)
    shelf.read(out.parent / registry.LIST)
    attribution.of(terms.data, [clip.path for clip in dataset.clips])
    learned = set().union(*map(dataset.identifiers, range(len(dataset.clips))))
    for file in files.find(terms.ood_sounds) if terms.ood_sounds else ():
        if not os.path.exists(file.path):
            raise SoundNetError(f'{file.path}: no such file. Check --ood_sounds')
        if datasets.content(file.path) in learned:
            raise SoundNetError(f'{file.path}: is a clip of {dataset.name}. Pass sounds of none of its classes')


def deliver(
    cv: CrossValidation,
    found: Sequence[Row],
    calibration: Calibration,
    work: pathlib.Path,
    out: pathlib.Path,
    terms: Terms,
) -> pathlib.Path:
    """Learn from all folds and write the folder `out`, then its line in the list beside it; return the folder.

    Raises SoundNetError where another run is at it, `out` holds anything else, a file has more than MOST_BYTES, a
    clip's author is not told, or nothing of `terms.ood_sounds` is usable.
    """
    check(cv.dataset, out, terms)
    claim = storage.Claim.of(work / FINAL)
    if claim is None:
        raise SoundNetError(f'another run is at {work / FINAL}: give the command again when it is through')
    try:
        learned = cv.learn(work / FINAL, None, 0)
        with tempfile.TemporaryDirectory(dir=work) as place:
            folder = pathlib.Path(place) / out.name
            facts = _fill(folder, cv, found, calibration, learned.net, terms)
            with storage.whole_folder(out) as draft:
                shutil.copytree(folder, draft, dirs_exist_ok=True)
        shelf.put(out, facts['spec']['name'], terms.about, terms.licence, terms.default)
    finally:
        claim.release()
    return out


def _fill(
    folder: pathlib.Path,
    cv: CrossValidation,
    found: Sequence[Row],
    calibration: Calibration,
    learned: str,
    terms: Terms,
) -> dict[str, Any]:
    """The folder of the net that was learned; returns what model.json tells."""
    halved = halves(cv, found)
    dtype = 'float16' if halved['float16'] >= halved['float32'] - MOST_LOST else 'float32'
    net = saved.load_net(learned)
    warm(net, calibration.temperature)
    saved.save_net(net, folder, origin=_without_paths(saved.read_facts(learned)['origin']), dtype=dtype)
    tflite.add_tflite(folder, dtype)
    (head,) = net.spec.head_names
    credits = attribution.of(terms.data, [clip.path for clip in cv.dataset.clips])
    facts = saved.read_facts(folder) | {
        'name': folder.name,
        'spec': net.spec.to_dict(),
        'licence': terms.licence,
        'data': {'about': terms.about, 'folds': list(cv.dataset.folds), **credits},
        'confidence_threshold': {head: calibration.confidence_threshold},
        'measured': measured(cv, found, calibration) | {'halves': halved},
    }
    storage.write_json(folder / 'model.json', facts)
    facts['measured'] |= _tried(cv, found, calibration, folder, terms)
    storage.write_json(folder / 'model.json', facts)
    (folder / card.NAME).write_text(card.write(net.spec, net.labels[head], facts), encoding='utf-8')
    _check_sizes(folder)
    return facts


def _without_paths(origin: Mapping[str, Any]) -> dict[str, Any]:
    """What tells of folders of this machine is left out, of the net and of those that it began with."""
    kept = {key: value for key, value in origin.items() if key not in ('started_from', 'trained_on')}
    return kept | {'before': _without_paths(kept['before'])} if kept.get('before') else kept


def warm(net: model.SoundNet, temperature: float) -> None:
    """Divide the logits of the only head by the temperature, in its weights: so every form of the net says the same."""
    (head,) = net.spec.head_names
    own = model.variables_of(net)
    for key in (f'{head}/kernel', f'{head}/bias'):
        own[key].assign(np.asarray(own[key]) / np.float32(temperature))


def measured(cv: CrossValidation, found: Sequence[Row], calibration: Calibration) -> dict[str, Any]:
    """What the rows came to, as model.json has it."""
    answers = np.concatenate([row.answers.logits.argmax(axis=1) for row in found])
    truth = np.concatenate([row.answers.truth for row in found])
    confusion = np.zeros([len(cv.dataset.classes)] * 2, int)
    np.add.at(confusion, (truth, answers), 1)
    return {
        'accuracy': rows.summary(found, cv.dataset.folds),
        'calibration': dataclasses.asdict(calibration),
        'confusion': confusion.tolist(),
    }


def halves(cv: CrossValidation, found: Sequence[Row]) -> dict[str, Any]:
    """Accuracy of the first seed's nets on the clips that they never met, from float32 and from halves in LiteRT.

    With the share of clips to which both give the same answer, and the greatest difference of a probability.
    """
    wholes, halved, truth = [], [], []
    for row in rows.of_first_seed(found):
        clips = [decoding.read(cv.dataset.clips[clip].path) for clip in row.clips]
        with tempfile.TemporaryDirectory() as place:
            folder = saved.save_net(saved.load_net(row.net), pathlib.Path(place) / 'net', dtype='float16')
            tflite.add_tflite(folder, 'float16')
            for net, said in ((row.net, wholes), (folder, halved)):
                said.append(trials.said(inference.load(net, short='tile'), clips))
        truth.append(row.answers.truth)
    whole, half, right = (np.concatenate(parts) for parts in (wholes, halved, truth))
    return {
        'clips': len(right),
        'float32': float((whole.argmax(axis=1) == right).mean()),
        'float16': float((half.argmax(axis=1) == right).mean()),
        'same_answer': float((whole.argmax(axis=1) == half.argmax(axis=1)).mean()),
        'largest_difference': float(np.abs(whole - half).max()),
    }


def _tried(
    cv: CrossValidation, found: Sequence[Row], calibration: Calibration, folder: pathlib.Path, terms: Terms
) -> Mapping[str, Any]:
    """What was said to sounds that no net had met."""
    embedder = inference.load(folder, short='tile')
    tried: dict[str, Any] = {
        'worse': [dataclasses.asdict(trial) for trial in trials.corrupted(cv.dataset, found, calibration)],
        'made': [dataclasses.asdict(trial) for trial in trials.synthetic(embedder)],
    }
    if terms.ood_sounds:
        trial, tally = trials.out_of_distribution(embedder, terms.ood_sounds)
        tried['others'] = dataclasses.asdict(trial) | {'unusable': tally.failed.total()}
    return tried


def _check_sizes(folder: pathlib.Path) -> None:
    for path in folder.iterdir():
        if path.stat().st_size > MOST_BYTES:
            raise SoundNetError(
                f'{path} has {path.stat().st_size:,} bytes, and {MOST_BYTES:,} are the most: take a smaller net'
            )

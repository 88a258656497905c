"""The result of a row on a data set, with one seed: a plain dict that is written as JSON."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from soundnet_tf import storage
from soundnet_tf.evaluation import features
from soundnet_tf.evaluation.datasets import DataSet
from soundnet_tf.evaluation.protocol import check, evaluate
from soundnet_tf.experiments.tables import TableRow
from soundnet_tf.multimodal import picture, precision, video_features, videos
from soundnet_tf.storage import arrays
from soundnet_tf.study import trained
from soundnet_tf.study.effort import Effort
from soundnet_tf.study.material import Labelled, Material
from soundnet_tf.visualize import tsne

VIDEOS = 'videos'
"""The name of the material's videos among its data sets."""


def lacking(row: TableRow, material: Material) -> str | None:
    """What the material lacks for a row, as text; None if it has everything."""
    if row.start == 'published':
        return 'published only'
    if row.start == 'scratch' and not material.records:
        # Else a study of nets that exist would train for days.
        return 'no records'
    learns = row.start in ('distilled', 'autoencoder', 'multimodal')
    if learns and row.network not in material.records:
        return f'no records with {row.network} teachers'
    for role in row.roles if row.start in ('distilled', 'multimodal') else ():
        if material.head(row.network, role) is None:
            return f'no {row.network} teacher of {role}'
    if row.start == 'multimodal' and not (material.videos and material.vision_model):
        return 'no videos with labels, or no vision network'
    return None


def measure(
    row: TableRow,
    name: str,
    material: Material,
    effort: Effort,
    seed: int,
    out: pathlib.Path,
    layers: Sequence[str | None] = (),
) -> dict[str, Any]:
    """`value` in [0, 1] (accuracy, or mAP) on the data set `name`, and its details.

    `layers` are those that this and later rows need of the same net: one pass over the sound caches all.
    """
    if name == VIDEOS:
        return _multimodal(row, material, effort, seed, out)
    data = material.data[name]
    dataset = data.checked(name)
    if row.start == 'scratch':
        return _from_scratch(row, dataset, data, effort, seed, out)
    embedder = trained.embedder_of(row, material, effort, seed, out)
    protocol, cache = effort.protocol(data, row), out / 'features'
    check(dataset, embedder, protocol, data.test_folds)
    names = list(dict.fromkeys(map(embedder.resolve_layer, layers)))
    if len(names) > 1:
        features.of_layers(dataset, embedder, names, protocol.clip_s, protocol.gain, cache)
    found = evaluate(dataset, embedder, protocol, test_folds=data.test_folds, cache=cache)
    return {'value': found.accuracy, 'by_fold': [f.scores.accuracy for f in found.folds], 'evaluation': found.to_dict()}


def _from_scratch(
    row: TableRow, dataset: DataSet, data: Labelled, effort: Effort, seed: int, out: pathlib.Path
) -> dict[str, Any]:
    results = trained.from_scratch(row, dataset, data, effort, seed, out)
    by_fold = [result.accuracy['test'] for result in results.values()]
    confusion = sum(np.array(result.confusion['test']) for result in results.values())
    return {
        'value': float(np.mean(by_fold)),
        'by_fold': by_fold,
        'recipe': effort.recipe().to_dict(),
        'classes': list(dataset.classes),
        'confusion': np.asarray(confusion).tolist(),
    }


def _multimodal(row: TableRow, material: Material, effort: Effort, seed: int, out: pathlib.Path) -> dict[str, Any]:
    # `lacking` has checked that both are there.
    tsne.require()
    listed = videos.load(str(material.videos))
    sound_by = dataclasses.replace(row, start='distilled')
    own = (trained.name_of(sound_by), row.layer, material.vision_model, material.vision_layer, material.vision_scale)
    place = out / 'video_features' / f'{hashlib.sha256(repr(own).encode()).hexdigest()[:8]}-seed{seed}.npz'
    if not place.exists():
        embedder = trained.embedder_of(sound_by, material, effort, seed, out)
        model = video_features.VisionModel(str(material.vision_model), material.vision_layer, material.vision_scale)
        sound, vision = video_features.embed(listed, embedder, model, row.layer)
        labels = [video.labels[0] for video in listed.videos]
        maps = {'sound': tsne.places(sound, seed), 'vision': tsne.places(vision, seed)}
        picture.write(
            out / f'map-seed{seed}.svg',
            {title: places for title, places in maps.items() if places is not None},
            labels,
        )
        with storage.whole_file(place) as draft:
            np.savez(draft, sound=sound, vision=vision)
    hint = 'Remove it, and run the study again'
    found = precision.precision(listed, arrays.read_npz(place, hint), row.modalities)
    return {'value': found.mean, 'precision': found.to_dict()}

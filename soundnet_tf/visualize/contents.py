"""The data of the report page as JSON-compatible values. Also writes the pictures and sounds."""

import datetime
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from soundnet_tf import geometry, labels
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.inference import Embedder, files
from soundnet_tf.visualize import excerpts, filters, selectivity, timeline, tsne
from soundnet_tf.visualize.best import Best
from soundnet_tf.visualize.survey import Survey
from soundnet_tf.visualize.wanted import Inputs, Wanted


def of(
    embedder: Embedder,
    name: str,
    sounds: Sequence[files.SoundFile],
    survey: Survey,
    inputs: Inputs,
    wanted: Wanted,
    folder: pathlib.Path,
) -> dict[str, Any]:
    """Return the data of the page on the net `name` for the surveyed sounds; write pictures and sounds to `folder`."""
    spec = embedder.spec
    usable = np.flatnonzero(np.isfinite(survey.seconds))
    mapped = survey.mapped[np.isin(survey.mapped, usable)]
    responses = {layer: values[np.isin(survey.mapped, mapped)] for layer, values in survey.responses.items()}
    scores = {layer: selectivity.scores(best.values, responses[layer]) for layer, best in survey.best.items()}
    chosen = {
        layer: selectivity.ranking(best.values, responses[layer], wanted.units) for layer, best in survey.best.items()
    }
    windows = {
        (layer, unit, place): excerpts.window_of(
            spec, layer, int(best.sounds[unit, place]), int(best.frames[unit, place])
        )
        for layer, best in survey.best.items()
        for unit in chosen[layer]
        for place in np.flatnonzero(best.sounds[unit] >= 0)
    }
    previews = {int(sound): excerpts.Window(int(sound), None, excerpts.PREVIEW) for sound in mapped}
    paths = {int(sound): sounds[sound].path for sound in usable}
    lengths = {int(sound): round(float(survey.seconds[sound]) * SAMPLE_RATE) for sound in usable}
    every = [*windows.values(), *previews.values()]
    written = excerpts.write(embedder, paths, lengths, survey.layers, every, folder)
    shown = {window.sound for window in every}
    longest = int(usable[np.argmax(survey.seconds[usable])])
    line, line_name = wanted.timeline or sounds[longest].path, wanted.timeline or str(sounds[longest].name)
    return {
        'title': f'What {name} responds to',
        'net': _net(embedder, survey),
        'written': datetime.date.today().isoformat(),
        'failed': dict(survey.failed),
        'lost': [str(sounds[sound].name) for sound in survey.failed_sounds],
        'short': embedder.listener.short,
        'clips': {
            sound: {
                'name': str(sounds[sound].name),
                'label': inputs.labels[sound],
                'seconds': round(float(survey.seconds[sound]), 2),
                'top_classes': {
                    head: [
                        labels.short(head, embedder.labels[head][int(top[sound, 0])]),
                        round(float(top[sound, 1]), 3),
                    ]
                    for head, top in survey.top_classes.items()
                },
            }
            for sound in sorted(shown)
        },
        'excerpts': written,
        'filters': _filters(inputs.filters),
        'layers': [
            _layer(embedder, layer, best, scores[layer], chosen[layer], windows, written)
            for layer, best in survey.best.items()
        ],
        'maps': _maps(survey, mapped, previews, written, inputs.vision, wanted.seed),
        'timeline': timeline.write(embedder, line, os.path.basename(line_name), folder) if spec.heads else None,
        'curves': inputs.curves,
        'confusions': inputs.confusions,
    }


def _net(embedder: Embedder, survey: Survey) -> dict[str, Any]:
    spec = embedder.spec
    return {
        'name': spec.name,
        'layers': list(spec.layer_names),
        'heads': {head: len(embedder.labels[head]) for head in spec.head_names},
        'sounds': int(np.isfinite(survey.seconds).sum()),
        'seconds': round(float(np.nansum(survey.seconds)), 2),
    }


def _filters(found: filters.Filters) -> dict[str, Any]:
    step = 4  # every 4th of the 513 bins: the plot is only a few centimetres wide
    return {
        'layer': found.layer,
        'ms': 1000 * found.waves.shape[1] / SAMPLE_RATE,
        'hz': found.hz[::step].round(1).tolist(),
        'items': [
            {
                'unit': int(unit),
                'centre': round(float(centre)),
                'wave': [round(float(v), 3) for v in wave],
                'levels': [round(float(v), 1) for v in levels[::step]],
            }
            for unit, centre, wave, levels in zip(
                found.units, found.centres_hz, found.waves, found.levels_db, strict=True
            )
        ],
    }


def _layer(
    embedder: Embedder, layer: str, best: Best, scores: Any, chosen: Any, windows: Any, written: Any
) -> dict[str, Any]:
    spec, names = embedder.spec, embedder.labels.get(layer)
    return {
        'name': layer,
        'head': names is not None,
        'names': list(names or ()),
        'field': geometry.receptive_field(spec, layer) / SAMPLE_RATE,
        'shown': max(geometry.receptive_field(spec, layer), excerpts.MIN_SAMPLES) / SAMPLE_RATE,
        'total': geometry.channels(spec, layer),
        'units': [
            {
                'unit': int(unit),
                # All synonyms, for the search; the page shows the first.
                'name': names[unit] if names else None,
                'short': labels.short(layer, names[unit]) if names else None,
                'selectivity': round(float(scores[unit]), 3),
                'best': [
                    {
                        'clip': int(best.sounds[unit, place]),
                        'value': float(f'{best.values[unit, place]:.4g}'),
                        'excerpt': windows[layer, unit, place].id,
                    }
                    for place in np.flatnonzero(best.sounds[unit] >= 0)
                    if windows[layer, unit, place].id in written
                ],
            }
            for unit in chosen
        ],
    }


def _maps(survey: Survey, mapped: Any, previews: Any, written: Any, vision: Any, seed: int) -> dict[str, Any]:
    """Coordinates of each clip per layer and for the vision features, in the order of `clips`."""
    rows = np.isin(survey.mapped, mapped)
    kinds = [('sound', layer, vectors[rows]) for layer, vectors in survey.vectors.items()]
    kinds += [('vision', 'vision', vision[rows])] if vision is not None else []
    found = []
    for kind, name, vectors in kinds:
        placed = tsne.places(vectors, seed)
        if placed is not None:
            xy = [None if np.isnan(x) else [round(float(x), 4), round(float(y), 4)] for x, y in placed]
            found.append({'kind': kind, 'name': name, 'xy': xy})
    clips = [{'clip': int(sound), 'excerpt': previews[int(sound)].id} for sound in mapped]
    return {'clips': [clip | {'there': clip['excerpt'] in written} for clip in clips], 'views': found}

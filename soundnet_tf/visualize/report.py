"""The report: one folder with a page, pictures and sounds, which opens from disk."""

import contextlib
import dataclasses
import datetime
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from soundnet_tf import geometry, locks, saved
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import Embedder, files
from soundnet_tf.spec import Conv, NetSpec, Pool
from soundnet_tf.version import __version__
from soundnet_tf.visualize import excerpts, filters, labels, learning, maps, page, survey, timeline
from soundnet_tf.visualize.best import Best
from soundnet_tf.visualize.survey import Survey

PAGE, ABOUT, STATE = 'index.html', 'report.json', 'survey.npz'

MAPPED = 1500
"""Sounds on the map at most, chosen by lot: t-SNE's time and the page grow with them."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a report shows. Paths that are None leave their part out."""

    layers: tuple[str, ...] = ()
    """Whose units are shown, heads among them; by default `default_layers` and the heads."""
    units: int = 64
    """Of each layer, and classes of each head, the most selective."""
    top: int = 6
    """Excerpts of each unit."""
    labels: str | None = None
    """A CSV with the columns path and label; else the folders that the sounds lie in are their labels."""
    vision: str | None = None
    """A folder of NAME.npy, `[frames, channels]` of each sound's video."""
    timeline: str | None = None
    """A sound file; by default the longest of the sounds."""
    run: str | None = None
    """The folder of a training run."""
    evaluation: str | None = None
    """A JSON file, or a folder with `result.json`, that holds a confusion matrix."""
    seed: int = 0


def default_layers(spec: NetSpec) -> tuple[str, ...]:
    """The last convolution, and the one before the last pool: conv5 and conv7 of the 8-layer net, as in the paper."""
    convolutions = [index for index, row in enumerate(spec.layers) if isinstance(row, Conv)]
    pools = [index for index, row in enumerate(spec.layers) if isinstance(row, Pool)]
    before = [index for index in convolutions if pools and index < pools[-1]]
    return tuple(spec.layers[index].name for index in dict.fromkeys([*before[-1:], convolutions[-1]]))


def write(
    embedder: Embedder, net: saved.Path, sounds: Sequence[files.SoundFile], out: saved.Path, wanted: Wanted
) -> files.Tally:
    """Write the report of the saved net `net`, which `embedder` listens with, as the folder `out`.

    What is made lies in `out`.parts until all is there, and a stopped run goes on from it; an older report is then
    replaced. Raises SoundNetError, before any sound is heard, for unknown layers, for what cannot be read, and where
    `out` is something else; MissingTool without scikit-learn.
    """
    out = pathlib.Path(out)
    wanted = _settled(embedder, wanted)
    maps.require()
    given = _Given.read(embedder, pathlib.Path(net), sounds, wanted)
    if out.exists() and not (out / ABOUT).is_file():
        raise SoundNetError(f'{out} exists and is no report: choose another --out')
    about = {'fingerprint': _fingerprint(embedder, pathlib.Path(net), sounds, wanted), 'written_by': __version__}
    with contextlib.suppress(OSError, ValueError):
        if json.loads((out / ABOUT).read_text()) == about:
            return files.Tally(skipped=len(sounds))
    parts = pathlib.Path(f'{out}.parts')
    with _alone(parts):
        if not (parts / ABOUT).exists() or json.loads((parts / ABOUT).read_text()) != about:
            shutil.rmtree(parts, ignore_errors=True)
            parts.mkdir(parents=True)
            saved.write_json(parts / ABOUT, about)
        known = Survey.load(parts / STATE) or _begun(embedder, sounds, wanted)
        tally = survey.conduct(known, embedder, sounds, parts / STATE)
        if not np.isfinite(known.seconds).any():
            raise SoundNetError('none of the sounds can be used: there is nothing to show')
        page.write(parts, _data(embedder, sounds, known, given, wanted, parts))
        for name in (STATE, excerpts.INDEX):
            (parts / name).unlink()
        _replace(out, parts)
    return tally


def _settled(embedder: Embedder, wanted: Wanted) -> Wanted:
    spec = embedder.spec
    layers = wanted.layers or (*default_layers(spec), *spec.head_names)
    return dataclasses.replace(wanted, layers=tuple(dict.fromkeys(embedder.known(layer) for layer in layers)))


@dataclasses.dataclass(frozen=True)
class _Given:
    """What is read before any sound is heard: a mistake in it costs no time."""

    filters: filters.Filters
    labels: list[str | None]
    curves: list[dict[str, Any]]
    confusions: list[dict[str, Any]]
    vision: Any

    @classmethod
    def read(cls, embedder: Embedder, net: pathlib.Path, sounds: Sequence[files.SoundFile], wanted: Wanted) -> '_Given':
        for path in filter(None, (sounds[0].path, wanted.timeline)):
            if not os.path.exists(path):
                raise SoundNetError(f'{path}: there is no such file or folder. Check the path')
        return cls(
            filters.read(net, embedder.spec),
            labels.of_csv(wanted.labels, sounds) if wanted.labels else labels.of_folders(sounds),
            learning.curves(wanted.run) if wanted.run else [],
            learning.confusions(wanted.evaluation) if wanted.evaluation else [],
            maps.vision(wanted.vision, sounds) if wanted.vision else None,
        )


def _fingerprint(embedder: Embedder, net: pathlib.Path, sounds: Sequence[files.SoundFile], wanted: Wanted) -> str:
    """A hash of all that the report depends on; of other files than the net's, their sizes and times."""

    def stamp(path: str | None) -> Any:
        if path is None or not os.path.exists(path):
            return None
        there = [path] if os.path.isfile(path) else sorted(map(str, pathlib.Path(path).glob('*')))
        return [(one, os.path.getsize(one), os.path.getmtime(one)) for one in there]

    asked = [stamp(path) for path in (wanted.labels, wanted.vision, wanted.timeline, wanted.run, wanted.evaluation)]
    listening = [embedder.short, embedder.decoder, embedder.channel, embedder.precision]
    weights = hashlib.sha256((net / 'weights.npz').read_bytes()).hexdigest()
    all_of_it = [weights, dataclasses.astuple(wanted), [stamp(sound.path) for sound in sounds], asked, listening]
    return hashlib.sha256(repr(all_of_it).encode(errors='surrogateescape')).hexdigest()


@contextlib.contextmanager
def _alone(parts: pathlib.Path) -> Iterator[None]:
    claim = locks.Claim.of(parts)
    if claim is None:
        raise SoundNetError(f'another run is writing {parts}: wait for it, or stop it first')
    try:
        yield
    finally:
        claim.release()


def _replace(out: pathlib.Path, parts: pathlib.Path) -> None:
    old = out.with_name(f'{out.name}.old')
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        os.rename(out, old)
    os.rename(parts, out)
    shutil.rmtree(old, ignore_errors=True)


def _begun(embedder: Embedder, sounds: Sequence[files.SoundFile], wanted: Wanted) -> Survey:
    spec = embedder.spec
    mapped = [name for name in spec.layer_names if name in {*default_layers(spec), spec.feature_layer}]
    return Survey.begin(spec, len(sounds), wanted.layers, mapped, MAPPED, wanted.top, wanted.seed)


def _data(
    embedder: Embedder,
    sounds: Sequence[files.SoundFile],
    known: Survey,
    given: _Given,
    wanted: Wanted,
    folder: pathlib.Path,
) -> dict[str, Any]:
    """All that the page shows; its pictures and sounds are written on the way."""
    spec = embedder.spec
    usable = np.flatnonzero(np.isfinite(known.seconds))
    mapped = known.mapped[np.isin(known.mapped, usable)]
    chosen = {layer: best.ranking(wanted.units) for layer, best in known.best.items()}
    windows = {
        (layer, unit, place): excerpts.seen(spec, layer, int(best.sounds[unit, place]), int(best.frames[unit, place]))
        for layer, best in known.best.items()
        for unit in chosen[layer]
        for place in np.flatnonzero(best.sounds[unit] >= 0)
    }
    previews = {int(sound): excerpts.Window(int(sound), None, excerpts.PREVIEW) for sound in mapped}
    paths = {int(sound): sounds[sound].path for sound in usable}
    lengths = {int(sound): round(float(known.seconds[sound]) * SAMPLE_RATE) for sound in usable}
    every = [*windows.values(), *previews.values()]
    written = excerpts.write(embedder, paths, lengths, known.layers, every, folder)
    shown = {window.sound for window in every}
    longest = int(usable[np.argmax(known.seconds[usable])])
    line, line_name = wanted.timeline or sounds[longest].path, wanted.timeline or str(sounds[longest].name)
    return {
        'title': f'What {spec.name} hears',
        'net': _net(embedder, known),
        'written': datetime.date.today().isoformat(),
        'failed': dict(known.failed),
        'clips': {
            sound: {
                'name': str(sounds[sound].name),
                'label': given.labels[sound],
                'seconds': round(float(known.seconds[sound]), 2),
                'heard': {
                    head: [embedder.labels[head][int(heard[sound, 0])], round(float(heard[sound, 1]), 3)]
                    for head, heard in known.heard.items()
                },
            }
            for sound in sorted(shown)
        },
        'excerpts': written,
        'filters': _filters(given.filters),
        'layers': [
            _layer(embedder, layer, best, chosen[layer], windows, written) for layer, best in known.best.items()
        ],
        'maps': _maps(known, mapped, previews, written, given.vision, wanted.seed),
        'timeline': timeline.write(embedder, line, os.path.basename(line_name), folder) if spec.heads else None,
        'curves': given.curves,
        'confusions': given.confusions,
    }


def _net(embedder: Embedder, known: Survey) -> dict[str, Any]:
    spec = embedder.spec
    return {
        'name': spec.name,
        'layers': list(spec.layer_names),
        'heads': {head: len(embedder.labels[head]) for head in spec.head_names},
        'sounds': int(np.isfinite(known.seconds).sum()),
        'hours': round(float(np.nansum(known.seconds)) / 3600, 4),
    }


def _filters(found: filters.Filters) -> dict[str, Any]:
    step = 4  # of 513 bins: a curve a few centimetres wide
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


def _layer(embedder: Embedder, layer: str, best: Best, chosen: Any, windows: Any, written: Any) -> dict[str, Any]:
    spec, names = embedder.spec, embedder.labels.get(layer)
    return {
        'name': layer,
        'head': names is not None,
        'field': geometry.receptive_field(spec, layer) / SAMPLE_RATE,
        'hop': geometry.hop(spec, layer) / SAMPLE_RATE,
        'total': geometry.channels(spec, layer),
        'units': [
            {
                'unit': int(unit),
                'name': names[unit] if names else None,
                'selectivity': round(float(best.selectivity[unit]), 3),
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


def _maps(known: Survey, mapped: Any, previews: Any, written: Any, vision: Any, seed: int) -> dict[str, Any]:
    """Where each clip lies, by layer and for vision; clips in the order of `clips`."""
    rows = np.isin(known.mapped, mapped)
    kinds = [('sound', layer, vectors[rows]) for layer, vectors in known.vectors.items()]
    kinds += [('vision', 'vision', vision[mapped])] if vision is not None else []
    found = []
    for kind, name, vectors in kinds:
        placed = maps.places(vectors, seed)
        if placed is not None:
            xy = [None if np.isnan(x) else [round(float(x), 4), round(float(y), 4)] for x, y in placed]
            found.append({'kind': kind, 'name': name, 'xy': xy})
    clips = [{'clip': int(sound), 'excerpt': previews[int(sound)].id} for sound in mapped]
    return {'clips': [clip | {'there': clip['excerpt'] in written} for clip in clips], 'views': found}

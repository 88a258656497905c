"""The report: one folder with a page, pictures and sounds, which opens from disk."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from soundnet_tf import locks, saved, tsne
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import Embedder, files
from soundnet_tf.version import __version__
from soundnet_tf.visualize import contents, excerpts, page, survey
from soundnet_tf.visualize.survey import Survey
from soundnet_tf.visualize.wanted import Given, Wanted, default_layers

PAGE, ABOUT, STATE = 'index.html', 'report.json', 'survey.npz'

MAPPED = 1500
"""Sounds on the map at most, chosen by lot: t-SNE's time and the page grow with them."""


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
    tsne.require()
    given = Given.read(embedder, pathlib.Path(net), sounds, wanted)
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
        page.write(parts, contents.of(embedder, sounds, known, given, wanted, parts))
        for name in (STATE, excerpts.INDEX):
            (parts / name).unlink()
        _replace(out, parts)
    return tally


def _settled(embedder: Embedder, wanted: Wanted) -> Wanted:
    spec = embedder.spec
    layers = wanted.layers or (*default_layers(spec), *spec.head_names)
    return dataclasses.replace(wanted, layers=tuple(dict.fromkeys(embedder.known(layer) for layer in layers)))


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

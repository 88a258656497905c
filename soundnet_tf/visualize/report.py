"""The report: one folder with a page, pictures and sounds, which opens from disk."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import secrets
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from soundnet_tf import locks, saved, tsne
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import Embedder, files
from soundnet_tf.version import __version__
from soundnet_tf.visualize import contents, excerpts, page, survey, timeline
from soundnet_tf.visualize.survey import Survey
from soundnet_tf.visualize.wanted import Given, Wanted, default_layers

PAGE, ABOUT, STATE = 'index.html', 'report.json', 'survey.npz'

OURS = {PAGE, ABOUT, STATE, excerpts.INDEX, excerpts.SOUNDS, excerpts.PICTURES, *page.FILES, *timeline.FILES}
"""All that may lie in the folder of a report, begun or finished."""

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
    out = pathlib.Path(out).resolve()
    parts = out.with_name(f'{out.name}.parts')
    for folder in (out, parts):
        _require_ours(folder)
    # Excerpts of an older report are no sounds of the user's.
    sounds = [sound for sound in sounds if not {out, parts} & {*pathlib.Path(sound.path).resolve().parents}]
    if not sounds:
        raise SoundNetError(f'there are no sounds but those of the report itself: choose another --out than {out}')
    wanted = _settled(embedder, wanted)
    tsne.require()
    given = Given.read(embedder, pathlib.Path(net), sounds, wanted)
    about = {'fingerprint': _fingerprint(embedder, pathlib.Path(net), sounds, wanted), 'written_by': __version__}
    finished = _about(out)
    if about.items() <= finished.items():
        failed = Counter(finished.get('failed', {}))
        return files.Tally(skipped=len(sounds) - failed.total(), failed=failed)
    with _alone(parts):
        if _about(parts) != about:
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
        saved.write_json(parts / ABOUT, about | {'failed': dict(known.failed)})
        _replace(out, parts)
    return tally


def _about(folder: pathlib.Path) -> dict[str, Any]:
    """What is said of a report; nothing where there is none."""
    with contextlib.suppress(OSError, ValueError):
        about = json.loads((folder / ABOUT).read_text())
        return about if isinstance(about, dict) and 'fingerprint' in about else {}
    return {}


def _require_ours(folder: pathlib.Path) -> None:
    """Raise SoundNetError where a folder is there that is no report, or has something else beside one."""
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if folder.exists() and not folder.is_dir():
        raise SoundNetError(f'{folder} is a file: choose another --out')
    if there and not _about(folder):
        raise SoundNetError(f'{folder} exists and is no report: choose another --out')
    other = [name for name in there if name not in OURS and not name.endswith('.part')]
    if other:
        raise SoundNetError(f'{folder} holds {other[0]} beside the report, which would be lost: move it elsewhere')


def _settled(embedder: Embedder, wanted: Wanted) -> Wanted:
    spec = embedder.spec
    layers = wanted.layers or (*default_layers(spec), *spec.head_names)
    return dataclasses.replace(wanted, layers=tuple(dict.fromkeys(embedder.known(layer) for layer in layers)))


def _fingerprint(embedder: Embedder, net: pathlib.Path, sounds: Sequence[files.SoundFile], wanted: Wanted) -> str:
    """A hash of all that the report depends on; of other files than the net's, their sizes and times."""

    def stamp(path: str | None) -> Any:
        if path is None or not os.path.exists(path):
            return None
        top = pathlib.Path(path)
        there = [path] if top.is_file() else sorted(str(one) for one in top.rglob('*') if one.is_file())
        return [(one, os.path.getsize(one), os.path.getmtime(one)) for one in there]

    asked = [stamp(path) for path in (wanted.labels, wanted.vision, wanted.timeline, wanted.run, wanted.evaluation)]
    listening = [embedder.short, embedder.decoder, embedder.channel, embedder.precision]
    own = [hashlib.sha256(one.read_bytes()).hexdigest() for one in sorted(net.rglob('*')) if one.is_file()]
    all_of_it = [own, dataclasses.astuple(wanted), [stamp(sound.path) for sound in sounds], asked, listening]
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
    old = out.with_name(f'.{out.name}.{secrets.token_hex(4)}.old')
    if out.exists():
        os.rename(out, old)
    os.rename(parts, out)
    shutil.rmtree(old, ignore_errors=True)


def _begun(embedder: Embedder, sounds: Sequence[files.SoundFile], wanted: Wanted) -> Survey:
    spec = embedder.spec
    mapped = [name for name in spec.layer_names if name in {*default_layers(spec), spec.feature_layer}]
    return Survey.begin(spec, len(sounds), wanted.layers, mapped, MAPPED, wanted.top, wanted.seed)

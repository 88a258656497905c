"""The report: one folder with a page, pictures and sounds, which opens from disk."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import storage
from soundnet_tf.audio import decoding
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import Embedder, files
from soundnet_tf.nets import saved
from soundnet_tf.version import __version__
from soundnet_tf.visualize import contents, excerpts, learning, page, recordings, survey, timeline, tsne
from soundnet_tf.visualize.survey import Survey
from soundnet_tf.visualize.wanted import Inputs, Wanted, default_layers

PAGE, ABOUT, STATE = 'index.html', 'report.json', 'survey.npz'

FAILED = 'failed'
"""A key of what is said of a report once all is there."""

REPORT_FILES = {PAGE, ABOUT, STATE, excerpts.INDEX, excerpts.SOUNDS, excerpts.PICTURES, *page.FILES, *timeline.FILES}
"""All that may lie in the folder of a report, begun or finished."""

SYSTEM_FILES = {'.DS_Store', 'Thumbs.db', 'desktop.ini'}
"""What systems leave in folders that somebody looked into: no loss."""

MAX_MAPPED = 1500
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
        _require_report(folder)
    # Excerpts of an older report are no sounds of the user's.
    sounds = [sound for sound in sounds if not {out, parts} & {*pathlib.Path(sound.path).resolve().parents}]
    if not sounds:
        raise SoundNetError(f'{out}: all sounds are files of this report. Choose another --out')
    wanted = _resolve_layers(embedder, wanted)
    tsne.require()
    mapped = np.sort(np.random.default_rng(wanted.seed).permutation(len(sounds))[:MAX_MAPPED])
    inputs = Inputs.read(embedder, pathlib.Path(net), sounds, mapped.tolist(), wanted)
    about = _fingerprints(embedder, pathlib.Path(net), sounds, wanted, (out, parts))
    about_out = _read_about(out)
    if about.items() <= about_out.items() and FAILED in about_out:
        return _report_previous(about_out, sounds)
    with _exclusive(parts):
        previous = _read_about(parts)
        if about.items() <= previous.items() and FAILED in previous:  # stopped when all was there
            _replace(out, parts)
            return _report_previous(previous, sounds)
        if previous.get('survey') != about['survey']:
            shutil.rmtree(_move_aside(parts), ignore_errors=True)
            parts.mkdir(parents=True)
        storage.write_json(parts / ABOUT, about)
        known = Survey.load(parts / STATE) or _new_survey(embedder, sounds, mapped, wanted)
        tally = survey.conduct(known, embedder, sounds, parts / STATE)
        if not np.isfinite(known.seconds).any():
            raise SoundNetError('no usable sounds: all of them failed or are too short. Pass other sounds')
        page.write(parts, contents.of(embedder, sounds, known, inputs, wanted, parts))
        storage.write_json(parts / ABOUT, about | {FAILED: dict(known.failed), 'lost': known.failed_sounds})
        _replace(out, parts)
    return tally


def _report_previous(about: dict[str, Any], sounds: Sequence[files.SoundFile]) -> files.Tally:
    for sound in about['lost']:
        files.echo(f'{sounds[sound].path}: skipped, as in the previous run')
    failed = Counter(about[FAILED])
    return files.Tally(skipped=len(sounds) - failed.total(), failed=failed)


def _read_about(folder: pathlib.Path) -> dict[str, Any]:
    """What is said of a report; nothing where there is none."""
    with contextlib.suppress(OSError, ValueError):
        about = json.loads((folder / ABOUT).read_text())
        return about if isinstance(about, dict) and 'fingerprint' in about else {}
    return {}


def _require_report(folder: pathlib.Path) -> None:
    """Raise SoundNetError where a folder is there that is no report, or has something else beside one."""
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if folder.exists() and not folder.is_dir():
        raise SoundNetError(f'{folder}: not a folder. Choose another --out')
    if names and not _read_about(folder):
        raise SoundNetError(f'{folder}: exists and is not a report. Choose another --out')
    allowed = REPORT_FILES | SYSTEM_FILES
    other = [name for name in names if name not in allowed and not _is_temporary(name)]
    for kind, suffix in ((excerpts.SOUNDS, '.mp3'), (excerpts.PICTURES, '.png')):
        inside = sorted((folder / kind).rglob('*')) if (folder / kind).is_dir() else []
        other += [
            one.relative_to(folder).as_posix()
            for one in inside
            if one.name not in SYSTEM_FILES and not _is_temporary(one.name) and not excerpts.is_ours(one.name, suffix)
        ]
    if other:
        raise SoundNetError(f'{folder}: {other[0]} is not part of the report and would be deleted. Move it elsewhere')


def _is_temporary(name: str) -> bool:
    """Whether a stopped run may have left it, see `storage.whole_file`."""
    return name[0] == '.' and name.endswith('.part')


def _resolve_layers(embedder: Embedder, wanted: Wanted) -> Wanted:
    spec = embedder.spec
    layers = wanted.layers or (*default_layers(spec), *spec.head_names)
    resolved = dict.fromkeys(map(embedder.listener.resolve_layer, layers))
    return dataclasses.replace(wanted, layers=tuple(resolved))


def _fingerprints(
    embedder: Embedder,
    net: pathlib.Path,
    sounds: Sequence[files.SoundFile],
    wanted: Wanted,
    excluded: tuple[pathlib.Path, ...],
) -> dict[str, str]:
    """Hashes of all that listening depends on, `survey`, and all that the report does, `fingerprint`.

    Of other files than the net's, their sizes and times count, and whether they may be read; `but` is the report.
    """

    def stamp(path: str | os.PathLike[str] | None) -> Any:
        if path is None or not os.path.exists(path):
            return None
        there = [(str(one), one.stat(), os.access(one, os.R_OK)) for one in within(pathlib.Path(path).resolve())]
        return [(one, stat.st_size, stat.st_mtime, readable) for one, stat, readable in there]

    def within(top: pathlib.Path) -> list[pathlib.Path]:
        there = [top] if top.is_file() else sorted(one for one in top.rglob('*') if one.is_file())
        return [one for one in there if not {*one.parents} & {*excluded}]

    decoders = [name for name, decoder in decoding.DECODERS.items() if decoding.installed(decoder)]
    listener = embedder.listener
    listening = [listener.short, listener.decoder, listener.channel, listener.precision, decoders]
    own = [storage.sha256(one) for one in within(net.resolve())]
    survey_inputs = [
        __version__,
        own,
        listening,
        wanted.layers,
        wanted.top,
        wanted.seed,
        [(sound.path, stamp(sound.path)) for sound in sounds],
    ]
    read = [*learning.files(wanted.run, wanted.evaluation), wanted.labels, wanted.vision, wanted.timeline]
    names = [str(sound.name) for sound in sounds]
    shown = [dataclasses.astuple(wanted), names, [stamp(path) for path in read]]
    return {'survey': _hash(survey_inputs), 'fingerprint': _hash([survey_inputs, shown])}


def _hash(values: Any) -> str:
    return hashlib.sha256(repr(values).encode(errors='surrogateescape')).hexdigest()


@contextlib.contextmanager
def _exclusive(parts: pathlib.Path) -> Iterator[None]:
    claim = storage.Claim.of(parts)
    if claim is None:
        raise SoundNetError(f'{parts}: another run is writing this report. Wait until it ends, or stop it')
    try:
        yield
    finally:
        claim.release()


def _replace(out: pathlib.Path, parts: pathlib.Path) -> None:
    _require_report(out)  # somebody may have put something there meanwhile
    for name in (STATE, excerpts.INDEX):
        (parts / name).unlink(missing_ok=True)
    old = _move_aside(out)
    try:
        os.rename(parts, out)
    except OSError:
        if old.exists():
            os.rename(old, out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _move_aside(folder: pathlib.Path) -> pathlib.Path:
    """Rename it, where it is there. The name is always the same, so that what a stopped run leaves goes with the next.

    Nothing is ever deleted in place: a folder that lacks half of a report would be taken for the user's own.
    """
    aside = folder.with_name(f'.{folder.name}.replaced')
    if folder.exists():
        shutil.rmtree(aside, ignore_errors=True)
        os.rename(folder, aside)
    return aside


def _new_survey(
    embedder: Embedder, sounds: Sequence[files.SoundFile], mapped: NDArray[np.int64], wanted: Wanted
) -> Survey:
    spec = embedder.spec
    maps = [name for name in spec.layer_names if name in {*wanted.layers, spec.feature_layer}]
    return Survey.begin(spec, recordings.of_sounds(sounds), wanted.layers, maps, mapped, wanted.top)

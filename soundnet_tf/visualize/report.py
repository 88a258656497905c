"""The report: one folder with a page, pictures and sounds, which opens from disk."""

import contextlib
import dataclasses
import hashlib
import os
import pathlib
from collections import Counter
from collections.abc import Sequence
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
"""Key in the metadata of a complete report."""

REPORT_FILES = {PAGE, ABOUT, STATE, excerpts.INDEX, excerpts.SOUNDS, excerpts.PICTURES, *page.FILES, *timeline.FILES}
"""All files of a report folder, complete or not."""

SYSTEM_FILES = {'.DS_Store', 'Thumbs.db', 'desktop.ini'}
"""Files that desktop systems create in folders; safe to delete."""

MAX_MAPPED = 1500
"""Max sounds on the map, sampled at random: the time for t-SNE and the size of the page grow with them."""


def write(
    embedder: Embedder, net: saved.Path, sounds: Sequence[files.SoundFile], out: saved.Path, wanted: Wanted
) -> files.Tally:
    """Write a report on the saved model `net`, loaded as `embedder`, to the folder `out`.

    Files are written to `out`.parts until the report is complete, so a stopped run can be resumed; then an older report
    is replaced. Before processing any sound, raises SoundNetError for unknown layers, unreadable inputs and an `out`
    that is not a report; MissingTool without scikit-learn.
    """
    out = pathlib.Path(out).resolve()
    parts = out.with_name(f'{out.name}.parts')
    for folder in (out, parts):
        _require_report(folder)
    # Skip the excerpts of an older report.
    sounds = [sound for sound in sounds if not {out, parts} & {*pathlib.Path(sound.path).resolve().parents}]
    if not sounds:
        raise SoundNetError(f'{out}: all sounds are files of this report. Use another --out')
    wanted = _resolve_layers(embedder, wanted)
    tsne.require()
    mapped = np.sort(np.random.default_rng(wanted.seed).permutation(len(sounds))[:MAX_MAPPED])
    inputs = Inputs.read(embedder, pathlib.Path(net), sounds, mapped.tolist(), wanted)
    about = _fingerprints(embedder, pathlib.Path(net), sounds, wanted, (out, parts))
    about_out = _read_about(out)
    if about.items() <= about_out.items() and FAILED in about_out:
        return _report_previous(about_out, sounds)
    with storage.exclusive(parts):
        previous = _read_about(parts)
        if about.items() <= previous.items() and FAILED in previous:  # stopped after the report was complete
            _replace(out, parts)
            return _report_previous(previous, sounds)
        if previous.get('survey') != about['survey']:
            with storage.whole_folder(parts):
                pass  # empty
        storage.write_json(parts / ABOUT, about)
        known = Survey.load(parts / STATE) or _new_survey(embedder, sounds, mapped, wanted)
        tally = survey.conduct(known, embedder, sounds, parts / STATE)
        if not np.isfinite(known.seconds).any():
            raise SoundNetError('no usable sounds: all of them failed or are too short. Pass other sounds')
        page.write(parts, contents.of(embedder, _name(net), sounds, known, inputs, wanted, parts))
        storage.write_json(parts / ABOUT, about | {FAILED: dict(known.failed), 'lost': known.failed_sounds})
        _replace(out, parts)
    return tally


def _report_previous(about: dict[str, Any], sounds: Sequence[files.SoundFile]) -> files.Tally:
    for sound in about['lost']:
        files.echo(f'{sounds[sound].path}: skipped, as in the previous run')
    failed = Counter(about[FAILED])
    return files.Tally(skipped=len(sounds) - failed.total(), failed=failed)


def _read_about(folder: pathlib.Path) -> dict[str, Any]:
    """The metadata of a report; empty if there is none."""
    with contextlib.suppress(SoundNetError):
        about = storage.read_json(folder / ABOUT)
        return about if 'fingerprint' in about else {}
    return {}


def _require_report(folder: pathlib.Path) -> None:
    """Raise SoundNetError if the folder exists and is not a report, or contains other files as well."""
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if folder.exists() and not folder.is_dir():
        raise SoundNetError(f'{folder}: not a folder. Use another --out')
    if names and not _read_about(folder):
        raise SoundNetError(f'{folder}: exists and is not a report. Use another --out')
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
    """Whether it may be a leftover of a stopped run, see `storage.whole_file`."""
    return name[0] == '.' and name.endswith('.part')


def _name(net: saved.Path) -> str:
    """What a reader knows the net by: its folder, or the run's that it was trained in."""
    folder = pathlib.Path(net).resolve()
    return (folder.parent.name if folder.name == 'net' else '') or folder.name


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
    """Hashes of all inputs of the survey (`survey`) and of the whole report (`fingerprint`).

    Model files are hashed by content, other files by size, time and readability. `excluded` is the report itself.
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


def _replace(out: pathlib.Path, parts: pathlib.Path) -> None:
    _require_report(out)  # files may have been added in the meantime
    for name in (STATE, excerpts.INDEX):
        (parts / name).unlink(missing_ok=True)
    storage.replace_folder(parts, out)


def _new_survey(
    embedder: Embedder, sounds: Sequence[files.SoundFile], mapped: NDArray[np.int64], wanted: Wanted
) -> Survey:
    spec = embedder.spec
    maps = [name for name in spec.layer_names if name in {*wanted.layers, spec.feature_layer}]
    return Survey.begin(spec, recordings.of_sounds(sounds), wanted.layers, maps, mapped, wanted.top)

"""Write embeddings: an npz file per sound, or one table; atomically."""

import hashlib
import io
import os
import pathlib
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from soundnet_tf import storage
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import table_files
from soundnet_tf.inference.embed import Embedder
from soundnet_tf.inference.embedding import Embedding, Embeddings
from soundnet_tf.inference.files import SoundFile, Tally, echo, listen

Pool = Literal['none', 'mean', 'max']
"""Pooling over time; none keeps every time step."""

_POOLS: dict[str, Callable[[Embedding], Any]] = {
    'none': lambda embedding: embedding.values,
    'mean': Embedding.mean,
    'max': Embedding.max,
}

FORMATS = ('npz', *table_files.TABLES)

LONGEST_NAME = 255
"""Maximum length of a file name in bytes on the usual systems."""

Facts = Mapping[str, str]
"""The settings that every output of a run records."""

STAMPS = ('source_bytes', 'source_mtime_ns')
"""Size and modification time of the sound file when the run read it."""


def embed_files(
    embedder: Embedder,
    files: Sequence[SoundFile],
    out: str,
    format: str = 'npz',
    layer: str | None = None,
    pool: str = 'none',
) -> Tally:
    """Embed each file and write it: npz files below the folder `out`, or all as rows of one table, the file `out`.

    What an earlier run finished is skipped, and what another run is at is left to it. A table is put together at the
    end, of npz files in the hidden folder `.out.parts` beside it; that stays where files failed, so that a next run
    does only those. A bad sound is told and counted, see `files.listen`; so is one whose npz would take the place of
    another sound's. Raises SoundNetError for an unknown layer or pool, where `out` cannot be what it must be, and where
    it was made with another net, layer or pool.
    """
    layer = embedder.listener.resolve_layer(layer)

    def to_npz(facts: Facts, folder: str) -> Tally:
        return to_folder(embedder, files, facts, folder, layer)

    return write(embedder, files, out, format, layer, pool, to_npz)


def write(
    embedder: Embedder,
    files: Sequence[SoundFile],
    out: str,
    format: str,
    layer: str,
    pool: str,
    to_npz: Callable[[Facts, str], Tally],
) -> Tally:
    """`embed_files`, with `to_npz` to write the npz files of a folder: `to_folder`, or the same on a cluster."""
    if format not in FORMATS:
        raise SoundNetError(f'format={format!r}: must be one of {", ".join(FORMATS)}')
    is_folder = os.path.isdir(out) if os.path.exists(out) else format == 'npz' or out.endswith(os.sep)
    if is_folder != (format == 'npz'):
        raise SoundNetError(
            f'{out} is a {"folder" if is_folder else "file"}: {format} needs a '
            f'{"file" if is_folder else "folder"} to write to'
        )
    facts = describe(embedder, layer, pool)
    if format == 'npz':
        return to_npz(facts, out)
    table, path = table_files.TABLES[format](), pathlib.Path(out)
    if _is_whole(table, path, files, facts):
        return Tally(skipped=len(files))
    can_resume = path.is_file() or not path.exists()
    # Nothing is beside a device or a pipe, and nobody resumes from one.
    parts = path.with_name(f'.{path.name}.parts') if can_resume else pathlib.Path(tempfile.mkdtemp(prefix='soundnet'))
    claim = storage.Claim.of(parts)
    if claim is None:
        raise SoundNetError(f'{out}: another run is writing it. Wait for it, or stop it first')
    try:
        for file in files:  # of a sound that has changed since, and may be damaged now
            if not is_finished(npz_path(parts, file), file, facts):
                npz_path(parts, file).unlink(missing_ok=True)
        tally = to_npz(facts, str(parts))
        # Unfinished files were removed, so what exists is right, whichever run wrote it.
        rows = [path for path in (npz_path(parts, file) for file in files) if path.exists()]
        if rows:
            with storage.whole_file(path) as draft:
                table.write(draft, map(read_npz, rows))
        if lost := len(files) - len(rows) - tally.failed.total():
            tally.failed['not in the table, ask again'] += lost
        if not tally.failed or not rows:
            shutil.rmtree(parts, ignore_errors=True)
    finally:
        claim.release()
        if not can_resume:
            shutil.rmtree(parts, ignore_errors=True)
    return tally


def to_folder(embedder: Embedder, files: Sequence[SoundFile], facts: Facts, out: str, layer: str) -> Tally:
    """An npz for each file that has none yet. Concurrent processes share the files among themselves."""
    tally = Tally()
    claims, stamps = dict[SoundFile, storage.Claim](), dict[SoundFile, dict[str, int]]()

    def todo() -> Iterator[SoundFile]:
        for file in files:
            path = npz_path(out, file)
            finished = is_finished(path, file, facts)
            if not finished and (other := _is_anothers(path, file, facts)):
                way_out = 'Use another --out, or --root for a folder above both'
                echo(f'{file.path}: {path} has the embedding of {other}. {way_out}')
                tally.failed['output name taken'] += 1
                continue
            claim = None if finished else storage.Claim.of(path)
            if claim is None:
                tally.skipped += finished
                tally.elsewhere += not finished
            elif is_finished(path, file, facts):  # another process finished it between the two checks
                tally.skipped += 1
                claim.release()
            else:
                # Before decoding: the next run notices a change in the meantime.
                claims[file], stamps[file] = claim, stamp(file)
                yield file

    def done(file: SoundFile, embeddings: Embeddings | None) -> None:
        stamped = stamps.pop(file)
        if embeddings is not None:
            write_npz(npz_path(out, file), embeddings[layer], {'path': file.path, **facts}, stamped)
        claims.pop(file).release()

    try:
        listen(embedder.listener, todo(), [layer], done, tally, len(files))
    finally:
        for claim in claims.values():
            claim.release()
    return tally


def _is_whole(table: table_files.Table, out: pathlib.Path, files: Sequence[SoundFile], facts: Facts) -> bool:
    """Whether the table has exactly these rows, for the current files. Raises SoundNetError if it is not a table."""
    if not out.is_file():  # nothing can be read back from a device or a pipe
        return False
    try:
        there = list(table.facts(out, ['path', *facts, *STAMPS]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SoundNetError(
            f'{out}: not such a table of embeddings ({error}). Use another --out, or remove it'
        ) from None
    for row in there:
        refuse_others(out, row, facts)
    wanted = [{'path': table.text(file.path), **facts, **stamp(file)} for file in files]
    return bool(facts['weights_sha256']) and there == wanted


def describe(embedder: Embedder, layer: str, pool: str) -> Facts:
    """The settings of a run, for each output."""
    if pool not in _POOLS:
        raise SoundNetError(f'pool={pool!r}: must be one of {", ".join(_POOLS)}')
    return {
        'layer': layer,
        'pool': pool,
        'short': embedder.listener.short,
        'channel': embedder.listener.channel,
        'precision': embedder.listener.precision,
        'edges': embedder.listener.edges,
        'model': embedder.spec.name,
        'weights_sha256': embedder.facts.get('weights_sha256', ''),
    }


def stamp(file: SoundFile) -> dict[str, int]:
    """Size and modification time, to detect changes; 0 if there is no file."""
    try:
        found = os.stat(file.path)
    except OSError:
        return dict.fromkeys(STAMPS, 0)
    return dict(zip(STAMPS, (found.st_size, found.st_mtime_ns), strict=True))


def record(embedding: Embedding, facts: Facts, stamped: Mapping[str, int]) -> dict[str, Any]:
    """All values written for one sound, whose path is among the `facts`.

    `values` is `[time, channels]` with `times` `[time]` in seconds; pooled `[channels]`, without times.
    """
    values = _POOLS[facts['pool']](embedding)
    times = {'times': embedding.times} if facts['pool'] == 'none' else {}
    length = {'sample_rate': SAMPLE_RATE, 'seconds': embedding.seconds}
    return {
        **facts,
        **stamped,
        **length,
        'tiled': embedding.tiled,
        'padded': embedding.padded,
        **times,
        'values': values,
    }


def npz_path(out: str | os.PathLike[str], file: SoundFile) -> pathlib.Path:
    """The path of a sound's npz: `a/rain.wav` becomes `out/a/rain.wav.npz`."""
    name = file.name.name + '.npz'
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f'{file.name.name[:40]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}.npz'
    return pathlib.Path(out) / file.name.with_name(name)


def write_npz(path: pathlib.Path, embedding: Embedding, facts: Facts, stamped: Mapping[str, int]) -> None:
    """Write one embedding as an npz with the values of `record`."""
    # In memory first: on a full disk closing the zip would raise a second error.
    npz = io.BytesIO()
    np.savez(npz, **record(embedding, facts, stamped))
    with storage.whole_file(path) as draft:
        draft.write(npz.getbuffer())


def read_npz(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what `write_npz` wrote: arrays, and plain values for scalars."""
    with np.load(path, allow_pickle=False) as there:
        # Each array is read from the file only once.
        return {key: value if value.ndim else value.item() for key, value in there.items()}


def is_finished(path: pathlib.Path, file: SoundFile, facts: Facts) -> bool:
    """Whether `path` has what would be written now: the current file, and known weights."""
    there = _stated(path, ['path', *facts, *STAMPS]) if facts['weights_sha256'] else None
    return there is not None and _is_same(there.pop('path'), file.path) and there == {**facts, **stamp(file)}


def _is_anothers(path: pathlib.Path, file: SoundFile, facts: Facts) -> str | None:
    """The other sound whose embedding is in `path`, if that sound still exists.

    Raises SoundNetError where it is of the same sound, listened to otherwise: what is finished is not written over.
    """
    there = _stated(path, ['path', *facts])
    if there is None:
        return None
    other = there.pop('path')
    if os.path.exists(other) and not _is_same(other, file.path):
        return other
    refuse_others(path, there, facts)
    return None


def refuse_others(path: pathlib.Path, there: Mapping[str, Any], facts: Facts) -> None:
    """Raises SoundNetError, which says in what they differ, where an output was made with other settings."""
    storage.check_same(path, {key: there[key] for key in facts}, facts, 'Use another --out, or remove it')


def _is_same(path: str, other: str) -> bool:
    try:
        return path == other or os.path.samefile(path, other)
    except OSError:
        return False


def _stated(path: pathlib.Path, keys: Iterable[str]) -> dict[str, Any] | None:
    """The values of these keys in an npz; None if it does not exist or is not ours."""
    try:
        with np.load(path, allow_pickle=False) as there:
            return {key: there[key].item() for key in keys}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None

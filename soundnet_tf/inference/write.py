"""Embeddings as files: an npz for each sound, or all in one table; whole or not at all."""

import contextlib
import os
import pathlib
import secrets
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any, Literal

import numpy as np

from soundnet_tf import locks
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import tables
from soundnet_tf.inference.embed import Embedder
from soundnet_tf.inference.embedding import Embedding
from soundnet_tf.inference.files import SoundFile, Tally, listen
from soundnet_tf.inference.listening import Heard

Pool = Literal['none', 'mean', 'max']
"""What is written: every time step, or their average or maximum."""

_POOLS: dict[str, Callable[[Embedding], Any]] = {
    'none': lambda embedding: embedding.values,
    'mean': Embedding.mean,
    'max': Embedding.max,
}

FORMATS = ('npz', *tables.TABLES)

Facts = Mapping[SoundFile, Mapping[str, str]]


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
    end, of npz files in the folder `out`.parts; that stays where files failed, so that a next run does only those. A
    bad sound is told and counted, see `files.listen`. Raises SoundNetError, before anything is written, for an unknown
    layer or pool, and where `out` cannot be what it must be.
    """
    layer = embedder.known(layer)

    def to_npz(facts: Facts, folder: str) -> Tally:
        return to_folder(embedder, facts, folder, layer)

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
    """`embed_files`, where `to_npz` makes the npz files in a folder: `to_folder`, or a cluster that does the same."""
    if format not in FORMATS:
        raise SoundNetError(f'there is no format {format!r}: give {", ".join(FORMATS)}')
    if os.path.exists(out) and os.path.isdir(out) != (format == 'npz'):
        raise SoundNetError(f'{out} exists: {format} needs a {"folder" if format == "npz" else "file"} to write to')
    facts = {file: describe(embedder, file, layer, pool) for file in files}
    if format == 'npz':
        return to_npz(facts, out)
    table = tables.TABLES[format]()
    if _is_whole(table, pathlib.Path(out), facts):
        return Tally(skipped=len(files))
    parts = pathlib.Path(f'{out}.parts')
    claim = locks.Claim.of(parts)
    if claim is None:
        raise SoundNetError(f'another run is writing {out}: wait for it, or stop it first')
    try:
        tally = to_npz(facts, str(parts))
        finished = [npz_path(parts, file) for file in facts if is_finished(npz_path(parts, file), file, facts[file])]
        if finished:
            with whole_file(pathlib.Path(out)) as draft:
                table.write(draft, map(read_npz, finished))
        if not tally.failed or not finished:
            shutil.rmtree(parts, ignore_errors=True)
    finally:
        claim.release()
    return tally


def to_folder(embedder: Embedder, facts: Facts, out: str, layer: str) -> Tally:
    """An npz for each file that has none yet; of processes that do so at once, each takes what no other is at."""
    tally, claims = Tally(), dict[SoundFile, locks.Claim]()

    def todo() -> Iterator[SoundFile]:
        for file in facts:
            path = npz_path(out, file)
            finished = is_finished(path, file, facts[file])
            claim = None if finished else locks.Claim.of(path)
            if claim is None:
                tally.skipped += finished
                tally.elsewhere += not finished
            elif is_finished(path, file, facts[file]):  # by another, between the two looks
                tally.skipped += 1
                claim.release()
            else:
                claims[file] = claim
                yield file

    def done(file: SoundFile, heard: Heard | None) -> None:
        if heard is not None:
            write_npz(npz_path(out, file), heard[layer], facts[file])
        claims.pop(file).release()

    try:
        listen(embedder, todo(), [layer], done, tally, len(facts))
    finally:
        for claim in claims.values():
            claim.release()
    return tally


def _is_whole(table: tables.Table, out: pathlib.Path, facts: Facts) -> bool:
    """Whether the table has just these rows, and is no older than any of the sounds."""
    try:
        written = out.stat().st_mtime
        if any(os.path.getmtime(file.path) > written for file in facts):
            return False
        return list(table.facts(out, list(next(iter(facts.values()))))) == list(facts.values())
    except (OSError, ValueError, KeyError):
        return False


def describe(embedder: Embedder, file: SoundFile, layer: str, pool: str) -> dict[str, str]:
    """What an output states beside its numbers: which sound, and how it was listened to."""
    if pool not in _POOLS:
        raise SoundNetError(f'there is no pool {pool!r}: give {", ".join(_POOLS)}')
    return {
        'path': file.path,
        'layer': layer,
        'pool': pool,
        'short': embedder.short,
        'channel': embedder.channel,
        'precision': embedder.precision,
        'model': embedder.spec.name,
        'weights_sha256': embedder.facts.get('weights_sha256', ''),
    }


def record(embedding: Embedding, facts: Mapping[str, str]) -> dict[str, Any]:
    """All that is written of one sound.

    `values` is `[time, channels]` with `times` `[time]` in seconds; pooled `[channels]`, without times.
    """
    values = _POOLS[facts['pool']](embedding)
    times = {'times': embedding.times} if facts['pool'] == 'none' else {}
    length = {'sample_rate': SAMPLE_RATE, 'seconds': embedding.seconds}
    return {**facts, **length, 'tiled': embedding.tiled, 'padded': embedding.padded, **times, 'values': values}


def npz_path(out: str | os.PathLike[str], file: SoundFile) -> pathlib.Path:
    """Where a sound's npz goes: the inputs' own folders below `out`, `a/rain.wav` as `a/rain.wav.npz`."""
    return pathlib.Path(out) / file.name.with_name(file.name.name + '.npz')


def write_npz(path: pathlib.Path, embedding: Embedding, facts: Mapping[str, str]) -> None:
    """One embedding as an npz, with folders made as needed; `record` says what is in it."""
    with whole_file(path) as draft:
        np.savez(draft, **record(embedding, facts))


def read_npz(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What `write_npz` wrote: arrays, and plain values for what is single."""
    with np.load(path, allow_pickle=False) as there:
        return {key: there[key] if there[key].ndim else there[key].item() for key in there.files}


def is_finished(path: pathlib.Path, file: SoundFile, facts: Mapping[str, str]) -> bool:
    """Whether `path` holds what would be written now: same facts, and no older than the sound."""
    try:
        if os.path.getmtime(path) < os.path.getmtime(file.path):
            return False
        with np.load(path, allow_pickle=False) as there:
            return all(str(there[key]) == value for key, value in facts.items())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return False


@contextlib.contextmanager
def whole_file(path: pathlib.Path) -> Iterator[IO[bytes]]:
    """A new file to fill, which takes the place of `path` at the end if nothing was raised."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f'.{secrets.token_hex(8)}.part')
    try:
        with draft.open('xb') as file:
            yield file
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)

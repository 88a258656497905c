"""Embeddings as files: an npz for each sound, or one JSON line each; whole or not at all."""

import contextlib
import json
import os
import pathlib
import secrets
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference.embed import Embedder, Embedding
from soundnet_tf.inference.files import SoundFile, Tally, each

Pool = Literal['none', 'mean', 'max']
"""What is written: every time step, or their average or maximum."""

_POOLS: dict[str, Callable[[Embedding], Any]] = {
    'none': lambda embedding: embedding.values,
    'mean': Embedding.mean,
    'max': Embedding.max,
}


def embed_files(
    embedder: Embedder,
    files: Sequence[SoundFile],
    out: str,
    format: str = 'npz',
    layer: str | None = None,
    pool: str = 'none',
) -> Tally:
    """Embed each file and write it: npz files below the folder `out`, or all as lines of the jsonl file `out`.

    npz files that an earlier run finished are skipped. A bad sound is told and counted, see `files.each`. Raises
    SoundNetError, before anything is written, for an unknown layer or pool, and where `out` cannot be what it must be.
    """
    if format not in ('npz', 'jsonl'):
        raise SoundNetError(f'there is no format {format!r}: give npz or jsonl')
    if os.path.exists(out) and os.path.isdir(out) != (format == 'npz'):
        raise SoundNetError(f'{out} exists: {format} needs a {"folder" if format == "npz" else "file"} to write to')
    layer = embedder.known(layer)
    facts = {file: describe(embedder, file, layer, pool) for file in files}

    def to_npz(file: SoundFile) -> bool:
        path = npz_path(out, file)
        if is_finished(path, file, facts[file]):
            return False
        write_npz(path, embedder.embed_file(file.path, layer), facts[file])
        return True

    if format == 'npz':
        return each(files, to_npz, embedder.decoder)
    with contextlib.suppress(_NothingDone), whole_file(pathlib.Path(out)) as lines:

        def to_line(file: SoundFile) -> bool:
            lines.write(json_line(embedder.embed_file(file.path, layer), facts[file]).encode() + b'\n')
            return True

        tally = each(files, to_line, embedder.decoder)
        if not tally.done:
            raise _NothingDone
    return tally


class _NothingDone(Exception):
    """There is no line to write: what an earlier run left stays."""


def describe(embedder: Embedder, file: SoundFile, layer: str, pool: str) -> dict[str, str]:
    """What an output states beside its numbers: which sound, and how it was listened to."""
    if pool not in _POOLS:
        raise SoundNetError(f'there is no pool {pool!r}: give {", ".join(_POOLS)}')
    return {
        'path': file.path,
        'layer': layer,
        'pool': pool,
        'short': embedder.short,
        'model': embedder.spec.name,
        'weights_sha256': embedder.facts.get('weights_sha256', ''),
    }


def record(embedding: Embedding, facts: Mapping[str, str]) -> dict[str, Any]:
    """All that is written of one sound.

    `values` is `[time, channels]` with `times` `[time]` in seconds; pooled `[channels]`, without times.
    """
    values = _POOLS[facts['pool']](embedding)
    times = {'times': embedding.times} if facts['pool'] == 'none' else {}
    length = {'sample_rate': SAMPLE_RATE, 'seconds': embedding.seconds, 'tiled': embedding.tiled}
    return {**facts, **length, **times, 'values': values}


def npz_path(out: str | os.PathLike[str], file: SoundFile) -> pathlib.Path:
    """Where a sound's npz goes: the inputs' own folders below `out`, `a/rain.wav` as `a/rain.wav.npz`."""
    return pathlib.Path(out) / file.name.with_name(file.name.name + '.npz')


def write_npz(path: pathlib.Path, embedding: Embedding, facts: Mapping[str, str]) -> None:
    """One embedding as an npz, with folders made as needed; `record` says what is in it."""
    with whole_file(path) as draft:
        np.savez(draft, **record(embedding, facts))


def is_finished(path: pathlib.Path, file: SoundFile, facts: Mapping[str, str]) -> bool:
    """Whether `path` holds what would be written now: same facts, and no older than the sound."""
    try:
        if os.path.getmtime(path) < os.path.getmtime(file.path):
            return False
        with np.load(path, allow_pickle=False) as there:
            return all(str(there[key]) == value for key, value in facts.items())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return False


def json_line(embedding: Embedding, facts: Mapping[str, str]) -> str:
    """One embedding as a line of JSON; `record` says what is in it."""
    values = record(embedding, facts)
    return json.dumps({key: _digits(v) if isinstance(v, np.ndarray) else v for key, v in values.items()})


def _digits(values: NDArray[np.floating]) -> list[Any]:
    # By way of str: a float32's own shortest digits, which are half as many as the same number's as float64.
    return [_digits(row) if row.ndim else float(str(row)) for row in values]


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

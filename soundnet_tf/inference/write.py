"""Write embeddings: an npz or npy file per sound, or one table; atomically."""

import hashlib
import itertools
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from soundnet_tf import storage
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import table_files
from soundnet_tf.inference.array_files import ARRAYS, ArrayFile, read_npz
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

FORMATS = (*ARRAYS, *table_files.TABLES)

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
    layers: Sequence[str] = (),
    pool: str = 'none',
) -> Tally:
    """Embed each file and write it: npz or npy files below the folder `out`, or rows of one table, the file `out`.

    All `layers`, the feature layer if there are none, come from one pass over a sound, which must be long enough for
    all of them, or is extended for all of them. Finished files are skipped, and so are those that another run is
    processing. A table is written at the end, from npz files in the hidden folder `.out.parts` beside it; that stays if
    files failed, so that the next run processes only those. A bad sound is reported and counted, see `files.listen`; so
    is one whose output would replace another sound's. Raises SoundNetError for an unknown layer or pool, if `out` is a
    file where a folder is needed or a folder where a file is, and if it was made with another net, layer or pool.
    """
    layers = embedder.listener.resolve_layers(layers)

    def to_arrays(facts: Facts, folder: str, arrays: ArrayFile) -> Tally:
        return to_folder(embedder, files, facts, folder, layers, arrays)

    return write(embedder, files, out, format, layers, pool, to_arrays)


def write(
    embedder: Embedder,
    files: Sequence[SoundFile],
    out: str,
    format: str,
    layers: Sequence[str],
    pool: str,
    to_arrays: Callable[[Facts, str, ArrayFile], Tally],
) -> Tally:
    """`embed_files`, with `to_arrays` to write the files of a folder: `to_folder`, or the same on a cluster."""
    if format not in FORMATS:
        raise SoundNetError(f'format={format!r}: must be one of {", ".join(FORMATS)}')
    is_folder = os.path.isdir(out) if os.path.exists(out) else format in ARRAYS or out.endswith(os.sep)
    if is_folder != (format in ARRAYS):
        raise SoundNetError(
            f'{out} is a {"folder" if is_folder else "file"}: {format} needs a '
            f'{"file" if is_folder else "folder"} to write to'
        )
    storage.refuse_input(out, (file.path for file in files))
    facts = describe(embedder, layers, pool)
    if format in ARRAYS:
        return to_arrays(facts, out, ARRAYS[format])
    table, path = table_files.TABLES[format](), pathlib.Path(out)
    # Nothing can be read back from a device or a pipe: it has no folder for parts, and a run to it cannot be resumed.
    can_resume = not storage.is_stream(path)
    if can_resume and _is_whole(table, path, files, facts):
        return Tally(skipped=len(files))
    parts = path.with_name(f'.{path.name}.parts') if can_resume else pathlib.Path(tempfile.mkdtemp(prefix='soundnet'))
    try:
        with storage.exclusive(parts, out):
            for file in files:  # of a sound that has changed since, and may be damaged now
                if not is_finished(output_path(parts, file), file, facts):
                    output_path(parts, file).unlink(missing_ok=True)
            tally = to_arrays(facts, str(parts), ARRAYS['npz'])
            # Unfinished files were removed, so what exists is right, whichever run wrote it.
            written = [path for path in (output_path(parts, file) for file in files) if path.exists()]
            if written:
                with storage.whole_file(path) as draft:
                    table.write(draft, (row for path in written for row in table_rows(read_npz(path))))
            if missing := len(files) - len(written) - tally.failed.total():
                tally.failed['not in the table, run again'] += missing
            if not tally.failed or not written:
                shutil.rmtree(parts, ignore_errors=True)
    finally:
        if not can_resume:
            shutil.rmtree(parts, ignore_errors=True)
    return tally


def to_folder(
    embedder: Embedder,
    files: Sequence[SoundFile],
    facts: Facts,
    out: str,
    layers: Sequence[str],
    arrays: ArrayFile = ARRAYS['npz'],
) -> Tally:
    """An output for each file that has none yet. Concurrent processes share the files among themselves."""
    tally = Tally()
    claims, stamps = dict[SoundFile, storage.Claim](), dict[SoundFile, dict[str, int]]()

    def todo() -> Iterator[SoundFile]:
        for file in files:
            path = output_path(out, file, arrays.suffix)
            finished = is_finished(path, file, facts, arrays)
            if not finished and (other := _is_anothers(path, file, facts, arrays)):
                hint = 'Use another --out, or --root for a folder above both'
                echo(f'{file.path}: {path} has the embedding of {other}. {hint}')
                tally.failed['output name taken'] += 1
                continue
            claim = None if finished else storage.Claim.of(path)
            if claim is None:
                tally.skipped += finished
                tally.elsewhere += not finished
            elif is_finished(path, file, facts, arrays):  # another process finished it between the two checks
                tally.skipped += 1
                claim.release()
            else:
                # Before decoding: the next run notices a change in the meantime.
                claims[file], stamps[file] = claim, stamp(file)
                yield file

    def done(file: SoundFile, embeddings: Embeddings | None) -> None:
        stamped = stamps.pop(file)
        if embeddings is not None:
            row = record(embeddings, {'path': file.path, **facts}, stamped)
            arrays.write(output_path(out, file, arrays.suffix), row)
        claims.pop(file).release()

    try:
        listen(embedder.listener, todo(), layers, done, tally, len(files))
    finally:
        for claim in claims.values():
            claim.release()
    return tally


def _is_whole(table: table_files.Table, out: pathlib.Path, files: Sequence[SoundFile], facts: Facts) -> bool:
    """Whether the table has exactly these rows, for the current files. Raises SoundNetError if it is not a table."""
    if not out.exists() or not out.stat().st_size:  # such as one that mktemp made
        return False
    with storage.readable(out, 'Use another --out, or remove it'):
        there = _sounds(table.facts(out, ['path', *facts, *STAMPS]))
    for row in there:
        refuse_others(out, row, facts)
    wanted = [{'path': table.text(file.path), **facts, **stamp(file)} for file in files]
    return bool(facts['weights_sha256']) and there == wanted


def _sounds(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of each sound as one, with all of its layers."""
    groups = [list(group) for _, group in itertools.groupby(rows, key=lambda row: row['path'])]
    return [{**group[0], 'layer': ','.join(row['layer'] for row in group)} for group in groups]


def describe(embedder: Embedder, layers: Sequence[str], pool: str) -> Facts:
    """The settings of a run, for each output."""
    if pool not in _POOLS:
        raise SoundNetError(f'pool={pool!r}: must be one of {", ".join(_POOLS)}')
    return {
        'layer': ','.join(layers),
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


def record(embeddings: Embeddings, facts: Facts, stamped: Mapping[str, int]) -> dict[str, Any]:
    """All values written for one sound, whose path is among the `facts`.

    `values` is `[time, channels]` with `times` `[time]` in seconds; pooled `[channels]`, without times. Of several
    layers these are `values_pool5`, `times_pool5` and so on.
    """
    sound = next(iter(embeddings.values()))
    row = {**facts, **stamped, 'sample_rate': SAMPLE_RATE, 'seconds': sound.seconds}
    row |= {'tiled': sound.tiled, 'padded': sound.padded, 'silent': sound.silent}
    for layer, embedding in embeddings.items():
        suffix = f'_{layer}' if len(embeddings) > 1 else ''
        if facts['pool'] == 'none':
            row[f'times{suffix}'] = embedding.times
        row[f'values{suffix}'] = _POOLS[facts['pool']](embedding)
    return row


def table_rows(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A `record` as rows of a table: one for each layer."""
    arrays = [key for key in row if key.startswith(('times', 'values'))]
    facts = {key: value for key, value in row.items() if key not in arrays}
    for key in arrays:
        if key.startswith('values'):
            suffix = key.removeprefix('values')
            layer = suffix.removeprefix('_') or facts['layer']
            own = {name: row[name + suffix] for name in ('times', 'values') if name + suffix in row}
            yield {**facts, 'layer': layer, **own}


def output_path(out: str | os.PathLike[str], file: SoundFile, suffix: str = '.npz') -> pathlib.Path:
    """The path of a sound's output: `a/rain.wav` becomes `out/a/rain.wav.npz`."""
    name = file.name.name + suffix
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f'{file.name.name[:40]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}{suffix}'
    return pathlib.Path(out) / file.name.with_name(name)


def is_finished(path: pathlib.Path, file: SoundFile, facts: Facts, arrays: ArrayFile = ARRAYS['npz']) -> bool:
    """Whether `path` has what would be written now: the current file, and known weights."""
    there = arrays.facts(path, ['path', *facts, *STAMPS]) if facts['weights_sha256'] else None
    return there is not None and is_same_file(there.pop('path'), file.path) and there == {**facts, **stamp(file)}


def _is_anothers(path: pathlib.Path, file: SoundFile, facts: Facts, arrays: ArrayFile) -> str | None:
    """The other sound whose embedding is in `path`, if that sound still exists.

    Raises SoundNetError if it is of the same sound with other settings: what is finished is not overwritten.
    """
    there = arrays.facts(path, ['path', *facts])
    if there is None:
        return None
    other = there.pop('path')
    if os.path.exists(other) and not is_same_file(other, file.path):
        return other
    refuse_others(path, there, facts)
    return None


def refuse_others(path: pathlib.Path, there: Mapping[str, Any], facts: Facts) -> None:
    """Raise SoundNetError, with the differences, if an output was made with other settings."""
    storage.check_same(path, {key: there[key] for key in facts}, facts, 'Use another --out, or remove it')


def is_same_file(path: str, other: str) -> bool:
    """Whether two paths are of one file, whether or not it exists."""
    try:
        return path == other or os.path.samefile(path, other)
    except OSError:
        return False

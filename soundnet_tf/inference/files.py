"""Many sound files: finding them, naming their outputs, and processing them without stopping at a bad one."""

import codecs
import collections
import contextlib
import dataclasses
import glob
import os
import pathlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from soundnet_tf import storage
from soundnet_tf.audio import MEDIA_SUFFIXES, SAMPLE_RATE, Waveform, notes
from soundnet_tf.audio.notes import Note
from soundnet_tf.errors import BadAudio, MissingTool, ShortClip, SoundNetError
from soundnet_tf.inference import listening
from soundnet_tf.inference.embedding import Listener, Timed

SUFFIXES = tuple(sorted(MEDIA_SUFFIXES))


@dataclasses.dataclass(frozen=True)
class SoundFile:
    """`path` as specified by the user; `name` is the path below the folder that all inputs share."""

    path: str
    name: pathlib.PurePath


NOT_A_FILE = 'not a file'
"""Reason: found in a folder, and not a regular file, so that reading it may never end."""


def find(
    arguments: Sequence[str],
    listed: Sequence[str] = (),
    root: str | None = None,
    left_out: collections.Counter[str] | None = None,
) -> list[SoundFile]:
    """The specified files, the matches of globs, and the files in folders at any depth, each once, without hidden ones.

    Names begin at `root`, or at the folder that all have in common. Among the `listed`, folders may be empty, and a
    glob without matches is a file name. An unreadable folder counts as a file; an empty one beside others is
    reported. So is what folders and globs have that is no regular file, such as a pipe; `left_out` counts it. Raises
    SoundNetError for no arguments, if there are no sound files, for globs without matches, and for files that are not
    below `root`.
    """
    if not arguments and not listed:
        raise SoundNetError('no input: pass sound files, globs or folders')
    if '' in arguments:
        raise SoundNetError('empty path: pass sound files (is a shell variable unset?)')
    if '-' in arguments and not os.path.exists('-'):
        raise SoundNetError(
            '-: not a sound file. Use /dev/stdin, --paths_from=- for a list of files, or --pcm=- for live sound'
        )
    left_out = collections.Counter() if left_out is None else left_out
    named = [path for argument in arguments for path in _fitting(argument, left_out)]
    named += [path for line in listed for path in _fitting(line, left_out, may_be_a_name=True)]
    paths, empty = dict[str, str](), list[str]()
    for argument in named:
        inside = _walk(argument, left_out) if os.path.isdir(argument) else [argument]
        if not inside and argument not in listed:
            empty.append(f'{argument}: no sound files in this folder')
        for path in inside:
            paths.setdefault(os.path.abspath(path), path)
    if empty and not paths:
        raise SoundNetError(empty[0])
    for line in empty:
        echo(line)
    if not paths:
        raise SoundNetError('the list has no sound files')
    tops = {path if os.path.isdir(path) else os.path.dirname(path) for path in map(os.path.abspath, named)}
    common = os.path.commonpath(tops) if root is None else os.path.abspath(root)
    names = {full: pathlib.PurePath(os.path.relpath(full, common)) for full in paths}
    if outside := [paths[full] for full, name in names.items() if name.parts[0] == os.pardir]:
        raise SoundNetError(f'{outside[0]}: not below {root}. Use another --root, or none')
    return [SoundFile(path, names[full]) for full, path in paths.items()]


def listed(path: str) -> list[str]:
    """The lines of a list of files, folders or globs; `-` reads standard input.

    Raises SoundNetError if the list cannot be read or is empty.
    """
    try:
        with contextlib.nullcontext(sys.stdin.buffer) if path == '-' else storage.opened(path) as file:
            data = file.read()
    except OSError as error:
        raise SoundNetError(f'{path}: list cannot be read ({error.strerror}). Check the path') from None
    if b'\0' in data:
        raise SoundNetError(f'{path}: not a list. Pass a text file with a path on each line')
    # File names may contain any bytes, not only UTF-8.
    lines = map(os.fsdecode, data.removeprefix(codecs.BOM_UTF8).split(b'\n'))
    found = [line.removesuffix('\r') for line in lines if line.strip()]
    if not found:
        raise SoundNetError(f'{"standard input" if path == "-" else path}: empty list. Put a path on each line')
    return found


def _fitting(argument: str, left_out: collections.Counter[str], may_be_a_name: bool = False) -> list[str]:
    if not glob.has_magic(argument) or os.path.exists(argument):
        return [argument]
    found = sorted(glob.glob(argument, recursive=True))
    if not found and may_be_a_name:
        return [argument]
    if not found:
        raise SoundNetError(f'{argument}: no file matches. Check the path, and quote the glob')
    return [path for path in found if os.path.isdir(path) or _is_file(path, left_out)]


def _is_file(path: str, left_out: collections.Counter[str]) -> bool:
    """Whether something that was found is a regular file; reported and counted if not."""
    if kind := storage.not_a_file(path):
        echo(f'{path}: is {kind}, so it is left out. Pass it by name to read it, or remove it')
        left_out[NOT_A_FILE] += 1
    return not kind


def _walk(folder: str, left_out: collections.Counter[str]) -> list[str]:
    found: list[str] = []
    unreadable: list[OSError] = []
    for parent, folders, names in os.walk(folder, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if name[0] != '.')
        sounds = sorted(name for name in names if name[0] != '.' and name.lower().endswith(SUFFIXES))
        found += [path for name in sounds if _is_file(path := os.path.join(parent, name), left_out)]
    # Listed as if they were files, so that reading them reports the error.
    return found + [error.filename for error in unreadable]


@dataclasses.dataclass
class Tally:
    """Counts of the files of a run, by outcome."""

    done: int = 0
    skipped: int = 0
    elsewhere: int = 0
    """Files that another run is processing."""
    incomplete: int = 0
    """Files of which something is missing, among those done."""
    failed: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    hours: float = 0.0
    """Hours of sound in the files that are done."""

    @property
    def status(self) -> int:
        """The exit status of a command: 1 if a file failed."""
        return 1 if self.failed else 0

    @property
    def files(self) -> int:
        """The total."""
        return self.done + self.skipped + self.elsewhere + self.failed.total()

    def __str__(self) -> str:
        parts = [f'{self.done} done' + (f' ({self.incomplete} incomplete)' if self.incomplete else '')]
        if self.skipped:
            parts.append(f'{self.skipped} skipped, finished before')
        if self.elsewhere:
            parts.append(f'{self.elsewhere} in progress in another run')
        if self.failed:
            reasons = ', '.join(f'{count} {reason}' for reason, count in self.failed.most_common())
            parts.append(f'{self.failed.total()} failed ({reasons})')
        return '; '.join(parts)


Result = TypeVar('Result', bound=Timed)

REASONS = {
    notes.Incomplete: 'incomplete',
    BadAudio: 'unreadable',
    ShortClip: 'too short',
    MissingTool: 'without a library',
}
"""By kind of error, the first that fits."""


def listen(
    listener: Listener[Result],
    files: Iterable[SoundFile],
    layers: Sequence[str],
    done: Callable[[SoundFile, dict[str, Result] | None], None],
    tally: Tally,
    total: int,
) -> None:
    """Call `done` with the results of each file, or with None where the file cannot be used.

    Such a file is reported on stderr in one line and counted, and so is an incomplete one. Every other error ends the
    run, and so does a missing decoder that was specified by name, since no file can be read without it. `files`
    may be an iterator that leaves out some of the `total` and counts them in the `tally`.
    """
    taken: collections.deque[SoundFile] = collections.deque()

    def paths() -> Iterator[str]:
        for file in files:
            taken.append(file)
            yield file.path

    def report(path: str, found: Sequence[Note]) -> None:
        for line in notes.lines(found):
            echo(f'{path}: {line}')
        tally.incomplete += any(note.incomplete for note in found)

    began = time.monotonic()
    with _progress(total) as bar:
        for result in listening.listen_paths(listener, paths(), layers, _watched, report):
            file = taken.popleft()
            if isinstance(result, Exception):
                done(file, None)
                if isinstance(result, MissingTool) and listener.decoder != 'auto':
                    raise result
                echo(' '.join(str(result).split()))
                tally.failed[next(reason for kind, reason in REASONS.items() if isinstance(result, kind))] += 1
            else:
                done(file, result)
                tally.done += 1
                tally.hours += result[layers[0]].seconds / 3600
            if bar is not None:
                bar.set_postfix_str(pace(tally.hours, time.monotonic() - began), refresh=False)
                bar.update(tally.files - bar.n)


def _progress(total: int) -> Any:
    """A progress bar for several files; tqdm is not imported otherwise."""
    if total < 2:
        return contextlib.nullcontext()
    from soundnet_tf import progress

    return progress.bar(total=total, unit='file')


def _watched(pieces: Iterator[Waveform], path: str) -> Iterator[Waveform]:
    """With its own progress bar, since a long sound takes minutes."""
    from soundnet_tf import progress

    samples = 0
    with progress.bar(desc=os.path.basename(path), unit=' s of sound') as bar:
        for piece in pieces:
            yield piece
            samples += len(piece)
            bar.update(samples // SAMPLE_RATE - bar.n)


def pace(hours: float, seconds: float) -> str:
    """Hours of sound per second, as the progress bar has it."""
    return f'{hours / max(seconds, 1e-9):.3f} h of sound/s'


def echo(line: str, *, to_stdout: bool = False) -> None:
    """Print a line on stderr, or on stdout, without breaking the progress bar."""
    stream = sys.stdout if to_stdout else sys.stderr
    # A file name may contain characters that the terminal cannot encode.
    encoding = stream.encoding or 'utf-8'
    bar = sys.modules.get('tqdm')
    write = bar.tqdm.write if bar else print
    write(line.encode(encoding, 'backslashreplace').decode(encoding), file=stream)
    stream.flush()

"""Many sound files: which ones, what their outputs are called, and a run that a bad file does not stop."""

import collections
import dataclasses
import os
import pathlib
import sys
from collections.abc import Callable, Sequence

from soundnet_tf.errors import BadAudio, MissingTool, ShortClip, SoundNetError

SUFFIXES = ('.flac', '.m4a', '.mp3', '.mp4', '.oga', '.ogg', '.opus', '.wav')
"""What is taken from a folder; a file that is named itself may be called anything."""


@dataclasses.dataclass(frozen=True)
class SoundFile:
    """`path` as it was given; `name` is the path below the folder that all inputs have in common."""

    path: str
    name: pathlib.PurePath


def find(arguments: Sequence[str]) -> list[SoundFile]:
    """The named files and those in the named folders, at any depth, each once; hidden ones are left out.

    Raises SoundNetError for no arguments and for folders that hold no sound.
    """
    if not arguments:
        raise SoundNetError('name sound files, or folders that hold them')
    paths: dict[str, str] = {}
    for argument in arguments:
        inside = _walk(argument) if os.path.isdir(argument) else [argument]
        if not inside:
            raise SoundNetError(f'{argument} holds no sound files ({" ".join(SUFFIXES)})')
        for path in inside:
            paths.setdefault(os.path.abspath(path), path)
    tops = [path if os.path.isdir(path) else os.path.dirname(path) for path in map(os.path.abspath, arguments)]
    common = os.path.commonpath(tops)
    return [SoundFile(path, pathlib.PurePath(os.path.relpath(full, common))) for full, path in paths.items()]


def _walk(folder: str) -> list[str]:
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name[0] != '.')
        sounds = sorted(name for name in names if name[0] != '.' and name.lower().endswith(SUFFIXES))
        found += [os.path.join(parent, name) for name in sounds]
    return found


@dataclasses.dataclass
class Tally:
    """What became of the files of a run."""

    done: int = 0
    skipped: int = 0
    failed: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)

    @property
    def status(self) -> int:
        """The exit status of a binary: 1 where a file failed."""
        return 1 if self.failed else 0

    def __str__(self) -> str:
        parts = [f'{self.done} done']
        if self.skipped:
            parts.append(f'{self.skipped} skipped, finished before')
        if self.failed:
            reasons = ', '.join(f'{count} {reason}' for reason, count in self.failed.most_common())
            parts.append(f'{self.failed.total()} failed ({reasons})')
        return '; '.join(parts)


REASONS = {BadAudio: 'unreadable', ShortClip: 'too short', MissingTool: 'without a decoder'}


def each(files: Sequence[SoundFile], work: Callable[[SoundFile], bool], decoder: str = 'auto') -> Tally:
    """Call `work` on each file; it returns False where it had nothing to do.

    A file that is no usable sound is told on stderr in one line and counted; every other error ends the run, and so
    does the lack of a decoder that was asked for by name, which no file could be read without.
    """
    import tqdm

    tally = Tally()
    # None: a bar on terminals only.
    for file in tqdm.tqdm(files, unit='file', leave=False, disable=None if len(files) > 1 else True):
        try:
            worked = work(file)
        except (BadAudio, ShortClip, MissingTool) as error:
            if isinstance(error, MissingTool) and decoder != 'auto':
                raise
            tell(' '.join(str(error).split()))
            tally.failed[REASONS[type(error)]] += 1
        else:
            tally.done += worked
            tally.skipped += not worked
    return tally


def tell(line: str, *, aloud: bool = False) -> None:
    """A line on stderr, or on stdout where it is `aloud`, that leaves the progress bar whole."""
    import tqdm

    stream = sys.stdout if aloud else sys.stderr
    # A file's name may hold what the terminal's encoding lacks.
    encoding = stream.encoding or 'utf-8'
    tqdm.tqdm.write(line.encode(encoding, 'backslashreplace').decode(encoding), file=stream)

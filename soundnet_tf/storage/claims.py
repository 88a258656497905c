"""The right to make an output: of several processes, one at a time."""

import contextlib
import hashlib
import os
import pathlib
import re
import time
from collections.abc import Callable, Iterator
from typing import IO, Any

from soundnet_tf.errors import SoundNetError

CLAIM = '.claim'
"""In a folder that a run writes to."""


_HIDDEN = re.compile(r'(?:\.[0-9a-f]{16})?\.(?:claim|part)')
"""The names of files that only this package knows: of claims and drafts."""


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let errors name the output: a full disk does not say where, and nobody knows a hidden file."""
    try:
        yield
    except OSError as error:
        if error.errno and (not error.filename or _HIDDEN.fullmatch(os.path.basename(os.fsdecode(error.filename)))):
            error.filename = os.fspath(path)
        raise


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder, and those that it is in, unless it exists; a link may lead to a folder that does not."""
    os.makedirs(os.path.realpath(path), exist_ok=True)


def lock(file: IO[Any]) -> bool:
    """Whether the open file is ours alone now: until it is closed, however the process ends.

    Where the system, or this kind of disk, has no locks, it always is.
    """
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        pass
    return True


class Claim:
    """The right to make an output: a locked file beside it, so that of several processes one does the work.

    It is only to save work: each writes a draft of its own and renames it, so nothing is spoilt without locks.
    """

    def __init__(self, file: IO[Any], path: pathlib.Path) -> None:
        self._file, self._path = file, path

    @classmethod
    def of(cls, output: pathlib.Path, what: str | os.PathLike[str] | None = None) -> 'Claim | None':
        """A claim of the output, or None where another process has it. Folders are made as needed.

        Raises OSError, with the path `what` or else that of the output, where it cannot be written.
        """
        # By its hash: a name may be as long as a system allows.
        name = f'.{hashlib.sha256(os.fsencode(output.name)).hexdigest()[:16]}.claim'
        with naming(what or output):
            return cls.at(output.with_name(name))

    @classmethod
    def at(cls, path: pathlib.Path) -> 'Claim | None':
        """A claim whose file is `path`, or None where another process has it. Folders are made as needed."""
        while True:
            # For writing, since network disks need that for a lock.
            try:
                file = path.open('ab')
            except (FileNotFoundError, NotADirectoryError):
                make_folder(path.parent)
                file = path.open('ab')
            if not lock(file):
                file.close()
                return None
            # Whoever had it may have removed it between our opening and our locking it.
            if _is_at(file, path):
                return cls(file, path)
            file.close()

    def release(self) -> None:
        """To whoever wants it; the file goes."""
        self._path.unlink(missing_ok=True)
        self._file.close()


def in_use(*outputs: str | os.PathLike[str]) -> SoundNetError:
    """The error for outputs that another process has locked."""
    names = ', '.join(os.fspath(output) for output in outputs)
    return SoundNetError(f'{names}: another run is writing to it. Wait for it, or stop it first')


@contextlib.contextmanager
def exclusive(output: pathlib.Path, what: str | os.PathLike[str] | None = None) -> Iterator[None]:
    """Make an output alone.

    Raises SoundNetError, with the path `what` or else that of the output, while another process has the claim of it.
    """
    with _held(Claim.of(output, what), what or output):
        yield


@contextlib.contextmanager
def claimed(folder: pathlib.Path) -> Iterator[None]:
    """Write to a folder, alone.

    Raises SoundNetError while another process writes to it, and if it is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise SoundNetError(f'{folder}: exists and is not a folder. Use another path')
    try:
        with naming(folder):
            claim = Claim.at(folder / CLAIM)
        with _held(claim, folder):
            yield
    finally:
        # Nothing was written, such as for wrong settings.
        with contextlib.suppress(OSError):
            folder.rmdir()


@contextlib.contextmanager
def in_turn(output: pathlib.Path, pause: Callable[[float], object] = time.sleep) -> Iterator[None]:
    """Make an output alone: waits while another process has the claim of it; `pause` sleeps for some seconds."""
    while (claim := Claim.of(output)) is None:
        pause(0.2)
    with _held(claim, output):
        yield


@contextlib.contextmanager
def _held(claim: Claim | None, what: str | os.PathLike[str]) -> Iterator[None]:
    if claim is None:
        raise in_use(what)
    try:
        yield
    finally:
        claim.release()


def _is_at(file: IO[Any], path: pathlib.Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False

"""A file, or the making of one, that one run or thread has for itself."""

import contextlib
import hashlib
import os
import pathlib
from typing import IO, Any


def take(file: IO[Any]) -> bool:
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
    def of(cls, output: pathlib.Path) -> 'Claim | None':
        """A claim of the output, or None where another process has it. Folders are made as needed."""
        # By its hash: a name may be as long as a system lets it be.
        path = output.with_name(f'.{hashlib.sha256(os.fsencode(output.name)).hexdigest()[:16]}.claim')
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = path.open('ab')
            if not take(file):
                file.close()
                return None
            # Whoever had it may have removed it between our opening and our taking it.
            if _is_at(file, path):
                return cls(file, path)
            file.close()

    def release(self) -> None:
        """To whoever wants it; the file goes."""
        self._path.unlink(missing_ok=True)
        self._file.close()


def _is_at(file: IO[Any], path: pathlib.Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False

"""A file that one run or thread has for itself."""

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

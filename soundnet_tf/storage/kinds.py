"""What is at a path, through its links: files are read and replaced, other things are not files, or not here."""

import errno
import os
import re
import stat

Path = str | os.PathLike[str]

DEVICE = 'a device'

_KINDS = {
    stat.S_IFDIR: 'a folder',
    stat.S_IFIFO: 'a pipe',
    stat.S_IFSOCK: 'a socket',
    stat.S_IFCHR: DEVICE,
    stat.S_IFBLK: DEVICE,
}

_MAX_LINKS = 40
"""As Linux follows."""


_ADDRESS = re.compile('[a-z][a-z0-9+.-]*://', re.IGNORECASE)


def is_remote(path: str) -> bool:
    """Whether a path is an address, such as https://x/y.mp4."""
    return _ADDRESS.match(path) is not None


def not_a_file(path: Path) -> str:
    """What is at a path that is not a regular file, such as `a pipe`; empty for a regular file."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return 'a link to a missing file' if os.path.islink(path) else 'a missing file'
    except OSError as error:
        return 'a link to itself' if error.errno == errno.ELOOP else f'unreadable ({error.strerror})'
    except ValueError as error:  # a zero byte
        return f'unreadable ({error})'
    return of_mode(mode)


def of_mode(mode: int) -> str:
    """The same of the mode of an open file."""
    return '' if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), 'not a regular file')


def is_stream(path: Path) -> bool:
    """Whether an output is written to as what it is, and cannot be read back: a device, a pipe, an open file.

    Raises OSError, with the name of `path`, for a link to itself, and for /dev/fd/N if N is not open.
    """
    is_open = descriptor(path) is not None
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        if is_open:
            raise
        return False
    return is_open or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def descriptor(path: Path) -> int | None:
    """The number of this process' open file that a path stands for: 1 of /dev/stdout, N of /dev/fd/N; None of others.

    Such a path resolves to the name of what was opened, which need not exist, and must not be replaced.
    """
    name = os.fspath(path)
    for _ in range(_MAX_LINKS):
        folder = os.path.realpath(os.path.dirname(name))
        name = os.path.join(folder, os.path.basename(name))
        if match := re.fullmatch(rf'(?:/dev|/proc/(?:self|{os.getpid()}))/fd/(\d+)', name):
            return int(match[1])
        if not os.path.islink(name):
            return None
        name = os.path.join(folder, os.readlink(name))
    return None

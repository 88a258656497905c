"""stdin, stdout and stderr of a command: closed ones, full ones, and those whose reader is gone."""

import io
import os
import signal
import sys
from typing import Any


def replace_closed() -> None:
    """Open those that are closed, whose numbers the next files opened would get.

    stdin then ends at once, stderr is discarded, and writing to stdout raises OSError.
    """
    for number, name, mode in ((0, 'stdin', 'r'), (1, 'stdout', 'w'), (2, 'stderr', 'w')):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)  # takes the lowest free number
            setattr(sys, name, os.fdopen(number, mode, encoding='utf-8', closefd=False))


def outlive_stderr() -> None:
    """Discard what stderr cannot take, as its reader is gone or its disk full: the work continues without progress."""
    if sys.stderr is sys.__stderr__ and sys.stderr is not None:
        sys.stderr = io.TextIOWrapper(
            io.BufferedWriter(_Unbroken(sys.stderr.fileno(), 'wb', closefd=False)),
            sys.stderr.encoding,
            sys.stderr.errors,
            line_buffering=True,
        )


class _Unbroken(io.FileIO):
    """A file that discards what it cannot take."""

    def write(self, data: Any, /) -> int:
        try:
            # None where it would have to wait, as a full pipe that does not block.
            return super().write(data) or len(data)
        except OSError:
            return len(data)


def drop_stdout() -> int:
    """The status of a command that stops since the reader of its stdout did, as `head` does: that of SIGPIPE."""
    # Python would report it at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE


def stdout_fails() -> bool:
    """Whether stdout cannot be written to; what is left for it is then dropped."""
    try:
        sys.stdout.flush()
    except OSError:
        drop_stdout()
        return True
    return False

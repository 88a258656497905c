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


def name_stdout() -> None:
    """Let errors of writing to stdout say that it is stdout: a full disk does not say where."""
    out: Any = sys.stdout
    if sys.__stdout__ is None or out is sys.__stdout__:  # else something captures it
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(_Named(out.fileno(), 'wb', closefd=False)),
            out.encoding,
            out.errors,
            line_buffering=out.line_buffering,
            write_through=out.write_through,
        )


class _Named(io.FileIO):
    """A file whose errors have its name, but for a reader that is gone."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            error.filename = 'stdout'
            raise


def drop_stdout() -> int:
    """The status of a command that stops since the reader of its stdout did, as `head` does: that of SIGPIPE."""
    # Python would report it at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE

"""Progress of long work: a bar on terminals, and in a log file a line a minute."""

import sys
from collections.abc import Iterable
from typing import Any, TextIO

import tqdm

LOG_EVERY_S = 60.0


def bar(items: Iterable[Any] | None = None, *, keep: bool = False, **options: Any) -> Any:
    """A tqdm over the items, or of `total` updates; `keep` leaves it on the terminal at the end.

    In a log file the first line comes after a minute, so that short work writes none.
    """
    if sys.stderr.isatty():
        return tqdm.tqdm(items, leave=keep, **options)
    # With miniters, tqdm looks at the clock at each step, and no second thread does.
    every = {'mininterval': LOG_EVERY_S, 'miniters': 1, 'delay': LOG_EVERY_S}
    return tqdm.tqdm(items, file=_Lines(sys.stderr), **every, **options)


class _Lines:
    """A stream for tqdm, which returns to the beginning of the line: here each state is a line of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        if text.strip():
            self._stream.write(f'{text.strip()}\n')

    def flush(self) -> None:
        self._stream.flush()

"""What native libraries print on stderr on their own, which tells users of this package nothing."""

import contextlib
import ctypes
import importlib.abc
import importlib.util
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class _Stderr:
    """The variable `stderr` of the C library, a pointer to a stream.

    Descriptor 2 stays as it is, and so does what Python, other threads' Python and child processes write.
    """

    def __init__(self, name: str):
        self._library = ctypes.CDLL(None)
        self._library.fopen.restype = ctypes.c_void_p
        self._variable = ctypes.c_void_p.in_dll(self._library, name)
        self._own, self._nothing = self._variable.value, None
        self._restart()
        # In a child process nobody ends what other threads of its parent began.
        os.register_at_fork(after_in_child=self._restart)

    def _restart(self) -> None:
        self._lock, self._users = threading.Lock(), 0
        self._variable.value = self._own

    def use(self, change: int) -> None:
        """Count who wants silence: with nobody it is the process' own stream."""
        with self._lock:
            # Not before: it would get the number of a stdout that is closed.
            self._nothing = self._nothing or self._library.fopen(os.devnull.encode(), b'w')
            self._users += change
            self._variable.value = self._nothing if self._users else self._own


def _stderr() -> _Stderr | None:
    # The name in glibc and musl, and the one in macOS; elsewhere the messages stay.
    for name in ('stderr', '__stderrp'):
        with contextlib.suppress(AttributeError, OSError, TypeError, ValueError):
            return _Stderr(name)
    return None


_STDERR = _stderr()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Discard what C and C++ code writes to stderr through the C library meanwhile, in any thread."""
    if _STDERR is None:
        yield
        return
    _STDERR.use(1)
    try:
        yield
    finally:
        _STDERR.use(-1)


class _QuietImport(importlib.abc.MetaPathFinder):
    """Imports TensorFlow without its messages: those of 2.21 ignore TF_CPP_MIN_LOG_LEVEL."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != 'tensorflow':
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        loader: Any = spec.loader
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            with quiet():
                execute(module)

        loader.exec_module = exec_module
        return spec


def import_tensorflow_quietly() -> None:
    """Let whoever imports TensorFlow first in this process do it without its start-up messages."""
    if 'tensorflow' not in sys.modules:
        sys.meta_path.insert(0, _QuietImport())

"""Modules of this package as processes of their own, for what would end or hold up this one.

processes.run('module', 'argument')      # runs it to its end, which frees all memory
worker = processes.Worker('module')      # serves items, one after the other: see `serve`, which the module calls
"""

import os
import pathlib
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from typing import Any

from soundnet_tf.errors import SoundNetError


def run(module: str, *arguments: str) -> None:
    """`python -m module arguments`, without a GPU, which this process may hold.

    Raises SoundNetError with the last line of its stderr if it fails, or the name of the signal that ended it.
    """
    done = subprocess.run(
        _command(module, *arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=_environment(),
    )
    if done.returncode:
        raise SoundNetError(_reason(done.returncode, done.stderr))


def _command(module: str, *arguments: str) -> list[str]:
    # -P: import nothing from the working folder.
    return [sys.executable, '-P', '-m', module, *arguments]


def _environment() -> dict[str, str]:
    # The package as it is here, installed or not.
    top = str(pathlib.Path(__file__).parents[2])
    paths = os.pathsep.join([top, *filter(None, [os.environ.get('PYTHONPATH')])])
    return os.environ | {'PYTHONPATH': paths, 'CUDA_VISIBLE_DEVICES': '', 'TF_CPP_MIN_LOG_LEVEL': '3'}


def _reason(status: int, said: str = '') -> str:
    if status < 0:
        return f'the process was ended by {signal.Signals(-status).name}'
    return (said.strip().splitlines() or [f'the process ended with status {status}'])[-1]


class Died(Exception):
    """A worker's process ended before it had answered; the message says how."""


class _End:
    """After the last result of an item."""


class Worker:
    """A process that runs a module, whose `serve` gives results for items."""

    def __init__(self, module: str) -> None:
        self._process = subprocess.Popen(
            _command(module), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment()
        )

    def results(self, item: Any) -> Generator[Any]:
        """The results for an item, each once it is there. Raises what the function raised, and Died.

        A worker whose generator was closed or has raised Died is of no more use: close it.
        """
        to, back = self._process.stdin, self._process.stdout
        assert to is not None
        assert back is not None
        try:
            pickle.dump(item, to)
            to.flush()
            while not isinstance(result := pickle.load(back), _End):
                if isinstance(result, BaseException):
                    raise result
                yield result
        except (EOFError, pickle.UnpicklingError, BrokenPipeError):
            raise Died(_reason(self._process.wait())) from None

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.communicate()


def serve(function: Callable[[Any], Iterator[Any]]) -> None:
    """Answer the items of a `Worker` with all results of `function`, until that is gone."""
    # Ctrl-C reaches all processes of a terminal; the one that started this one decides what ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What is printed must not come between the results.
    with os.fdopen(os.dup(sys.stdout.fileno()), 'wb') as back:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        try:
            while True:
                item = pickle.load(sys.stdin.buffer)
                try:
                    for result in function(item):
                        pickle.dump(result, back)
                        back.flush()
                    end: Any = _End()
                except Exception as error:
                    end = error
                pickle.dump(end, back)
                back.flush()
        except (EOFError, BrokenPipeError):
            pass

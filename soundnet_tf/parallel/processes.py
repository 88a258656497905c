"""Modules of this package as processes of their own, whose crash or memory does not harm this one.

processes.run('module', 'argument')      # runs it to its end, which frees all memory
worker = processes.Worker('module')      # answers items, one after the other; the module calls `serve`
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

WAIT_S = 5.0
"""For the end of a process that has closed its pipe."""


def run(module: str, *arguments: str) -> None:
    """`python -m module arguments`, without a GPU, which this process may hold.

    Raises SoundNetError with the last line of its stderr if it fails, or the name of the signal that ended it.
    """
    command, environment = _command(module, *arguments), _environment()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)
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


def _reason(status: int, stderr: str = '') -> str:
    if status < 0:
        return f'the process was ended by {signal.Signals(-status).name}'
    return (stderr.strip().splitlines() or [f'the process ended with status {status}'])[-1]


class WorkerDied(Exception):
    """A worker's process ended before its answer did; the message says how."""


class _End:
    """After the last result of an item."""


class Worker:
    """A process that runs a module, whose `serve` gives results for items. Closing the worker ends the process."""

    def __init__(self, module: str) -> None:
        read, write = os.pipe()
        try:
            self._process = subprocess.Popen(
                _command(module, str(write)),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                env=_environment(),
                pass_fds=[write],
                process_group=0,  # Ctrl-C is for the process that started it
            )
        finally:
            os.close(write)
        self._results = os.fdopen(read, 'rb')

    def results(self, item: Any) -> Generator[Any]:
        """The results for an item, each as soon as it exists. Raises what the function raised, and WorkerDied.

        After WorkerDied, or if the generator was closed before its end, the worker must be closed.
        """
        for result in self._answers(item):
            if isinstance(result, BaseException):
                raise result
            yield result

    def _answers(self, item: Any) -> Iterator[Any]:
        assert self._process.stdin is not None
        try:
            pickle.dump(item, self._process.stdin)
            self._process.stdin.flush()
            while not isinstance(result := pickle.load(self._results), _End):
                yield result
                if isinstance(result, BaseException):
                    return
        except (EOFError, OSError, pickle.UnpicklingError):
            try:
                status = self._process.wait(WAIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                status = self._process.wait()
            raise WorkerDied(_reason(status)) from None

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.communicate()
        self._results.close()


def serve(function: Callable[[Any], Iterator[Any]]) -> None:
    """Answer the items of a `Worker` with all results of `function`, until the worker's own process ends."""
    results = open(int(sys.argv[1]), 'wb')  # noqa: SIM115, its last flush may fail too

    def send(result: Any) -> None:
        pickle.dump(result, results)
        results.flush()

    try:
        while True:
            item = pickle.load(sys.stdin.buffer)
            try:
                for result in function(item):
                    send(result)
            except BrokenPipeError:
                raise
            except Exception as error:
                send(error)
            else:
                send(_End())
    except (EOFError, BrokenPipeError):
        os._exit(0)  # without the flush of a pipe that nobody reads

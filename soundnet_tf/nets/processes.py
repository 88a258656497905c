"""Modules of this package run as a process of their own: its end frees all memory, and ends nothing here."""

import os
import pathlib
import signal
import subprocess
import sys

from soundnet_tf.errors import SoundNetError


def run(module: str, *arguments: str) -> None:
    """`python -m module arguments`, without a GPU, which this process may hold.

    Raises SoundNetError with the last line of its stderr if it fails, or the name of the signal that ended it.
    """
    # The package as it is here, installed or not.
    top = str(pathlib.Path(__file__).parents[2])
    paths = os.pathsep.join([top, *filter(None, [os.environ.get('PYTHONPATH')])])
    environment = os.environ | {'PYTHONPATH': paths, 'CUDA_VISIBLE_DEVICES': '', 'TF_CPP_MIN_LOG_LEVEL': '3'}
    # -P: import nothing from the working folder.
    command = [sys.executable, '-P', '-m', module, *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)
    if done.returncode < 0:
        raise SoundNetError(f'the process was ended by {signal.Signals(-done.returncode).name}')
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f'the process ended with status {done.returncode}']
        raise SoundNetError(lines[-1])

"""A worker of several, watched by a small parent: TensorFlow may end the worker itself, in many words or none."""

import os
import signal
import subprocess
import sys
import threading
import time
from types import FrameType

CHILD = 'SOUNDNET_WORKER'
IS_CHILD = CHILD in os.environ


def watch() -> int:
    """Run this command again as a child, pass signals on, and say in one line how it ended. Returns the exit status."""
    # A session of its own, lest Ctrl-C reach it twice.
    child = subprocess.Popen(
        [sys.executable, *sys.orig_argv[1:]], env=os.environ | {CHILD: '1'}, start_new_session=True
    )

    def pass_on(number: int, _: FrameType | None) -> None:
        child.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, pass_on)
    status = child.wait()
    if status in (0, 1, 2, 130):
        return status  # it has said why
    how = signal.Signals(-status).name if status < 0 else f'status {status}'
    why = (
        'from outside; out of memory?' if -status == signal.SIGKILL else 'another worker is gone, or cannot be reached'
    )
    # On a line of its own, whatever the progress bar was at.
    print(
        f'\nsoundnet-train: this worker was ended ({how}): {why}. '
        'What is saved stays: start all workers with the same command to go on',
        file=sys.stderr,
    )
    return 1


def follow() -> None:
    """In the child: end with the parent, so that no worker is left that nobody watches."""
    parent = os.getppid()

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=look, daemon=True).start()

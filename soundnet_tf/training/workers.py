"""One of several workers, run as a child process: TensorFlow may abort it without a readable message."""

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
    """Run this command as a child, forward signals, and print in one line why it failed. Returns the exit status."""
    # In a session of its own, so that Ctrl-C does not reach it twice.
    child = subprocess.Popen(
        [sys.executable, *sys.orig_argv[1:]], env=os.environ | {CHILD: '1'}, start_new_session=True
    )

    def forward(number: int, _: FrameType | None) -> None:
        child.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, forward)
    status = child.wait()
    if status in (0, 1, 2, 130):
        return status  # it has printed why
    how = signal.Signals(-status).name if status < 0 else f'status {status}'
    why = 'killed, perhaps out of memory' if -status == signal.SIGKILL else 'another worker failed or cannot be reached'
    # On a line of its own, after the progress bar.
    print(
        f'\nsoundnet-train: this worker stopped ({how}): {why}. '
        'Start all workers with the same command to resume from the last checkpoint',
        file=sys.stderr,
    )
    return 1


def follow() -> None:
    """In the child: exit when the parent does, so that no worker is left behind."""
    parent = os.getppid()

    def poll() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=poll, daemon=True).start()

"""A worker of several, watched by a small parent: TensorFlow may end the worker itself, in many words or none."""

import os
import signal
import subprocess
import sys
from types import FrameType

CHILD = 'SOUNDNET_WORKER'
IS_CHILD = CHILD in os.environ


def watch() -> int:
    """Run this command again as a child, pass signals on, and say in one line how it ended. Returns the exit status."""
    child = subprocess.Popen([sys.executable, *sys.orig_argv[1:]], env=os.environ | {CHILD: '1'})

    def pass_on(number: int, _: FrameType | None) -> None:
        child.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, pass_on)
    status = child.wait()
    if status in (0, 1, 2, 130):
        return status  # it has said why
    how = signal.Signals(-status).name if status < 0 else f'status {status}'
    print(
        f'soundnet-train: this worker was ended ({how}): another worker is gone, or cannot be reached. '
        'What is saved stays; start all workers with the same command to go on',
        file=sys.stderr,
    )
    return 1

"""Processes that read videos: threads would wait for Python's lock, and a crash of a decoder would end the run.

A file on which a decoder crashes ends the process that reads it, and is one skipped video.
"""

from collections.abc import Iterator
from typing import Any

from soundnet_tf.parallel import processes
from soundnet_tf.prepare import stages
from soundnet_tf.prepare.manifest import Skipped, Video
from soundnet_tf.prepare.pace import Clock
from soundnet_tf.prepare.stages import Settings, VideoClip


class Readers:
    """`stages.read`, each call in a process; as many as threads call it at once. They stay until `close`."""

    def __init__(self, settings: Settings, side: int, clock: Clock) -> None:
        self._settings, self._side, self._clock = settings, side, clock
        self._idle: list[processes.Worker] = []

    def read(self, video: Video, path: str) -> Iterator[VideoClip | Skipped]:
        """The clips of a video's file."""
        while True:
            try:
                worker, is_new = self._idle.pop(), False
            except IndexError:
                worker, is_new = processes.Worker(__name__), True
            start_s, done = 0.0, False
            try:
                for result in worker.results((video, path, self._settings, self._side)):
                    if isinstance(result, dict):
                        for stage, seconds in result.items():
                            self._clock.add(stage, seconds)
                        continue
                    yield result
                    start_s += self._settings.clip_s
                done = True
            except processes.WorkerDied as error:
                if not (is_new or start_s):  # it may have died before
                    continue
                yield Skipped(stages.clip_id(video, start_s), video.path, stages.ERROR, f'the decoder crashed: {error}')
            finally:
                if done:
                    self._idle.append(worker)
                else:
                    worker.close()
            return

    def close(self) -> None:
        """End the processes."""
        while self._idle:
            self._idle.pop().close()


def _read(item: tuple[Video, str, Settings, int]) -> Iterator[Any]:
    """The clips of a video, and at the end the seconds of each stage."""
    clock = Clock()
    yield from stages.read(*item, clock)
    yield clock.seconds


if __name__ == '__main__':
    processes.serve(_read)

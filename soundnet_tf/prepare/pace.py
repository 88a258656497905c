"""How long each stage of the preparation took, and which is the bottleneck."""

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

A = TypeVar('A')

FETCH, SOUND, FRAMES, ENCODE, WRITE = 'fetch', 'sound', 'frames', 'encode', 'write'
"""Names of stages; a teacher's stage has the teacher's name."""


class Clock:
    """Working seconds by stage, over all threads."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    def add(self, stage: str, seconds: float) -> None:
        """Add the seconds that a stage worked."""
        with self._lock:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    @contextlib.contextmanager
    def at(self, stage: str) -> Iterator[None]:
        """Measure the body of a `with`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - start)

    def each(self, stage: str, items: Iterable[A]) -> Iterator[A]:
        """The items, measuring the time until each arrives."""
        iterator = iter(items)
        while True:
            with self.at(stage):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item


def table(seconds: Mapping[str, float], workers: Mapping[str, int], videos: int) -> str:
    """The throughput of each stage alone, in videos per second, and the bottleneck.

    Stages of one pool share its `workers`, by default 1, and take the sum of their times. The others
    (teachers, writing) run in one thread.
    """
    if not videos or not seconds:
        return ''
    shared = sum(seconds.values())
    pools: dict[str, float] = {}
    for stage, took in seconds.items():
        pools[_pool(stage)] = pools.get(_pool(stage), 0.0) + took
    rates = {pool: videos * workers.get(pool, 1) / max(took, 1e-9) for pool, took in pools.items()}
    slowest = min(rates, key=lambda pool: rates[pool])
    lines = [f'{"stage":<12} {"seconds":>9} {"share":>6} {"videos/s":>9}']
    for stage, took in seconds.items():
        alone = videos * workers.get(_pool(stage), 1) / max(took, 1e-9)
        lines.append(f'{stage:<12} {took:9.1f} {took / shared:6.0%} {alone:9.1f}')
    most = max((stage for stage in seconds if _pool(stage) == slowest), key=lambda stage: seconds[stage])
    return '\n'.join([*lines, f'slowest: {slowest}, {rates[slowest]:.1f} videos/s, mostly {most}'])


def _pool(stage: str) -> str:
    return {FETCH: 'fetching', SOUND: 'reading', FRAMES: 'reading', ENCODE: 'reading'}.get(stage, 'label and write')

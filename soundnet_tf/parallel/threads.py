"""Work that threads do ahead of the consumer, in order."""

import collections
import contextlib
import functools
import itertools
import os
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar, cast

A = TypeVar('A')
B = TypeVar('B')


def ahead(function: Callable[[A], B], items: Iterable[A], threads: int | None = None) -> Generator[B]:
    """`function` of each item, in order, computed by threads that are two items each ahead; by default up to four.

    What `function` raises is raised in its place. Closing the generator waits for what has begun, and begins no more.
    """
    threads = threads or min(4, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(threads)
    begin: Callable[[A], Future[B]] = functools.partial(pool.submit, function)
    try:
        for future in begin_ahead(begin, items, 2 * threads):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def begin_ahead(begin: Callable[[A], B], items: Iterable[A], depth: int) -> Generator[B]:
    """`begin` of each item, in order, called up to `depth` items ahead of the consumer, in the consumer's thread."""
    items = iter(items)
    begun = collections.deque(map(begin, itertools.islice(items, depth)))
    while begun:
        yield begun.popleft()
        begun.extend(map(begin, itertools.islice(items, 1)))


class _Results(Generic[B]):
    """The results of an iterator that runs in another thread, a few ahead of the consumer."""

    _END = object()

    def __init__(self, ahead: int) -> None:
        self._queue: queue.Queue[Any] = queue.Queue(ahead)
        self._stopped = threading.Event()

    def make(self, function: Callable[[A], Iterator[B]], item: A) -> None:
        """Run in the other thread."""
        end: Any = self._END
        try:
            if not self._stopped.is_set():
                with contextlib.closing(cast(Any, function(item))) as results:
                    for result in results:
                        if not self._put(result):
                            break
        except BaseException as error:
            end = error
        self._put(end)

    def _put(self, result: Any) -> bool:
        """False after `stop`."""
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(result, timeout=0.1)
                return True
        return False

    def stop(self) -> None:
        """No more results are needed."""
        self._stopped.set()

    def __iter__(self) -> Iterator[B]:
        while (result := self._queue.get()) is not self._END:
            if isinstance(result, BaseException):
                raise result
            yield cast(B, result)


def iterate_ahead(
    pool: ThreadPoolExecutor, function: Callable[[A], Iterator[B]], items: Iterable[A], depth: int, results_ahead: int
) -> Generator[Iterable[B]]:
    """`function` of each item, in order; up to `depth` are submitted to `pool`, each `results_ahead` results ahead.

    Unlike with `ahead`, results come before the function ends: all frames of a film do not fit in memory. Closing the
    generator stops the functions at their next result.
    """
    items, waiting = iter(items), collections.deque[_Results[B]]()

    def start(item: A) -> None:
        results = _Results[B](results_ahead)
        waiting.append(results)
        pool.submit(results.make, function, item)

    try:
        for item in itertools.islice(items, depth):
            start(item)
        while waiting:
            yield waiting[0]
            waiting.popleft()
            for item in itertools.islice(items, 1):
                start(item)
    finally:
        for results in waiting:
            results.stop()

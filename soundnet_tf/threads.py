"""Work that threads do ahead of the consumer, in order."""

import collections
import functools
import itertools
import os
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

A = TypeVar('A')
B = TypeVar('B')


def ahead(function: Callable[[A], B], items: Iterable[A], threads: int | None = None) -> Generator[B]:
    """`function` of each item, in order, computed by threads that are two items each ahead; by default up to four.

    What `function` raises is raised in its place. Closing the generator waits for what has begun, and begins no more.
    """
    threads = threads or min(4, os.cpu_count() or 1)
    items, waiting = iter(items), collections.deque[Future[B]]()
    pool = ThreadPoolExecutor(threads)
    begin = functools.partial(pool.submit, function)
    try:
        waiting.extend(map(begin, itertools.islice(items, 2 * threads)))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(map(begin, itertools.islice(items, 1)))
    finally:
        pool.shutdown(cancel_futures=True)

"""Encode and decode pieces of an image in threads; the codecs release the GIL."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

# Threads of one call. At most 8: a node works on several files at once, and a file has few pieces.
THREADS = max(2, min(8, len(os.sched_getaffinity(0))))

# Total bytes of the pieces in work or not yet taken by the caller; but at least two pieces.
AHEAD_BYTES = 16 << 20

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    call: Callable[[Item], Result], items: Iterable[Item], nbytes: int
) -> Iterator[Result]:
    """Map a function over items in threads, and yield the results in order.

    Parameters
    ----------
    call : callable
        From an item to its result.
    items : iterable
        Read ahead only as far as `AHEAD_BYTES` allows.
    nbytes : int
        Bytes that one item takes.

    Yields
    ------
    Result
        Of each item.
    """
    most = max(2, AHEAD_BYTES // max(1, nbytes))
    ahead: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        for item in items:
            ahead.append(pool.submit(call, item))
            if len(ahead) == most:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def one_ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Yield items while a thread makes the next one; no item may be None."""
    iterator = iter(items)
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, iterator, None)
        while (item := following.result()) is not None:
            following = pool.submit(next, iterator, None)
            yield item

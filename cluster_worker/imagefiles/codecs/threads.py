"""Work on the parts of an image in threads; the codecs release the GIL."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

# Threads of one call; a node works on several files at once, and a file has only so many parts.
THREADS = max(2, min(8, len(os.sched_getaffinity(0))))

# Bytes of the parts that are worked on or wait to be taken; of large ones there are two.
AHEAD_BYTES = 16 << 20

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    call: Callable[[Item], Result], items: Iterable[Item], nbytes: int
) -> Iterator[Result]:
    """Map a function over items of so many bytes, in order, a bounded number ahead."""
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
    """Go through items, none of them None, while a thread makes the next one."""
    source = iter(items)
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(next, source, None)
        while (item := following.result()) is not None:
            following = pool.submit(next, source, None)
            yield item

"""The heap of this process: return memory to the system after a job that needed much of it."""

import ctypes


def trim_heap() -> None:
    """Return the pages of freed arrays to the system.

    glibc keeps these pages for later arrays, which is faster. It is wrong after a job that was far
    larger than the next ones. With other C libraries this function does nothing.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

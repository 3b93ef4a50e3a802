"""Memory of this process, between pieces of work that need much of it."""

import ctypes


def trim_heap() -> None:
    """Give the pages that freed arrays lay in back to the system.

    glibc keeps them for the next arrays, which is faster, and wrong after a job that was far larger
    than the next one will be. Other C libraries are left alone.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

"""The private memory of this process: how much it is, and how to return it to the system."""

import ctypes
import resource
from pathlib import Path


def private_bytes() -> int:
    """Return the private memory that counts against RLIMIT_DATA, in bytes.

    Where /proc is hidden, it is the most memory that this process ever had, with its libraries.
    """
    try:
        status = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return next(int(line.split()[1]) for line in status if line.startswith("VmData")) * 1024


def trim_heap() -> None:
    """Return the pages of freed arrays to the system.

    glibc keeps these pages for later arrays, which is faster. It is wrong after a job that was far
    larger than the next ones. With other C libraries this function does nothing.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

"""The private memory of this process: how much it is, how to return it, and a file instead."""

import ctypes
import math
import mmap
import os
import resource
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def private_bytes() -> int:
    """Return the private memory that counts against RLIMIT_DATA, in bytes.

    Where /proc is hidden, it is the most memory that this process ever had, with its libraries.
    """
    try:
        status = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return next(int(line.split()[1]) for line in status if line.startswith("VmData")) * 1024


def available_bytes() -> int:
    """Return the memory that this host has left, in bytes, as the kernel estimates it.

    0 if it does not say.
    """
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    found = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return int(next(found, "0")) << 10


def trim_heap() -> None:
    """Return the pages of freed arrays to the system.

    glibc keeps these pages for later arrays, which is faster. It is wrong after a job that was far
    larger than the next ones. With other C libraries this function does nothing.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def array_on_disk(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return an array in a file of TMPDIR, which is gone with the array or with this process.

    Raises
    ------
    OSError
        If the disk has too little room.
    """
    size = max(math.prod(shape) * np.dtype(dtype).itemsize, 1)
    # The file has no name from the start.
    with tempfile.TemporaryFile() as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            where = f"{size / 2**30:.1f} GiB in {tempfile.gettempdir()}"
            raise OSError(error.errno, f"{where}: {error.strerror}") from error
        pages = mmap.mmap(file.fileno(), size)
    return np.frombuffer(pages, dtype, math.prod(shape)).reshape(shape)

"""Files mapped into memory, whose pages are given back while a large image is decoded.

A decoder that goes through a file from its beginning to its end, and writes pixels from top to
bottom, needs few pages at a time. All others stay in the system's cache or on disk.
"""

import mmap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakSet

# Files that are not larger are read as a whole.
READ_BYTES_MAX = 64 << 20
# Time between two times that pages are given back: some 100 MB are decoded meanwhile.
PAUSE_SECONDS = 0.05

# All files that are mapped by `content_of`.
MAPPED: WeakSet[mmap.mmap] = WeakSet()


def content_of(path: Path) -> bytes | mmap.mmap:
    """Return the content of a file; a large one is mapped."""
    with path.open("rb") as opened:
        if path.stat().st_size <= READ_BYTES_MAX:
            return opened.read()
        pages = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    MAPPED.add(pages)
    return pages


@contextmanager
def released(out: mmap.mmap) -> Iterator[None]:
    """Release the memory pages of an image's file and of all mapped files, at intervals.

    The pages that are written stay in the file.
    """
    done = threading.Event()

    def release() -> None:
        while not done.wait(PAUSE_SECONDS):
            for each in (out, *MAPPED):
                each.madvise(mmap.MADV_DONTNEED)

    thread = threading.Thread(target=release, name="pages", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        out.madvise(mmap.MADV_DONTNEED)

"""Pixels in shared memory: files that engine, ranks and decoders map.

Files, not `multiprocessing.SharedMemory`: Python 3.11 removes such a segment when any process
that attached to it exits.
"""

import contextlib
import math
import mmap
import os
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected

Image = NDArray[Any]

# Share of the free memory that segments may take, so that other users of the folder can live.
SHARE = 0.8
# Warm segments kept for the next job; touching fresh pages costs ten times as much as reusing.
# A node holds a few jobs at once, each with two segments or more.
WARM_MAX = 16
# Files that a process keeps mapped: those of the jobs in hand, and the warm ones.
MAPS_MAX = 48
PREFIX = "dip-"
# How long a job waits for shared memory that other jobs hold.
ALLOCATE_SECONDS = 600.0


class Pixels(NamedTuple):
    """Where an image lies: a file and how to read it."""

    path: str
    shape: tuple[int, ...]
    dtype: str

    def map(self, writable: bool) -> Image:
        """Map the image; it stays valid while the file's pages are kept."""
        return self.view_in(pages_of(self.path, writable))

    def view_in(self, pages: mmap.mmap) -> Image:
        """Give the image in its file's pages."""
        count = math.prod(self.shape)
        return np.frombuffer(pages, self.dtype, count).reshape(self.shape)


def pages_of(path: str, writable: bool) -> mmap.mmap:
    """Map a file."""
    with open(path, "r+b" if writable else "rb") as file:  # noqa: PTH123 - mode varies
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        return mmap.mmap(file.fileno(), 0, access=access)


class Maps:
    """Segments that a process keeps mapped; safe to use from many threads.

    A page that is met for the first time in a map costs as much as its share of a quick operation.
    No two segments of an engine ever have one path, and what is discarded is only let go later:
    its pages are free at once, see `Segments.discard`.
    """

    def __init__(self) -> None:
        self.kept: OrderedDict[str, mmap.mmap] = OrderedDict()
        self.lock = threading.Lock()

    def map(self, pixels: Pixels, writable: bool) -> Image:
        """Map an image that lies in a segment."""
        with self.lock:
            pages = self.kept.pop(pixels.path, None) or pages_of(pixels.path, writable=True)
            self.kept[pixels.path] = pages
            if len(self.kept) > MAPS_MAX:
                self.kept.popitem(last=False)
        image = pixels.view_in(pages)
        image.flags.writeable = writable
        return image

    def drop(self, path: str) -> None:
        """Let a file go."""
        with self.lock:
            self.kept.pop(path, None)


@dataclass(frozen=True)
class Segment:
    """A file of reserved pages."""

    path: Path
    nbytes: int


class Segments:
    """The segments of one engine, kept warm between jobs and limited in total.

    Parameters
    ----------
    parent : Path
        Folder in memory, such as /dev/shm.
    """

    def __init__(self, parent: Path) -> None:
        sweep(parent)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent))
        self.limit = int(shutil.disk_usage(parent).free * SHARE)
        self.taken = 0
        self.held = 0
        self.warm: list[Segment] = []
        self.made = 0
        self.maps = Maps()
        self.changed = threading.Condition()

    def allocate(self, sizes: list[int], seconds: float) -> list[Segment]:
        """Reserve segments of these sizes, all together, so that no two jobs wait for each other.

        Raises
        ------
        Rejected
            If so much is never free, or not before held images are released.
        TimeoutError
            If other jobs hold it for too long.
        """
        total = sum(sizes)
        if total > self.limit:
            raise Rejected(
                f"the image needs {total / 2**20:.0f} MiB of shared memory; "
                f"this machine has {self.limit / 2**20:.0f} MiB for it"
            )
        if total > self.limit - self.held:
            # Whoever asks may be the one who holds: waiting could last for ever.
            raise Rejected(
                f"the image needs {total / 2**20:.0f} MiB of shared memory; images that are held "
                f"leave {(self.limit - self.held) / 2**20:.0f} MiB; release some"
            )
        deadline = time.monotonic() + seconds
        with self.changed:
            while self.taken + total > self.limit:
                if not self.changed.wait(deadline - time.monotonic()):
                    raise TimeoutError("shared memory is held by other jobs")
            self.taken += total
            evicted = self.evict()
        self.discard(evicted)
        found: list[Segment] = []
        try:
            for size in sizes:
                found.append(self.pop_warm(size) or self.make(size))
        except OSError as error:
            self.release(found)
            with self.changed:
                self.taken -= total - sum(each.nbytes for each in found)
            raise Rejected(
                f"the image needs {total / 2**20:.0f} MiB of shared memory: {error.strerror}"
            ) from error
        with self.changed:
            # A warm segment may be larger than what was asked for.
            self.taken += sum(each.nbytes for each in found) - total
        return found

    def pop_warm(self, size: int) -> Segment | None:
        """Take the smallest warm segment that fits without wasting more than half of it."""
        with self.changed:
            fitting = [each for each in self.warm if size <= each.nbytes <= 2 * max(size, 1 << 20)]
            if not fitting:
                return None
            best = min(fitting, key=lambda each: each.nbytes)
            self.warm.remove(best)
            return best

    def make(self, size: int) -> Segment:
        """Make a segment; its pages are reserved now, so that no writer meets a SIGBUS later."""
        with self.changed:
            self.made += 1
            path = self.folder / f"{self.made}"
        size = max(size, mmap.PAGESIZE)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError:
            path.unlink()
            raise
        finally:
            os.close(descriptor)
        return Segment(path, size)

    def release(self, segments: list[Segment]) -> None:
        """Give segments back; the newest few stay warm."""
        with self.changed:
            self.taken -= sum(each.nbytes for each in segments)
            self.warm.extend(segments)
            evicted = self.evict()
            self.changed.notify_all()
        self.discard(evicted)

    def hold(self, segment: Segment) -> None:
        """Count a segment as one that no job gives back."""
        with self.changed:
            self.held += segment.nbytes

    def release_held(self, segment: Segment) -> None:
        """Give a held segment back."""
        with self.changed:
            self.held -= segment.nbytes
        self.release([segment])

    def evict(self) -> list[Segment]:
        """Part with the oldest warm segments that are too many, or that jobs need the room of."""
        evicted: list[Segment] = []
        while len(self.warm) > WARM_MAX or (
            self.warm and self.taken + sum(each.nbytes for each in self.warm) > self.limit
        ):
            evicted.append(self.warm.pop(0))
        return evicted

    def discard(self, segments: list[Segment]) -> None:
        """Remove segments for good, and free their pages, though ranks may still map them."""
        for each in segments:
            self.maps.drop(str(each.path))
            # Not all file systems can; there the pages are free once nobody maps them.
            with contextlib.suppress(OSError), pages_of(str(each.path), writable=True) as pages:
                pages.madvise(mmap.MADV_REMOVE)
            each.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)


def sweep(parent: Path) -> None:
    """Remove folders of engines whose process is gone."""
    for folder in parent.glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(folder, ignore_errors=True)

"""Pixels in shared memory: files that engine, ranks and decoders map.

Plain files, not `multiprocessing.SharedMemory`: Python 3.11 removes such a segment as soon as any
process that attached to it exits.
"""

import contextlib
import errno
import math
import mmap
import os
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cluster_worker.errors import Rejected
from cluster_worker.process import is_running

Image = NDArray[Any]

# Share of the folder's memory that segments may take, and of what is free when the engine starts;
# the rest is for its other users.
MEMORY_SHARE = 0.8
# Segments kept warm for the next jobs: writing to fresh pages takes ten times as long as to used
# ones. A node has a few jobs at once, each with at least two segments.
WARM_MAX = 16
# Files that a process keeps mapped: those of its current jobs, and the warm ones.
MAPS_MAX = 48
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - memory, not a temporary file
PREFIX = "dip-"
# How long a job waits for shared memory that other jobs or other programs use.
ALLOCATE_SECONDS = 600.0
# Time between two looks while a job waits for it.
ROOM_SECONDS = 0.25

# Asked while a job waits for shared memory: it raises Cancelled to end the wait, and returns True
# if those that use the memory work on, so that the time begins anew.
Look = Callable[[], bool | None]


def no_look() -> None:
    """Return None: nothing but the time ends the wait."""


class Wait(NamedTuple):
    """How a job waits for shared memory that other jobs or other programs use.

    Attributes
    ----------
    seconds : float
        How long.
    look : callable
        Asked a few times a second.
    """

    seconds: float = ALLOCATE_SECONDS
    look: Look = no_look


# How a job waits if nobody says more.
PATIENT = Wait()


class Pixels(NamedTuple):
    """An image in shared memory: the path of its file, its shape and its dtype."""

    path: str
    shape: tuple[int, ...]
    dtype: str

    def map(self, writable: bool) -> Image:
        """Map the file and return the image; the array keeps the map open."""
        return self.view_in(pages_of(self.path, writable))

    def view_in(self, pages: mmap.mmap) -> Image:
        """Return the image as a view of its file's mapped pages."""
        count = math.prod(self.shape)
        return np.frombuffer(pages, self.dtype, count).reshape(self.shape)


def pages_of(path: str, writable: bool) -> mmap.mmap:
    """Map a whole file."""
    with open(path, "r+b" if writable else "rb") as file:  # noqa: PTH123 - mode varies
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        return mmap.mmap(file.fileno(), 0, access=access)


class Maps:
    """The segments that a process keeps mapped, the least recently used first. Thread-safe.

    Reuse of a map saves time: the first access to a page of a new map costs about as much as a
    fast operation takes for the pixels of that page.

    A path is safe as a key, because no two segments of an engine ever have the same path. A process
    may keep a discarded segment mapped for a while: `Segments.discard` frees its pages at once.
    """

    def __init__(self) -> None:
        self.kept: OrderedDict[str, mmap.mmap] = OrderedDict()
        self.lock = threading.Lock()

    def map(self, pixels: Pixels, writable: bool) -> Image:
        """Return an image that lies in a segment, by a kept map if there is one."""
        with self.lock:
            pages = self.kept.pop(pixels.path, None) or pages_of(pixels.path, writable=True)
            self.kept[pixels.path] = pages
            if len(self.kept) > MAPS_MAX:
                self.kept.popitem(last=False)
        image = pixels.view_in(pages)
        image.flags.writeable = writable
        return image

    def drop(self, path: str) -> None:
        """Stop keeping the map of a file."""
        with self.lock:
            self.kept.pop(path, None)


@dataclass(frozen=True)
class Segment:
    """A file in shared memory whose pages are reserved."""

    path: Path
    nbytes: int


class Deadline:
    """The end of a wait for shared memory; the parameter is as for `Segments.allocate`.

    Attributes
    ----------
    at : float
        On the monotonic clock.
    """

    def __init__(self, wait: Wait) -> None:
        self.wait = wait
        self.at = time.monotonic() + wait.seconds

    def left(self) -> float:
        """Return the seconds that are left, not above 0 if none are; raises as the look does."""
        if self.wait.look():
            self.at = time.monotonic() + self.wait.seconds
        return self.at - time.monotonic()


class Segments:
    """The segments of one engine: limited in total, and kept warm between jobs. Thread-safe.

    Parameters
    ----------
    parent : Path, optional
        Folder in memory. Segments lie in a new folder in it. By default it is /dev/shm, or the
        folder for temporary files where there is none.

    Attributes
    ----------
    limit : int
        Bytes that all segments may take, if other programs leave them free.
    spare : int
        Bytes of the folder that no segment takes.
    taken : int
        Bytes of the segments that are in use: those of jobs, and those of held images; and of
        other files that jobs have left in the folder.
    held : int
        Bytes of the segments of held images.
    warm : list of Segment
        Segments that are not in use, the oldest first.
    """

    def __init__(self, parent: Path | None = None) -> None:
        if parent is None:
            is_there = os.access(IN_MEMORY, os.W_OK | os.X_OK)
            parent = IN_MEMORY if is_there else Path(tempfile.gettempdir())
        sweep(parent)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent))
        usage = shutil.disk_usage(parent)
        self.limit = int(usage.total * MEMORY_SHARE)
        self.spare = int(usage.free * (1 - MEMORY_SHARE))
        self.taken = 0
        self.held = 0
        self.warm: list[Segment] = []
        self.made = 0
        self.maps = Maps()
        self.changed = threading.Condition()

    def allocate(self, sizes: list[int], wait: Wait = PATIENT) -> list[Segment]:
        """Reserve segments for one job: all at once, so that jobs cannot deadlock.

        Parameters
        ----------
        sizes : list of int
            Least size of each segment, in bytes.
        wait : Wait
            How to wait for memory that other jobs or other programs use.

        Raises
        ------
        Rejected
            If the sum exceeds the limit, or what held images leave of it.
        TimeoutError
            If others still use the memory when the time is over.
        Exception
            What the look raises.
        """
        total = sum(sizes)
        self.check_fits(total)
        deadline, left = Deadline(wait), wait.seconds
        while not self.reserve(total, min(left, ROOM_SECONDS)):
            left = deadline.left()
            if left <= 0:
                raise TimeoutError("shared memory is held by other jobs")
        found: list[Segment] = []
        try:
            found = self.wait_for_room(sizes, deadline)
        finally:
            with self.changed:
                # A warm segment may be larger than needed.
                self.taken += sum(each.nbytes for each in found) - total
                self.changed.notify_all()
        return found

    def reserve(self, total: int, seconds: float) -> bool:
        """Count bytes as taken; return False if other jobs leave too few for some seconds."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.taken + total <= self.limit, seconds):
                return False
            self.taken += total
            evicted = self.evict()
        self.discard(evicted)
        return True

    def check_fits(self, total: int) -> None:
        """Check that segments of `total` bytes fit when no other job runs; raises `Rejected`."""
        if total > self.limit:
            raise Rejected(
                f"the image needs {total / 2**20:.0f} MiB of shared memory; "
                f"this machine has {self.limit / 2**20:.0f} MiB for it"
            )
        if total > self.limit - self.held:
            # The caller may hold these images itself, so waiting could last for ever.
            raise Rejected(
                f"the image needs {total / 2**20:.0f} MiB of shared memory; images that are held "
                f"leave {(self.limit - self.held) / 2**20:.0f} MiB; release some"
            )

    def wait_for_room(self, sizes: list[int], deadline: Deadline) -> list[Segment]:
        """Find or make segments; wait while other programs use the memory.

        The caller has counted the sum of the sizes as taken.

        Raises
        ------
        TimeoutError
            If they still use it at the deadline.
        Exception
            What the look raises.
        """
        while True:
            found: list[Segment] = []
            try:
                for size in sizes:
                    found.append(self.pop_warm(size) or self.make(size))
            except OSError as error:
                with self.changed:
                    unused, self.warm = [*self.warm, *found], []
                self.discard(unused)
                left = deadline.left()
                if left <= 0:
                    need = sum(sizes) / 2**20
                    raise TimeoutError(
                        f"{self.folder.parent}: no room for {need:.0f} MiB: {error.strerror}"
                    ) from error
                time.sleep(min(left, ROOM_SECONDS))
            else:
                return found

    def pop_warm(self, size: int) -> Segment | None:
        """Remove and return the smallest warm segment that fits, or None.

        It may be twice as large as needed, and 2 MiB in any case.
        """
        with self.changed:
            fitting = [each for each in self.warm if size <= each.nbytes <= 2 * max(size, 1 << 20)]
            if not fitting:
                return None
            best = min(fitting, key=lambda each: each.nbytes)
            self.warm.remove(best)
            return best

    def make(self, size: int) -> Segment:
        """Make a segment and reserve its pages, so that no writer gets a SIGBUS later.

        Raises
        ------
        OSError
            If other programs leave too little memory free.
        """
        with self.changed:
            self.made += 1
            path = self.folder / f"{self.made}"
        size = max(size, mmap.PAGESIZE)
        if size + self.spare > shutil.disk_usage(self.folder).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
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
        """Release the segments of a job; the newest stay warm."""
        with self.changed:
            self.taken -= sum(each.nbytes for each in segments)
            self.warm.extend(segments)
            evicted = self.evict()
            self.changed.notify_all()
        self.discard(evicted)

    def count(self, nbytes: int) -> None:
        """Count the bytes of a file that is no segment, after it was written to the folder.

        Later jobs wait for this memory, too. Bytes below 0 are those of a file that was removed.
        """
        with self.changed:
            self.taken += nbytes
            evicted = self.evict()
            self.changed.notify_all()
        self.discard(evicted)

    def hold(self, segment: Segment) -> None:
        """Count a segment as held: no job will release it."""
        with self.changed:
            self.held += segment.nbytes

    def release_held(self, segment: Segment) -> None:
        """Release a held segment."""
        with self.changed:
            self.held -= segment.nbytes
        self.release([segment])

    def evict(self) -> list[Segment]:
        """Remove the oldest warm segments while there are too many or jobs need their memory.

        The caller holds the lock, and discards what is returned after it has released the lock.
        """
        evicted: list[Segment] = []
        while len(self.warm) > WARM_MAX or (
            self.warm and self.taken + sum(each.nbytes for each in self.warm) > self.limit
        ):
            evicted.append(self.warm.pop(0))
        return evicted

    def discard(self, segments: list[Segment]) -> None:
        """Remove the files of segments and free their pages, even if ranks still map them."""
        for each in segments:
            self.maps.drop(str(each.path))
            # Some file systems cannot do this. Their pages are freed with the last map.
            with contextlib.suppress(OSError), pages_of(str(each.path), writable=True) as pages:
                pages.madvise(mmap.MADV_REMOVE)
            each.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the folder with all segments."""
        shutil.rmtree(self.folder, ignore_errors=True)


def sweep(parent: Path) -> None:
    """Remove the folders of engines whose process no longer exists."""
    for folder in parent.glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and not is_running(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)

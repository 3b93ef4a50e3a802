"""A job of an engine: one image, its steps, its memory and its state."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, Self

from numpy.typing import NDArray

from cluster_worker.engine.held import Held
from cluster_worker.engine.tables import Table, read_columns
from cluster_worker.engine.wire import Task
from cluster_worker.objects.access import AnySink
from cluster_worker.pixels.shared_memory import Pixels, Segment, Segments
from cluster_worker.plan.cost import estimate
from cluster_worker.plan.passes import Plan
from cluster_worker.plan.rates import MEASURED
from cluster_worker.plan.recipe import RecipePlan, plan_any
from cluster_worker.plan.request import Request
from cluster_worker.timings import NOTHING, Share, Spent

Image = NDArray[Any]
Progress = Callable[[int, int], None]


def ignore(done: int, total: int) -> None:
    """Do nothing: the default progress callback."""


class JobQueue(Protocol):
    """What a job needs of the dispatcher, which imports this file."""

    ranks: int

    def submit(self, job: "EngineJob") -> None:
        """Queue a job."""

    def cancel(self, job: "EngineJob") -> None:
        """Cancel a job; its future raises Cancelled soon after."""


@dataclass(eq=False)
class EngineJob:
    """One image to process: fill `source`, start the job, wait, read `result`, close the job.

    Attributes
    ----------
    task : Task
        What the ranks receive: the plan's request and where the images lie.
    queue : JobQueue
        Runs the job.
    memory : Segments
        Where `segments` come from and return to.
    cores : int
        Cores of this machine, for estimates.
    private_bytes : int
        Private memory that the plan needs in all its ranks together.
    segments : list of Segment
        Shared memory that is released with the job.
    progress : callable
        ``progress(tiles done, tiles in all)``; called on the dispatcher's thread.
    first : bool
        Whether the job goes before those that are not first.
    done : Future
        Set once the job has succeeded, failed or been cancelled.
    ranks : set of int
        Ranks that still work on the job.
    tiles_done, tiles_total : int
        Progress of the current attempt.
    began : float
        Seconds on the monotonic clock; 0 before the job is first sent to ranks.
    passed : int
        Number of jobs that have overtaken this one in the queue.
    error : Exception or None
        The first error of a rank or of the progress callback.
    losses : list of Exception
        Why worlds that ran the job ended before it.
    not_begun : int
        Worlds that ended before all their ranks had the job.
    cancelled : bool
        Whether the job was cancelled.
    spent : Spent
        Wall time of the slowest rank, and processor time of all ranks.
    shares : list of Share
        What each rank did of the attempt that ended, if it reported that.
    table_bytes : int
        Shared memory that its tables take once it is done.
    hosts : dict of str to list of int
        The ranks of each host that works on it, by "name:port"; empty if this host alone does.
    stored : str
        What the keys begin with of what its passes and results leave in an object store, which is
        deleted by whoever has made the job; empty if they leave nothing there.
    written : tuple of AnySink
        Where its results lie, if that is not where the task says.
    tables_lock, tables_removed : Lock, bool
        They may be removed on one thread while they are counted on another.
    """

    task: Task
    queue: JobQueue
    memory: Segments
    cores: int
    private_bytes: int
    segments: list[Segment] = field(default_factory=list)
    progress: Progress = ignore
    first: bool = True
    done: "Future[None]" = field(default_factory=Future)
    ranks: set[int] = field(default_factory=set)
    tiles_done: int = 0
    tiles_total: int = 0
    began: float = 0.0
    passed: int = 0
    error: Exception | None = None
    losses: list[Exception] = field(default_factory=list)
    not_begun: int = 0
    cancelled: bool = False
    spent: Spent = NOTHING
    shares: list[Share] = field(default_factory=list)
    table_bytes: int = 0
    hosts: dict[str, list[int]] = field(default_factory=dict)
    stored: str = ""
    written: tuple[AnySink, ...] = ()
    tables_lock: threading.Lock = field(default_factory=threading.Lock)
    tables_removed: bool = False

    def __post_init__(self) -> None:
        """Count the tables as soon as the ranks have written them, if that is to memory."""
        if any(Path(each).parent == self.memory.folder for each in self.task.tables):
            self.done.add_done_callback(lambda _: self.count_tables())

    @property
    def request(self) -> Request:
        """What the plan is made from."""
        return self.task.request

    @property
    def plan(self) -> Plan | RecipePlan:
        """The plan of the chain or recipe."""
        return plan_any(self.request)

    @property
    def source_pixels(self) -> Pixels:
        """The image in shared memory, alpha included; only if it is not read from a file."""
        assert isinstance(self.task.source, Pixels)  # noqa: S101 - a file is read by windows
        return self.task.source

    @property
    def result_pixels(self) -> Pixels:
        """The result in shared memory, alpha included; only if it is not a spool."""
        assert isinstance(self.task.result, Pixels)  # noqa: S101 - a spool is assembled
        return self.task.result

    @cached_property
    def source(self) -> Image:
        """The image as an array, which the caller fills before `start`."""
        return self.memory.maps.map(self.source_pixels, writable=True)

    @cached_property
    def result(self) -> Image:
        """The result as a read-only array; valid after `wait` and until `close`."""
        return self.memory.maps.map(self.result_pixels, writable=False)

    @cached_property
    def inputs(self) -> dict[str, Image]:
        """The other images by their names, which the caller fills before `start`."""
        names = (name for name, _ in self.plan.inputs)
        pixels = (each for each in self.task.inputs if isinstance(each, Pixels))
        mapped = (self.memory.maps.map(each, writable=True) for each in pixels)
        return dict(zip(names, mapped, strict=True))

    @cached_property
    def kept(self) -> dict[str, Image]:
        """The kept images by their ids, as read-only arrays; valid as `result` is."""
        return {
            name: self.memory.maps.map(self.kept_pixels(number), writable=False)
            for name, number in self.plan.kept
        }

    def kept_pixels(self, number: int) -> Pixels:
        """Return where a result lies in shared memory; the last image is result 0."""
        result = (self.task.result, *self.task.kept)[number]
        assert isinstance(result, Pixels)  # noqa: S101 - a spool is assembled
        return result

    @cached_property
    def tables(self) -> dict[str, Table]:
        """The tables by their names; they can be read after `wait` and until `close`."""
        paths = map(Path, self.task.tables)
        return dict(zip(self.plan.tables, map(read_columns, paths), strict=True))

    def start(self, progress: Progress = ignore, *, first: bool = True) -> None:
        """Queue the job.

        Parameters
        ----------
        progress : callable
            ``progress(tiles done, tiles in all)``; called on the engine's thread. If it raises an
            error, the job is cancelled and `wait` raises the error.
        first : bool
            Whether the job goes before those that are not first. A job can be overtaken only a
            limited number of times.
        """
        self.progress = progress
        self.first = first
        self.queue.submit(self)

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the result is there.

        Raises
        ------
        Rejected
            If an operation refuses the image, or the job takes more time or memory than allowed.
        Broken
            If ranks died or hung on the job twice, no world starts for it, or the engine was
            closed.
        Cancelled
            If the job was cancelled.
        TimeoutError
            If the job is not done after `seconds`.
        """
        self.done.result(seconds)

    def seconds_left(self) -> float:
        """Estimate the remaining seconds, by the pace so far.

        Before the first tile is done, the plan is estimated instead.
        """
        elapsed = time.monotonic() - self.began if self.began else 0.0
        if self.began and self.tiles_done:
            return elapsed * (self.tiles_total - self.tiles_done) / self.tiles_done
        ranks = self.queue.ranks if self.task.wide else 1
        whole = estimate(self.plan, ranks, self.cores, MEASURED).seconds
        return max(whole - elapsed, 0.0)

    def cancel(self) -> None:
        """Cancel the job; `wait` then raises Cancelled."""
        self.queue.cancel(self)

    def keep(self) -> Held:
        """Return the result as a held image, whose memory stays after `close`."""
        pixels = self.result_pixels
        segment = next(each for each in self.segments if str(each.path) == pixels.path)
        self.segments.remove(segment)
        return Held(self.memory, segment, pixels)

    def close(self) -> None:
        """Cancel the job if it is not done, and release its memory.

        The arrays of the job must not be used afterwards. Ranks may still write to them, so the
        memory is released only when the job is settled.
        """
        segments, self.segments = self.segments, []
        if not self.done.done():
            self.cancel()
        if segments:
            self.done.add_done_callback(lambda _: self.memory.release(segments))
        if self.task.tables:
            self.done.add_done_callback(lambda _: self.remove_tables())

    def count_tables(self) -> None:
        """Count the shared memory of the tables, whose size is known once they are written."""
        with self.tables_lock:
            if self.tables_removed:
                return
            for path in self.task.tables:
                with suppress(FileNotFoundError):
                    self.table_bytes += Path(path).stat().st_size
            self.memory.count(self.table_bytes)

    def remove_tables(self) -> None:
        """Remove the files of the tables."""
        with self.tables_lock:
            self.tables_removed = True
            for path in self.task.tables:
                Path(path).unlink(missing_ok=True)
            self.memory.count(-self.table_bytes)
            self.table_bytes = 0

    def __enter__(self) -> Self:
        """Return the job itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the job."""
        self.close()

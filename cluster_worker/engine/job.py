"""One image on its way through an engine, from its memory to its result."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, Self

from numpy.typing import NDArray

from cluster_worker.engine.held import Held
from cluster_worker.engine.wire import Task
from cluster_worker.pixels.shared_memory import Pixels, Segment, Segments
from cluster_worker.plan.chain import PlanRequest, plan
from cluster_worker.plan.cost import estimate
from cluster_worker.plan.rates import MEASURED
from cluster_worker.timings import NOTHING, Spent

Image = NDArray[Any]
Progress = Callable[[int, int], None]


def ignore(done: int, total: int) -> None:
    """Progress callback that does nothing."""


class JobQueue(Protocol):
    """What a job needs of the dispatcher, which imports this file."""

    ranks: int

    def submit(self, job: "EngineJob") -> None:
        """Queue a job."""

    def cancel(self, job: "EngineJob") -> None:
        """Cancel a job; its future raises Cancelled soon after."""


@dataclass(eq=False)
class EngineJob:
    """One image on its way: fill `source`, start the job, wait, read `result`, close the job.

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
    began, deadline : float
        On the monotonic clock; 0 while the job waits.
    passed : int
        How many jobs have overtaken this one.
    spent : Spent
        Wall time of the slowest rank, and processor time of all ranks.
    """

    task: Task
    queue: JobQueue
    memory: Segments
    cores: int
    segments: list[Segment] = field(default_factory=list)
    progress: Progress = ignore
    first: bool = True
    done: "Future[None]" = field(default_factory=Future)
    ranks: set[int] = field(default_factory=set)
    tiles_done: int = 0
    tiles_total: int = 0
    began: float = 0.0
    deadline: float = 0.0
    passed: int = 0
    error: Exception | None = None
    suspect: bool = False
    cancelled: bool = False
    spent: Spent = NOTHING

    @property
    def request(self) -> PlanRequest:
        """What the plan is made from."""
        return self.task.request

    @property
    def source_pixels(self) -> Pixels:
        """Where the image lies, alpha included, if it lies in memory."""
        assert isinstance(self.task.source, Pixels)  # noqa: S101 - a file is read by windows
        return self.task.source

    @property
    def result_pixels(self) -> Pixels:
        """Where the result lies, alpha included, if it lies in memory."""
        assert isinstance(self.task.result, Pixels)  # noqa: S101 - a spool is assembled
        return self.task.result

    @cached_property
    def source(self) -> Image:
        """The image, to be filled by the caller."""
        return self.memory.maps.map(self.source_pixels, writable=True)

    @cached_property
    def result(self) -> Image:
        """The result, as an array that is valid after `wait` and until `close`."""
        return self.memory.maps.map(self.result_pixels, writable=False)

    def start(self, progress: Progress = ignore, *, first: bool = True) -> None:
        """Queue the job; jobs that are not `first` wait for those that are.

        Parameters
        ----------
        progress : callable
            ``progress(tiles done, tiles in all)``; called on the engine's thread.
        first : bool
            Whether to go before jobs that are not first.
        """
        self.progress = progress
        self.first = first
        self.queue.submit(self)

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the result is there.

        Raises
        ------
        Rejected
            If an operation refuses the image, or it takes more time or memory than a job may.
        Broken
            If ranks died on it, also when it ran alone.
        Cancelled
            If it was cancelled.
        TimeoutError
            If it is not done after `seconds`.
        """
        self.done.result(seconds)

    def seconds_left(self) -> float:
        """Estimate the remaining seconds: by pace, or by the plan before the first tile is done."""
        elapsed = time.monotonic() - self.began if self.began else 0.0
        if self.began and self.tiles_done:
            return elapsed * (self.tiles_total - self.tiles_done) / self.tiles_done
        ranks = self.queue.ranks if self.task.wide else 1
        whole = estimate(plan(self.request), ranks, self.cores, MEASURED).seconds
        return max(whole - elapsed, 0.0)

    def cancel(self) -> None:
        """Cancel the job; `wait` then raises Cancelled."""
        self.queue.cancel(self)

    def keep(self) -> Held:
        """Return the result as a held image, which stays after `close`."""
        pixels = self.result_pixels
        segment = next(each for each in self.segments if str(each.path) == pixels.path)
        self.segments.remove(segment)
        return Held(self.memory, segment, pixels)

    def close(self) -> None:
        """Cancel the job if it is not done, and release its memory.

        The arrays of the job must not be used any more. Ranks may still write to them, so the
        memory is released only when the job is settled.
        """
        segments, self.segments = self.segments, []
        if not self.done.done():
            self.cancel()
        if segments:
            self.done.add_done_callback(lambda _: self.memory.release(segments))

    def __enter__(self) -> Self:
        """Return the job itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the job."""
        self.close()

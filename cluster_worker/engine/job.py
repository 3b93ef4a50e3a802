"""An image on its way through an engine."""

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Self

from numpy.typing import NDArray

from cluster_worker.engine.dispatch import Assignment, Dispatcher
from cluster_worker.engine.held import Held
from cluster_worker.pixels.shared_memory import Pixels, Segment, Segments
from cluster_worker.plan.chain import plan
from cluster_worker.plan.cost import estimate
from cluster_worker.plan.rates import MEASURED
from cluster_worker.stages import Spent

Image = NDArray[Any]
Progress = Callable[[int, int], None]


def ignore(done: int, total: int) -> None:
    """Progress that nobody watches."""


class EngineJob:
    """An image on its way: fill `source`, start it, wait, read `result`, close it.

    Attributes
    ----------
    source_pixels, result_pixels : Pixels
        Where the image and its result lie, alpha included, if they do in memory.
    source, result : ndarray
        The same as arrays; `result` is valid after `wait`, until `close`.
    """

    source_pixels: Pixels
    result_pixels: Pixels

    def __init__(
        self,
        dispatcher: Dispatcher,
        memory: Segments,
        cores: int,
        assignment: Assignment,
        segments: Sequence[Segment] = (),
    ) -> None:
        self.dispatcher = dispatcher
        self.memory = memory
        self.cores = cores
        self.assignment = assignment
        self.segments = list(segments)
        if isinstance(assignment.source, Pixels):
            self.source_pixels = assignment.source
        if isinstance(assignment.result, Pixels):
            self.result_pixels = assignment.result

    @cached_property
    def source(self) -> Image:
        """The image, to be filled."""
        return self.memory.maps.map(self.source_pixels, writable=True)

    @cached_property
    def result(self) -> Image:
        """What became of it."""
        return self.memory.maps.map(self.result_pixels, writable=False)

    def start(self, progress: Progress = ignore, *, first: bool = True) -> None:
        """Queue the job; the engine's thread calls `progress(tiles done, tiles in all)`.

        Jobs that are not `first` wait for all that are.
        """
        self.assignment.progress = progress
        self.assignment.first = first
        self.dispatcher.submit(self.assignment)

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the result is there.

        Raises
        ------
        Rejected
            If an operation refuses the image, or it takes more time or memory than a job may.
        Broken
            If ranks died on it, tried alone as well.
        Cancelled
            If it was cancelled.
        TimeoutError
            If it is not done after so many seconds.
        """
        self.assignment.done.result(seconds)

    @property
    def spent(self) -> Spent:
        """What the ranks took for it; valid after `wait`."""
        return self.assignment.spent

    def seconds_left(self) -> float:
        """Estimate what it still takes: by its pace, or by the plan as long as no tile is done."""
        job = self.assignment
        spent = time.monotonic() - job.began if job.began else 0.0
        if job.began and job.tiles_done:
            return spent * (job.tiles_total - job.tiles_done) / job.tiles_done
        ranks = self.dispatcher.ranks if job.wide else 1
        whole = estimate(plan(job.order), ranks, self.cores, MEASURED).seconds
        return max(whole - spent, 0.0)

    def cancel(self) -> None:
        """Give it up; `wait` raises Cancelled."""
        self.dispatcher.cancel(self.assignment)

    def keep(self) -> Held:
        """Give the result as one that stays after `close`."""
        pixels = self.result_pixels
        segment = next(each for each in self.segments if str(each.path) == pixels.path)
        self.segments.remove(segment)
        return Held(self.memory, segment, pixels)

    def close(self) -> None:
        """Give it up if it is not done, and its memory back; its arrays must not be used any more.

        Ranks may still write there: the memory is free once the job is settled.
        """
        segments, self.segments = self.segments, []
        if not self.assignment.done.done():
            self.cancel()
        if segments:
            self.assignment.done.add_done_callback(lambda _: self.memory.release(segments))

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give its memory back."""
        self.close()

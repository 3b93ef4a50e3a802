"""A seat: one standing world, the job that it runs, and what happens if either fails.

An engine has a seat of one rank for each of its ranks, which take farmed jobs, and one wide seat of
all ranks, which takes wide jobs. A seat runs one job at a time. So what ends its world is due to
that job or came from outside, and no other job is harmed.
"""

import contextlib
import math
import time
from collections.abc import Iterator

from cluster_worker.engine.job import EngineJob
from cluster_worker.engine.limits import Watch
from cluster_worker.engine.wire import Cancel, Done, Progress, packed, send
from cluster_worker.engine.world import World
from cluster_worker.errors import Cancelled
from cluster_worker.plan.checkpoints import tiles_done
from cluster_worker.plan.recipe import plan_any
from cluster_worker.timings import NOTHING, Share, Spent

# A rank checks for a cancel between two tiles. If it has not stopped after this time, because it is
# in one long call, its world is replaced.
CANCEL_SECONDS = 0.15
# A world is replaced between two jobs once its ranks have grown by this much private memory each.
# The allocator keeps up to 256 MiB for the next job (see `launch.KEEP_PAGES`).
GROWN_BYTES = 512 << 20
# Shortest time between two checks of that. A check takes as long as a small job.
GROWTH_SECONDS = 5.0


class Seat:
    """One world and its job; used by the dispatcher's thread only.

    Parameters
    ----------
    number : int or None
        Of a seat of one rank; None for the wide seat.
    ranks : int
        Number of ranks of its world.
    job_seconds : float
        Most processor time that a rank may use for one job.

    Attributes
    ----------
    world : World or None
        None while the world is started or replaced.
    job : EngineJob or None
        The job that the world runs, or ran until it was lost.
    cancel_by : float
        When the job must have ended after a cancel, on the monotonic clock.
    failures : int
        Attempts to start the world that failed, one after the other.
    is_outdated : bool
        Whether a world with more operations loaded is to take the place of this one.
    checked_at : float
        When the growth of its memory was checked last, on the monotonic clock.
    """

    def __init__(self, number: int | None, ranks: int, job_seconds: float) -> None:
        self.number = number
        self.ranks = ranks
        self.job_seconds = job_seconds
        self.world: World | None = None
        self.job: EngineJob | None = None
        self.watch: Watch | None = None
        self.cancel_by = math.inf
        self.failures = 0
        self.is_outdated = False
        self.checked_at = 0.0

    @property
    def wide(self) -> bool:
        """Whether it takes wide jobs."""
        return self.number is None

    @property
    def is_free(self) -> bool:
        """Whether it can begin a job."""
        return self.world is not None and self.job is None

    def begin(self, job: EngineJob) -> bool:
        """Send a job to the ranks and start its clock; return False if a rank has gone."""
        assert self.world is not None  # noqa: S101 - the seat is free
        self.job, self.cancel_by = job, math.inf
        job.ranks, job.error, job.spent = set(self.world.pids), None, NOTHING
        planned = plan_any(job.request)
        job.tiles_total = planned.tiles_total(self.ranks)
        job.tiles_done = tiles_done(planned, job.task.begin, self.ranks)
        job.began = time.monotonic()
        self.watch = Watch(self.world.pids, self.job_seconds)
        task = packed(job.task)
        try:
            for connection in self.world.connections.values():
                connection.send_bytes(task)
        except OSError:
            return False
        return True

    def receive(self, rank: int) -> Progress | Done | None:
        """Receive one message of a rank; None if the rank is gone."""
        if self.world is None:
            return None
        try:
            message = self.world.connections[rank].recv()
        except (EOFError, OSError):
            return None
        assert isinstance(message, Progress | Done)  # noqa: S101 - ranks send nothing else
        return message

    def drain(self) -> Iterator[tuple[int, Progress | Done]]:
        """Yield what the ranks sent before their world ended, each with its rank.

        A job whose ranks have all sent Done has ended before.
        """
        assert self.world is not None  # noqa: S101 - it has just been lost
        for rank, connection in self.world.connections.items():
            with contextlib.suppress(OSError):
                while connection.poll(0) and (message := self.receive(rank)):
                    yield rank, message

    def cancel(self) -> None:
        """Ask the ranks to stop their job; its world is replaced if they do not hear it."""
        if self.job is None or self.world is None:
            return
        self.cancel_by = min(self.cancel_by, time.monotonic() + CANCEL_SECONDS)
        for rank in self.job.ranks:
            with contextlib.suppress(OSError):
                send(self.world.connections[rank], Cancel(self.job.task.job))

    @property
    def next_look(self) -> float:
        """When to look at the running job next, on the monotonic clock."""
        if self.job is None or self.world is None or self.watch is None:
            return math.inf
        return min(self.cancel_by, self.watch.next_look)

    def look(self, now: float) -> Exception | None:
        """Return why the running job must be ended; None if it need not.

        The reasons are a cancel that the ranks do not hear, a limit, and a rank that hangs.
        """
        assert self.job is not None  # noqa: S101 - `next_look` is infinite without one
        assert self.watch is not None  # noqa: S101 - as above
        return Cancelled() if now >= self.cancel_by else self.watch.look(self.job.ranks)

    def on_done(self, job: EngineJob, rank: int, message: Done) -> bool:
        """Note that a rank has finished its share; return whether all have."""
        job.ranks.discard(rank)
        job.error = job.error or message.error
        job.spent = parallel(job.spent, message.spent)
        job.shares.append(Share("", rank, time.time_ns(), message.spent, message.passes))
        return not job.ranks

    def has_grown(self) -> bool:
        """Return whether the ranks hold so much memory that the world should be replaced.

        If it was checked a short time ago, the answer is no.
        """
        now = time.monotonic()
        if self.world is None or now < self.checked_at + GROWTH_SECONDS:
            return False
        self.checked_at = now
        return self.world.has_grown(GROWN_BYTES)


def parallel(a: Spent, b: Spent) -> Spent:
    """Combine the times of ranks that worked at the same time."""
    return Spent(max(a.seconds, b.seconds), a.cpu_seconds + b.cpu_seconds)

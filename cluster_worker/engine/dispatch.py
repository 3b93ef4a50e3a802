"""Assign jobs to ranks, enforce their limits, and restart the world when a rank dies.

One thread owns the world and the state of every job; other threads send it calls through a queue.
A small job runs on one free rank. A wide job waits until all ranks are free and uses them all.

When a rank dies, MPI ends the whole world. The job of the rank that died first is a suspect: it
runs again with no other job beside it, and fails if a rank dies again. The jobs of the other ranks
are bystanders and start again.
"""

import contextlib
import itertools
import os
import queue
import select
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from multiprocessing import Pipe
from pathlib import Path
from types import MappingProxyType

from cluster_worker.engine.job import EngineJob
from cluster_worker.engine.launch import RankSource, World, launch
from cluster_worker.engine.wire import Cancel, Done, Progress, packed, send
from cluster_worker.errors import Broken, Cancelled, RankDied, Rejected
from cluster_worker.plan.chain import plan
from cluster_worker.timings import NOTHING, Spent

# A rank checks for a cancel between two tiles. If it has not stopped after this time, because it is
# in one long call, the world is killed.
CANCEL_SECONDS = 0.8
# Attempts to start a world before its jobs fail.
STARTS_MAX = 3
START_BACKOFF_SECONDS = 1.0
# A job that is not `first` can be overtaken this often. Then it keeps its position in the queue.
OVERTAKEN_MAX = 16
# Bytes read from the wake-up pipe at once; each byte is one wake-up.
WAKEUPS_MAX = 4096


class Dispatcher:
    """The thread that owns a world of ranks.

    Parameters
    ----------
    ranks : int
        Number of ranks of the world.
    folder : Path
        Private folder for the world's socket and log.
    job_seconds, job_bytes : float, int
        Limits of one job: wall time in seconds, and bytes of memory in each rank.
    source : RankSource
        Where the ranks are forked.
    """

    def __init__(
        self, ranks: int, folder: Path, job_seconds: float, job_bytes: int, source: RankSource
    ) -> None:
        self.ranks = ranks
        self.folder = folder
        self.job_seconds = job_seconds
        self.job_bytes = job_bytes
        self.source = source
        self.calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.wakeup_receiver, self.wakeup_sender = Pipe(duplex=False)
        self.waiting: deque[EngineJob] = deque()
        self.suspects: deque[EngineJob] = deque()
        self.busy: dict[int, EngineJob] = {}
        self.closing = False
        self.ended = threading.Event()
        self.world: World | None = None
        # Watches the wake-up pipe and the sockets of the ranks.
        self.selector: selectors.BaseSelector = selectors.DefaultSelector()
        self.started = Future[None]()
        self.thread = threading.Thread(target=self.run, name="dispatcher", daemon=True)
        self.thread.start()
        self.started.result()

    # Called from any thread.

    def submit(self, job: EngineJob) -> None:
        """Queue a job."""
        self.call_soon(lambda: self.enqueue(job))

    def cancel(self, job: EngineJob) -> None:
        """Cancel a job; its future raises Cancelled soon after."""
        self.call_soon(lambda: self.cancel_now(job))

    def close(self) -> None:
        """End the world; unfinished jobs fail as broken."""

        def begin() -> None:
            self.closing = True

        self.call_soon(begin)
        self.thread.join()

    def call_soon(self, call: Callable[[], None]) -> None:
        """Run a call on the dispatcher's thread, or here once that thread has ended."""
        self.calls.put(call)
        with contextlib.suppress(OSError):
            os.write(self.wakeup_sender.fileno(), b".")
        if self.ended.is_set():
            self.run_calls()

    # Called on the dispatcher's thread only.

    def run(self) -> None:
        """Start the world, serve until closed, then settle what is left."""
        try:
            self.world = self.launch_world()
        except Exception as error:  # noqa: BLE001 - the engine's constructor raises it
            self.started.set_exception(error)
            return
        self.started.set_result(None)
        reason = "the engine was closed"
        try:
            self.serve()
        except Exception as error:  # noqa: BLE001 - a defect of ours; every job must fail with it
            reason = f"the engine failed: {type(error).__name__}: {error}"
        if self.world is not None and self.busy:
            self.world.kill()
        elif self.world is not None:
            self.world.stop()
        self.closing = True
        for job in {*self.waiting, *self.suspects, *self.busy.values()}:
            settle(job, Broken(reason))
        # From here on `call_soon` runs calls itself, so that none is left in the queue.
        self.ended.set()
        self.run_calls()

    def serve(self) -> None:
        """Serve until closed."""
        while not self.closing:
            if self.world is None:
                self.restart_world()
            self.assign_waiting()
            self.wait_for_events()
            self.enforce_deadlines()

    def launch_world(self) -> World:
        """Start a world and watch the sockets of its ranks."""
        world = launch(self.ranks, self.folder, self.job_bytes, self.source)
        self.selector.close()
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.wakeup_receiver, selectors.EVENT_READ)
        for rank, connection in world.connections.items():
            self.selector.register(connection, selectors.EVENT_READ, rank)
        return world

    def restart_world(self) -> None:
        """Start a new world, with retries; if none starts, the waiting jobs fail as broken."""
        for attempt in range(STARTS_MAX):
            try:
                self.world = self.launch_world()
                return
            except Broken as error:
                problem = error
                self.pause(START_BACKOFF_SECONDS * 2**attempt)
                if self.closing:
                    return
        for job in {*self.waiting, *self.suspects}:
            settle(job, problem)
        self.waiting.clear()
        self.suspects.clear()

    def assign_waiting(self) -> None:
        """Send waiting jobs to free ranks in order; a suspect waits until all ranks are free."""
        if self.world is None:
            return
        while self.suspects or self.waiting:
            free = [rank for rank in self.world.connections if rank not in self.busy]
            jobs = self.suspects or self.waiting
            job = jobs[0]
            if not free or ((job.task.wide or job.suspect) and len(free) < self.ranks):
                return
            if any(other.suspect for other in self.busy.values()):
                return
            jobs.popleft()
            self.begin(job, self.world, free if job.task.wide else free[:1])

    def begin(self, job: EngineJob, world: World, ranks: list[int]) -> None:
        """Send a job to ranks and start its clock."""
        job.ranks, job.error, job.tiles_done, job.spent = set(ranks), None, 0, NOTHING
        job.tiles_total = plan(job.request).tiles_total(len(ranks))
        job.began = time.monotonic()
        job.deadline = job.began + self.job_seconds
        for rank in ranks:
            self.busy[rank] = job
        task = packed(job.task)
        for rank in ranks:
            # If the rank has just died, `wait_for_events` notices it, and the job is in `busy`.
            with contextlib.suppress(OSError):
                world.connections[rank].send_bytes(task)

    def wait_for_events(self) -> None:
        """Wait for calls, messages of ranks, or the next deadline, and handle what came."""
        if self.world is None:
            return
        deadlines = [job.deadline for job in self.busy.values()]
        seconds = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
        ready = [key.data for key, _ in self.selector.select(seconds)]
        world = self.world
        lost = [rank for rank in ready if rank is not None and not self.receive_one(world, rank)]
        if lost:
            self.drain_messages(world, lost)
            self.on_rank_exit(lost)
        if None in ready:
            self.handle_wakeup()

    def receive_one(self, world: World, rank: int) -> bool:
        """Receive and handle one message of a rank; return False if the rank is gone."""
        try:
            message = world.connections[rank].recv()
        except (EOFError, OSError):
            return False
        self.handle_message(rank, message)
        return True

    def drain_messages(self, world: World, lost: Sequence[int]) -> None:
        """Handle what the other ranks sent before they ended too.

        A rank whose last message is Done finished its job, and is not to blame for the loss.
        """
        for rank, connection in world.connections.items():
            if rank not in lost:
                while connection.poll(0) and self.receive_one(world, rank):
                    pass

    def pause(self, seconds: float) -> None:
        """Wait for some seconds, but run calls meanwhile; return early when closed."""
        until = time.monotonic() + seconds
        while not self.closing and (left := until - time.monotonic()) > 0:
            if select.select([self.wakeup_receiver], [], [], left)[0]:
                self.handle_wakeup()

    def handle_wakeup(self) -> None:
        """Empty the wake-up pipe, then run the calls."""
        os.read(self.wakeup_receiver.fileno(), WAKEUPS_MAX)
        self.run_calls()

    def run_calls(self) -> None:
        """Run the calls of other threads."""
        with contextlib.suppress(queue.Empty):
            while True:
                self.calls.get_nowait()()

    def enqueue(self, job: EngineJob) -> None:
        """Put a job into the queue, unless it was cancelled already."""
        if self.closing:
            settle(job, Broken("the engine was closed"))
        elif not job.done.done():
            position = queue_position(self.waiting, job)
            for each in itertools.islice(self.waiting, position, None):
                each.passed += 1
            self.waiting.insert(position, job)

    def handle_message(self, rank: int, message: Progress | Done) -> None:
        """Handle one message of a rank."""
        job = self.busy[rank]
        if message.tiles:
            job.tiles_done += message.tiles
            self.report_progress(job)
        if isinstance(message, Progress):
            return
        del self.busy[rank]
        job.ranks.discard(rank)
        job.error = job.error or message.error
        job.spent = parallel(job.spent, message.spent)
        if not job.ranks:
            settle(job, job.error)

    def report_progress(self, job: EngineJob) -> None:
        """Call the job's progress callback; an error that it raises ends this job only."""
        try:
            job.progress(job.tiles_done, job.tiles_total)
        except Exception as error:  # noqa: BLE001 - the caller's own; `wait` raises it
            job.progress = lambda done, total: None
            job.error = error
            self.cancel_now(job)

    def on_rank_exit(self, lost: list[int]) -> None:
        """End the world after ranks have died, and decide what happens to each of its jobs."""
        blamed = {self.busy[rank] for rank in lost if rank in self.busy}
        reason = "a rank died twice while it worked on this image, once on it alone"
        self.end_world(blamed, {job: RankDied(reason) for job in blamed if job.suspect})
        for job in blamed:
            job.suspect = True

    def end_world(
        self, blamed: set[EngineJob], failed: Mapping[EngineJob, Exception] = MappingProxyType({})
    ) -> None:
        """Kill the world, settle the failed jobs, and queue the others again, at the front.

        The world is killed first. Once a job is settled, its memory may belong to another job, and
        no rank may still write to it.
        """
        if self.world is not None:
            self.world.kill()
        self.world = None
        running = sorted(set(self.busy.values()), key=lambda job: -job.task.job)
        self.busy.clear()
        for job in running:
            job.ranks.clear()
            if job.cancelled:
                settle(job, job.error or Cancelled())
            elif job in failed:
                settle(job, failed[job])
            else:
                (self.suspects if job in blamed else self.waiting).appendleft(job)

    def cancel_now(self, job: EngineJob) -> None:
        """Cancel a job that waits, runs, or was not queued yet."""
        if job.done.done():
            return
        job.cancelled = True
        for jobs in (self.waiting, self.suspects):
            if job in jobs:
                jobs.remove(job)
                settle(job, Cancelled())
                return
        if not job.ranks:
            # Not queued yet; `enqueue` will find it settled.
            settle(job, Cancelled())
            return
        job.deadline = min(job.deadline, time.monotonic() + CANCEL_SECONDS)
        if self.world is not None:
            for rank in job.ranks:
                with contextlib.suppress(OSError):
                    send(self.world.connections[rank], Cancel(job.task.job))

    def enforce_deadlines(self) -> None:
        """End the world if a job is past its deadline.

        Ending the rank is the only way to stop a call that does not return.
        """
        now = time.monotonic()
        late = {job for job in self.busy.values() if now >= job.deadline}
        if late:
            reason = f"took longer than {self.job_seconds:g} s, the limit for one image"
            self.end_world(set(), {job: Rejected(reason) for job in late})


def queue_position(waiting: Sequence[EngineJob], job: EngineJob) -> int:
    """Return the position of a new job: behind all, or before jobs that may still be overtaken."""
    behind = len(waiting)
    while job.first and behind and may_be_overtaken(waiting[behind - 1]):
        behind -= 1
    return behind


def may_be_overtaken(job: EngineJob) -> bool:
    """Return whether a job that is `first` may go before this one."""
    return not job.first and job.passed < OVERTAKEN_MAX


def parallel(a: Spent, b: Spent) -> Spent:
    """Combine the times of ranks that worked at the same time."""
    return Spent(max(a.seconds, b.seconds), a.cpu_seconds + b.cpu_seconds)


def settle(job: EngineJob, error: Exception | None) -> None:
    """Set the outcome of a job, once."""
    if job.done.done():
        return
    if error is None:
        job.done.set_result(None)
    else:
        job.done.set_exception(error)

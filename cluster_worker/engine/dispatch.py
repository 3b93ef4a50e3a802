"""Hand jobs to ranks, watch them, and mend what breaks.

One thread owns the world and every job's state while it runs; others reach it through a queue.
Small jobs go to one free rank each; a wide job waits until all ranks are free and takes them all.

When a rank dies, MPI ends the whole world. The job of the rank that was lost first is a suspect:
it is tried again with no other job beside it, and fails if it takes a rank down again. The jobs
of the other ranks are bystanders and simply start again.
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
from dataclasses import dataclass, field
from multiprocessing import Pipe
from pathlib import Path
from types import MappingProxyType

from cluster_worker.engine.launch import Launched, launch
from cluster_worker.engine.wire import Cancel, Done, Progress, Task, packed, send
from cluster_worker.errors import Broken, Cancelled, RankDied, Rejected
from cluster_worker.imagefiles.streams import FileImage, Raw, Spool
from cluster_worker.pixels.shared_memory import Pixels
from cluster_worker.plan.chain import Order, plan
from cluster_worker.stages import NOTHING, Spent

# Time to hear a cancel between two tiles; a rank deep in one long call is ended instead.
CANCEL_SECONDS = 0.8
# A world that does not start is tried so often before its jobs are told.
STARTS_MAX = 3
START_BACKOFF_SECONDS = 1.0
# The bulk lets so many others pass, each, and then no more: it must come to its end too.
PASSED_MAX = 16
# Rings of the bell that are heard at once.
RINGS = 4096


@dataclass(eq=False)
class Assignment:
    """One order to run, with where its images lie, and what has become of it so far."""

    number: int
    order: Order
    source: Pixels | FileImage
    scratch: tuple[Pixels | Raw, ...]
    result: Pixels | Spool
    wide: bool
    progress: Callable[[int, int], None]
    done: "Future[None]" = field(default_factory=Future)
    tiles_done: int = 0
    tiles_total: int = 0
    ranks: set[int] = field(default_factory=set)
    error: Exception | None = None
    suspect: bool = False
    # On the monotonic clock; 0 while it waits.
    began: float = 0.0
    deadline: float = 0.0
    cancelled: bool = False
    # Whether it goes before those that are not.
    first: bool = True
    passed: int = 0
    # By the rank that took longest, and by the processors of all.
    spent: Spent = NOTHING

    def task(self) -> Task:
        """Put it in the ranks' words."""
        return Task(self.number, self.order, self.source, self.scratch, self.result, self.wide)


class Dispatcher:
    """The thread that owns a world.

    Parameters
    ----------
    ranks : int
        Of the world.
    folder : Path
        Private, for the world's socket and log.
    job_seconds, job_bytes : float, int
        Limits of one job: wall time, and memory in each rank.
    warm : bool
        Whether the ranks load all operations before the first job.
    """

    def __init__(
        self, ranks: int, folder: Path, job_seconds: float, job_bytes: int, warm: bool
    ) -> None:
        self.ranks = ranks
        self.folder = folder
        self.job_seconds = job_seconds
        self.job_bytes = job_bytes
        self.warm = warm
        self.requests: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.bell, self.ringer = Pipe(duplex=False)
        self.waiting: deque[Assignment] = deque()
        self.suspects: deque[Assignment] = deque()
        self.busy: dict[int, Assignment] = {}
        self.closing = False
        self.ended = threading.Event()
        self.world: Launched | None = None
        # Of the bell and the world's ranks.
        self.selector: selectors.BaseSelector = selectors.DefaultSelector()
        self.started = Future[None]()
        self.thread = threading.Thread(target=self.run, name="dispatcher", daemon=True)
        self.thread.start()
        self.started.result()

    # Called from any thread.

    def submit(self, job: Assignment) -> None:
        """Queue a job."""
        self.ask(lambda: self.enqueue(job))

    def cancel(self, job: Assignment) -> None:
        """Give a job up; its future raises Cancelled soon."""
        self.ask(lambda: self.give_up(job))

    def close(self) -> None:
        """End the world; jobs that are not done fail as broken."""

        def begin() -> None:
            self.closing = True

        self.ask(begin)
        self.thread.join()

    def ask(self, request: Callable[[], None]) -> None:
        """Have the thread do something; once it has ended, do it here."""
        self.requests.put(request)
        with contextlib.suppress(OSError):
            os.write(self.ringer.fileno(), b".")
        if self.ended.is_set():
            self.serve_requests()

    # Called in the thread alone.

    def run(self) -> None:
        """Serve until closed."""
        try:
            self.world = self.launched()
        except Exception as error:  # noqa: BLE001 - the engine's constructor raises it
            self.started.set_exception(error)
            return
        self.started.set_result(None)
        reason = "the engine was closed"
        try:
            self.serve()
        except Exception as error:  # noqa: BLE001 - a defect of ours; nobody may wait for ever
            reason = f"the engine failed: {type(error).__name__}: {error}"
        if self.world is not None and self.busy:
            self.world.kill()
        elif self.world is not None:
            self.world.stop()
        self.closing = True
        for job in {*self.waiting, *self.suspects, *self.busy.values()}:
            settle(job, Broken(reason))
        # From here on whoever asks serves the requests as well: none is left lying.
        self.ended.set()
        self.serve_requests()

    def serve(self) -> None:
        """Serve until closed."""
        while not self.closing:
            if self.world is None:
                self.start_again()
            self.hand_out()
            self.listen()
            self.watch_the_clock()

    def launched(self) -> Launched:
        """Start a world whose ranks will be heard."""
        world = launch(self.ranks, self.folder, self.job_bytes, self.warm)
        self.selector.close()
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.bell, selectors.EVENT_READ)
        for rank, connection in world.connections.items():
            self.selector.register(connection, selectors.EVENT_READ, rank)
        return world

    def start_again(self) -> None:
        """Start a new world, with patience; if none starts, its jobs fail as broken."""
        for attempt in range(STARTS_MAX):
            try:
                self.world = self.launched()
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

    def hand_out(self) -> None:
        """Give waiting jobs to free ranks, first come, first served; suspects when all are free."""
        if self.world is None:
            return
        while self.suspects or self.waiting:
            free = [rank for rank in self.world.connections if rank not in self.busy]
            source = self.suspects or self.waiting
            job = source[0]
            if not free or ((job.wide or job.suspect) and len(free) < self.ranks):
                return
            if any(other.suspect for other in self.busy.values()):
                return
            source.popleft()
            self.begin(job, self.world, free if job.wide else free[:1])

    def begin(self, job: Assignment, world: Launched, ranks: list[int]) -> None:
        """Send a job to its ranks."""
        job.ranks, job.error, job.tiles_done, job.spent = set(ranks), None, 0, NOTHING
        job.tiles_total = plan(job.order).tiles_total(len(ranks))
        job.began = time.monotonic()
        job.deadline = job.began + self.job_seconds
        for rank in ranks:
            self.busy[rank] = job
        task = packed(job.task())
        for rank in ranks:
            # A rank that has just died is noticed by `listen`, with its job among the held.
            with contextlib.suppress(OSError):
                world.connections[rank].send_bytes(task)

    def listen(self) -> None:
        """Wait for requests, messages of ranks, and the next deadline."""
        if self.world is None:
            return
        deadlines = [job.deadline for job in self.busy.values()]
        seconds = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
        ready = [key.data for key, _ in self.selector.select(seconds)]
        world = self.world
        lost = [rank for rank in ready if rank is not None and not self.hear_one(world, rank)]
        if lost:
            self.hear_out(world, lost)
            self.mourn(lost)
        if None in ready:
            self.answer_the_bell()

    def hear_one(self, world: Launched, rank: int) -> bool:
        """Take in one message of a rank that has sent one; False if the rank is gone."""
        try:
            message = world.connections[rank].recv()
        except (EOFError, OSError):
            return False
        self.hear(rank, message)
        return True

    def hear_out(self, world: Launched, lost: Sequence[int]) -> None:
        """Take in what other ranks said before some were lost: who is gone by now was not first."""
        for rank, connection in world.connections.items():
            if rank not in lost:
                while connection.poll(0) and self.hear_one(world, rank):
                    pass

    def pause(self, seconds: float) -> None:
        """Wait, but go on serving requests, and not past a close."""
        until = time.monotonic() + seconds
        while not self.closing and (left := until - time.monotonic()) > 0:
            if select.select([self.bell], [], [], left)[0]:
                self.answer_the_bell()

    def answer_the_bell(self) -> None:
        """Silence the bell, then do what was asked for."""
        os.read(self.bell.fileno(), RINGS)
        self.serve_requests()

    def serve_requests(self) -> None:
        """Do what other threads have asked for."""
        with contextlib.suppress(queue.Empty):
            while True:
                self.requests.get_nowait()()

    def enqueue(self, job: Assignment) -> None:
        """Put a job in line, unless it was cancelled before it got here."""
        if self.closing:
            settle(job, Broken("the engine was closed"))
        elif not job.done.done():
            place = place_in_line(self.waiting, job)
            for each in itertools.islice(self.waiting, place, None):
                each.passed += 1
            self.waiting.insert(place, job)

    def hear(self, rank: int, message: Progress | Done) -> None:
        """Take in what a rank says."""
        job = self.busy[rank]
        if message.tiles:
            job.tiles_done += message.tiles
            self.show_progress(job)
        if isinstance(message, Progress):
            return
        del self.busy[rank]
        job.ranks.discard(rank)
        job.error = job.error or message.error
        job.spent = beside(job.spent, message.spent)
        if not job.ranks:
            settle(job, job.error)

    def show_progress(self, job: Assignment) -> None:
        """Call whoever watches a job; what that raises ends the job, and it alone."""
        try:
            job.progress(job.tiles_done, job.tiles_total)
        except Exception as error:  # noqa: BLE001 - the caller's own; `wait` raises it
            job.progress = lambda done, total: None
            job.error = error
            self.give_up(job)

    def mourn(self, lost: list[int]) -> None:
        """A rank has died: end the world, and decide what becomes of each job it held."""
        blamed = {self.busy[rank] for rank in lost if rank in self.busy}
        reason = "a rank died twice while it worked on this image, once on it alone"
        self.end_world(blamed, {job: RankDied(reason) for job in blamed if job.suspect})
        for job in blamed:
            job.suspect = True

    def end_world(
        self, blamed: set[Assignment], failed: Mapping[Assignment, Exception] = MappingProxyType({})
    ) -> None:
        """Kill the world, settle what failed with it, and queue the rest again, at the front.

        In this order: once a job is settled its memory may be another's, so no rank may be alive
        that still writes there.
        """
        if self.world is not None:
            self.world.kill()
        self.world = None
        held = sorted(set(self.busy.values()), key=lambda job: -job.number)
        self.busy.clear()
        for job in held:
            job.ranks.clear()
            if job.cancelled:
                settle(job, job.error or Cancelled())
            elif job in failed:
                settle(job, failed[job])
            else:
                (self.suspects if job in blamed else self.waiting).appendleft(job)

    def give_up(self, job: Assignment) -> None:
        """Cancel a job, wherever it is."""
        if job.done.done():
            return
        job.cancelled = True
        for line in (self.waiting, self.suspects):
            if job in line:
                line.remove(job)
                settle(job, Cancelled())
                return
        if not job.ranks:
            # Not started yet; `enqueue` will find it settled.
            settle(job, Cancelled())
            return
        job.deadline = min(job.deadline, time.monotonic() + CANCEL_SECONDS)
        if self.world is not None:
            for rank in job.ranks:
                with contextlib.suppress(OSError):
                    send(self.world.connections[rank], Cancel(job.number))

    def watch_the_clock(self) -> None:
        """End what takes too long; only ending its rank stops a call that does not return."""
        now = time.monotonic()
        late = {job for job in self.busy.values() if now >= job.deadline}
        if late:
            reason = f"took longer than {self.job_seconds:g} s, the limit for one image"
            self.end_world(set(), {job: Rejected(reason) for job in late})


def place_in_line(line: Sequence[Assignment], job: Assignment) -> int:
    """Find where a job queues: behind all, or before those that still let others pass."""
    behind = len(line)
    while job.first and behind and lets_pass(line[behind - 1]):
        behind -= 1
    return behind


def lets_pass(job: Assignment) -> bool:
    """Whether a job that is first may go before this one."""
    return not job.first and job.passed < PASSED_MAX


def beside(a: Spent, b: Spent) -> Spent:
    """Join what was spent at the same time."""
    return Spent(max(a.seconds, b.seconds), a.cpu_seconds + b.cpu_seconds)


def settle(job: Assignment, error: Exception | None) -> None:
    """Say what became of a job, once."""
    if job.done.done():
        return
    if error is None:
        job.done.set_result(None)
    else:
        job.done.set_exception(error)

"""Assign jobs to seats, and replace a seat's world when it ends.

One thread owns the seats and the state of every job; other threads send it calls through a queue.
A farmed job runs on a free seat of one rank, a wide job on the wide seat. Neither waits for the
other, unless memory is short. Worlds are started and ended on threads of their own, so that no job
waits for those of another seat.
"""

import contextlib
import itertools
import os
import queue
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from functools import partial
from multiprocessing import Pipe

from cluster_worker.engine.job import EngineJob
from cluster_worker.engine.launch import Launcher, Starter
from cluster_worker.engine.leftovers import sweep_shared_memory
from cluster_worker.engine.seat import Seat
from cluster_worker.engine.wire import Done, Progress
from cluster_worker.engine.world import World
from cluster_worker.errors import Broken, Cancelled, RankDied, Rejected
from cluster_worker.imagefiles.streams import Spool
from cluster_worker.objects.spools import ObjectSpool
from cluster_worker.plan.checkpoints import finished

# Attempts to start a world before the jobs that wait for it fail.
STARTS_MAX = 4
START_BACKOFF_SECONDS = 0.5
START_BACKOFF_SECONDS_MAX = 8.0
# Worlds that may be lost to one job before it fails.
LOSSES_MAX = 2
# Worlds that may end before a job has begun on them, until it fails.
NOT_BEGUN_MAX = 10
# A job that is not `first` can be overtaken this often. Then it keeps its position in the queue.
OVERTAKEN_MAX = 16
# Bytes read from the wake-up pipe at once; each byte is one wake-up.
WAKEUPS_MAX = 4096
# Time for the starters to end what they do when the engine closes.
CLOSE_SECONDS = 10.0


class NotBegun(Broken):
    """A world ended before all its ranks had a job, which is not to blame."""


class Dispatcher:
    """The thread that owns the seats.

    Parameters
    ----------
    ranks : int
        Number of seats of one rank, and of ranks of the wide seat. One rank has no wide seat.
    job_seconds : float
        Most processor time that a job may take in each rank.
    launcher : Launcher
        Starts the worlds; it knows the private memory that a job may take in each rank.

    Raises
    ------
    Broken
        If a world does not start after STARTS_MAX attempts.
    """

    def __init__(self, ranks: int, job_seconds: float, launcher: Launcher) -> None:
        self.ranks = ranks
        self.launcher = launcher
        # Farmed and wide jobs run side by side. Together they get what the ranks of one world may
        # take.
        self.memory_bytes = ranks * launcher.job_bytes
        # Of that, what ranks for engines of other hosts take now. The lock is held while it changes
        # and while jobs begin.
        self.lent_bytes = 0
        self.lending = threading.Lock()
        self.seats = [Seat(number, 1, job_seconds) for number in range(ranks)]
        if ranks > 1:
            self.seats.append(Seat(None, ranks, job_seconds))
        self.calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.wakeup_receiver, self.wakeup_sender = Pipe(duplex=False)
        # The farmed and the wide jobs that wait.
        self.waiting: dict[bool, deque[EngineJob]] = {False: deque(), True: deque()}
        self.ended = threading.Event()
        # Watches the wake-up pipe and the sockets of the ranks.
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.wakeup_receiver, selectors.EVENT_READ)
        self.started = Future[None]()
        self.starters = {seat: Starter() for seat in self.seats}
        self.thread = threading.Thread(target=self.run, name="dispatcher", daemon=True)
        self.thread.start()
        try:
            self.started.result()
        except BaseException:
            self.close()
            raise

    # Called from any thread.

    def submit(self, job: EngineJob) -> None:
        """Queue a job."""
        self.call_soon(lambda: self.enqueue(job))

    def cancel(self, job: EngineJob) -> None:
        """Cancel a job; its future raises Cancelled soon after."""
        self.call_soon(lambda: self.cancel_now(job))

    def replace_all(self) -> None:
        """Replace every world, once its job has ended, by one whose ranks have all loaded."""
        self.call_soon(self.replace_all_now)

    def lend(self, nbytes: int) -> None:
        """Note the private memory that ranks for engines of other hosts take, in bytes."""
        with self.lending:
            self.lent_bytes = nbytes
        # Jobs that waited for memory may begin.
        self.call_soon(lambda: None)

    def lent_fits(self) -> bool:
        """Return whether there is room beside the running jobs for what is lent.

        No job begins for which there is none, so it is soon.
        """
        running = self.running_bytes()
        return not running or self.lent_bytes + running <= self.memory_bytes

    def close(self) -> None:
        """End the worlds; unfinished jobs fail as broken."""
        self.launcher.closing.set()
        self.call_soon(lambda: None)
        self.thread.join()

    def join_starters(self) -> None:
        """Wait until what the starters did at the close has ended, too, and tidy up after MPI."""
        until = time.monotonic() + CLOSE_SECONDS
        for starter in self.starters.values():
            starter.join(max(until - time.monotonic(), 0.0))
        sweep_shared_memory()

    def pids(self) -> dict[str, int]:
        """Return the process ids of the ranks by the names that ps shows, without "dip"."""
        found = {}
        for seat in self.seats:
            world = seat.world
            for rank, pid in sorted(world.pids.items()) if world else ():
                found[f"rank {rank}" if seat.wide else f"seat {seat.number}"] = pid
        return found

    def call_soon(self, call: Callable[[], None]) -> None:
        """Run a call on the dispatcher's thread, or here once that thread has ended."""
        self.calls.put(call)
        with contextlib.suppress(OSError):
            os.write(self.wakeup_sender.fileno(), b".")
        if self.ended.is_set():
            self.run_calls()

    # Called on a starter's thread.

    def renew(self, seat: Seat, lost: World | None, reason: Exception | None) -> None:
        """End a seat's world, report that, and start another one, with retries.

        Parameters
        ----------
        seat : Seat
            Its world is None meanwhile.
        lost : World or None
            The world to end.
        reason : Exception or None
            Why it must end; None if it ended by itself.
        """
        if lost is not None:
            reason = reason or lost.cause_of_death()
            # A job is settled only after the world has ended. Its memory may belong to another job
            # then, and no rank may still write to it.
            lost.kill()
            self.call_soon(partial(self.on_world_ended, seat, reason))
        for backoff in backoffs():
            try:
                world = self.launcher.launch(seat.ranks, seat.number)
            except Broken as error:
                self.call_soon(partial(self.on_start_failed, seat, error))
            else:
                self.call_soon(partial(self.on_world_started, seat, world))
                return
            if self.launcher.closing.wait(backoff):
                return

    # Called on the dispatcher's thread only.

    def run(self) -> None:
        """Start the worlds, serve until closed, then settle what is left."""
        reason = "the engine was closed"
        try:
            for seat in self.seats:
                self.starters[seat].call(partial(self.renew, seat, None, None))
            while not self.launcher.closing.is_set():
                self.assign_waiting()
                self.wait_for_events()
                self.enforce_limits()
        except Exception as error:  # noqa: BLE001 - a defect of ours; every job must fail with it
            reason = f"the engine failed: {type(error).__name__}: {error}"
            self.launcher.closing.set()
        self.end_worlds()
        for job in [*self.all_waiting(), *(seat.job for seat in self.seats if seat.job)]:
            settle(job, Broken(reason))
        if not self.started.done():
            self.started.set_exception(Broken(reason))
        # From here on `call_soon` runs calls itself, so that none is left in the queue.
        self.ended.set()
        self.run_calls()

    def end_worlds(self) -> None:
        """End all worlds: in order those that are free, at once those that run a job."""
        free = [seat.world for seat in self.seats if seat.world is not None and not seat.job]
        for world in free:
            world.ask_to_end()
        for seat in self.seats:
            self.starters[seat].end()
            if seat.world is not None and seat.job:
                seat.world.kill()
        for world in free:
            world.stop()

    def all_waiting(self) -> list[EngineJob]:
        """Return all jobs that wait."""
        return [*itertools.chain.from_iterable(self.waiting.values())]

    def assign_waiting(self) -> None:
        """Begin waiting jobs, in order, while there are seats and memory for them."""
        with self.lending:
            while (job := self.next_job()) and (seat := self.free_seat(job)):
                self.waiting[job.task.wide].popleft()
                if not seat.begin(job):
                    # A rank died before it got the job. Others may have it, and end with their
                    # world.
                    self.replace(seat, NotBegun("a rank died before it got its task"))

    def next_job(self) -> EngineJob | None:
        """Return the next job that can begin.

        A job that has a seat but not the memory is waited for: later ones must not take it.
        """
        heads = [jobs[0] for jobs in self.waiting.values() if jobs]
        for job in sorted(heads, key=lambda each: each.task.job):
            if self.free_seat(job):
                taken = self.lent_bytes + self.running_bytes()
                fits = not taken or taken + job.private_bytes <= self.memory_bytes
                return job if fits else None
        return None

    def running_bytes(self) -> int:
        """Return the private memory of the jobs that run, in bytes."""
        return sum(job.private_bytes for seat in self.seats if (job := seat.job))

    def free_seat(self, job: EngineJob) -> Seat | None:
        """Return a free seat for a job, if there is one."""
        fitting = (seat for seat in self.seats if seat.wide == job.task.wide and seat.is_free)
        return next(fitting, None)

    def wait_for_events(self) -> None:
        """Wait for calls, messages of ranks, or the next look at a job, and handle what came."""
        looks = [seat.next_look for seat in self.seats if seat.job and seat.world]
        seconds = max(0.0, min(looks) - time.monotonic()) if looks else None
        ready = [key.data for key, _ in self.selector.select(seconds)]
        for seat, rank in filter(None, ready):
            # The seat may have been replaced by what came before in this list.
            if seat.world is None:
                continue
            message = seat.receive(rank)
            if message is not None:
                self.handle_message(seat, rank, message)
            else:
                for sender, late in seat.drain():
                    self.handle_message(seat, sender, late)
                self.replace(seat, None)
        if None in ready:
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
        if self.launcher.closing.is_set():
            settle(job, Broken("the engine was closed"))
        elif not job.done.done():
            waiting = self.waiting[job.task.wide]
            position = queue_position(waiting, job)
            for each in itertools.islice(waiting, position, None):
                each.passed += 1
            waiting.insert(position, job)

    def handle_message(self, seat: Seat, rank: int, message: Progress | Done) -> None:
        """Handle one message of a rank."""
        job = seat.job
        if job is None:
            return
        if isinstance(message, Progress) and message.reached is not None:
            # If the world is lost, another one goes on from here.
            job.task = job.task._replace(begin=message.reached)
        if message.tiles:
            # Some tiles of an attempt that goes on are measured again; the total does not count it.
            job.tiles_done = min(job.tiles_done + message.tiles, job.tiles_total)
            self.report_progress(job)
        if isinstance(message, Done) and seat.on_done(job, rank, message):
            seat.job = None
            settle(job, job.error)
            if seat.is_outdated or seat.has_grown():
                self.replace(seat, Broken("new ranks take their place"))

    def replace_all_now(self) -> None:
        """Replace the worlds that are free, and note to replace the others after their jobs."""
        if self.launcher.closing.is_set():
            return
        for seat in self.seats:
            seat.is_outdated = True
            if seat.is_free:
                self.replace(seat, Broken("new ranks take their place"))

    def report_progress(self, job: EngineJob) -> None:
        """Call the job's progress callback; an error that it raises ends this job only."""
        try:
            job.progress(job.tiles_done, job.tiles_total)
        except Exception as error:  # noqa: BLE001 - the caller's own; `wait` raises it
            job.progress = lambda done, total: None
            job.error = error
            self.cancel_now(job)

    def cancel_now(self, job: EngineJob) -> None:
        """Cancel a job that waits, runs, or was not queued yet."""
        if job.done.done():
            return
        job.cancelled = True
        for seat in self.seats:
            if seat.job is job:
                seat.cancel()
                return
        with contextlib.suppress(ValueError):
            self.waiting[job.task.wide].remove(job)
        # If it was not queued yet, `enqueue` will find it settled.
        settle(job, Cancelled())

    def enforce_limits(self) -> None:
        """Replace the worlds of jobs that were cancelled, exceed a limit, or whose ranks hang.

        Ending the rank is the only way to stop a call that does not return.
        """
        now = time.monotonic()
        for seat in self.seats:
            if seat.job and now >= seat.next_look and (reason := seat.look(now)):
                self.replace(seat, reason)

    def replace(self, seat: Seat, reason: Exception | None) -> None:
        """Begin to replace a seat's world; `reason` is None if the world ended by itself.

        The job of the seat, if there is one, stays with it until the world has ended.
        """
        lost, seat.world = seat.world, None
        if lost is not None:
            for connection in lost.connections.values():
                self.selector.unregister(connection)
            self.starters[seat].call(partial(self.renew, seat, lost, reason))

    def on_world_ended(self, seat: Seat, reason: Exception) -> None:
        """Decide what happens to the job of a seat whose world has ended."""
        job, seat.job = seat.job, None
        if job is None or job.done.done():
            return
        job.ranks.clear()
        if job.cancelled:
            settle(job, job.error or Cancelled())
        elif isinstance(reason, Rejected):
            settle(job, reason)
        else:
            begun = not isinstance(reason, NotBegun)
            job.losses += [reason] if begun else []
            job.not_begun += not begun
            if job.not_begun > NOT_BEGUN_MAX:
                settle(job, reason)
            elif len(job.losses) < LOSSES_MAX:
                begin_results_anew(job)
                self.waiting[job.task.wide].appendleft(job)
            else:
                settle(job, outcome(job.losses))

    def on_world_started(self, seat: Seat, world: World) -> None:
        """Put a new world into its seat."""
        if self.launcher.closing.is_set():
            world.kill()
            return
        seat.world, seat.failures, seat.is_outdated = world, 0, False
        for rank, connection in world.connections.items():
            self.selector.register(connection, selectors.EVENT_READ, (seat, rank))
        if not self.started.done() and all(each.world for each in self.seats):
            self.started.set_result(None)

    def on_start_failed(self, seat: Seat, error: Broken) -> None:
        """Note that a world did not start; if none of its kind does, its jobs fail as broken."""
        seat.failures += 1
        alike = [each for each in self.seats if each.wide == seat.wide]
        if seat.failures >= STARTS_MAX and not self.started.done():
            self.started.set_exception(error)
        if all(each.failures >= STARTS_MAX for each in alike):
            for job in self.waiting[seat.wide]:
                settle(job, error)
            self.waiting[seat.wide].clear()


def backoffs() -> Iterable[float]:
    """Yield the seconds to wait after each attempt to start a world."""
    for attempt in itertools.count():
        yield min(START_BACKOFF_SECONDS * 2**attempt, START_BACKOFF_SECONDS_MAX)


def outcome(losses: Sequence[Exception]) -> Exception:
    """Return the error of a job that lost several worlds.

    It is a fault of the job only if ranks died each time.
    """
    return next((each for each in losses if not isinstance(each, RankDied)), losses[-1])


def queue_position(waiting: Sequence[EngineJob], job: EngineJob) -> int:
    """Return the position of a new job: behind all, or before jobs that may still be overtaken."""
    behind = len(waiting)
    while job.first and behind and may_be_overtaken(waiting[behind - 1]):
        behind -= 1
    return behind


def may_be_overtaken(job: EngineJob) -> bool:
    """Return whether a job that is `first` may go before this one."""
    return not job.first and job.passed < OVERTAKEN_MAX


def settle(job: EngineJob, error: Exception | None) -> None:
    """Set the outcome of a job, once."""
    if job.done.done():
        return
    if error is None:
        job.done.set_result(None)
    else:
        job.done.set_exception(error)


def begin_results_anew(job: EngineJob) -> None:
    """Drop the tiles of results that a lost world has not finished."""
    done = finished(job.plan, job.task.begin).results
    results = [job.task.result, *job.task.kept]
    for i, each in enumerate(results):
        if isinstance(each, Spool) and i not in done:
            each.clear()
        elif isinstance(each, ObjectSpool) and i not in done:
            results[i] = each.anew()
    job.task = job.task._replace(result=results[0], kept=tuple(results[1:]))

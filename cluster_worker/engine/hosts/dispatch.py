"""Run an engine's jobs on other hosts, one after the other."""

import contextlib
import itertools
import queue
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from cluster_worker.engine.compiling import Kernels
from cluster_worker.engine.dispatch import LOSSES_MAX, outcome, settle
from cluster_worker.engine.hosts.channel import Lost
from cluster_worker.engine.hosts.group import Hosts
from cluster_worker.engine.hosts.moved import MovedJob
from cluster_worker.engine.hosts.world import HostWorld
from cluster_worker.engine.job import EngineJob
from cluster_worker.errors import Broken, Cancelled, classify_error
from cluster_worker.log import event
from cluster_worker.plan.checkpoints import Checkpoint, tiles_done
from cluster_worker.timings import Share, Spent


class HostDispatcher:
    """The thread that runs jobs on a group of hosts. In the place of a `Dispatcher`.

    Parameters
    ----------
    hosts : Hosts
        The group.
    ranks : int
        Of each host; 0 for one on each core of the host with the fewest.
    job_seconds : float
        Most processor time that a job may take in each rank.
    job_bytes : int
        Most private memory that a job may take in each rank.
    folder : Path
        The engine's private folder.

    Attributes
    ----------
    ranks : int
        Of all hosts together.
    kernels : Kernels
        Ready if they are compiled on all hosts.

    Raises
    ------
    Broken
        If a host does not answer.
    Rejected
        If the hosts are not alike, or have another secret.
    """

    def __init__(
        self, hosts: Hosts, ranks: int, job_seconds: float, job_bytes: int, folder: Path
    ) -> None:
        self.hosts, self.folder = hosts, folder
        self.job_seconds, self.job_bytes = job_seconds, job_bytes
        with HostWorld(hosts, folder) as world:
            world.connect()
            said = list(world.said.values())
        self.ranks_each = ranks or min(each["cores"] for each in said)
        self.ranks = self.ranks_each * len(hosts.names)
        self.kernels = Kernels(wanted=False)
        self.kernels.are_ready = all(each["kernels"] for each in said)
        self.waiting: queue.SimpleQueue[EngineJob | None] = queue.SimpleQueue()
        self.closing = threading.Event()
        # Stays 0: see `lend`.
        self.lent_bytes = 0
        self.lock = threading.Lock()
        self.current: EngineJob | None = None
        # It starts mpiexec, which the kernel ends with this thread.
        self.thread = threading.Thread(target=self.run, name="hosts", daemon=True)
        self.thread.start()

    def submit(self, job: EngineJob) -> None:
        """Queue a job."""
        if self.closing.is_set():
            settle(job, Broken("the engine was closed"))
        self.waiting.put(job)

    def cancel(self, job: EngineJob) -> None:
        """Cancel a job; its future raises Cancelled soon after."""
        with self.lock:
            job.cancelled = True
            # The memory of one that runs may be in use: `run` settles it.
            if job is not self.current:
                settle(job, Cancelled())

    def pids(self) -> dict[str, int]:
        """Return no process ids: the ranks are on other hosts."""
        return {}

    def close(self) -> None:
        """End the world that runs; unfinished jobs fail as broken."""
        self.closing.set()
        self.waiting.put(None)
        self.thread.join()

    def lend(self, nbytes: int) -> None:
        """Do nothing: this host has no seats whose jobs could need the memory."""

    def lent_fits(self) -> bool:
        """Return True: no job runs in this host's memory."""
        return True

    def replace_all(self) -> None:
        """Do nothing: each job has a world of its own."""

    def join_starters(self) -> None:
        """Do nothing: no world is started beside the jobs."""

    def run(self) -> None:
        """Run jobs until closed."""
        while (job := self.waiting.get()) is not None:
            with self.lock:
                self.current = None if job.done.done() else job
            if self.current is not None:
                error = self.outcome(job)
                with self.lock:
                    self.current = None
                settle(job, error)
        with contextlib.suppress(queue.Empty):
            while job := self.waiting.get_nowait():
                settle(job, Broken("the engine was closed"))

    def outcome(self, job: EngineJob) -> Exception | None:
        """Run a job; return its error, or None."""
        job.began = time.monotonic()
        try:
            with MovedJob(job, self.hosts.store, self.folder) as moved:
                moved.send()
                self.run_attempts(job, moved)
        except Exception as error:  # noqa: BLE001 - who waits for the job must get any error
            if self.closing.is_set() and not job.cancelled:
                return Broken("the engine was closed")
            return job.error or (Cancelled() if job.cancelled else classify_error(error))
        return None

    def run_attempts(self, job: EngineJob, moved: MovedJob) -> None:
        """Run a job; after the loss of a world once more, after that of a host on the others.

        Raises
        ------
        Exception
            Its error, or why the last world was lost.
        """
        hosts = self.hosts
        for attempt in itertools.count(1):
            if self.must_stop(job):
                raise Cancelled
            try:
                self.run_attempt(job, moved, attempt, hosts)
            except Broken as error:
                done = {"chains": moved.begin.chains, "passes": moved.begin.passes}
                event("world lost", job=job.task.job, attempt=attempt, reason=str(error), **done)
                moved.drop()
                if isinstance(error, Lost):
                    # The job is not to blame. The next one tries this host again.
                    hosts = hosts.without(error.host)
                else:
                    job.losses.append(error)
                if len(job.losses) == LOSSES_MAX:
                    raise outcome(job.losses) from error
                if not hosts.names:
                    raise
            else:
                return

    def run_attempt(self, job: EngineJob, moved: MovedJob, attempt: int, hosts: Hosts) -> None:
        """Start a world, run a job on it, and fetch the results; raises as `HostWorld.run`."""
        task, ranks = moved.task(attempt), self.ranks_each * len(hosts.names)
        job.tiles_total = job.plan.tiles_total(ranks)
        job.tiles_done = tiles_done(job.plan, task.begin, ranks)

        def add_tiles(tiles: int, reached: Checkpoint | None) -> None:
            if reached is not None:
                moved.keep(reached)
            # Some of an attempt that goes on are measured again, which the total does not count.
            job.tiles_done = min(job.tiles_done + tiles, job.tiles_total)
            self.report(job)

        with HostWorld(hosts, self.folder) as world:
            world.connect()
            world.start(self.ranks_each, self.job_bytes, self.job_seconds)
            job.hosts = world.ranks
            event("world started", job=job.task.job, attempt=attempt, ranks=world.ranks)
            job.shares = world.run(task, ranks, add_tiles, lambda: self.must_stop(job))
        moved.fetch(task)
        job.spent = together(job.shares)

    def must_stop(self, job: EngineJob) -> bool:
        """Return whether a job must end before it is done."""
        return job.cancelled or self.closing.is_set()

    def report(self, job: EngineJob) -> None:
        """Call the job's progress callback; an error that it raises ends this job only."""
        try:
            job.progress(job.tiles_done, job.tiles_total)
        except Exception as error:  # noqa: BLE001 - the caller's own; `wait` raises it
            job.progress = lambda done, total: None
            job.error, job.cancelled = error, True


def together(shares: Sequence[Share]) -> Spent:
    """Combine the times of ranks that worked at the same time."""
    spent = [each.spent for each in shares]
    return Spent(max(each.seconds for each in spent), sum(each.cpu_seconds for each in spent))

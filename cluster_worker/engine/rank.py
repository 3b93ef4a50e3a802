"""One MPI rank: receives tasks on the engine's socket, runs them, and reports to the engine.

A fork of the forkserver becomes a rank by `serve_as_rank`; see `forkserver.py`.
"""

import os
import resource
import select
import signal
import socket
import time
import traceback
from contextlib import ExitStack, closing, suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from cluster_worker.engine.mpi import WorldGroup, ranks_of_host
from cluster_worker.engine.tables import write_columns
from cluster_worker.engine.wire import (
    FOLDER,
    MEMORY,
    SEAT,
    SEAT_FD,
    WIDE_NICE,
    WORLD_SOCKET,
    Cancel,
    Done,
    Hello,
    Progress,
    Stop,
    Task,
    send,
)
from cluster_worker.errors import Broken, Cancelled, classify_error
from cluster_worker.objects.access import PixelAccess
from cluster_worker.pixels.memory import array_on_disk, available_bytes, private_bytes
from cluster_worker.plan.bands import bands_fit
from cluster_worker.plan.checkpoints import Checkpoint
from cluster_worker.plan.group import RankGroup, SingleRank
from cluster_worker.plan.passes import Plan
from cluster_worker.plan.recipe import RecipePlan, plan_any
from cluster_worker.plan.run import Report, run
from cluster_worker.plan.run_recipe import Columns, Surfaces, run_recipe
from cluster_worker.process import set_name
from cluster_worker.timings import PassEnd, Spent

LEAVE_SECONDS = 5
# Shortest time between two Progress messages.
REPORT_SECONDS = 0.05


class Rank:
    """A rank with its connection to the engine; a job may take `job_bytes` of private memory."""

    def __init__(
        self, group: RankGroup, connection: Connection, files: PixelAccess, job_bytes: int
    ) -> None:
        self.group, self.job_bytes = group, job_bytes
        self.connection = connection
        # Polled after every tile. `connection.poll` would make a new poll object each time.
        self.inbox = select.poll()
        self.inbox.register(connection.fileno(), select.POLLIN)
        self.files = files
        self.unreported = 0
        self.reported_at = 0.0
        self.began = 0.0
        self.passes: list[PassEnd] = []

    def serve(self) -> None:
        """Run tasks until the engine sends Stop or closes the connection."""
        while True:
            try:
                message = self.connection.recv()
            except (EOFError, ConnectionError):
                return
            if isinstance(message, Stop):
                return
            if isinstance(message, Task):
                self.began, worked = time.monotonic(), time.process_time()
                self.passes = []
                error = self.run_task(message)
                worked = time.process_time() - worked + self.files.take_cpu_seconds()
                spent = Spent(time.monotonic() - self.began, worked)
                passes = tuple(self.passes)
                send(self.connection, Done(message.job, error, spent, self.unreported, passes))
            # Else it is the Cancel of a job that is already done: ignore it.

    def run_task(self, task: Task) -> Exception | None:
        """Run a task; return its error, or None."""
        self.unreported, self.reported_at = 0, time.monotonic()
        try:
            with ExitStack() as stack:
                planned = plan_any(task.request)
                try:
                    surfaces = self.surfaces(task, stack)
                except Exception as error:
                    # The other ranks would wait for this one in their first `combine`.
                    if planned.synchronizes:
                        self.group.raise_on_others(error)
                    raise
                self.run_plan(task, planned, surfaces, partial(self.report, task.job))
        except Exception as error:  # noqa: BLE001 - the engine must get any error
            return classify_error(error)
        return None

    def run_plan(
        self, task: Task, planned: Plan | RecipePlan, surfaces: Surfaces, report: Report
    ) -> None:
        """Run the plan of a chain, or of a recipe."""
        group = self.group
        in_memory = bands_fit(planned, group.size, min(self.job_bytes, share_of_memory()))
        way: dict[str, Any] = {
            "begin": task.begin,
            "reached": partial(self.on_reached, task, planned),
            "allocate": np.empty if in_memory else array_on_disk,
        }
        if isinstance(planned, RecipePlan):
            paths = dict(zip(planned.tables, task.tables, strict=True))

            def write_table(name: str, columns: Columns) -> None:
                write_columns(paths[name], columns)

            run_recipe(planned, surfaces, write_table, group, report, **way)
            return
        (source, *_), scratch, (result, *_) = surfaces
        run(planned, source, scratch, result, group, report, **way)

    def surfaces(self, task: Task, stack: ExitStack) -> Surfaces:
        """Open the images that a task is given, those between its passes, and its results."""
        return Surfaces(
            [self.files.source(each, stack) for each in (task.source, *task.inputs)],
            [self.files.surface(each, stack) for each in task.scratch],
            [self.files.sink(each, stack) for each in (task.result, *task.kept)],
        )

    def report(self, job: int, tiles: int) -> None:
        """Count tiles as done, report them to the engine at intervals, and check for a cancel.

        Raises
        ------
        Cancelled
            If the engine has sent a Cancel for this job.
        """
        self.unreported += tiles
        if time.monotonic() - self.reported_at > REPORT_SECONDS:
            send(self.connection, Progress(job, self.unreported))
            self.unreported, self.reported_at = 0, time.monotonic()
        while self.inbox.poll(0):
            if self.connection.recv() == Cancel(job):
                raise Cancelled

    def on_reached(self, task: Task, planned: Plan | RecipePlan, checkpoint: Checkpoint) -> None:
        """Tell the engine how far all ranks have come, for the next attempt if this one fails.

        A small image, on one rank, is sooner done again than that is worth.
        """
        name = name_of(planned, checkpoint.passes)
        self.passes.append(PassEnd(name, time.monotonic() - self.began))
        if task.wide and self.group.rank == 0:
            send(self.connection, Progress(task.job, self.unreported, checkpoint))
            self.unreported, self.reported_at = 0, time.monotonic()


def name_of(planned: Plan | RecipePlan, number: int) -> str:
    """Return the name of a pass in traces: its number, and the operations of a chain's pass."""
    name = f"pass {number}"
    if isinstance(planned, RecipePlan):
        return name
    return f"{name}: " + ", ".join(each.name for each in planned.passes[number - 1].stages)


def limit_memory(job_bytes: int) -> None:
    """Limit the memory of this rank to what it has now and `job_bytes` bytes for a job.

    An allocation beyond the limit raises MemoryError. The limit holds for private memory only: the
    engine reserves and counts the shared pixels.
    """
    most = private_bytes() + job_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (most, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def share_of_memory() -> int:
    """Return what this rank may take of half of the memory that is left on its host, in bytes.

    What an image may take by the engine's limits, many ranks together may not have.
    """
    return available_bytes() // (2 * ranks_of_host())


def shared_files() -> tuple[str, ...]:
    """Return the paths of the files in shared memory that MPI has mapped into this rank."""
    try:
        maps = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return ()
    names = {line.split(maxsplit=5)[5] for line in maps if "/dev/shm/mpich" in line}  # noqa: S108
    return tuple(name for name in names if not name.endswith("(deleted)"))


def serve_as_rank() -> int:
    """Serve as the rank of a seat or of the wide world until the engine ends it.

    Returns
    -------
    int
        Exit status.
    """
    if SEAT in os.environ:
        set_name(f"dip seat {os.environ[SEAT]}")
        serve(SingleRank(), Connection(SEAT_FD))
        return 0
    return serve_in_world()


def serve_in_world() -> int:
    """Join the wide world and serve as one of its ranks; return the exit status.

    An error that nothing has caught ends the whole world.
    """
    os.nice(WIDE_NICE)
    world = WorldGroup()
    set_name(f"dip rank {world.rank}")
    try:
        serve(world, connect(world.rank))
    except BaseException:  # noqa: BLE001 - whatever it is, the other ranks must not wait
        traceback.print_exc()
        # MPI waits for mpiexec, which may be gone. The alarm ends the process then.
        signal.alarm(LEAVE_SECONDS)
        world.abort()
        return 1
    signal.alarm(LEAVE_SECONDS)
    world.leave()
    return 0


def connect(rank: int) -> Connection:
    """Connect a rank of the wide world to the engine.

    Raises
    ------
    Broken
        If the engine does not answer.
    """
    engine = socket.socket(socket.AF_UNIX)
    try:
        engine.connect(str(Path(os.environ[FOLDER], WORLD_SOCKET)))
    except OSError as error:
        raise Broken(f"rank {rank}: the engine does not answer: {error}") from error
    return Connection(engine.detach())


def serve(group: RankGroup, connection: Connection) -> None:
    """Say Hello to the engine, and run its tasks."""
    job_bytes = int(os.environ[MEMORY])
    limit_memory(job_bytes)
    # With this policy a rank that wakes up does not preempt the engine, which has yet to send the
    # task to the other ranks.
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    send(connection, Hello(group.rank, os.getpid(), shared_files()))
    with closing(PixelAccess(Path(os.environ[FOLDER]), os.getpid())) as files:
        Rank(group, connection, files, job_bytes).serve()

"""One MPI rank: wait on the engine's socket, run what comes, report.

Started by the engine as `mpiexec -n RANKS python -m mpi4py -m cluster_worker.engine.rank`; under
`-m mpi4py` an uncaught exception ends the whole world instead of leaving the others waiting.
"""

import os
import resource
import select
import socket
import time
import warnings
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from cluster_worker.engine.mpi import WholeWorld
from cluster_worker.engine.warm import warm_up
from cluster_worker.engine.wire import (
    MEMORY,
    SOCKET,
    WARM,
    Cancel,
    Done,
    Hello,
    Progress,
    Stop,
    Task,
    send,
)
from cluster_worker.errors import Broken, Cancelled, classify_error
from cluster_worker.imagefiles.streams import FileAccess
from cluster_worker.pixels.surfaces import Sink, Source, Surface
from cluster_worker.plan.chain import plan
from cluster_worker.plan.run import SingleRank, run
from cluster_worker.timings import Spent

REPORT_SECONDS = 0.05


class Rank:
    """A rank with its connection to the engine."""

    def __init__(self, world: WholeWorld, connection: Connection, files: FileAccess) -> None:
        self.world = world
        self.connection = connection
        # Looked at after every tile: `connection.poll` would make a new one each time.
        self.inbox = select.poll()
        self.inbox.register(connection.fileno(), select.POLLIN)
        self.files = files
        self.unreported = 0
        self.reported_at = 0.0

    def serve(self) -> None:
        """Run tasks until told to stop, or until the engine is gone."""
        while True:
            try:
                message = self.connection.recv()
            except (EOFError, ConnectionError):
                return
            if isinstance(message, Stop):
                return
            if isinstance(message, Task):
                # A late Cancel, of a job that is already done, is passed over.
                began, worked = time.monotonic(), time.process_time()
                error = self.run_task(message)
                spent = Spent(time.monotonic() - began, time.process_time() - worked)
                send(self.connection, Done(message.job, error, spent, self.unreported))

    def run_task(self, task: Task) -> Exception | None:
        """Run a task and give its error, if any."""
        self.unreported, self.reported_at = 0, time.monotonic()
        group = self.world if task.wide else SingleRank()
        try:
            with ExitStack() as stack:
                planned = plan(task.request)
                try:
                    source, scratch, result = self.surfaces(task, stack)
                except Exception as error:
                    # The others must not be left waiting where they would meet this rank first.
                    if planned.synchronizes:
                        group.raise_on_others(error)
                    raise
                report = partial(self.report, task.job)
                run(planned, source, scratch, result, group, report)
        except Exception as error:  # noqa: BLE001 - whatever it is, the engine must hear of it
            return classify_error(error)
        return None

    def surfaces(self, task: Task, stack: ExitStack) -> tuple[Source, Sequence[Surface], Sink]:
        """Open where a task's image comes from, what lies between passes, and where it goes."""
        return (
            self.files.source(task.source, stack),
            [self.files.surface(each, stack) for each in task.scratch],
            self.files.sink(task.result, stack),
        )

    def report(self, job: int, tiles: int) -> None:
        """Count tiles, tell the engine now and then, and hear a cancel.

        Raises
        ------
        Cancelled
            If the engine asked for it.
        """
        self.unreported += tiles
        if time.monotonic() - self.reported_at > REPORT_SECONDS:
            send(self.connection, Progress(job, self.unreported))
            self.unreported, self.reported_at = 0, time.monotonic()
        while self.inbox.poll(0):
            if self.connection.recv() == Cancel(job):
                raise Cancelled


def limit_memory(job_bytes: int) -> None:
    """Let a job take so much more than the warm rank has; beyond that it meets a MemoryError.

    Limits private memory only: shared pixels are reserved and counted by the engine. The limit is
    soft, since the rank's decoder has one of its own.
    """
    status = Path("/proc/self/status").read_text().splitlines()
    now = next(int(line.split()[1]) for line in status if line.startswith("VmData"))
    resource.setrlimit(resource.RLIMIT_DATA, (now * 1024 + job_bytes, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def shared_files() -> tuple[str, ...]:
    """Name the files in shared memory that MPI has mapped into this rank."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    names = {line.split(maxsplit=5)[5] for line in maps if "/dev/shm/mpich" in line}  # noqa: S108
    return tuple(name for name in names if not name.endswith("(deleted)"))


def main() -> None:
    """Join the world, warm up if asked to, serve."""
    # Division by an empty class in Otsu and the like: scikit-image's own results stand.
    warnings.simplefilter("ignore")
    world = WholeWorld()
    if int(os.environ[WARM]):
        warm_up()
    limit_memory(int(os.environ[MEMORY]))
    # A rank that is woken does not push the engine aside, which is still about to wake the others.
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    engine = socket.socket(socket.AF_UNIX)
    try:
        engine.connect(os.environ[SOCKET])
    except OSError as error:
        raise Broken(f"rank {world.rank}: the engine does not answer: {error}") from error
    connection = Connection(engine.detach())
    send(connection, Hello(world.rank, os.getpid(), shared_files()))
    with closing(FileAccess(Path(os.environ[SOCKET]).parent, world.rank)) as files:
        Rank(world, connection, files).serve()


if __name__ == "__main__":
    main()

"""Messages between the engine and its ranks, over sockets."""

import pickle
from multiprocessing.connection import Connection
from typing import NamedTuple

from cluster_worker.imagefiles.streams import FileImage, RawFile, Spool
from cluster_worker.pixels.shared_memory import Pixels
from cluster_worker.plan.chain import PlanRequest
from cluster_worker.timings import Spent

# Environment variables from the engine to its ranks.
SOCKET = "DIP_WORLD_SOCKET"
# What the forkserver says when it is ready.
READY = b"ready\n"
MEMORY = "DIP_JOB_MEMORY_BYTES_MAX"


class Hello(NamedTuple):
    """A rank is warm and waits for tasks."""

    rank: int
    pid: int
    # Files that MPI made in shared memory; a world that is killed leaves them behind.
    shared_files: tuple[str, ...]


class Task(NamedTuple):
    """Run a plan, on this rank alone or, if `wide`, on all ranks together.

    Attributes
    ----------
    job : int
        Number of the job in this engine.
    request : PlanRequest
        Every rank makes the same plan from it.
    source, scratch, result : Pixels, FileImage, RawFile or Spool
        Descriptions of the surfaces; one of `scratch` for each of the plan's buffers.
    """

    job: int
    request: PlanRequest
    source: Pixels | FileImage
    scratch: tuple[Pixels | RawFile, ...]
    result: Pixels | Spool
    wide: bool


class Cancel(NamedTuple):
    """Stop working on a job after the current tile."""

    job: int


class Stop(NamedTuple):
    """End the rank."""


class Progress(NamedTuple):
    """`tiles` more tiles are done."""

    job: int
    tiles: int


class Done(NamedTuple):
    """A rank has finished its share of a job.

    The result is valid only if every rank of the job has sent a Done without an error.
    """

    job: int
    error: Exception | None
    spent: Spent
    # Tiles done since the last Progress.
    tiles: int


Message = Hello | Task | Cancel | Stop | Progress | Done


def packed(message: Message) -> bytes:
    """Return a message as bytes that `Connection.recv` reads.

    `Connection.send` would create a pickler for sockets and locks first, which takes longer than
    the rest of the call.
    """
    return pickle.dumps(message, pickle.HIGHEST_PROTOCOL)


def send(connection: Connection, message: Message) -> None:
    """Send a message."""
    connection.send_bytes(packed(message))

"""Messages between the engine and its ranks, over sockets."""

import pickle
from multiprocessing.connection import Connection
from typing import NamedTuple

from cluster_worker.objects.access import AnySink, AnySource, AnySurface
from cluster_worker.plan.checkpoints import START, Checkpoint
from cluster_worker.plan.request import Request
from cluster_worker.timings import PassEnd, Spent

# Environment variables from the engine to its ranks: the engine's private folder in memory, the
# memory of a job, and the number of a seat, which the ranks of the wide world do not have.
FOLDER = "DIP_ENGINE_FOLDER"
MEMORY = "DIP_JOB_MEMORY_BYTES_MAX"
SEAT = "DIP_SEAT"
# The rank of a seat finds its socket to the engine under this descriptor.
SEAT_FD = 400
# In the engine's folder: where the ranks of the wide world connect.
WORLD_SOCKET = "world.sock"
# The ranks of the wide world are nicer than those of the seats: where both have work for one core,
# a small image gets three quarters of it, and the wide one goes on with the rest.
WIDE_NICE = 5
# What the forkserver says when it is ready.
READY = b"ready\n"


class Hello(NamedTuple):
    """A rank is warm and waits for tasks."""

    rank: int
    pid: int
    # Files that MPI made in shared memory; a world that is killed leaves them behind.
    shared_files: tuple[str, ...]


class Task(NamedTuple):
    """Run a plan, on the rank of a seat or, if `wide`, on all ranks of the wide world together.

    Attributes
    ----------
    job : int
        Number of the job in this engine.
    request : Request
        Every rank makes the same plan from it.
    source, scratch, result : Pixels, FileImage, Chunks, ...
        Descriptions of the surfaces; one of `scratch` for each of the plan's buffers.
    inputs, kept : tuple of Pixels, FileImage, Chunks, ...
        The other images that a recipe reads, and its kept images.
    tables : tuple of str
        The file, or the address of an object, for each of its tables.
    begin : Checkpoint
        What an earlier attempt has done; the surfaces are as it left them.
    """

    job: int
    request: Request
    source: AnySource
    scratch: tuple[AnySurface, ...]
    result: AnySink
    wide: bool
    inputs: tuple[AnySource, ...] = ()
    kept: tuple[AnySink, ...] = ()
    tables: tuple[str, ...] = ()
    begin: Checkpoint = START


class Cancel(NamedTuple):
    """Stop working on a job after the current tile."""

    job: int


class Stop(NamedTuple):
    """End the rank."""


class Progress(NamedTuple):
    """`tiles` more tiles are done, and perhaps all ranks have reached a checkpoint."""

    job: int
    tiles: int
    reached: Checkpoint | None = None


class Done(NamedTuple):
    """A rank has finished its share of a job.

    The result is valid only if every rank of the job has sent a Done without an error.
    """

    job: int
    error: Exception | None
    spent: Spent
    # Tiles done since the last Progress.
    tiles: int
    passes: tuple[PassEnd, ...] = ()


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

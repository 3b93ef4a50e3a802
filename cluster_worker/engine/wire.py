"""What engine and ranks say to each other over their sockets."""

import pickle
from multiprocessing.connection import Connection
from typing import NamedTuple

from cluster_worker.imagefiles.streams import FileImage, Raw, Spool
from cluster_worker.pixels.shared_memory import Pixels
from cluster_worker.plan.chain import Order
from cluster_worker.stages import Spent

# Environment variables from the engine to its ranks.
SOCKET = "DIP_WORLD_SOCKET"
MEMORY = "DIP_JOB_MEMORY_BYTES_MAX"
WARM = "DIP_RANKS_WARM"


class Hello(NamedTuple):
    """A rank is warm and waits for work."""

    rank: int
    pid: int
    # Files that MPI made in shared memory; a world that is killed leaves them behind.
    shared_files: tuple[str, ...]


class Task(NamedTuple):
    """Run the plan of an order, alone or with all ranks."""

    job: int
    order: Order
    source: Pixels | FileImage
    scratch: tuple[Pixels | Raw, ...]
    result: Pixels | Spool
    wide: bool


class Cancel(NamedTuple):
    """Give a job up after the tile in hand."""

    job: int


class Stop(NamedTuple):
    """Leave the world in order."""


class Progress(NamedTuple):
    """So many tiles more are done."""

    job: int
    tiles: int


class Done(NamedTuple):
    """A rank has finished its part; the result counts only if none has an error."""

    job: int
    error: Exception | None
    spent: Spent
    # Done since the last progress was told.
    tiles: int


Message = Hello | Task | Cancel | Stop | Progress | Done


def packed(message: Message) -> bytes:
    """Write a message as `Connection.recv` reads it.

    `Connection.send` would make a pickler that knows sockets and locks, which takes longer than
    all the rest.
    """
    return pickle.dumps(message, pickle.HIGHEST_PROTOCOL)


def send(connection: Connection, message: Message) -> None:
    """Send a message."""
    connection.send_bytes(packed(message))

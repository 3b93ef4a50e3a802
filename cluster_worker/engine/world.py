"""A running world: the single rank of a seat, or all ranks of the wide world; and how it ends."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from cluster_worker.engine.wire import Hello, Stop, send
from cluster_worker.errors import Broken, RankDied
from cluster_worker.imagefiles.streams import window_of

# Time for a rank that has connected to send its Hello.
HELLO_SECONDS = 10.0
# Time for ranks to end in order.
STOP_SECONDS = 5.0
# A process that was killed ends at once, unless the system writes its pages to a slow disk.
KILLED_SECONDS = 30.0
# Time for the forkserver or mpiexec to say how a rank has ended.
STATUS_SECONDS = 2.0


@dataclass
class World:
    """A running world of ranks.

    Attributes
    ----------
    folder : Path
        The engine's folder in memory.
    process : Popen or None
        mpiexec, which leads a process group of its own; a seat has none.
    client : socket or None
        The engine's socket to the forkserver, for the rank of a seat.
    connections, handles, pids : dict
        For each rank: its socket, its pidfd and its process id.
    shared_files : set of Path
        MPI's files in shared memory.
    private_bytes : int
        Private memory of the ranks when they were new.
    """

    folder: Path
    process: subprocess.Popen[bytes] | None = None
    client: socket.socket | None = None
    connections: dict[int, Connection] = field(default_factory=dict)
    handles: dict[int, int] = field(default_factory=dict)
    pids: dict[int, int] = field(default_factory=dict)
    shared_files: set[Path] = field(default_factory=set)
    private_bytes: int = 0

    def add_rank(self, connection: Connection) -> None:
        """Receive a rank's Hello, and add the rank.

        Raises
        ------
        Broken
            If the rank sends nothing, or another message.
        """
        if not connection.poll(HELLO_SECONDS):
            raise Broken("a rank that has connected sends nothing")
        hello = connection.recv()
        if not isinstance(hello, Hello):
            raise Broken(f"a rank began with {hello!r}")
        self.connections[hello.rank] = connection
        self.pids[hello.rank] = hello.pid
        # A pidfd, not the pid: by the time it is used, the pid may belong to another process.
        self.handles[hello.rank] = os.pidfd_open(hello.pid)
        self.shared_files |= {Path(each) for each in hello.shared_files}
        self.private_bytes += private_bytes(hello.pid)

    def has_grown(self, limit: int) -> bool:
        """Return whether the ranks' private memory has grown by more than `limit` bytes each."""
        now = sum(map(private_bytes, self.pids.values()))
        return now - self.private_bytes > limit * len(self.pids)

    def cause_of_death(self) -> Broken:
        """Say why the world ended by itself; wait a moment for the status of the rank that died.

        Returns
        -------
        Broken
            `RankDied` if the job that it ran may be the reason.
        """
        status = self.rank_status() if self.process is None else self.launcher_status()
        if status == -signal.SIGBUS:
            return Broken("the ranks' shared memory is full")
        if status is None:
            return Broken("a rank ended, and mpiexec or the forkserver before it")
        return RankDied("a rank died twice while it worked on this image")

    def rank_status(self) -> int | None:
        """Return the status of a seat's rank, as `Popen.returncode`; None if it is unknown."""
        assert self.client is not None  # noqa: S101 - a seat's
        self.client.settimeout(STATUS_SECONDS)
        try:
            return int(self.client.recv(64))
        except (OSError, ValueError):
            # The forkserver died before the rank, or is stopped.
            return None

    def launcher_status(self) -> int | None:
        """Return the status of the rank that died first; None if it is unknown.

        mpiexec ends with the number of the signal that killed a rank.
        """
        assert self.process is not None  # noqa: S101 - the wide world's
        try:
            status = self.process.wait(STATUS_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        return None if status < 0 else -status

    def kill(self) -> None:
        """Kill every rank, and wait until they have ended."""
        for handle in self.handles.values():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        if self.process is not None:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        until = time.monotonic() + KILLED_SECONDS
        for handle in self.handles.values():
            wait_for_end(handle, until - time.monotonic())
        self.close()

    def ask_to_end(self) -> None:
        """Ask every rank to end, which has no job."""
        for connection in self.connections.values():
            with contextlib.suppress(OSError):
                send(connection, Stop())

    def stop(self) -> None:
        """Wait until every rank has ended that was asked to, and kill what has not in time."""
        until = time.monotonic() + STOP_SECONDS
        for handle in self.handles.values():
            wait_for_end(handle, until - time.monotonic())
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(max(until - time.monotonic(), 0.0))
        self.kill()

    def close(self) -> None:
        """Close sockets and pidfds, and remove the files of MPI and of the ranks."""
        for connection in self.connections.values():
            connection.close()
        for handle in self.handles.values():
            os.close(handle)
        if self.client is not None:
            self.client.close()
        self.connections.clear()
        self.handles.clear()
        self.unlink_shared_files()
        for pid in self.pids.values():
            window_of(self.folder, pid).unlink(missing_ok=True)

    def reserve_shared_files(self) -> None:
        """Reserve all pages of MPI's files, so that no rank gets a SIGBUS when memory is full.

        Raises
        ------
        OSError
            If the memory has too little room.
        """
        for path in self.shared_files:
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)

    def unlink_shared_files(self) -> None:
        """Remove MPI's files in shared memory; ranks that have mapped them can still use them."""
        for path in self.shared_files:
            path.unlink(missing_ok=True)


def private_bytes(pid: int) -> int:
    """Return the private memory of a process in bytes; 0 if it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[5])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def wait_for_end(handle: int, seconds: float) -> None:
    """Wait until the process of a pidfd has ended, or for some seconds."""
    poller = select.poll()
    poller.register(handle, select.POLLIN)
    poller.poll(max(seconds, 0.0) * 1000)

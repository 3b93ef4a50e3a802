"""Start and end one world of ranks, as child processes."""

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from cluster_worker.engine.wire import MEMORY, READY, SOCKET, Hello, Stop, send
from cluster_worker.errors import Broken

CLIENT = Path(__file__).with_name("rank_client.py")
# The first forkserver on a machine compiles all kernels; later ones start much faster.
START_SECONDS = 300.0
# Ranks are forked in a fraction of a second, on a busy machine in a few.
WORLD_SECONDS = 60.0
STOP_SECONDS = 5.0

# One thread in every rank: the ranks are the parallelism.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# Freed memory stays in the process for the arrays of the next tile: to touch fresh pages takes
# longer than a fast kernel. These are glibc's largest values.
KEEP_PAGES = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(256 << 20)}


@dataclass
class World:
    """A running world of ranks.

    Attributes
    ----------
    process : Popen
        mpiexec, which leads a process group of its own.
    connections, handles, pids : dict
        For each rank: its socket, its pidfd and its process id.
    shared_files : set of Path
        MPI's files in shared memory.
    """

    process: subprocess.Popen[bytes]
    connections: dict[int, Connection] = field(default_factory=dict)
    handles: dict[int, int] = field(default_factory=dict)
    pids: dict[int, int] = field(default_factory=dict)
    shared_files: set[Path] = field(default_factory=set)

    def add_rank(self, connection: Connection) -> None:
        """Receive a rank's Hello, and add the rank.

        Raises
        ------
        Broken
            If the rank sends another message.
        """
        hello = connection.recv()
        if not isinstance(hello, Hello):
            raise Broken(f"a rank began with {hello!r}")
        self.connections[hello.rank] = connection
        self.pids[hello.rank] = hello.pid
        # A pidfd, not the pid: by the time it is used, the pid may belong to another process.
        self.handles[hello.rank] = os.pidfd_open(hello.pid)
        self.shared_files |= {Path(each) for each in hello.shared_files}

    def kill(self) -> None:
        """Kill every rank at once."""
        for handle in self.handles.values():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.close()

    def stop(self) -> None:
        """Ask every rank to end; kill the world if it has not ended after STOP_SECONDS."""
        for connection in self.connections.values():
            with contextlib.suppress(OSError):
                send(connection, Stop())
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self.close()

    def close(self) -> None:
        """Close sockets and pidfds, and remove MPI's files."""
        for connection in self.connections.values():
            connection.close()
        for handle in self.handles.values():
            os.close(handle)
        self.connections.clear()
        self.handles.clear()
        self.unlink_shared_files()

    def unlink_shared_files(self) -> None:
        """Remove MPI's files in shared memory; ranks that have mapped them can still use them."""
        for path in self.shared_files:
            path.unlink(missing_ok=True)


def mpiexec() -> str:
    """Return the path of the launcher: the one beside this Python, else the first on the path.

    Raises
    ------
    Broken
        If there is none.
    """
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None:
        raise Broken("mpiexec: not found beside Python nor on the path; install the mpich wheel")
    return found


class RankSource:
    """The forkserver of an engine, as the engine sees it: started when needed, and watched.

    Parameters
    ----------
    folder : Path
        Private folder for its socket and its log.
    warm : bool
        Whether it loads all operations before the first rank is born.

    It may serve several engines, from their own threads.
    """

    def __init__(self, folder: Path, warm: bool) -> None:
        self.address = folder / "forkserver.sock"
        self.log = folder / "forkserver.log"
        self.warm = warm
        self.process: subprocess.Popen[bytes] | None = None
        self.closed = False
        self.lock = threading.Lock()

    def ensure_running(self) -> None:
        """Start the forkserver if it does not run; wait until it is ready.

        Raises
        ------
        Broken
            With the end of its log, if it is not ready within START_SECONDS; or if its engine has
            closed it.
        """
        with self.lock:
            if self.closed:
                raise Broken("the engine that makes the ranks was closed")
            if self.process is None or self.process.poll() is not None:
                self.start()

    def start(self) -> None:
        """Start the forkserver, and wait until it is ready; raises as `ensure_running` does."""
        self.end()
        self.address.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = process = subprocess.Popen(  # noqa: S603 - our own command
                [
                    *("setpriv", "--pdeathsig", "TERM"),
                    *(sys.executable, "-m", "cluster_worker.engine.forkserver"),
                    *(str(self.address), str(int(self.warm))),
                ],
                env=own_environment(),
                # It ends when this end of the pipe is closed, however that comes about.
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert process.stdout is not None  # noqa: S101 - a pipe
        poller = select.poll()
        poller.register(process.stdout, select.POLLIN)
        if not poller.poll(START_SECONDS * 1000):
            problem = f"not warm after {START_SECONDS:.0f} s"
        elif process.stdout.readline() == READY:
            return
        else:
            process.kill()
            problem = f"it ended with {process.wait()}"
        self.end()
        raise Broken(f"the forkserver of the ranks does not start: {problem} {tail_of(self.log)}")

    def discard(self, process: "subprocess.Popen[bytes] | None") -> None:
        """Kill a forkserver that makes no ranks, if it is still this one; its ranks go on."""
        with self.lock:
            if process is not None and self.process is process:
                process.kill()
                process.wait()

    def close(self) -> None:
        """End the forkserver for good, and with it all ranks."""
        self.closed = True
        with self.lock:
            self.end()

    def end(self) -> None:
        """End the process, if there is one."""
        process, self.process = self.process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None  # noqa: S101 - pipes
            pipe.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def tail_of(log: Path) -> str:
    """Return the end of a log."""
    return log.read_bytes()[-500:].decode(errors="replace").strip()


def launch(ranks: int, folder: Path, job_bytes: int, source: RankSource) -> World:
    """Start a world and wait until every rank is ready for tasks.

    Parameters
    ----------
    ranks : int
        Number of ranks.
    folder : Path
        Private folder for the socket and the ranks' log.
    job_bytes : int
        Private memory that a job may take in each rank, in bytes.
    source : RankSource
        Where the ranks are forked.

    Raises
    ------
    Broken
        With the end of the log, if the world does not start within WORLD_SECONDS.
    """
    try:
        source.ensure_running()
        process = source.process
        try:
            return start_world(ranks, folder, job_bytes, source)
        except Broken:
            # The next attempt gets its ranks from a new forkserver.
            source.discard(process)
            raise
    except OSError as error:
        raise Broken(f"the MPI world of {ranks} ranks does not start: {error}") from error


def start_world(ranks: int, folder: Path, job_bytes: int, source: RankSource) -> World:
    """Start a world as `launch` does, but also raise OSError if the system refuses something."""
    address, log = folder / "world.sock", folder / "world.log"
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener, log.open("wb") as output:
        listener.bind(str(address))
        listener.listen(ranks)
        process = subprocess.Popen(  # noqa: S603 - our own command
            # mpiexec ends its clients on SIGTERM. The kernel sends it one if this process dies.
            [
                *("setpriv", "--pdeathsig", "TERM"),
                *(mpiexec(), "-n", str(ranks)),
                *(sys.executable, "-I", "-S", str(CLIENT), str(source.address)),
            ],
            env=own_environment() | {SOCKET: str(address), MEMORY: str(job_bytes)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        world = World(process)
        try:
            accept_ranks(world, ranks, listener)
            # All ranks have mapped MPI's files by now. Without names, the files cannot outlive the
            # ranks, whatever is killed.
            world.unlink_shared_files()
        except (OSError, EOFError, Broken) as error:
            world.kill()
            raise Broken(
                f"the MPI world of {ranks} ranks does not start: {error} {tail_of(log)} "
                f"{tail_of(source.log)}"
            ) from error
    return world


def accept_ranks(world: World, ranks: int, listener: socket.socket) -> None:
    """Wait until every rank has connected and sent its Hello.

    Raises
    ------
    Broken
        If mpiexec ends first, or a rank takes longer than WORLD_SECONDS.
    """
    listener.settimeout(0.2)
    deadline = time.monotonic() + WORLD_SECONDS
    while len(world.connections) < ranks:
        if world.process.poll() is not None:
            raise Broken(f"mpiexec ended with {world.process.returncode}")
        if time.monotonic() > deadline:
            raise Broken(f"the ranks do not answer after {WORLD_SECONDS:.0f} s")
        with contextlib.suppress(TimeoutError):
            rank, _ = listener.accept()
            rank.setblocking(True)
            world.add_rank(Connection(rank.detach()))


def own_environment() -> dict[str, str]:
    """Return the environment of forkserver and ranks, which find this package in any folder."""
    top = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([top, *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | ONE_THREAD | KEEP_PAGES | {"PYTHONPATH": path}

"""Start and end one world of ranks, as child processes."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from cluster_worker.engine.wire import MEMORY, SOCKET, WARM, Hello, Stop, send
from cluster_worker.errors import Broken

# The first world on a machine compiles its kernels.
START_SECONDS = 300.0
STOP_SECONDS = 5.0

# One thread in every rank: the ranks are the parallelism.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# Memory that a tile's arrays have used serves the next tile's: fresh pages cost more than the work
# of a fast kernel. These are glibc's largest values.
KEEP_PAGES = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(256 << 20)}


@dataclass
class World:
    """A running world: its mpiexec, and a connection and a process handle for each rank."""

    process: subprocess.Popen[bytes]
    connections: dict[int, Connection] = field(default_factory=dict)
    handles: dict[int, int] = field(default_factory=dict)
    pids: dict[int, int] = field(default_factory=dict)
    shared_files: set[Path] = field(default_factory=set)

    def add_rank(self, connection: Connection) -> None:
        """Take in a rank that has said hello."""
        hello = connection.recv()
        if not isinstance(hello, Hello):
            raise Broken(f"a rank began with {hello!r}")
        self.connections[hello.rank] = connection
        self.pids[hello.rank] = hello.pid
        # A handle, not a number: a number may be another process's by the time it is used.
        self.handles[hello.rank] = os.pidfd_open(hello.pid)
        self.shared_files |= {Path(each) for each in hello.shared_files}

    def kill(self) -> None:
        """End every rank at once."""
        for handle in self.handles.values():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.close()

    def stop(self) -> None:
        """Let every rank leave in order; end those that do not."""
        for connection in self.connections.values():
            with contextlib.suppress(OSError):
                send(connection, Stop())
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self.close()

    def close(self) -> None:
        """Close what is open."""
        for connection in self.connections.values():
            connection.close()
        for handle in self.handles.values():
            os.close(handle)
        self.connections.clear()
        self.handles.clear()
        self.unlink_shared_files()

    def unlink_shared_files(self) -> None:
        """Remove the names of what MPI has in shared memory; ranks that have mapped it keep it."""
        for path in self.shared_files:
            path.unlink(missing_ok=True)


def mpiexec() -> str:
    """Find the launcher: the one beside this Python, else the first on the path.

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


def launch(ranks: int, folder: Path, job_bytes: int, warm: bool) -> World:
    """Start a world and wait until every rank is there.

    Parameters
    ----------
    ranks : int
        How many.
    folder : Path
        Private folder for the socket and the ranks' log.
    job_bytes : int
        Memory that a job may take in each rank.
    warm : bool
        Whether they load all operations first.

    Raises
    ------
    Broken
        If the world does not come up; with the end of its log.
    """
    try:
        return start_world(ranks, folder, job_bytes, warm)
    except OSError as error:
        raise Broken(f"the MPI world of {ranks} ranks does not start: {error}") from error


def start_world(ranks: int, folder: Path, job_bytes: int, warm: bool) -> World:
    """Start a world; as `launch`, but errors of the system come as they are."""
    address, log = folder / "world.sock", folder / "world.log"
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener, log.open("wb") as output:
        listener.bind(str(address))
        listener.listen(ranks)
        process = subprocess.Popen(  # noqa: S603 - our own command
            # mpiexec ends its ranks on SIGTERM, and gets one if this process is killed.
            [
                *("setpriv", "--pdeathsig", "TERM"),
                *(mpiexec(), "-n", str(ranks)),
                *(sys.executable, "-m", "mpi4py", "-m", "cluster_worker.engine.rank"),
            ],
            env=environment(address, job_bytes, warm),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        world = World(process)
        try:
            accept_ranks(world, ranks, listener)
            # All have it mapped now, so that no kill, not even of this process, leaves it behind.
            world.unlink_shared_files()
        except (OSError, EOFError, Broken) as error:
            world.kill()
            tail = log.read_bytes()[-500:].decode(errors="replace").strip()
            raise Broken(
                f"the MPI world of {ranks} ranks does not start: {error} {tail}"
            ) from error
    return world


def accept_ranks(world: World, ranks: int, listener: socket.socket) -> None:
    """Wait for every rank's hello, as long as the world lives."""
    listener.settimeout(0.2)
    deadline = time.monotonic() + START_SECONDS
    while len(world.connections) < ranks:
        if world.process.poll() is not None:
            raise Broken(f"mpiexec ended with {world.process.returncode}")
        if time.monotonic() > deadline:
            raise Broken(f"not warm after {START_SECONDS:.0f} s")
        with contextlib.suppress(TimeoutError):
            rank, _ = listener.accept()
            rank.setblocking(True)
            world.add_rank(Connection(rank.detach()))


def environment(address: Path, job_bytes: int, warm: bool) -> dict[str, str]:
    """Give the ranks' environment; the package is found wherever they start."""
    top = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([top, *filter(None, [os.environ.get("PYTHONPATH")])])
    given = {
        SOCKET: str(address),
        MEMORY: str(job_bytes),
        WARM: str(int(warm)),
        "PYTHONPATH": path,
    }
    return os.environ | ONE_THREAD | KEEP_PAGES | given

"""Start worlds: fork the rank of a seat, or have mpiexec join the ranks of the wide world."""

import json
import os
import queue
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection
from multiprocessing.connection import Connection
from pathlib import Path

from cluster_worker.engine.leftovers import sweep_left_by_mpi
from cluster_worker.engine.limits import is_stopped
from cluster_worker.engine.wire import FOLDER, MEMORY, READY, SEAT, WIDE_NICE, WORLD_SOCKET
from cluster_worker.engine.world import STOP_SECONDS, World
from cluster_worker.errors import Broken

CLIENT = Path(__file__).with_name("rank_client.py")
# The first forkserver on a machine compiles all kernels; later ones start much faster.
START_SECONDS = 300.0
# Ranks are forked in a fraction of a second, on a busy machine in a few.
WORLD_SECONDS = 60.0
# A forkserver that has been stopped for this long is replaced, and so is one that has made no rank
# for a seat this often, one attempt after the other.
STOPPED_SECONDS = 3.0
FAILURES_MAX = 3
# Time between two looks at what a start waits for.
LOOK_SECONDS = 0.1

# One thread in every rank: the ranks are the parallelism.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# Freed memory stays in the process for the arrays of the next tile: to touch fresh pages takes
# longer than a fast kernel. These are glibc's largest values.
KEEP_PAGES = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(256 << 20)}


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
    warm : bool or collection of str
        The operations that it calls before the first rank is born, True for all. If there are none,
        it loads what operations need.
    name : str
        Of its socket.

    It may serve several engines, from their own threads.

    Attributes
    ----------
    heirs : set of callable
        Called once ranks are born of a forkserver with all operations.
    """

    def __init__(
        self, folder: Path, warm: bool | Collection[str], name: str = "forkserver.sock"
    ) -> None:
        self.address = folder / name
        self.log = folder / "forkserver.log"
        self.warm = warm if isinstance(warm, bool) else sorted(warm)
        self.process: subprocess.Popen[bytes] | None = None
        self.ready = False
        self.closed = False
        self.heirs: set[Callable[[], None]] = set()
        # The forkserver that `renew` warms up.
        self.successor: RankSource | None = None
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
        self.ready = False
        self.address.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = process = subprocess.Popen(  # noqa: S603 - our own command
                [
                    *("setpriv", "--pdeathsig", "TERM"),
                    *(sys.executable, "-m", "cluster_worker.engine.forkserver"),
                    *(str(self.address), json.dumps(self.warm)),
                ],
                env=own_environment(),
                # It ends when this end of the pipe is closed, however that comes about.
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        if self.closed:
            # `close` may have looked before there was a process to kill.
            process.kill()
        assert process.stdout is not None  # noqa: S101 - a pipe
        poller = select.poll()
        poller.register(process.stdout, select.POLLIN)
        if not poller.poll(START_SECONDS * 1000):
            problem = f"not warm after {START_SECONDS:.0f} s"
        elif process.stdout.readline() == READY:
            self.ready = True
            return
        else:
            process.kill()
            problem = f"it ended with {process.wait()}"
        self.end()
        raise Broken(f"the forkserver of the ranks does not start: {problem} {tail_of(self.log)}")

    def renew(self) -> None:
        """Put a warm forkserver in the place of one that is not; the old one serves until then.

        Its ranks go on, until each engine replaces them.

        Raises
        ------
        Broken
            If the new one does not start, or the engine was closed.
        """
        fresh = RankSource(self.address.parent, True, name=f"warm-{self.address.name}")
        self.successor = fresh
        if self.closed:
            fresh.closed = True
        fresh.ensure_running()
        with self.lock:
            self.successor = None
            if self.closed:
                fresh.close()
                raise Broken("the engine that makes the ranks was closed")
            old, self.process = self.process, fresh.process
            self.address, self.warm, self.ready = fresh.address, True, True
        if old is not None:
            old.kill()
            old.communicate()
        # An engine may close meanwhile.
        for heir in list(self.heirs):
            heir()

    def discard(self, process: "subprocess.Popen[bytes] | None") -> None:
        """Kill a forkserver that makes no ranks, if it is still this one; its ranks go on."""
        with self.lock:
            if process is not None and self.process is process:
                process.kill()
                process.wait()

    def close(self) -> None:
        """End the forkserver for good, and with it all ranks."""
        self.closed = True
        process, successor = self.process, self.successor
        if successor is not None:
            successor.close()
        # It may be warming up, with the lock held by the thread that waits for that.
        if process is not None and not self.ready:
            process.kill()
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


class Starter(threading.Thread):
    """A thread that starts and ends the worlds of one seat.

    It lasts as long as the seat: the kernel ends an mpiexec whose thread ends.
    """

    def __init__(self) -> None:
        super().__init__(name="starter", daemon=True)
        self.calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.start()

    def run(self) -> None:
        """Run calls until there is a None."""
        while (call := self.calls.get()) is not None:
            call()

    def call(self, call: Callable[[], None]) -> None:
        """Run a call on this thread, after those before."""
        self.calls.put(call)

    def end(self) -> None:
        """End after the calls so far."""
        self.calls.put(None)


class Launcher:
    """Starts worlds for one engine; its methods may be called from several threads.

    Parameters
    ----------
    folder : Path
        The engine's private folder, for sockets and logs.
    job_bytes : int
        Private memory that a job may take in each rank, in bytes.
    source : RankSource
        Where the ranks are forked.

    Attributes
    ----------
    closing : Event
        Set when the engine closes: starts are given up.
    """

    def __init__(self, folder: Path, job_bytes: int, source: RankSource) -> None:
        self.folder = folder
        self.job_bytes = job_bytes
        self.source = source
        self.closing = threading.Event()
        # Seats that did not start since one did.
        self.failures = 0

    def launch(self, ranks: int, seat: int | None) -> World:
        """Start a world and wait until every rank is ready for tasks.

        Parameters
        ----------
        ranks : int
            Number of ranks of the wide world; 1 for a seat.
        seat : int or None
            Number of the seat; None for the wide world.

        Raises
        ------
        Broken
            With the end of the log, if the world does not start within WORLD_SECONDS.
        """
        name = "wide world" if seat is None else f"seat {seat}"
        log = self.folder / f"{name.replace(' ', '-')}.log"
        world = World(self.folder)
        try:
            self.source.ensure_running()
            with log.open("wb") as output:
                if seat is None:
                    self.start_wide(world, ranks, output.fileno())
                else:
                    self.start_seat(world, seat, output.fileno())
        except (OSError, EOFError, Broken) as error:
            world.kill()
            if seat is not None:
                self.on_failure()
            ends = " ".join(tail_of(each) for each in (log, self.source.log) if each.exists())
            raise Broken(f"the {name} does not start: {error} {ends}") from error
        return world

    def start_seat(self, world: World, seat: int, output: int) -> None:
        """Have the forkserver fork the rank of a seat; raises OSError, EOFError and Broken."""
        environment = self.environment() | {SEAT: str(seat)}
        world.client = client = socket.socket(socket.AF_UNIX)
        client.connect(str(self.source.address))
        ours, theirs = socket.socketpair()
        with theirs:
            message = json.dumps(environment).encode() + b"\n"
            sent = socket.send_fds(client, [message], [output, output, theirs.fileno()])
            client.sendall(message[sent:])
        connection = Connection(ours.detach())
        try:
            self.wait_for(lambda: connection.poll(LOOK_SECONDS))
            world.add_rank(connection)
        except BaseException:
            connection.close()
            raise
        self.failures = 0

    def on_failure(self) -> None:
        """Replace a forkserver that makes no ranks; a seat needs nothing else to start."""
        self.failures += 1
        if self.failures >= FAILURES_MAX and not self.closing.is_set():
            self.failures = 0
            self.source.discard(self.source.process)

    def start_wide(self, world: World, ranks: int, output: int) -> None:
        """Start the ranks of the wide world; raises OSError, EOFError and Broken."""
        sweep_left_by_mpi()
        address = self.folder / WORLD_SOCKET
        address.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(address))
            listener.listen(ranks)
            listener.settimeout(LOOK_SECONDS)
            world.process = subprocess.Popen(  # noqa: S603 - our own command
                # mpiexec ends its clients on SIGTERM. The kernel sends it one if the thread that
                # started it ends.
                [
                    *("setpriv", "--pdeathsig", "TERM", "nice", "-n", str(WIDE_NICE)),
                    *(mpiexec(), "-n", str(ranks)),
                    *(sys.executable, "-I", "-S", str(CLIENT), str(self.source.address)),
                ],
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.wait_for(lambda: accept_rank(world, listener) and len(world.pids) == ranks)
        # All ranks have mapped MPI's files by now. Without names, the files cannot outlive the
        # ranks, whatever is killed.
        try:
            world.reserve_shared_files()
        finally:
            world.unlink_shared_files()

    def wait_for(self, is_ready: Callable[[], bool]) -> None:
        """Wait until a world is ready; `is_ready` waits for LOOK_SECONDS itself.

        Raises
        ------
        Broken
            If that takes longer than WORLD_SECONDS, the forkserver is stopped, or the engine
            closes.
        """
        forkserver = self.source.process
        began = ran = time.monotonic()
        while not is_ready():
            now = time.monotonic()
            if forkserver is not None and not is_stopped(forkserver.pid):
                ran = now
            if self.closing.is_set():
                raise Broken("the engine was closed")
            if now - ran > STOPPED_SECONDS or now - began > WORLD_SECONDS:
                self.source.discard(forkserver)
                raise Broken(f"the forkserver makes no rank after {now - began:.0f} s")

    def environment(self) -> dict[str, str]:
        """Return the environment of a rank."""
        return own_environment() | {FOLDER: str(self.folder), MEMORY: str(self.job_bytes)}


def accept_rank(world: World, listener: socket.socket) -> bool:
    """Accept a rank of the wide world, and receive its Hello; return False if none has connected.

    Raises
    ------
    Broken
        If mpiexec has ended.
    """
    assert world.process is not None  # noqa: S101 - started before
    if world.process.poll() is not None:
        raise Broken(f"mpiexec ended with {world.process.returncode}")
    try:
        rank, _ = listener.accept()
    except TimeoutError:
        return False
    rank.setblocking(True)
    world.add_rank(Connection(rank.detach()))
    return True


def own_environment() -> dict[str, str]:
    """Return the environment of forkserver and ranks, which find this package in any folder."""
    top = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([top, *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | ONE_THREAD | KEEP_PAGES | {"PYTHONPATH": path}

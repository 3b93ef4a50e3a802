"""What an agent does for one engine: starts this host's ranks of a world, and serves them.

The ranks are forks of the agent's forkserver and speak to the agent, as they speak to an engine on
one host. The agent speaks to the engine, by a `Channel`.
"""

import contextlib
import re
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cluster_worker.engine.hosts.channel import Channel, Lost, Message
from cluster_worker.engine.hosts.messages import error_to_json, task_from_json
from cluster_worker.engine.launch import CLIENT, RankSource, accept_rank, own_environment, tail_of
from cluster_worker.engine.limits import Watch
from cluster_worker.engine.wire import (
    FOLDER,
    MEMORY,
    WIDE_NICE,
    WORLD_SOCKET,
    Cancel,
    Done,
    Progress,
    packed,
    send,
)
from cluster_worker.engine.world import World
from cluster_worker.errors import Broken, RankDied

# Time between two looks at the ranks, if nothing comes.
LOOK_SECONDS = 0.25
LISTEN_SECONDS = 0.05
# Time between two questions whether a lease still holds.
LEASE_SECONDS = 1.0
# What mpiexec asks the host to run: the agent's own client of its forkserver, found by variables
# that only the agent sets. So no path of one host is used on another.
CLIENT_NAMES = ("DIP_PYTHON", "DIP_CLIENT", "DIP_FORKSERVER")
RANK_COMMAND = ("sh", "-c", 'exec "$DIP_PYTHON" -I -S "$DIP_CLIENT" "$DIP_FORKSERVER"')
# The words after the name of MPICH's proxy, as its mpiexec prints them.
PROXY_WORD = re.compile(r"-{0,2}[A-Za-z0-9][A-Za-z0-9._:-]*|-[0-9]+")
PROXY = "hydra_pmi_proxy"
# Ranks of several hosts speak TCP, also if these hosts are containers of one machine.
TRANSPORT = {"UCX_TLS": "tcp,self"}


def network_environment(ports: str) -> dict[str, str]:
    """Return MPI's variables for the network; `ports` as "30000:30100", empty for any."""
    if not ports:
        return TRANSPORT
    low, _, high = ports.partition(":")
    return TRANSPORT | {
        "MPIR_CVAR_PORT_RANGE": ports,
        "MPIEXEC_PORT_RANGE": ports,
        "UCX_TCP_PORT_RANGE": f"{low}-{high}",
    }


@dataclass(frozen=True)
class Terms:
    """On what terms a host makes ranks for engines of other hosts; by default always.

    Attributes
    ----------
    allows : callable
        From the lease that an engine names to whether it holds. It must answer within a second.
    lend : callable
        Called with the private memory that the ranks of a task may take together, in bytes; with 0
        when they have ended.
    lent_fits : callable
        Whether that memory is free. Until then the task waits, and no further job of the host must
        begin that needs it.
    """

    allows: Callable[[str], bool] = lambda lease: True
    lend: Callable[[int], None] = lambda nbytes: None
    lent_fits: Callable[[], bool] = lambda: True


NO_TERMS = Terms()


class Session:
    """The part of one world that runs on this host, while an engine is connected.

    Parameters
    ----------
    channel : Channel
        To the engine.
    source : RankSource
        Makes the ranks.
    folder : Path
        The agent's private folder, in memory.
    ports : str
        As for `network_environment`.
    terms : Terms
        Of this host.

    Attributes
    ----------
    world : World or None
        The ranks of this host, and MPICH's proxy as their process.
    expected : int
        Number of ranks to wait for.
    job : int or None
        Number of the job that they run.
    waiting : bytes
        The task, until there is memory for it.
    """

    def __init__(
        self, channel: Channel, source: RankSource, folder: Path, ports: str, terms: Terms
    ) -> None:
        self.channel, self.source = channel, source
        self.folder, self.ports, self.terms = folder, ports, terms
        # The lease of the world, and when it was last checked.
        self.lease: str | None = None
        self.lease_at = 0.0
        self.log = folder / "proxy.log"
        self.selector = selectors.DefaultSelector()
        self.selector.register(channel, selectors.EVENT_READ)
        self.world: World | None = None
        self.listener: socket.socket | None = None
        self.expected = 0
        self.seconds = 0.0
        self.job: int | None = None
        self.waiting = b""
        self.watch: Watch | None = None
        self.working: set[int] = set()

    def serve(self) -> None:
        """Serve until the engine has gone; then no rank is left.

        Raises
        ------
        Lost
            If the engine is gone or silent, or its lease has ended.
        """
        try:
            while True:
                for key, _ in self.selector.select(LOOK_SECONDS):
                    if key.fileobj is self.channel:
                        for message in self.channel.receive():
                            self.handle(message)
                    elif key.data is not None:
                        self.handle_rank(key.data)
                self.channel.keep_alive()
                if self.listener is not None:
                    self.gather()
                self.send_task()
                self.look()
                self.check_lease()
        finally:
            self.end()

    def handle(self, message: Message) -> None:
        """Do what the engine asks; what fails is said to it. Raises Lost if its lease has ended."""
        kind = message["kind"]
        try:
            if kind == "launch":
                self.lease, self.lease_at = str(message["lease"]), float("-inf")
                self.check_lease()
                self.launch(message["words"], int(message["ranks"]), int(message["memory"]))
                self.seconds = float(message["seconds"])
            elif kind == "task":
                self.begin(message["task"], int(message["private"]))
            elif kind == "cancel":
                self.cancel()
        except Lost:
            # The engine goes on without this host, and it counts as no fault of the job.
            raise
        except (Broken, OSError, ValueError, TypeError) as error:
            self.fail(error)

    def launch(self, words: Sequence[str], ranks: int, memory: int) -> None:
        """Start MPICH's proxy, which has the forkserver make the ranks of this host.

        Raises
        ------
        Broken
            If the forkserver does not run.
        OSError, ValueError
            If the proxy does not start, or its words are not those that mpiexec prints.
        """
        if self.world is not None or not all(map(PROXY_WORD.fullmatch, words)):
            raise ValueError("launch: a world runs, or the words are not those of a proxy")
        self.source.ensure_running()
        self.world, self.expected = World(self.folder), ranks
        address = self.folder / WORLD_SOCKET
        address.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(address))
        self.listener.listen(ranks)
        self.listener.settimeout(LISTEN_SECONDS)
        self.selector.register(self.listener, selectors.EVENT_READ)
        client = zip(CLIENT_NAMES, (sys.executable, CLIENT, self.source.address), strict=True)
        environment = own_environment() | network_environment(self.ports)
        environment |= {FOLDER: str(self.folder), MEMORY: str(memory)}
        environment |= {name: str(each) for name, each in client}
        program = Path(sys.executable).parent / PROXY
        with self.log.open("wb") as output:
            self.world.process = subprocess.Popen(  # noqa: S603 - our own program, checked words
                [
                    *("setpriv", "--pdeathsig", "KILL", "nice", "-n", str(WIDE_NICE)),
                    *(str(program) if program.exists() else PROXY, *words),
                ],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def gather(self) -> None:
        """Accept a rank that connects; say so to the engine when all of this host are there."""
        assert self.world is not None  # noqa: S101 - there is a listener
        assert self.listener is not None  # noqa: S101 - as above
        try:
            if not accept_rank(self.world, self.listener) or len(self.world.pids) < self.expected:
                return
            self.world.reserve_shared_files()
        except (Broken, OSError) as error:
            self.fail(Broken(f"{error} {tail_of(self.log)}"))
            return
        self.world.unlink_shared_files()
        self.close_listener()
        for rank, connection in self.world.connections.items():
            self.selector.register(connection, selectors.EVENT_READ, rank)
        self.channel.send("ready", ranks=sorted(self.world.pids), pids=dict(self.world.pids))

    def begin(self, given: Any, private_bytes: int) -> None:
        """Take a task for all ranks of this host; raises as `task_from_json` does."""
        task = task_from_json(given)
        assert self.world is not None  # noqa: S101 - the engine waits until all ranks are ready
        self.terms.lend(private_bytes * len(self.world.pids))
        self.job, self.waiting = task.job, packed(task)

    def send_task(self) -> None:
        """Send the task that waits to all ranks of this host, if there is memory for it."""
        if self.world is None or not self.waiting or not self.terms.lent_fits():
            return
        content, self.waiting = self.waiting, b""
        self.working = set(self.world.pids)
        self.watch = Watch(self.world.pids, self.seconds)
        try:
            for connection in self.world.connections.values():
                connection.send_bytes(content)
        except OSError as error:
            self.fail(error)

    def cancel(self) -> None:
        """Ask the ranks to stop after their tile."""
        if self.waiting:
            return
        for connection in self.world.connections.values() if self.world else ():
            with contextlib.suppress(OSError):
                send(connection, Cancel(self.job or 0))

    def handle_rank(self, rank: int) -> None:
        """Pass on what a rank says, or that it died."""
        if self.world is None:
            return
        connection: Connection = self.world.connections[rank]
        try:
            message = connection.recv()
        except (EOFError, OSError):
            self.fail(RankDied(f"a rank died twice while it worked on this image{self.cause()}"))
            return
        if isinstance(message, Progress):
            reached = message.reached and list(message.reached)
            self.channel.send("progress", tiles=message.tiles, reached=reached)
        elif isinstance(message, Done):
            self.working.discard(rank)
            self.channel.send(
                "done",
                rank=rank,
                error=error_to_json(message.error),
                spent=list(message.spent),
                tiles=message.tiles,
                passes=[list(each) for each in message.passes],
            )

    def cause(self) -> str:
        """Return what the log of the ranks ends with, for an error sentence."""
        said = tail_of(self.log)
        return f": {said}" if said else ""

    def look(self) -> None:
        """Check the limits of the job: processor time of its ranks, and signs of life."""
        if self.watch is not None and self.working:
            reason = self.watch.look(self.working)
            if reason is not None:
                self.fail(reason)

    def check_lease(self) -> None:
        """Check now and then that the lease of the world holds.

        Raises
        ------
        Lost
            If it does not. The engine then goes on without this host.
        """
        now = time.monotonic()
        if self.lease is None or now - self.lease_at < LEASE_SECONDS:
            return
        self.lease_at = now
        if not self.terms.allows(self.lease):
            raise Lost(self.channel.name, f"its lease {self.lease!r} of this host has ended")

    def fail(self, error: Exception) -> None:
        """Say to the engine why this host's part of the world ends, and end it."""
        self.end()
        self.channel.send("failed", error=error_to_json(error))

    def end(self) -> None:
        """End all ranks of this host; nothing of them is left."""
        self.close_listener()
        world, self.world = self.world, None
        self.watch, self.working, self.job, self.waiting = None, set(), None, b""
        if world is None:
            return
        for connection in world.connections.values():
            with contextlib.suppress(KeyError):
                self.selector.unregister(connection)
        world.kill()
        self.terms.lend(0)
        self.remove_copies()

    def close_listener(self) -> None:
        """Stop waiting for ranks."""
        listener, self.listener = self.listener, None
        if listener is not None:
            self.selector.unregister(listener)
            listener.close()

    def remove_copies(self) -> None:
        """Remove what ranks that were killed have left in the folder."""
        for pattern in ("object-*", "tiles-*", "index-*"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)

"""The agent of a host: makes ranks for engines of other hosts that know the group's secret.

`dip agent --secret FILE` runs it, and a worker node has one. It serves one engine at a time.
"""

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from cluster_worker.engine.compiling import Kernels
from cluster_worker.engine.hosts.channel import Channel, Lost, Secret, accept
from cluster_worker.engine.hosts.identity import identity
from cluster_worker.engine.hosts.session import NO_TERMS, Session, Terms
from cluster_worker.engine.launch import RankSource
from cluster_worker.imagefiles.decoder_source import SOCKET_NAME, DecoderSource
from cluster_worker.log import event
from cluster_worker.pixels.shared_memory import Segments

PORT = 7321
# Connections whose secret is checked at the same time; each takes a few seconds at most.
GUESTS_MAX = 16
# Time for the ranks of one engine to end before the next engine is told that the host is busy.
BUSY_SECONDS = 3.0
# Time until it listens again after no connection could be accepted.
LOOK_SECONDS = 0.25


class WarmProcesses(Protocol):
    """What an agent uses of an `Engine`, whose file imports those of this folder."""

    kernels: Kernels
    source: RankSource
    decoder_source: DecoderSource


class Agent:
    """Listens for engines. Use it in a ``with`` block, and call `serve`.

    Parameters
    ----------
    address : str
        To listen at; "" for all of this host.
    port : int
        TCP port; 0 for any.
    secret : bytes or Secret
        As in `check_secret`; a `Secret` may be read again.
    scratch_dir : str or Path
        Folder in memory for what ranks and decoders share.
    warm : bool or collection of str
        As for `Engine`.
    ports : str
        Range of TCP ports for MPI, as "30000:30100"; empty for any.
    beside : Engine, optional
        An engine of this process, which must outlive the agent. Its warm processes make the ranks
        and decoders, so that the host needs no further ones.
    terms : Terms
        On which it makes ranks.

    Raises
    ------
    Broken
        If the ranks' forkserver does not start.
    OSError
        If the port is taken.
    """

    def __init__(
        self,
        address: str,
        port: int,
        secret: bytes | Secret,
        scratch_dir: str | Path = "/dev/shm",  # noqa: S108 - memory, not a temporary file
        warm: bool | Collection[str] = True,
        ports: str = "",
        beside: WarmProcesses | None = None,
        terms: Terms = NO_TERMS,
    ) -> None:
        self.secret = secret if isinstance(secret, Secret) else Secret(secret)
        self.ports = ports
        self.beside, self.terms = beside, terms
        self.listener = socket.create_server((address, port), backlog=GUESTS_MAX)
        self.busy = threading.Lock()
        # To the engine that is served.
        self.served: Channel | None = None
        self.guests = threading.Semaphore(GUESTS_MAX)
        # Its folder is swept by the next engine or agent, if this one is killed.
        self.segments = Segments(Path(scratch_dir))
        folder = self.segments.folder
        self.kernels = beside.kernels if beside else Kernels(wanted=warm is True)
        first = self.kernels.at_first(warm)
        self.source = beside.source if beside else RankSource(folder, first)
        made_by = beside.decoder_source if beside else DecoderSource(folder, confined_to=[folder])
        self.decoders: DecoderSource = made_by
        if beside:
            (folder / SOCKET_NAME).symlink_to(made_by.address)
        try:
            self.source.ensure_running()
        except BaseException:
            self.close()
            raise
        if beside is None:
            self.kernels.prepare(then=self.source.renew)
        # Reading all sources takes a moment, which the first engine need not wait for.
        identity()

    @property
    def port(self) -> int:
        """The port that it listens at."""
        return int(self.listener.getsockname()[1])

    def serve(self) -> None:
        """Serve engines until the agent is closed."""
        while True:
            try:
                sock, (host, *_) = self.listener.accept()
            except OSError:
                # Too many open files for a moment, or closed.
                if self.listener.fileno() < 0:
                    return
                time.sleep(LOOK_SECONDS)
                continue
            if self.guests.acquire(blocking=False):
                # It outlives no world: the kernel ends the proxy of a world with this thread.
                threading.Thread(target=self.receive, args=(sock, host), daemon=True).start()
            else:
                sock.close()

    def receive(self, sock: socket.socket, host: str) -> None:
        """Check who has connected, and serve it."""
        try:
            with accept(sock, host, self.secret) as channel:
                self.welcome(channel)
        except OSError as error:
            sock.close()
            event("engine refused", host=host, reason=str(error))
        except Lost as error:
            event("engine gone", host=host, reason=str(error))
        finally:
            self.guests.release()

    def welcome(self, channel: Channel) -> None:
        """Say what this host is, and serve an engine, if no other one is served."""
        if not self.busy.acquire(timeout=BUSY_SECONDS):
            channel.send("busy")
            return
        self.served = channel
        try:
            channel.send("welcome", **identity())
            event("engine connected", host=channel.name)
            folder = self.segments.folder
            Session(channel, self.source, folder, self.ports, self.terms).serve()
        finally:
            self.served = None
            self.busy.release()

    def leave(self) -> None:
        """Leave the engine that is served, and wait until its ranks have ended.

        It goes on without this host. Ranks that ended before would seem to have died of its job.
        """
        until = time.monotonic() + BUSY_SECONDS
        # The lock is kept: no other engine is served.
        while not self.busy.acquire(timeout=LOOK_SECONDS) and time.monotonic() < until:
            served = self.served
            if served is not None:
                with contextlib.suppress(OSError):
                    served.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the ranks, and the forkservers unless they are an engine's; remove the folder."""
        if self.listener.fileno() < 0:
            return
        # A thread that waits in `accept` is not woken by `close`.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.leave()
        if self.beside is None:
            self.source.close()
            self.kernels.close()
            self.decoders.close()
        self.segments.close()

    def __enter__(self) -> "Agent":
        """Return the agent itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the agent."""
        self.close()


def run_agent(agent: Agent) -> None:
    """Serve until Ctrl-C; print the port when the agent can be asked."""
    with agent, contextlib.suppress(KeyboardInterrupt):
        sys.stdout.write(f"ready: agent of {os.uname().nodename} at port {agent.port}\n")
        sys.stdout.flush()
        agent.serve()

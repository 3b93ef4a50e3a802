"""A world over several hosts, as the engine sees it: started, fed, watched and ended.

mpiexec prints what each host has to run (`-launcher manual`), and the agents run it. So neither ssh
nor a shared folder is needed.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cluster_worker.engine.hosts.channel import Channel, Message, connect
from cluster_worker.engine.hosts.group import Hosts
from cluster_worker.engine.hosts.identity import check_alike
from cluster_worker.engine.hosts.messages import error_from_json, to_json
from cluster_worker.engine.hosts.session import RANK_COMMAND, network_environment
from cluster_worker.engine.launch import WORLD_SECONDS, mpiexec, tail_of
from cluster_worker.engine.wire import Task
from cluster_worker.errors import Broken, Cancelled
from cluster_worker.plan.bands import private_bytes
from cluster_worker.plan.checkpoints import Checkpoint
from cluster_worker.plan.recipe import plan_any
from cluster_worker.timings import PassEnd, Share, Spent

# Time between two looks at mpiexec, the agents and a cancel, if nothing comes.
LOOK_SECONDS = 0.25
# mpiexec prints its lines at once.
LINES_SECONDS = 10.0
LAUNCH, LAUNCH_END = "HYDRA_LAUNCH: ", "HYDRA_LAUNCH_END"
# Time for ranks to stop after a cancel, before their world is ended. A chunk may be on its way to
# the store, and would lie there after all others are deleted.
CANCEL_SECONDS = 3.0

OnTiles = Callable[[int, Checkpoint | None], None]


class HostWorld:
    """A world for one attempt at one job. Use it in a ``with`` block, on one thread.

    Parameters
    ----------
    hosts : Hosts
        The group.
    folder : Path
        For the log.

    Attributes
    ----------
    channels : dict
        To the agent of each host, in the order of the hosts.
    said : dict
        What each host says of itself.
    ranks : dict
        Numbers of the ranks of each host that is ready.
    """

    def __init__(self, hosts: Hosts, folder: Path) -> None:
        self.hosts = hosts
        self.log = folder / "hosts.log"
        self.channels: dict[str, Channel] = {}
        self.said: dict[str, dict[str, Any]] = {}
        self.ranks: dict[str, list[int]] = {}
        self.process: subprocess.Popen[bytes] | None = None
        # Most private memory of a job in each rank, as soon as there are ranks.
        self.memory_bytes = 0

    def connect(self) -> None:
        """Connect to all agents, and check that their hosts are alike.

        Raises
        ------
        Lost
            If one does not answer.
        Broken
            If one serves another engine.
        Rejected
            If one has another secret, version or kind of processor.
        """

        def reach(name: tuple[str, int]) -> Channel:
            return connect(*name, self.hosts.secret)

        with ThreadPoolExecutor(len(self.hosts.names)) as pool:
            reached = [pool.submit(reach, each) for each in self.hosts.names]
        for (host, port), found in zip(self.hosts.names, reached, strict=True):
            if found.exception() is None:
                self.channels[f"{host}:{port}"] = found.result()
        for found in reached:
            found.result()
        deadline = time.monotonic() + WORLD_SECONDS
        while len(self.said) < len(self.channels):
            for name, message in self.messages():
                if message["kind"] == "busy":
                    raise Broken(f"host {name}: works for another engine; try again later")
                self.said[name] = message
            self.check_time(deadline, "does not say what it is")
        check_alike({name: self.said[name] for name in self.channels})

    def start(self, ranks: int, memory_bytes: int, seconds: float) -> None:
        """Start a world of `ranks` ranks on each host, and wait until all are ready for tasks.

        Parameters
        ----------
        ranks : int
            Of each host.
        memory_bytes, seconds : int, float
            Most private memory and processor time of a job, in each rank.

        Raises
        ------
        Broken
            If it does not start; `Lost` if a host is gone.
        """
        self.memory_bytes = memory_bytes
        limits = {"memory": memory_bytes, "seconds": seconds}
        for channel, words in zip(self.channels.values(), self.launch_lines(ranks), strict=True):
            channel.send("launch", words=words, ranks=ranks, lease=self.hosts.lease, **limits)
        waiting = set(self.channels)
        deadline = time.monotonic() + WORLD_SECONDS
        while waiting:
            for name, message in self.messages():
                self.raise_failure(name, message)
                if message["kind"] == "ready":
                    waiting.discard(name)
                    self.ranks[name] = list(map(int, message["ranks"]))
            self.check_process()
            self.check_time(deadline, "has no ranks")

    def launch_lines(self, ranks: int) -> list[list[str]]:
        """Start mpiexec, and return the words that it wants each host to run.

        Raises
        ------
        Broken
            If it prints none.
        """
        first = next(iter(self.channels.values()))
        # The address of this host by which the others reach it.
        own = first.sock.getsockname()[0]
        names = [channel.sock.getpeername()[0] for channel in self.channels.values()]
        options = ["-genvnone", "-launcher", "manual", "-localhost", own, "-ppn", str(ranks)]
        options += ["-hosts", ",".join(names), "-n", str(ranks * len(names))]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                # While it waits for its hosts it ends on SIGKILL alone.
                [
                    *("setpriv", "--pdeathsig", "KILL"),
                    *(mpiexec(), *options, *RANK_COMMAND),
                ],
                env=os.environ | network_environment(self.hosts.ports),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + LINES_SECONDS
        while LAUNCH_END not in (text := self.log.read_text(errors="replace")):
            self.check_process()
            self.check_time(deadline, "gets no word of mpiexec")
            time.sleep(0.01)
        lines = [line for line in text.splitlines() if line.startswith(LAUNCH)]
        if len(lines) != len(names):
            raise Broken(f"mpiexec names {len(lines)} hosts instead of {len(names)}: {text}")
        # Without the program, whose path is this host's.
        return [line.removeprefix(LAUNCH).split()[1:] for line in lines]

    def run(
        self, task: Task, ranks: int, tiles: OnTiles, is_cancelled: Callable[[], bool]
    ) -> list[Share]:
        """Run a task on all ranks, and return what each of them did.

        Parameters
        ----------
        task : Task
            Whose surfaces all lie in the store.
        ranks : int
            Of all hosts.
        tiles : callable
            Called with the number of tiles that are newly done, and with a checkpoint if all ranks
            have reached one.
        is_cancelled : callable
            Asked at intervals.

        Raises
        ------
        Exception
            The error of a rank; `Cancelled`; `Lost` if a host is gone, `RankDied` if a rank died.
        """
        given = to_json(task)
        private = private_bytes(plan_any(task.request), ranks, self.memory_bytes)
        for channel in self.channels.values():
            channel.send("task", task=given, private=private)
        done: list[Message] = []
        shares: list[Share] = []
        cancel_by = None
        while len(done) < ranks:
            for name, message in self.messages():
                self.raise_failure(name, message)
                if message["kind"] in ("progress", "done"):
                    reached = message.get("reached")
                    tiles(int(message["tiles"]), reached and Checkpoint(*map(int, reached)))
                if message["kind"] == "done":
                    done.append(message)
                    share = int(message["rank"]), time.time_ns(), Spent(*message["spent"])
                    passes = tuple(PassEnd(*each) for each in message.get("passes", ()))
                    shares.append(Share(name.rpartition(":")[0], *share, passes))
            self.check_process()
            if cancel_by is None and is_cancelled():
                cancel_by = time.monotonic() + CANCEL_SECONDS
                for channel in self.channels.values():
                    channel.send("cancel")
            if cancel_by is not None and time.monotonic() > cancel_by:
                raise Cancelled
        errors = [error_from_json(each["error"]) for each in done]
        for error in errors:
            if error is not None:
                raise error
        return shares

    def messages(self) -> Iterator[tuple[str, Message]]:
        """Wait a moment, and yield what the agents say; raises `Lost` if one is gone or silent."""
        ready, _, _ = select.select(list(self.channels.values()), [], [], LOOK_SECONDS)
        for name, channel in self.channels.items():
            if channel in ready:
                for message in channel.receive():
                    yield name, message
        for channel in self.channels.values():
            channel.keep_alive()

    def raise_failure(self, name: str, message: Message) -> None:
        """Raise why the part of the world on a host has ended, if a message says so."""
        if message["kind"] == "failed":
            error = error_from_json(message["error"])
            assert error is not None  # noqa: S101 - a failure has a reason
            raise type(error)(f"{error} (host {name})" if isinstance(error, Broken) else str(error))

    def check_process(self) -> None:
        """Check that mpiexec runs; if it has ended, some rank has, which its agent says soon.

        Raises
        ------
        Broken
            If no agent says why.
        """
        if self.process is None or self.process.poll() is None:
            return
        until = time.monotonic() + 2.0
        while time.monotonic() < until:
            for name, message in self.messages():
                self.raise_failure(name, message)
                if message["kind"] == "done" and message["error"] is not None:
                    error = error_from_json(message["error"])
                    raise error or Broken("a rank failed")
        raise Broken(f"mpiexec ended with {self.process.returncode}: {tail_of(self.log)}")

    def check_time(self, deadline: float, problem: str) -> None:
        """Raise `Broken` after a deadline."""
        if time.monotonic() > deadline:
            names = ", ".join(self.channels)
            raise Broken(f"hosts {names}: the world does not start: it {problem}")

    def close(self) -> None:
        """End mpiexec, and leave the agents; wait until they have ended their ranks.

        A rank that still runs could write to the store what nobody deletes any more.
        """
        for channel in self.channels.values():
            channel.leave()
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        for channel in self.channels.values():
            channel.wait_for_end()
            channel.close()

    def __enter__(self) -> "HostWorld":
        """Return the world itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the world."""
        self.close()

"""The process that ranks are born from: it has loaded and warmed everything, and forks.

A fork shares the pages of libraries, kernels and tables, and takes milliseconds, where a new
process would warm up for seconds. The engine starts it as
`python -m cluster_worker.engine.forkserver SOCKET WARM`, and mpiexec starts `rank_client.py` in
place of each rank. The client sends its environment and its file descriptors; the server forks a
child, which takes both, joins the MPI world, and serves as the rank. The client stays until the
child has ended, and ends with its status, so that mpiexec sees what it would see of the rank.

The process has no threads and has not started MPI, because neither survives a fork.
"""

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import sys
import traceback
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

from cluster_worker.engine.warm import warm_up
from cluster_worker.engine.wire import READY

# Of the first message of a client: its standard output and error, and its socket to mpiexec.
FDS_MAX = 3
ENVIRONMENT_BYTES_MAX = 1 << 20


class Birth(NamedTuple):
    """A rank that runs, and the client that stands for it."""

    pid: int
    client: socket.socket


class Forkserver:
    """Forks a rank for each client, until the engine closes its end of standard input.

    Parameters
    ----------
    listener : socket
        Bound and listening.
    """

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.selector = selectors.DefaultSelector()
        self.selector.register(sys.stdin, selectors.EVENT_READ)
        self.selector.register(listener, selectors.EVENT_READ)
        # By the pidfd of the rank, and by the descriptor of the client's socket.
        self.births: dict[int, Birth] = {}

    def serve(self) -> None:
        """Serve until the engine has gone; end all ranks then."""
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is sys.stdin:
                    self.kill_all()
                    return
                if key.fileobj is self.listener:
                    self.accept()
                elif key.data is not None:
                    self.handle(*key.data)

    def accept(self) -> None:
        """Receive a client's environment and descriptors, and fork its rank."""
        client, _ = self.listener.accept()
        try:
            environment, fds = receive(client)
        except (OSError, ValueError):
            client.close()
            return
        pid = os.fork()
        if pid == 0:
            self.listener.close()
            become_rank(environment, fds)
        for fd in fds:
            os.close(fd)
        handle = os.pidfd_open(pid)
        self.births[handle] = Birth(pid, client)
        self.selector.register(handle, selectors.EVENT_READ, (handle, True))
        self.selector.register(client, selectors.EVENT_READ, (handle, False))

    def handle(self, handle: int, ended: bool) -> None:
        """Tell a client how its rank ended; or end the rank, if the client was killed."""
        birth = self.births.get(handle)
        if birth is None:
            return
        if not ended:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            self.selector.unregister(birth.client)
            return
        _, status = os.waitpid(birth.pid, 0)
        with contextlib.suppress(OSError):
            birth.client.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        del self.births[handle]
        for each in (handle, birth.client):
            with contextlib.suppress(KeyError):
                self.selector.unregister(each)
        os.close(handle)
        birth.client.close()

    def kill_all(self) -> None:
        """Kill every rank."""
        for handle in self.births:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)


def receive(client: socket.socket) -> tuple[dict[str, str], list[int]]:
    """Receive what a client sends: its descriptors, and its environment as a line of JSON.

    Raises
    ------
    OSError, ValueError
        If the client goes away, or sends something else.
    """
    data, fds, _, _ = socket.recv_fds(client, 1 << 16, FDS_MAX)
    while not data.endswith(b"\n"):
        chunk = client.recv(1 << 16)
        if not chunk or len(data) > ENVIRONMENT_BYTES_MAX:
            for fd in fds:
                os.close(fd)
            raise ValueError("the client's message has no end")
        data += chunk
    return json.loads(data), fds


def become_rank(environment: Mapping[str, str], fds: list[int]) -> NoReturn:
    """Take a client's environment and descriptors, join the world, and serve as its rank."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        numbers = [1, 2]
        if "PMI_FD" in environment:
            numbers.append(int(environment["PMI_FD"]))
        for fd, number in zip(fds, numbers, strict=True):
            os.dup2(fd, number)
            if fd != number:
                os.close(fd)
        os.environ.clear()
        os.environ.update(environment)
        from cluster_worker.engine import rank

        status = rank.serve_as_rank()
    except BaseException:  # noqa: BLE001 - nothing may return into the server's loop
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Load and warm everything, say so, and serve."""
    address, warm = sys.argv[1:]
    Path("/proc/self/comm").write_text("dip forkserver")
    # scikit-image warns, for example, of a division by an empty class in Otsu's method. Its results
    # are used as they are.
    warnings.simplefilter("ignore")
    # Imported here and by name, so that a rank finds all of it loaded.
    from cluster_worker.engine import rank  # noqa: F401

    if int(warm):
        warm_up()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        # What is there now is never freed, so that looking for garbage touches none of its pages.
        gc.collect()
        gc.freeze()
        sys.stdout.buffer.write(READY)
        sys.stdout.flush()
        Forkserver(listener).serve()


if __name__ == "__main__":
    main()

"""The process that ranks are born from: it has loaded and warmed everything, and forks.

A fork shares the pages of libraries, kernels and tables, and takes milliseconds, where a new
process would warm up for seconds. The engine starts it as
`python -m cluster_worker.engine.forkserver SOCKET WARM`. A client sends an environment and file
descriptors; the server forks a child, which takes both and serves as a rank. For a seat the engine
itself is the client. For a rank of the wide world it is `rank_client.py`, which mpiexec starts in
place of the rank: it stays until the child has ended, and ends with its status, so that mpiexec
sees what it would see of the rank. A rank ends when its client has gone.

The process has no threads and has not started MPI, because neither survives a fork.
"""

import contextlib
import fcntl
import gc
import json
import os
import selectors
import signal
import socket
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from cluster_worker.engine.wire import READY, SEAT, SEAT_FD
from cluster_worker.process import set_name

# Of the first message of a client: its standard output and error, and its socket to mpiexec or to
# the engine.
FDS_MAX = 3
ENVIRONMENT_BYTES_MAX = 1 << 20
# Time for a client to send it. A client that is stopped must not keep others from their ranks.
CLIENT_SECONDS = 5.0
# A rank keeps its client by a descriptor from this number on, above those that it takes over.
KEPT_FD = 512


@dataclass(eq=False)
class Birth:
    """A rank that runs, and the client that stands for it.

    Attributes
    ----------
    pid, handle : int
        Process id of the rank, and its pidfd.
    client : socket
        Of the client.
    ended : bool
        Whether the rank has ended. An event of it may still come after that.
    """

    pid: int
    handle: int
    client: socket.socket
    ended: bool = False


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
        self.births: set[Birth] = set()

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
        """Receive a client's environment and descriptors, and fork its rank.

        Without a rank the client's socket is closed, and the client ends with an error.
        """
        client, _ = self.listener.accept()
        client.settimeout(CLIENT_SECONDS)
        try:
            environment, fds = receive(client)
        except (OSError, ValueError):
            traceback.print_exc()
            client.close()
            return
        try:
            self.fork(client, environment, fds)
        except OSError:
            traceback.print_exc()
            client.close()
        finally:
            for fd in fds:
                os.close(fd)

    def fork(self, client: socket.socket, environment: Mapping[str, str], fds: list[int]) -> None:
        """Fork the rank of a client, and watch both.

        Raises
        ------
        OSError
            If the system allows no more processes or descriptors.
        """
        pid = os.fork()
        if pid == 0:
            become_rank(partial(self.leave, client), environment, fds)
        try:
            birth = Birth(pid, os.pidfd_open(pid), client)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        # The status that the client is told must not make the server wait.
        client.setblocking(False)
        self.births.add(birth)
        self.selector.register(birth.handle, selectors.EVENT_READ, (birth, True))
        self.selector.register(client, selectors.EVENT_READ, (birth, False))

    def leave(self, client: socket.socket) -> None:
        """Close what is the server's, in a child; keep the child's own client.

        If the server dies, its ranks go on. Their clients must not take them for dead then. Once
        the client has gone, too, the kernel sends the rank a SIGIO, which ends it in any call.
        """
        with contextlib.suppress(OSError):
            kept = fcntl.fcntl(client, fcntl.F_DUPFD_CLOEXEC, KEPT_FD)
            fcntl.fcntl(kept, fcntl.F_SETOWN, os.getpid())
            fcntl.fcntl(kept, fcntl.F_SETFL, fcntl.fcntl(kept, fcntl.F_GETFL) | os.O_ASYNC)
        self.selector.close()
        for each in (self.listener, client, *(birth.client for birth in self.births)):
            each.close()
        for birth in self.births:
            os.close(birth.handle)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)

    def handle(self, birth: Birth, ended: bool) -> None:
        """Tell a client how its rank ended; or end the rank, if the client was killed."""
        if birth.ended:
            return
        if not ended:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(birth.handle, signal.SIGKILL)
            self.selector.unregister(birth.client)
            return
        birth.ended = True
        self.births.discard(birth)
        _, status = os.waitpid(birth.pid, 0)
        with contextlib.suppress(OSError):
            birth.client.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        for each in (birth.handle, birth.client):
            with contextlib.suppress(KeyError):
                self.selector.unregister(each)
        os.close(birth.handle)
        birth.client.close()

    def kill_all(self) -> None:
        """Kill every rank."""
        for birth in self.births:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(birth.handle, signal.SIGKILL)


def receive(client: socket.socket) -> tuple[dict[str, str], list[int]]:
    """Receive what a client sends: its descriptors, and its environment as a line of JSON.

    Raises
    ------
    OSError, ValueError
        If the client goes away, takes too long, or sends something else.
    """
    data, fds, _, _ = socket.recv_fds(client, 1 << 16, FDS_MAX)
    try:
        while not data.endswith(b"\n"):
            chunk = client.recv(1 << 16)
            if not chunk or len(data) > ENVIRONMENT_BYTES_MAX:
                raise ValueError("the client's message has no end")
            data += chunk
        return json.loads(data), fds
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise


def become_rank(
    leave: Callable[[], None], environment: Mapping[str, str], fds: list[int]
) -> NoReturn:
    """Leave the server, take a client's environment and descriptors, and serve as a rank."""
    status = 1
    try:
        leave()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        numbers = [1, 2]
        if SEAT in environment:
            numbers.append(SEAT_FD)
        elif "PMI_FD" in environment:
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
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)


def main() -> None:
    """Load and warm everything, say so, and serve."""
    # What is printed while operations are loaded goes to the log.
    ready = os.dup(1)
    os.dup2(2, 1)
    address, warm = sys.argv[1:]
    set_name("dip forkserver")
    # scikit-image warns, for example, of a division by an empty class in Otsu's method. Its results
    # are used as they are.
    warnings.simplefilter("ignore")
    # Imported here and by name, so that a rank finds all of it loaded.
    from cluster_worker.engine import rank  # noqa: F401
    from cluster_worker.engine.warm import load_modules, warm_up

    wanted = json.loads(warm)
    if wanted:
        warm_up() if wanted is True else warm_up(wanted)
    else:
        load_modules()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        # What is there now is never freed, so that looking for garbage touches none of its pages.
        gc.collect()
        gc.freeze()
        # The kernel sends SIGTERM when the thread that started this process has ended. That ends
        # the warm-up. From here on the end of standard input says that the engine has gone.
        signal.signal(signal.SIGTERM, lambda *_: None)
        os.write(ready, READY)
        os.close(ready)
        Forkserver(listener).serve()


if __name__ == "__main__":
    main()

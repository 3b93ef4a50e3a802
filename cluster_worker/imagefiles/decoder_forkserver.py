"""The process that decoders are born from: it has loaded all codecs, and forks.

A fork shares the pages of the libraries and takes milliseconds, where a new process loads them for
half a second. `decoder_source` starts it as
`python -m cluster_worker.imagefiles.decoder_forkserver LISTENER [FOLDERS]`: the number of an
inherited socket that listens, and a JSON list of the folders that the children may use.

A client connects and sends one message: its memory limit, and one end of a socket for questions.
The server forks a child that serves this socket, answers with the child's process id and pidfd,
and tells later how the child ended. When the client closes the connection, the child is killed.

The process has no threads, because they do not survive a fork.
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
from dataclasses import dataclass
from typing import NoReturn

from cluster_worker.imagefiles import decoder_child
from cluster_worker.imagefiles.confinement import confine
from cluster_worker.process import set_name

# Time for a client to send its message. A client that is stopped must not keep others waiting.
CLIENT_SECONDS = 5.0
MESSAGE_BYTES_MAX = 1 << 12
# The child's socket for questions.
QUESTIONS_FD = 3


@dataclass(eq=False)
class Birth:
    """A child, its pidfd, the client that asked for it, and whether it has ended."""

    pid: int
    handle: int
    client: socket.socket
    ended: bool = False


class Forkserver:
    """Forks a child for each client, until the owner closes its end of standard input.

    Parameters
    ----------
    listener : socket
        Bound, listening and non-blocking.
    confined_to : list of str or None
        Folders that the children may use; None for all.
    """

    def __init__(self, listener: socket.socket, confined_to: list[str] | None) -> None:
        self.listener = listener
        self.confined_to = confined_to
        self.selector = selectors.DefaultSelector()
        self.selector.register(sys.stdin, selectors.EVENT_READ)
        self.selector.register(listener, selectors.EVENT_READ)

    def serve(self) -> None:
        """Serve until the owner has gone; end all children then."""
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is sys.stdin:
                    if not os.read(key.fd, 64):
                        self.kill_all()
                        return
                    os.write(sys.stdout.fileno(), b".")
                elif key.fileobj is self.listener:
                    self.accept()
                elif not key.data.ended:
                    self.handle(key.data, key.fileobj is key.data.client)

    def accept(self) -> None:
        """Receive a client's message, and fork its child; without one, close the connection."""
        try:
            client, _ = self.listener.accept()
        except BlockingIOError:
            return
        client.settimeout(CLIENT_SECONDS)
        try:
            message, fds, _, _ = socket.recv_fds(client, MESSAGE_BYTES_MAX, 1)
            try:
                self.fork(client, int(json.loads(message)["memory"]), *fds)
            finally:
                for fd in fds:
                    os.close(fd)
        except (OSError, ValueError, TypeError, KeyError):
            traceback.print_exc()
            client.close()

    def fork(self, client: socket.socket, memory: int, questions: int) -> None:
        """Fork the child of a client, tell the client, and watch both.

        Raises
        ------
        OSError
            If the system allows no more processes or descriptors, or the client has gone.
        """
        pid = os.fork()
        if pid == 0:
            become_child(questions, memory, self.confined_to)
        try:
            birth = Birth(pid, os.pidfd_open(pid), client)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        self.selector.register(birth.handle, selectors.EVENT_READ, birth)
        self.selector.register(client, selectors.EVENT_READ, birth)
        with contextlib.suppress(OSError):
            socket.send_fds(client, [b'{"pid": %d}\n' % pid], [birth.handle])
        client.setblocking(False)

    def handle(self, birth: Birth, is_client: bool) -> None:
        """Kill the child of a client that has gone; or tell a client how its child has ended."""
        if is_client:
            kill(birth)
            self.selector.unregister(birth.client)
            return
        # An event of it may still come after that, and its descriptors belong to others then.
        birth.ended = True
        _, status = os.waitpid(birth.pid, 0)
        with contextlib.suppress(OSError):
            birth.client.send(b'{"status": %d}\n' % os.waitstatus_to_exitcode(status))
        for each in (birth.handle, birth.client):
            with contextlib.suppress(KeyError):
                self.selector.unregister(each)
        os.close(birth.handle)
        birth.client.close()

    def kill_all(self) -> None:
        """Kill every child."""
        for key in self.selector.get_map().values():
            if key.data is not None:
                kill(key.data)


def kill(birth: Birth) -> None:
    """Kill a child, if it has not ended."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(birth.handle, signal.SIGKILL)


def become_child(questions: int, memory: int, confined_to: list[str] | None) -> NoReturn:
    """Close what is the server's, give up all rights that decoding does not need, and serve."""
    status = 1
    try:
        os.dup2(questions, QUESTIONS_FD)
        os.closerange(QUESTIONS_FD + 1, os.sysconf("SC_OPEN_MAX"))
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        # ps and top show it. The command line is that of the forkserver.
        set_name("dip decoder")
        decoder_child.limit(memory)
        confine(confined_to)
        # Errors up to here are for the operator's log. What C libraries print about a file is not.
        os.dup2(nothing, 2)
        os.close(nothing)
        decoder_child.serve(socket.socket(fileno=QUESTIONS_FD))
        status = 0
    except BaseException:  # noqa: BLE001 - nothing may return into the server's loop
        traceback.print_exc()
    finally:
        os._exit(status)


def main() -> None:
    """Say that all codecs are loaded, and serve."""
    descriptor, *folders = sys.argv[1:]
    set_name("dip decoders")
    # Ctrl-C and the stop of a service send their signal to all processes. Results of jobs in hand
    # still have to be encoded then, so the owner ends this process and its children.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    listener = socket.socket(fileno=int(descriptor))
    # What is there now is never freed, so that looking for garbage touches none of its pages.
    gc.collect()
    gc.freeze()
    os.write(sys.stdout.fileno(), b".")
    Forkserver(listener, json.loads(folders[0]) if folders else None).serve()


if __name__ == "__main__":
    main()

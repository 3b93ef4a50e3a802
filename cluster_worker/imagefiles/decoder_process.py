"""The child process that decodes, as its parent sees it: one process and the socket to it."""

import contextlib
import json
import os
import select
import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster_worker.imagefiles.allowance import Allowance

# A child is forked in milliseconds, but a forkserver may have to start first, on a busy machine.
START_SECONDS = 300.0
# Time between two looks at whether it is made.
LOOK_SECONDS = 1.0
# Processor time for a child that is made to give up its rights.
READY_SECONDS = 5.0
# Time for the forkserver to tell how a child has ended.
STATUS_SECONDS = 5.0
STATUS_BYTES_MAX = 1 << 12

# An answer is a header with its colour profile at most; nothing else is nearly as large.
ANSWER_BYTES_MAX = 32 * (1 << 20)

# Signals that come from outside, as of the kernel when memory is short, and not of the file.
# SIGBUS: there was no memory or disk behind a page of a mapped file.
OUTSIDE = tuple(map(int, (signal.SIGKILL, signal.SIGTERM, signal.SIGBUS)))


class ChildDied(ConnectionError):
    """The child has ended.

    Parameters
    ----------
    status : int
        Exit status, negative for a signal.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"signal {-status}" if status < 0 else f"exit status {status}")
        self.is_killed = -status in OUTSIDE


class Child:
    """One child process, made by the forkserver behind a socket, and the sockets to both.

    Parameters
    ----------
    address : Path
        Of the socket of a `DecoderSource`.
    memory_bytes_max : int
        Private memory that the process may take, in bytes.

    Attributes
    ----------
    pid, handle : int
        Its process id and its pidfd; 0 and -1 until it is made.

    Raises
    ------
    OSError
        If no process listens at the address.
    """

    def __init__(self, address: Path, memory_bytes_max: int) -> None:
        self.pid, self.handle = 0, -1
        self.received = bytearray()
        self.control = socket.socket(socket.AF_UNIX)
        self.socket, theirs = socket.socketpair()
        message = json.dumps({"memory": memory_bytes_max}).encode()
        with theirs:
            try:
                self.control.connect(str(address))
                socket.send_fds(self.control, [message], [theirs.fileno()])
            except OSError:
                self.close()
                raise

    def wait_ready(self) -> None:
        """Wait until the forkserver has made the child, and the child has given up its rights.

        Raises
        ------
        OSError, ValueError
            If it is not made, or has died.
        Hangs
            If it is stopped.
        """
        if self.pid:
            return
        until = time.monotonic() + START_SECONDS
        # A rank that sleeps in one call for long is taken for one that hangs.
        while not select.select([self.control], [], [], LOOK_SECONDS)[0]:
            if time.monotonic() > until:
                raise TimeoutError(f"no child is made after {START_SECONDS:.0f} s")
        line, fds, _, _ = socket.recv_fds(self.control, STATUS_BYTES_MAX, 1)
        if not fds:
            raise ConnectionError(json.loads(line)["broken"] if line else "no child is made")
        self.handle = fds[0]
        self.pid = int(json.loads(line)["pid"])
        self.answer(Allowance(self.pid, READY_SECONDS))

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended, or is not made yet."""
        return self.handle < 0 or not select.select([self.handle], [], [], 0)[0]

    def ask(self, question: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Send a question as one line, and wait for one line as the answer.

        Raises
        ------
        TimeoutError
            If the child uses more than `seconds` of processor time.
        Hangs
            If it does not work at all for far longer than that.
        OSError, ValueError
            If the child died, or its answer is not one JSON object.
        """
        allowance = Allowance(self.pid, seconds)
        self.send(json.dumps(question).encode() + b"\n", allowance)
        return self.answer(allowance)

    def send(self, line: bytes, allowance: Allowance) -> None:
        """Send a line; raises as `ask` does."""
        remaining = memoryview(line)
        while remaining:
            self.socket.settimeout(allowance.next_look())
            with contextlib.suppress(TimeoutError):
                remaining = remaining[self.socket.send(remaining) :]

    def answer(self, allowance: Allowance) -> dict[str, Any]:
        """Read one line; raises as `ask` does."""
        while b"\n" not in self.received:
            # A child that sends a byte now and then runs out of time as well.
            self.socket.settimeout(allowance.next_look())
            try:
                chunk = self.socket.recv(1 << 16)
            except TimeoutError:
                continue
            if not chunk:
                raise ConnectionError("the child has gone")
            if len(self.received) > ANSWER_BYTES_MAX:
                raise ValueError("the child's answer has no end")
            self.received += chunk
        line, _, rest = bytes(self.received).partition(b"\n")
        self.received = bytearray(rest)
        answer = json.loads(line)
        if not isinstance(answer, dict):
            raise ValueError("the child's answer is no object")
        return answer

    def kill(self, grace: float = 0.0) -> int:
        """End the process.

        Parameters
        ----------
        grace : float
            Seconds that it has to end by itself.

        Returns
        -------
        int
            Its exit status, negative for a signal; that of SIGKILL if it is not known.
        """
        status = -signal.SIGKILL
        if self.handle >= 0:
            select.select([self.handle], [], [], grace)
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.handle, signal.SIGKILL)
            # The forkserver may have gone: then nobody knows how the child ended.
            with contextlib.suppress(OSError, ValueError):
                self.control.settimeout(STATUS_SECONDS)
                status = int(json.loads(self.control.recv(STATUS_BYTES_MAX))["status"])
        self.close()
        return status

    def close(self) -> None:
        """Close the sockets. The forkserver then kills the process."""
        self.control.close()
        self.socket.close()
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1

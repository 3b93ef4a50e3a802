"""The child process that decodes, as its parent sees it: one process and the socket to it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cluster_worker.imagefiles.allowance import Allowance

# Processor time for the start of a child, in seconds.
START_SECONDS = 60.0

# An answer is a header with its colour profile at most; nothing else is nearly as large.
ANSWER_BYTES_MAX = 32 * (1 << 20)

# One memory arena for all threads of the child: glibc returns only the first one's memory to the
# system. And no threads for linear algebra.
SINGLE_ARENA = {"MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1"}

# The only environment variables that the child gets: it decodes untrusted bytes, so it must not
# see the node's credentials.
KEPT_NAMES = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR")

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
    """One child process and the socket to it.

    Parameters
    ----------
    memory_bytes_max : int
        Private memory that the process may take, in bytes.
    """

    def __init__(self, memory_bytes_max: int) -> None:
        self.socket, theirs = socket.socketpair()
        top = str(Path(__file__).resolve().parents[2])
        kept = {name: os.environ[name] for name in KEPT_NAMES if name in os.environ}
        path = os.pathsep.join(filter(None, [top, kept.get("PYTHONPATH")]))
        limits = (str(theirs.fileno()), str(memory_bytes_max))
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                # -P: the working directory may hold files with the names of modules.
                [sys.executable, "-P", "-m", "cluster_worker.imagefiles.decoder_child", *limits],
                env={**kept, "PYTHONPATH": path, **SINGLE_ARENA},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        self.received = bytearray()
        self.ready = False

    def wait_ready(self) -> None:
        """Wait for the first line, which the child sends once all codecs are loaded.

        Raises
        ------
        TimeoutError, OSError, ValueError
            As of `ask`.
        """
        if not self.ready:
            self.answer(Allowance(self.process.pid, START_SECONDS))
            self.ready = True

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
        allowance = Allowance(self.process.pid, seconds)
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
            Its exit status, negative for a signal.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(grace)
        self.process.kill()
        self.socket.close()
        return self.process.wait()

"""The child process that decodes, as its parent sees it: one process and the socket to it."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

START_SECONDS = 60.0

# An answer is a header with its colour profile at most; nothing else is nearly as large.
ANSWER_BYTES_MAX = 32 * (1 << 20)

# One memory arena for all threads of the child: glibc returns only the first one's memory to the
# system. And no threads for linear algebra.
SINGLE_ARENA = {"MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1"}

# The only environment variables that the child gets: it decodes untrusted bytes, so it must not
# see the node's credentials.
KEPT_NAMES = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR")


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
        OSError, ValueError
            If the child dies, takes too long, or sends something else than one JSON object.
        """
        if not self.ready:
            self.answer(time.monotonic() + START_SECONDS)
            self.ready = True

    def ask(self, question: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Send a question as one line, and wait for one line as the answer.

        Raises
        ------
        TimeoutError
            If the answer takes longer than `seconds`.
        OSError, ValueError
            If the child died, or its answer is not one JSON object.
        """
        deadline = time.monotonic() + seconds
        self.socket.settimeout(seconds)
        self.socket.sendall(json.dumps(question).encode() + b"\n")
        return self.answer(deadline)

    def answer(self, deadline: float) -> dict[str, Any]:
        """Read one line until a deadline on the monotonic clock; raises as `ask` does."""
        while b"\n" not in self.received:
            # The deadline is for the whole line: else a child that sends a byte now and then would
            # never run out of time.
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.socket.settimeout(left)
            chunk = self.socket.recv(1 << 16)
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

    def kill(self, grace: float = 0.0) -> str:
        """End the process.

        Parameters
        ----------
        grace : float
            Seconds that it has to end by itself.

        Returns
        -------
        str
            How it ended: by which signal, or with which exit status.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(grace)
        self.process.kill()
        status = self.process.wait()
        self.socket.close()
        return f"signal {-status}" if status < 0 else f"exit status {status}"

"""The forkserver of the decoders, as its owner sees it: started when needed, watched, replaced."""

import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from cluster_worker.log import event

# Name of the socket in the folder of an engine, where its ranks find it.
SOCKET_NAME = "decoders.sock"
# Decoders that may wait at the same time until they are made.
WAITING_MAX = 256

# Time for the forkserver to load all codecs; on a busy machine it needs many seconds.
START_SECONDS = 300.0
# The owner asks it for a sign of life at intervals, and replaces it if there is none.
PING_SECONDS = 10.0
ANSWER_SECONDS = 60.0
STOP_SECONDS = 5.0

# One memory arena for all threads of a child: glibc returns only the first one's memory to the
# system. It returns what is free soon, since a child waits most of the time; smaller limits cost
# a quarter more processor time for a window. And no threads for linear algebra.
SMALL_HEAP = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(8 << 20),
    "OPENBLAS_NUM_THREADS": "1",
}

# The only environment variables of forkserver and children: they decode untrusted bytes, so they
# must not see the node's credentials.
KEPT_NAMES = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR")


class DecoderSource:
    """Where decoders come from: a socket, and a forkserver that serves it.

    The owner keeps the socket. So a decoder may ask for a child at any time: it waits until the
    forkserver is warm, also while a forkserver that died is replaced.

    Parameters
    ----------
    folder : Path, optional
        Folder for the socket; a temporary one by default.
    confined_to : sequence of Path, optional
        The only folders whose files the children may read and write, beside the code of this app.
        By default they may read and write all files of this user.

    Attributes
    ----------
    address : Path
        Of the socket.
    process : Popen or None
        The forkserver; None before the first decoder asks for a child.
    """

    def __init__(
        self, folder: Path | None = None, confined_to: Sequence[Path] | None = None
    ) -> None:
        self.own_folder = Path(tempfile.mkdtemp(prefix="dip-")) if folder is None else None
        self.address = (folder or self.own_folder or Path()) / SOCKET_NAME
        self.confined_to = confined_to
        self.process: subprocess.Popen[bytes] | None = None
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.address))
        self.listener.listen(WAITING_MAX)
        self.listener.setblocking(False)
        self.closing, self.close_writer = os.pipe()
        self.thread = threading.Thread(target=self.run, name="decoder source", daemon=True)
        self.thread.start()

    def run(self) -> None:
        """Start a forkserver when a decoder asks for a child, and watch it, until closed."""
        while self.closing not in readable(self.listener.fileno(), self.closing):
            try:
                process = self.process = self.launch()
            except OSError as error:
                self.refuse(str(error))
                continue
            was_ready = self.watch(process)
            if not was_ready:
                self.refuse(f"exit status {process.returncode}")

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start a forkserver without waiting until it is warm."""
        top = str(Path(__file__).resolve().parents[2])
        kept = {name: os.environ[name] for name in KEPT_NAMES if name in os.environ}
        path = os.pathsep.join(filter(None, [top, kept.get("PYTHONPATH")]))
        folders = [] if self.confined_to is None else [json.dumps(list(map(str, self.confined_to)))]
        return subprocess.Popen(  # noqa: S603 - our own command
            [
                # -P: the working directory may hold files with the names of modules.
                *(sys.executable, "-P", "-m", "cluster_worker.imagefiles.decoder_forkserver"),
                *(str(self.listener.fileno()), *folders),
            ],
            env={**kept, "PYTHONPATH": path, **SMALL_HEAP},
            # It ends when this end of the pipe is closed, however that comes about.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(self.listener.fileno(),),
            # Ctrl-C must not end it while results of jobs in hand are still encoded.
            start_new_session=True,
        )

    def watch(self, process: "subprocess.Popen[bytes]") -> bool:
        """Wait until the forkserver has ended or this is closed; kill a forkserver that hangs.

        Returns
        -------
        bool
            Whether it was ever ready.
        """
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - pipes
        was_ready, is_asked = False, True
        with process.stdin as questions, process.stdout as answers:
            while True:
                limit = ANSWER_SECONDS if was_ready else START_SECONDS
                seconds = limit if is_asked else PING_SECONDS
                found = readable(answers.fileno(), self.closing, seconds=seconds)
                if self.closing in found:
                    break
                if not found and is_asked:
                    event("decoder source hangs", seconds=seconds)
                    process.kill()
                    break
                if found:
                    if not os.read(answers.fileno(), 64):
                        break
                    was_ready, is_asked = True, False
                else:
                    is_asked = True
                    with contextlib.suppress(BrokenPipeError):
                        os.write(questions.fileno(), b".")
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return was_ready

    def refuse(self, reason: str) -> None:
        """Tell all decoders that wait for a child that there is none."""
        waiting = []
        with contextlib.suppress(BlockingIOError):
            while True:
                waiting.append(self.listener.accept()[0])
        for connection in waiting:
            with connection, contextlib.suppress(OSError):
                connection.sendall(json.dumps({"broken": reason}).encode() + b"\n")

    def close(self) -> None:
        """End the forkserver and all decoders that it made; a second call does nothing."""
        if not self.thread.is_alive():
            return
        os.write(self.close_writer, b".")
        self.thread.join()
        self.listener.close()
        os.close(self.closing)
        os.close(self.close_writer)
        self.address.unlink(missing_ok=True)
        if self.own_folder is not None:
            shutil.rmtree(self.own_folder, ignore_errors=True)

    def __enter__(self) -> Self:
        """Return the source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the source."""
        self.close()


def readable(*descriptors: int, seconds: float | None = None) -> list[int]:
    """Wait until descriptors can be read or have been closed by the other side; return them."""
    poller = select.poll()
    for each in descriptors:
        poller.register(each, select.POLLIN)
    found = poller.poll(None if seconds is None else 1000 * seconds)
    return [descriptor for descriptor, _ in found]

"""Whether the kernels are compiled, and their compilation in the background.

numba keeps what it has compiled in a folder, for later processes. A file in that folder says which
sources all of it was compiled from, on which processor. `python -m cluster_worker.engine.compiling`
exits with 0 if that is the current state, and `python -m cluster_worker.engine.warm` compiles.
"""

import contextlib
import fcntl
import hashlib
import os
import platform
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from cluster_worker.errors import Broken
from cluster_worker.log import event
from cluster_worker.process import processor_lines

TOP = Path(__file__).resolve().parents[2]
LOOPS = TOP / "cluster_worker" / "kernels" / "loops"
MARK = "compiled-from"
# The same of a compilation that has begun.
BEGUN = "begun-from"
# Compilation takes minutes on all cores, and must not slow down jobs.
NICE = 10
LOOK_SECONDS = 0.5


def cache_folder() -> Path:
    """Return the folder where numba keeps what it has compiled."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    return Path(given) if given else LOOPS / "__pycache__"


def fingerprint() -> str:
    """Return a digest of what compiled kernels depend on: sources, numba, Python, processor."""
    digest = hashlib.sha256()
    for path in sorted(LOOPS.glob("*.py")):
        digest.update(path.read_bytes())
    for name in ("numba", "llvmlite", "numpy"):
        digest.update(version(name).encode())
    digest.update(platform.python_version().encode())
    digest.update(processor().encode())
    return digest.hexdigest()


def processor() -> str:
    """Return what is compiled for: the family of processors that is set, or this processor."""
    if family := os.environ.get("NUMBA_CPU_NAME"):
        return family
    described = ("model name", "flags", "CPU part", "Features")
    return "".join(sorted({each for each in processor_lines() if each.startswith(described)}))


def are_compiled() -> bool:
    """Return whether all kernels are compiled, from the current sources and for this processor."""
    try:
        return (cache_folder() / MARK).read_text() == fingerprint()
    except OSError:
        return False


@contextmanager
def locked_folder(wait: bool) -> Iterator[Path]:
    """Hold numba's folder for one process in a ``with`` block; the kernel releases it at the end.

    Raises
    ------
    BlockingIOError
        If another process holds it, unless `wait`.
    OSError
        If the folder cannot be written.
    """
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{MARK}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield folder


def remove_stale(folder: Path) -> None:
    """Remove what was compiled from other sources or for another processor, once.

    numba compares a loop with its own file alone, not with those that it takes others from. What an
    interrupted compilation has made since then stays.
    """
    begun = folder / BEGUN
    if begun.is_file() and begun.read_text() == fingerprint():
        return
    for path in [*folder.rglob("*.nbi"), *folder.rglob("*.nbc")]:
        path.unlink(missing_ok=True)
    begun.write_text(fingerprint())


def compile_with(compile_all: Callable[[], None]) -> None:
    """Call a function that compiles all kernels, unless they are compiled, and mark the folder."""
    with locked_folder(wait=True) as folder:
        if not are_compiled():
            begun_from = fingerprint()
            remove_stale(folder)
            compile_all()
            # Sources may have changed meanwhile: what was compiled before that is stale.
            if fingerprint() == begun_from:
                (folder / MARK).write_text(begun_from)


class Kernels:
    """The kernels of an engine: ready, or compiled in the background.

    Parameters
    ----------
    wanted : bool
        Whether to compile them if they are not compiled, and to have ranks with all of them loaded.
        If not, the first job that needs a kernel loads or compiles it.

    Attributes
    ----------
    are_ready : bool
        Whether plans may use kernels.
    may_warm : bool
        Whether a forkserver may call operations. Without kernels that would compile loops.
    settled : Event
        Set once nothing more goes on in the background.
    """

    def __init__(self, wanted: bool) -> None:
        self.may_warm = are_compiled()
        self.wanted = wanted
        self.are_ready = self.may_warm or not wanted
        self.settled = threading.Event()
        self.is_closing = threading.Event()
        self.process: subprocess.Popen[bytes] | None = None
        self.thread: threading.Thread | None = None
        if not self.may_warm:
            # Functions use some loops, too. They must not find old ones.
            with contextlib.suppress(OSError), locked_folder(wait=False) as folder:
                remove_stale(folder)

    def at_first(self, warm: bool | Collection[str]) -> bool | Collection[str]:
        """Return what the first forkserver calls of `warm`: all of it is left to its successor."""
        return warm if self.may_warm and warm is not True else False

    def prepare(self, then: Callable[[], None]) -> None:
        """Compile in the background, then call `then`, which has ranks born with all kernels.

        It does nothing if they are not wanted, or are prepared already.
        """
        if not self.wanted:
            self.settled.set()
        elif self.thread is None:
            self.thread = threading.Thread(
                target=self.run, args=(then,), name="kernels", daemon=True
            )
            self.thread.start()

    def run(self, then: Callable[[], None]) -> None:
        """Compile if need be, and warm up; if that fails, jobs go on as they can."""
        try:
            if self.may_warm or self.compile():
                then()
        except (Broken, OSError) as error:
            # Ranks load kernels from numba's folder when they need them.
            if not self.is_closing.is_set():
                event("forkserver not renewed", error=str(error))
        finally:
            self.are_ready = self.may_warm
            self.settled.set()

    def compile(self) -> bool:
        """Compile in processes; return whether that has succeeded."""
        path = os.pathsep.join([str(TOP), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.process = subprocess.Popen(  # noqa: S603 - our own command
            # The system ends it when this thread has ended.
            [
                *("setpriv", "--pdeathsig", "TERM", "nice", "-n", str(NICE)),
                *(sys.executable, "-m", "cluster_worker.engine.warm"),
            ],
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        while self.process.poll() is None:
            if self.is_closing.wait(LOOK_SECONDS):
                os.killpg(self.process.pid, signal.SIGTERM)
                self.process.wait()
                return False
        event("kernels compiled", status=self.process.returncode)
        self.may_warm = self.process.returncode == 0
        return self.may_warm

    def close(self) -> None:
        """End a compilation that is under way; the warm-up has ended with its forkserver."""
        self.is_closing.set()
        if self.thread is not None:
            self.thread.join()


if __name__ == "__main__":
    sys.exit(not are_compiled())

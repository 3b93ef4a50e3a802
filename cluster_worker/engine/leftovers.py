"""Files that MPI worlds of the past have left in shared memory and among temporary files."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where MPI's files are
# Names of MPICH's files.
PATTERN = "mpich*"
# Time for processes that are not seen here, as those of another container with the same memory.
OLD_SECONDS = 2.0
# mpiexec describes the processor in a file, which ranks read when they start. It takes no other
# folder for it, and leaves it if it is killed.
TEMPORARY = Path("/tmp")  # noqa: S108 - where mpiexec makes it
DESCRIPTIONS = "hydra_hwloc_xmlfile_*"
# Ranks have read it long before it is this old.
READ_SECONDS = 60.0


def sweep_left_by_mpi() -> None:
    """Remove what killed worlds have left of files: this user's alone, and none that is in use."""
    sweep_shared_memory()
    sweep_descriptions()


def sweep_descriptions(folder: Path = TEMPORARY) -> None:
    """Remove the descriptions of the processor that ranks have read."""
    for path in folder.glob(DESCRIPTIONS):
        if is_old(path, READ_SECONDS):
            path.unlink(missing_ok=True)


def sweep_shared_memory(folder: Path = SHARED_MEMORY) -> None:
    """Remove MPI's files that no process has open or mapped.

    A world removes the names of its files once all its ranks have mapped them. If it is killed
    before that, the files stay.
    """
    left = {str(path) for path in folder.glob(PATTERN) if is_old(path)}
    # Where /proc is hidden, nothing tells which of them are in use.
    if not left or not Path("/proc/self").exists():
        return
    for process in Path("/proc").glob("[0-9]*"):
        # First what is open: a rank that maps a file closes it after that, so that it is always
        # seen in one of the two. The process may have ended, or belong to another user.
        with contextlib.suppress(OSError):
            left -= set(opened_by(process))
        with contextlib.suppress(OSError):
            text = (process / "maps").read_text(errors="replace")
            left -= {path for path in left if path in text}
    for path in left:
        Path(path).unlink(missing_ok=True)


def opened_by(process: Path) -> Iterator[str]:
    """Yield the paths of the files that a process has open, by its folder in /proc."""
    for descriptor in (process / "fd").iterdir():
        with contextlib.suppress(OSError):
            yield str(descriptor.readlink())


def is_old(path: Path, seconds: float = OLD_SECONDS) -> bool:
    """Return whether a file is this user's, and older than some seconds."""
    try:
        found = path.stat()
    except OSError:
        return False
    return found.st_uid == os.getuid() and time.time() - found.st_mtime > seconds

"""Files that MPI worlds of the past have left in shared memory and among temporary files."""

import contextlib
import os
import time
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where MPI's files are
# Names of MPICH's files.
PATTERN = "mpich*"
# mpiexec describes the processor in a file, which ranks read when they start. It takes no other
# folder for it, and leaves it if it is killed.
TEMPORARY = Path("/tmp")  # noqa: S108 - where mpiexec makes it
DESCRIPTIONS = "hydra_hwloc_xmlfile_*"
# A world that starts has read or mapped its files long before they are this old.
OLD_SECONDS = 60.0


def sweep_left_by_mpi() -> None:
    """Remove what killed worlds have left of files: this user's alone, and none that is in use."""
    sweep_shared_memory()
    sweep_descriptions()


def sweep_descriptions(folder: Path = TEMPORARY) -> None:
    """Remove the descriptions of the processor that ranks have read."""
    for path in folder.glob(DESCRIPTIONS):
        if is_old(path):
            path.unlink(missing_ok=True)


def sweep_shared_memory(folder: Path = SHARED_MEMORY) -> None:
    """Remove MPI's files that no process has mapped.

    A world removes the names of its files once all its ranks have mapped them. If it is killed
    before that, the files stay.
    """
    old = {str(path) for path in folder.glob(PATTERN) if is_old(path)}
    if not old:
        return
    for maps in Path("/proc").glob("[0-9]*/maps"):
        # The process may have ended, or belong to another user.
        with contextlib.suppress(OSError):
            text = maps.read_text(errors="replace")
            old -= {path for path in old if path in text}
    for path in old:
        Path(path).unlink(missing_ok=True)


def is_old(path: Path) -> bool:
    """Return whether a file is this user's, and older than `OLD_SECONDS`."""
    try:
        found = path.stat()
    except OSError:
        return False
    return found.st_uid == os.getuid() and time.time() - found.st_mtime > OLD_SECONDS

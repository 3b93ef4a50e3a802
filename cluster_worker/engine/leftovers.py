"""Files that MPI worlds of the past have left in shared memory."""

import contextlib
import os
import time
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where MPI's files are
# Names of MPICH's files.
PATTERN = "mpich*"
# A world that starts has its files mapped long before they are this old.
OLD_SECONDS = 60.0


def sweep_shared_memory(folder: Path = SHARED_MEMORY) -> None:
    """Remove MPI's files that no process has mapped.

    A world removes the names of its files once all its ranks have mapped them. If it is killed
    before that, the files stay. Only files of this user are removed.
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

"""A worker's own folder on disk: what a killed worker leaves there, the next one removes."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cluster_worker.errors import Broken

PREFIX = "dip-worker-"


@contextlib.contextmanager
def own_spool(parent: Path) -> Iterator[Path]:
    """Make a folder that lives as long as the block; first remove those of workers that ended.

    A worker holds a lock on its folder, which the system releases however its process ends. A
    process id would not do: workers in containers may share the parent folder, but not ids.

    Parameters
    ----------
    parent : Path
        Folder on disk, as the setting says.

    Yields
    ------
    Path

    Raises
    ------
    Broken
        If it cannot be made.
    """
    for folder in list(parent.glob(f"{PREFIX}*")):
        with locked(folder) as is_mine:
            if is_mine:
                shutil.rmtree(folder, ignore_errors=True)
    while True:
        try:
            folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        except OSError as error:
            raise Broken(f"SPOOL_DIR={parent}: no folder can be made there: {error}") from error
        with locked(folder) as is_mine:
            # Another worker that starts may have seen the folder before it was locked.
            if not is_mine or not folder.exists():
                continue
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            return


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Lock a folder while the block runs; yield whether no other process holds it."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        is_mine = False
    else:
        is_mine = True
    try:
        yield is_mine
    finally:
        os.close(handle)

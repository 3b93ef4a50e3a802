"""A job's upload on its way to this node, which for a small one begins before the job is claimed.

To claim a job and to fetch a small file take equally long, and neither needs the other. If the
claim is lost, so little was fetched in vain.
"""

import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Self

from cluster_worker.stages import Spent
from cluster_worker.storage import Storage
from config.job import Job
from config.settings import MIB

# A small photograph, which the network brings within milliseconds.
EARLY_BYTES_MAX = MIB

ASIDE = ThreadPoolExecutor(thread_name_prefix="fetch")


class Fetch:
    """One upload; on leaving the context nothing is written to its path any more.

    Parameters
    ----------
    storage : Storage
        Has it.
    path : Path
        Where it shall be.
    """

    def __init__(self, storage: Storage, path: Path) -> None:
        self.storage = storage
        self.path = path
        self.early: Future[float] | None = None

    def begin(self, row: Job) -> None:
        """Begin to fetch a job's upload if it is small, anew if it had begun before."""
        self.wait()
        if row.bytes <= EARLY_BYTES_MAX:
            self.early = ASIDE.submit(self.fetch, row)

    def finish(self, row: Job) -> Spent:
        """Have the upload of a claimed job at the path, and tell how long that was waited for.

        Raises
        ------
        Rejected, Broken
            As `Storage.download`.
        """
        began = time.monotonic()
        worked = self.early.result() if self.early else self.fetch(row)
        return Spent(time.monotonic() - began, worked)

    def fetch(self, row: Job) -> float:
        """Fetch it, and tell how long this thread worked, in seconds."""
        began = time.thread_time()
        self.storage.download(row, self.path)
        return time.thread_time() - began

    def wait(self) -> None:
        """Let a fetch under way end."""
        if self.early:
            wait([self.early])

    def __enter__(self) -> Self:
        """Have nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let a fetch end that nobody waited for."""
        self.wait()

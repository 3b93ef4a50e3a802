"""A job's upload on its way to this node, which for a small one begins before the job is claimed.

To claim a job and to fetch a small file take equally long, and neither needs the other. If the
claim is lost, so little was fetched in vain.
"""

import io
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from cluster_worker.node.storage import Storage
from cluster_worker.timings import Spent, Timings
from config.contract.job import Job
from config.contract.settings import MIB

# A small photograph, which the network brings within milliseconds.
EARLY_BYTES_MAX = MIB
# Fetches at a time that begin early; what finds them all busy is fetched when its job is claimed.
EARLY_MAX = 16

ASIDE = ThreadPoolExecutor(EARLY_MAX, thread_name_prefix="fetch")


class Fetch:
    """One upload.

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
        self.early: Future[tuple[bytes, float]] | None = None

    def begin(self, row: Job) -> None:
        """Begin to fetch a job's upload if it is small, anew if it had begun before."""
        self.give_up()
        if row.bytes <= EARLY_BYTES_MAX:
            self.early = ASIDE.submit(self.read, row)

    def read(self, row: Job) -> tuple[bytes, float]:
        """Give a small upload, and how long this thread worked on it, in seconds."""
        began, content = time.thread_time(), io.BytesIO()
        self.storage.fetch(row, content)
        return content.getvalue(), time.thread_time() - began

    def finish(self, row: Job, timings: Timings) -> None:
        """Have the upload of a claimed job at the path.

        Raises
        ------
        Rejected, Broken
            As `Storage.download`.
        """
        with timings.timed("s3"):
            if not self.has_come(timings):
                self.storage.download(row, self.path)

    def has_come(self, timings: Timings) -> bool:
        """Wait for what began early, if it has; whatever was wrong with it, it is fetched again."""
        if self.early is None or self.early.cancel() or self.early.exception() is not None:
            return False
        content, worked = self.early.result()
        timings.add("s3", Spent(0.0, worked))
        try:
            self.path.write_bytes(content)
        except OSError:
            # There may be room again, or `download` says that there is none.
            return False
        return True

    def give_up(self) -> None:
        """Want it no more: what is on its way comes to nothing, and nobody waits for it."""
        if self.early is not None:
            self.early.cancel()
            self.early = None

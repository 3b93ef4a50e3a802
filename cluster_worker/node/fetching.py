"""The download of a job's upload; a small one begins before the job is claimed.

Claiming a job and downloading a small file take about the same time, and neither needs the other.
If another worker wins the claim, only a small download was wasted.
"""

import io
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from cluster_worker.node.storage import Storage
from cluster_worker.timings import Spent, Timings
from config.contract.job import Batch, Job
from config.contract.references import INPUT
from config.contract.settings import MIB

# Largest upload that is downloaded early: a small photograph, which takes milliseconds.
EARLY_BYTES_MAX = MIB
# Early downloads at a time. If all threads are busy, the download runs after the claim instead.
EARLY_MAX = 16

EARLY_POOL = ThreadPoolExecutor(EARLY_MAX, thread_name_prefix="fetch")


class Fetch:
    """Downloads one upload.

    Parameters
    ----------
    storage : Storage
        Holds the uploads.
    path : Path
        The file to write.
    """

    def __init__(self, storage: Storage, path: Path) -> None:
        self.storage = storage
        self.path = path
        self.early: Future[tuple[bytes, float]] | None = None

    def begin(self, row: Job) -> None:
        """Begin to download a job's upload if it is small; cancel an earlier download."""
        self.cancel()
        if row.bytes <= EARLY_BYTES_MAX:
            self.early = EARLY_POOL.submit(self.read, row)

    def read(self, row: Job) -> tuple[bytes, float]:
        """Download a small upload; return it and this thread's processor time in seconds."""
        began, content = time.thread_time(), io.BytesIO()
        self.storage.fetch(row, content)
        return content.getvalue(), time.thread_time() - began

    def finish(self, row: Job, timings: Timings) -> None:
        """Write the upload of a claimed job to the path; download it unless that is done already.

        Raises
        ------
        Rejected, Broken
            As `Storage.download`.
        """
        with timings.timed("s3"):
            if not self.write_early(timings):
                self.storage.download(row, self.path)

    def write_early(self, timings: Timings) -> bool:
        """Wait for the early download, if one has begun, and write it to the path.

        Returns
        -------
        bool
            False if there was none or it failed; then `Storage.download` must be called.
        """
        if self.early is None or self.early.cancel() or self.early.exception() is not None:
            return False
        content, cpu_seconds = self.early.result()
        timings.add("s3", Spent(0.0, cpu_seconds))
        try:
            self.path.write_bytes(content)
        except OSError:
            # There may be room again by now; if not, `download` raises the error.
            return False
        return True

    def cancel(self) -> None:
        """Drop the early download without waiting for it."""
        if self.early is not None:
            self.early.cancel()
            self.early = None


def fetch_inputs(storage: Storage, batch: Batch, folder: Path, timings: Timings) -> dict[str, Path]:
    """Download the other images that the steps of a batch read.

    Returns
    -------
    dict of str to Path
        The files by the names of the inputs. Error sentences call an input as the steps do.

    Raises
    ------
    Rejected, Broken
        As `Storage.download`.
    """
    paths = {}
    for each in batch.inputs:
        paths[each.name.removeprefix(INPUT)] = path = folder / each.name
        with timings.timed("s3"):
            storage.download(each, path)
    return paths

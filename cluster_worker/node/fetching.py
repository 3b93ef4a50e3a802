"""The download of a job's upload; a small one begins before the job is claimed.

A large TIFF is not downloaded: what is needed of it is read by ranges of bytes.

Claiming a job and downloading a small file take about the same time, and neither needs the other.
If another worker wins the claim, only a small download was wasted.
"""

import io
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from cluster_worker.node.storage import Storage
from cluster_worker.objects.images import ObjectFile
from cluster_worker.objects.store import changed
from cluster_worker.timings import Spent, Timings
from config.contract import resources
from config.contract.job import Batch, Job
from config.contract.references import INPUT
from config.contract.settings import MIB

TIFF = "image/tiff"
# Largest upload that is downloaded early: a small photograph, which takes milliseconds.
EARLY_BYTES_MAX = MIB
# A TIFF from this size on is opened by ranges, which is some requests more than one. If its pixels
# take much memory, the ranks read it so, and it never lies on this host as a whole.
RANGES_BYTES_MIN = 4 * MIB
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

    Attributes
    ----------
    remote : ObjectFile or None
        The upload, if it is read by ranges; `path` is then its copy.
    """

    def __init__(self, storage: Storage, path: Path) -> None:
        self.storage = storage
        self.path = path
        self.remote: ObjectFile | None = None
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

    def finish(self, row: Job, timings: Timings, stack: ExitStack) -> None:
        """Write the upload of a claimed job to the path; download it unless that is done already.

        A large TIFF is only opened, until the stack is closed.

        Raises
        ------
        Rejected, Broken
            As `Storage.download`.
        """
        with timings.timed("s3"):
            if row.bytes >= RANGES_BYTES_MIN and row.type == TIFF:
                address = upload_address(self.storage.uploads, row)
                given = row.etag, self.storage.whole_bytes_max
                remote = ObjectFile(address, self.path.parent, *given)
                self.remote = stack.enter_context(remote)
                self.path = remote.copy.path
            elif not self.write_early(timings):
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


def upload_address(bucket: str, row: Job) -> str:
    """Return the address of a job's upload. It has the batch id, which no sentence may tell."""
    return f"s3://{bucket}/{resources.upload_key(row.batch, row.job)}"


def plainly(text: str, bucket: str, row: Job) -> str:
    """Return a sentence about the upload's address as one about the file that the visitor sent."""
    address = upload_address(bucket, row)
    for found, said in (
        (changed(address), "the file changed after it was accepted; upload it again"),
        (f"{address}: no such object", "the upload is gone; upload it again"),
    ):
        text = text.replace(found, f"{row.name}: {said}")
    return text.replace(address, row.name)


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

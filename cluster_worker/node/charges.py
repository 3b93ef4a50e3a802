"""What the jobs of each visitor used on this node, until it is written into the table."""

import math
import threading
import time
from collections import Counter

from cluster_worker.engine.run_stack import AnyFile, AnyJob, StackFile
from cluster_worker.errors import Broken, Rejected
from cluster_worker.imagefiles.formats import Header, megapixels
from cluster_worker.log import event
from cluster_worker.timings import Spent
from config.contract import resources
from config.contract.table import JobTable


class Charges:
    """Adds up pixels and processor time by visitor; safe to use from many threads.

    They are written every few seconds and not after each job, since a visitor's small jobs come by
    the hundred. What a node that dies has not written is lost, which favours the visitor.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pixels: Counter[str] = Counter()
        self.cpu_ms: Counter[str] = Counter()

    def add(self, visitor: str, pixels: int, cpu_seconds: float) -> None:
        """Add what one attempt used, to its visitor and to all visitors."""
        with self.lock:
            for each in (visitor, resources.ALL_VISITORS):
                self.pixels[each] += pixels
                self.cpu_ms[each] += round(1000 * cpu_seconds)

    def write(self, table: JobTable, now: int) -> None:
        """Add everything to the table, and keep what it did not take if the table is silent.

        Parameters
        ----------
        table : JobTable
            Holds what was used.
        now : int
            Milliseconds since 1970.
        """
        with self.lock:
            pixels, self.pixels = self.pixels, Counter()
            cpu_ms, self.cpu_ms = self.cpu_ms, Counter()
        for visitor in list(pixels):
            use = {"pixels": pixels[visitor], "cpu_ms": cpu_ms[visitor]}
            try:
                table.add_use(visitor, now, use)
            except Broken as error:
                event("use not written", error=str(error))
                with self.lock:
                    # Unlike `+=`, this keeps visitors without pixels, who used processor time.
                    self.pixels.update(pixels)
                    self.cpu_ms.update(cpu_ms)
                return
            del pixels[visitor], cpu_ms[visitor]


def spent_on(job: AnyJob, ranks: int) -> Spent:
    """Return what a job spent in an engine with a number of ranks.

    The ranks of a job that was ended report nothing: they count as busy since the job began.
    """
    if job.spent.cpu_seconds or not job.began:
        return job.spent
    seconds = time.monotonic() - job.began
    return Spent(seconds, seconds * (ranks if job.task.wide else 1))


def pixels_in(header: Header, most: int) -> int:
    """Return the rows × columns of all planes of a file.

    Raises
    ------
    Rejected
        If they are more than `most`, which is the limit for a single image, too.
    """
    planes = header.planes
    pixels = math.prod(header.shape[:2]) * planes
    if pixels > most:
        raise Rejected(
            f"{header.name}: has {planes} planes of {megapixels(pixels)} megapixels together; at "
            f"most {megapixels(most)} megapixels are accepted, so send some planes as a file"
        )
    return pixels


def input_pixels(file: AnyFile) -> int:
    """Return the rows × columns of the other images that a job reads, for each of its planes."""
    one, planes = (file.first, file.stack.planes) if isinstance(file, StackFile) else (file, 1)
    return planes * sum(math.prod(each.header.shape[:2]) for each in one.inputs.values())

"""The heartbeat of a running job: its progress, written on a thread of its own."""

import threading
from collections.abc import Callable
from typing import Self

from cluster_worker.engine.run_stack import AnyJob
from cluster_worker.errors import Broken, Cancelled
from cluster_worker.log import event
from cluster_worker.node.table import milliseconds
from config.contract.job import Job
from config.contract.table import JobTable


class Heartbeat:
    """Writes the progress of a running job on a thread of its own, while the context lasts.

    If a write fails because the job was cancelled or another attempt has claimed it, the job is
    lost, and the heartbeat cancels it in the engine.

    Parameters
    ----------
    table : JobTable
        Holds the row.
    row : Job
        The job, as this attempt claimed it.
    seconds : float
        Time between two writes.
    """

    def __init__(self, table: JobTable, row: Job, seconds: float) -> None:
        self.table = table
        self.row = row
        self.seconds = seconds
        self.tiles = (0, 0)
        self.lost = threading.Event()
        self.ended = threading.Event()
        self.cancel: Callable[[], None] = lambda: None
        self.seconds_left: Callable[[], float] = lambda: 0.0
        self.thread = threading.Thread(target=self.beat, name="heartbeat", daemon=True)

    def note(self, done: int, total: int) -> None:
        """Note how many tiles are done, of how many."""
        self.tiles = (done, total)

    def watch(self, job: AnyJob) -> None:
        """Report the progress of this engine job, and cancel it when the row is lost."""
        self.cancel, self.seconds_left = job.cancel, job.seconds_left
        self.check()

    def check(self) -> None:
        """Raise if the row is lost.

        Raises
        ------
        Cancelled
            If the job was cancelled or is another attempt's.
        """
        if self.lost.is_set():
            raise Cancelled

    def beat(self) -> None:
        """Write until the context ends or the row is lost."""
        while not self.ended.wait(self.seconds):
            try:
                left = round(1000 * self.seconds_left())
                ours = self.table.progress(self.row, *self.tiles, left, milliseconds())
            except Broken as error:
                # The table does not answer. A job is only queued again when its heartbeat is
                # missing for far longer than one write.
                event("heartbeat missed", job=self.row.job, error=str(error))
                continue
            if not ours:
                self.lost.set()
                self.cancel()
                return

    def __enter__(self) -> Self:
        """Start writing."""
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop writing, and wait for a write in progress."""
        self.ended.set()
        self.thread.join()

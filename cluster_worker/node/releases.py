"""The release of waiting jobs of large batches, on a thread of its own."""

import threading

from cluster_worker.errors import Broken
from cluster_worker.log import event
from cluster_worker.node.consumer import Publish, Publisher
from cluster_worker.node.runner import milliseconds
from config.contract import resources
from config.contract.job import Job
from config.contract.table import JobTable


class ReleaseThread(threading.Thread):
    """Publishes waiting jobs of a large batch when messages of that batch were taken.

    Parameters
    ----------
    table : JobTable
        Holds the waiting jobs.
    broker : str
        URL of the broker.
    """

    def __init__(self, table: JobTable, broker: str) -> None:
        super().__init__(name="releases")
        self.table = table
        self.publisher = Publisher(broker, self.release)

    def on_taken(self, row: Job) -> None:
        """Request a release after the message of this row was taken; returns at once."""
        if row.lane == "bulk":
            self.publisher.requests.put(row)

    def release(self, row: Job, publish: Publish) -> None:
        """Publish as many waiting jobs of the row's batch as its lane share has room for."""
        try:
            for released in self.table.release(row, milliseconds, self.table.lapse_ms):
                publish(released.message, resources.BULK)
                self.table.mark_published(released.message, milliseconds())
        except Broken as error:
            event("waiting jobs not released", error=str(error))

    def run(self) -> None:
        """Carry out requests until stopped."""
        self.publisher.run()

    def stop(self) -> None:
        """Begin to end; safe in a signal handler."""
        self.publisher.stopping.set()

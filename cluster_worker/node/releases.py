"""The release of the waiting jobs of busy visitors, on a thread of its own."""

import threading
import time
from functools import partial

from cluster_worker.errors import Broken
from cluster_worker.log import event
from cluster_worker.node.consumer import Address, Publish, Publisher
from cluster_worker.node.table import milliseconds
from config.contract import resources
from config.contract.job import Job
from config.contract.table import JobTable

# Time between two looks for the waiting jobs of one visitor. Few visitors have any, and a look
# after each message would cost as much as the claim; a visitor's share lasts longer than this.
LOOK_SECONDS = 1.0

# Keys that are remembered; more are only kept while a look is due.
KEYS_MAX = 10_000

# The rows that one look sees: visitor, and where the keys of their lines begin.
Key = tuple[str, str]


class ReleaseThread(threading.Thread):
    """Publishes waiting jobs of a visitor when messages of that visitor were taken.

    Parameters
    ----------
    table : JobTable
        Holds the waiting jobs.
    broker : Address
        Of the broker.
    """

    def __init__(self, table: JobTable, broker: Address) -> None:
        super().__init__(name="releases")
        self.table = table
        self.publisher = Publisher(broker)
        self.lock = threading.Lock()
        # When the lines of each key were last looked for, or will be, on the monotonic clock.
        self.looks: dict[Key, float] = {}

    def on_taken(self, row: Job) -> None:
        """Request a release after the message of this row was taken; returns at once.

        Requests for the same lines within `LOOK_SECONDS` become one, at the end of that time.
        """
        key, now = (row.visitor, resources.line_prefix(row.lane, row.job)), time.monotonic()
        with self.lock:
            last = self.looks.get(key, -LOOK_SECONDS)
            if last > now:
                return
            at = max(now, last + LOOK_SECONDS)
            self.looks[key] = at
            if len(self.looks) > KEYS_MAX:
                self.looks = {key: at for key, at in self.looks.items() if at > now - LOOK_SECONDS}
        self.publisher.request(partial(self.release, row), at)

    def on_moved(self, row: Job) -> None:
        """Request that a queued job is published; returns at once."""
        self.publisher.request(partial(self.publish, row), time.monotonic())

    def on_put_off(self, row: Job, seconds: float) -> None:
        """Request that a queued job is published after some seconds, or when this thread ends."""
        self.publisher.request(partial(self.publish, row), time.monotonic() + seconds)

    def publish(self, row: Job, publish: Publish) -> None:
        """Publish a queued job; the sweep does so later if the table or the broker is silent."""
        publish(row.message, resources.LANES[row.lane])
        try:
            self.table.mark_published(row.message, milliseconds())
        except Broken as error:
            event("publish not noted", job=row.job, error=str(error))

    def release(self, row: Job, _publish: Publish) -> None:
        """Release as many waiting jobs of the row's visitor as its lane share has room for.

        Each of them is published by a request of its own, which outlasts a lost connection.
        """
        try:
            for released in self.table.release(row, milliseconds, self.table.lapse_ms):
                self.on_moved(released)
        except Broken as error:
            event("waiting jobs not released", error=str(error))
            # If this was the last message of the visitor, no other one leads to a release.
            self.on_taken(row)

    def run(self) -> None:
        """Carry out requests until stopped."""
        self.publisher.run()

    def stop(self) -> None:
        """Begin to end; safe in a signal handler."""
        self.publisher.stopping.set()

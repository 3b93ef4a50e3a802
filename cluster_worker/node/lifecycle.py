"""The life cycle of a node: it reports signs of life, and drains when it gets a notice.

One thread watches for a termination notice and touches the watchdog's file. Another thread writes
to the table and calls the Auto Scaling group, so that a slow answer of AWS delays neither the
notice nor the file.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from cluster_worker.errors import Broken
from cluster_worker.log import event
from cluster_worker.node.charges import Charges
from cluster_worker.node.consumer import Consumer
from cluster_worker.node.metadata import Metadata, Notice
from cluster_worker.node.storage import client
from cluster_worker.node.table import milliseconds
from config.contract.node import SIGN_SECONDS, Node
from config.contract.settings import WorkerSettings
from config.contract.table import JobTable

# Time between two checks of the metadata service and of the consumer.
LOOK_SECONDS = 0.5
# A consumer whose loop has not run for this long hangs. Its file is not touched any more, and the
# watchdog restarts the node. An attempt to connect to a broker that does not answer takes less.
HANGS_SECONDS = 45.0
# The same if it has jobs in hand and settles none, nor takes another, for this many times the
# processor time that a job may use: then its slots are lost. A busy host takes less.
STILL = 20

# Time between two heartbeats to the group's hook while the node drains. The hook waits four times
# as long.
HEARTBEAT_SECONDS = 30.0
# After this long with nothing in hand, the group may remove the node.
IDLE_SECONDS = 30.0

# Seconds of a spot notice that are reserved for handing jobs back.
SPARE_SECONDS = 15.0


class Group:
    """Calls of the Auto Scaling group about this instance.

    Parameters
    ----------
    settings : WorkerSettings
        Names of the group and of its hook, and the region.
    instance : str
        Id of this instance.
    """

    def __init__(self, settings: WorkerSettings, instance: str) -> None:
        self.name = settings.worker_group
        self.hook = settings.lifecycle_hook
        self.instance = instance
        self.client = client("autoscaling", "", settings.aws_region)
        self.protected = False

    def protect(self, protected: bool) -> None:
        """Protect this instance from being chosen when the group scales in, or stop doing so."""
        if protected != self.protected:
            self.call(
                self.client.set_instance_protection,
                InstanceIds=[self.instance],
                ProtectedFromScaleIn=protected,
            )
            self.protected = protected

    def heartbeat(self) -> None:
        """Have the hook wait longer."""
        self.call(
            self.client.record_lifecycle_action_heartbeat,
            LifecycleHookName=self.hook,
            InstanceId=self.instance,
        )

    def complete(self) -> None:
        """Have the hook continue with the termination: nothing is in hand any more."""
        self.call(
            self.client.complete_lifecycle_action,
            LifecycleHookName=self.hook,
            InstanceId=self.instance,
            LifecycleActionResult="CONTINUE",
        )

    def call(self, method: Callable[..., Any], **arguments: Any) -> None:
        """Call AWS; a failure is only logged, as the hook's timeout and the sweep cover it."""
        try:
            method(AutoScalingGroupName=self.name, **arguments)
        except (BotoCoreError, ClientError) as error:
            event("group not told", call=method.__name__, error=str(error))


class LifeSigns:
    """Reports that this node lives, and starts its drain on a notice, while the context lasts.

    Parameters
    ----------
    settings : WorkerSettings
        The watchdog's file, the metadata service and the group; each may be empty.
    consumer : Consumer
        Watched, and drained on a notice.
    table : JobTable
        Stores the node's row, and what visitors used.
    worker : str
        Name of this node.
    charges : Charges
        What its jobs used.
    lends : callable
        Returns whether its ranks work for another node.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        consumer: Consumer,
        table: JobTable,
        worker: str,
        charges: Charges,
        lends: Callable[[], bool] = lambda: False,
    ) -> None:
        self.settings = settings
        self.consumer = consumer
        self.table = table
        self.worker = worker
        self.charges, self.lends = charges, lends
        self.metadata = Metadata(settings.metadata_endpoint)
        self.alive_file = Path(settings.alive_file) if settings.alive_file else None
        self.group: Group | None = None
        self.notice: Notice | None = None
        self.notified = threading.Event()
        self.ended = threading.Event()
        # When a job was last in hand, or ranks were lent, on the monotonic clock.
        self.busy_at = 0.0
        self.threads = [
            threading.Thread(target=self.watch, name="watch", daemon=True),
            threading.Thread(target=self.report, name="report", daemon=True),
        ]

    def watch(self) -> None:
        """Touch the watchdog's file while the consumer works, and wait for a notice."""
        while not self.ended.wait(LOOK_SECONDS):
            if self.alive_file and self.consumer_works():
                self.alive_file.touch()
            if self.settings.metadata_endpoint and self.notice is None:
                self.notice = self.metadata.notice()
                if self.notice:
                    self.drain(self.notice)

    def consumer_works(self) -> bool:
        """Return whether the consumer's loop runs, and its slots do not stand still."""
        now, consumer = time.monotonic(), self.consumer
        still_seconds = STILL * self.settings.job_seconds_max
        return now - consumer.alive_at < HANGS_SECONDS and now - consumer.moved_at < still_seconds

    def drain(self, notice: Notice) -> None:
        """Begin to drain, within the time that the notice states."""
        seconds = None if notice.seconds is None else max(0.0, notice.seconds - SPARE_SECONDS)
        event("told to go", reason=notice.reason, seconds=notice.seconds)
        self.consumer.stop(seconds)
        self.notified.set()

    def report(self) -> None:
        """Write the node's row, protect the node while it works, and have the hook wait."""
        if self.settings.metadata_endpoint and self.settings.worker_group:
            self.group = Group(self.settings, self.metadata.instance())
        row_at = heartbeat_at = float("-inf")
        while not self.ended.wait(LOOK_SECONDS):
            now = time.monotonic()
            if self.consumer.in_hand or self.lends():
                self.busy_at = now
            if now - row_at >= SIGN_SECONDS:
                row_at = now
                self.put_row()
                self.charges.write(self.table, milliseconds())
            if self.group:
                self.group.protect(now - self.busy_at < IDLE_SECONDS)
                if self.notified.is_set() and now - heartbeat_at >= HEARTBEAT_SECONDS:
                    heartbeat_at = now
                    self.group.heartbeat()

    def put_row(self) -> None:
        """Write the row that states that this node consumes, and how many jobs it has in hand."""
        in_hand = len(self.consumer.in_hand)
        try:
            served = dict(self.table.served)
            self.table.put_node(Node(self.worker, in_hand, milliseconds(), served))
        except Broken as error:
            event("no sign given", error=str(error))

    def __enter__(self) -> Self:
        """Start both threads."""
        self.busy_at = float("-inf")
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Delete the node's row, and let the group terminate the node after a notice."""
        self.ended.set()
        for thread in self.threads:
            thread.join()
        self.charges.write(self.table, milliseconds())
        try:
            self.table.delete_node(self.worker)
        except Broken as error:
            event("no goodbye said", error=str(error))
        if self.group and self.notice:
            self.group.complete()

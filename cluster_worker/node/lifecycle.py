"""What a node tells the world around it, and what it hears: signs of life, and the order to go.

Two threads, so that a slow answer of AWS delays neither the order nor the watchdog's file.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from cluster_worker.errors import Broken
from cluster_worker.log import event
from cluster_worker.node.consumer import Consumer
from cluster_worker.node.metadata import Metadata, Notice
from cluster_worker.node.storage import client
from config.contract.node import SIGN_SECONDS, Node
from config.contract.settings import WorkerSettings
from config.contract.table import JobTable

# Between two looks at the metadata service and at the consumer.
LOOK_SECONDS = 0.5
# A consumer that has not come round for so long hangs: its file is left alone, and the watchdog
# starts the node again. Connecting to a broker that is away takes less.
HANGS_SECONDS = 45.0

# Between two signs to the group while the node drains; its hook waits for four of them.
HEARTBEAT_SECONDS = 30.0
# With nothing in hand for so long, a node may be taken away.
IDLE_SECONDS = 30.0

# What a spot instance keeps of its last seconds to hand its jobs back.
SPARE_SECONDS = 15.0


class Group:
    """The Auto Scaling group's view of this node; without a group there is nobody to tell."""

    def __init__(self, settings: WorkerSettings, instance: str) -> None:
        self.name = settings.worker_group
        self.hook = settings.lifecycle_hook
        self.instance = instance
        self.client = client("autoscaling", "", settings.aws_region)
        self.protected = False

    def protect(self, protected: bool) -> None:
        """Keep the group from choosing this node when it scales in, or let it."""
        if protected != self.protected:
            self.tell(
                self.client.set_instance_protection,
                InstanceIds=[self.instance],
                ProtectedFromScaleIn=protected,
            )
            self.protected = protected

    def heartbeat(self) -> None:
        """Ask the hook to wait on."""
        self.tell(
            self.client.record_lifecycle_action_heartbeat,
            LifecycleHookName=self.hook,
            InstanceId=self.instance,
        )

    def complete(self) -> None:
        """Let the hook go: nothing is in hand any more."""
        self.tell(
            self.client.complete_lifecycle_action,
            LifecycleHookName=self.hook,
            InstanceId=self.instance,
            LifecycleActionResult="CONTINUE",
        )

    def tell(self, call: Callable[..., Any], **arguments: Any) -> None:
        """Call AWS; a failure is logged, since the hook and the table make up for it."""
        try:
            call(AutoScalingGroupName=self.name, **arguments)
        except (BotoCoreError, ClientError) as error:
            event("group not told", call=call.__name__, error=str(error))


class Outside:
    """A node's bonds with the outside, while the context lasts.

    Parameters
    ----------
    settings : WorkerSettings
        Where to write, and whether there are a metadata service and a group.
    consumer : Consumer
        Watched, and told to drain.
    table : JobTable
        Takes the signs of life.
    worker : str
        Name of this node.
    """

    def __init__(
        self, settings: WorkerSettings, consumer: Consumer, table: JobTable, worker: str
    ) -> None:
        self.settings = settings
        self.consumer = consumer
        self.table = table
        self.worker = worker
        self.metadata = Metadata(settings.metadata_endpoint)
        self.alive_file = Path(settings.alive_file) if settings.alive_file else None
        self.group: Group | None = None
        self.notice: Notice | None = None
        self.heard = threading.Event()
        self.ended = threading.Event()
        self.busy = 0.0
        self.threads = [
            threading.Thread(target=self.look_often, name="look", daemon=True),
            threading.Thread(target=self.tell_often, name="tell", daemon=True),
        ]

    def look_often(self) -> None:
        """Touch the file while the consumer comes round, and listen for the order to go."""
        while not self.ended.wait(LOOK_SECONDS):
            if self.alive_file and time.monotonic() - self.consumer.came_round < HANGS_SECONDS:
                self.alive_file.touch()
            if self.settings.metadata_endpoint and self.notice is None:
                self.notice = self.metadata.notice()
                if self.notice:
                    self.obey(self.notice)

    def obey(self, notice: Notice) -> None:
        """Begin to drain."""
        seconds = None if notice.seconds is None else max(0.0, notice.seconds - SPARE_SECONDS)
        event("told to go", reason=notice.reason, seconds=notice.seconds)
        self.consumer.stop(seconds)
        self.heard.set()

    def tell_often(self) -> None:
        """Write signs of life, protect the node while it works, and keep the hook waiting."""
        if self.settings.metadata_endpoint and self.settings.worker_group:
            self.group = Group(self.settings, self.metadata.instance())
        signed = beaten = float("-inf")
        while not self.ended.wait(LOOK_SECONDS):
            now = time.monotonic()
            if self.consumer.in_hand:
                self.busy = now
            if now - signed >= SIGN_SECONDS:
                signed = now
                self.sign()
            if self.group:
                self.group.protect(now - self.busy < IDLE_SECONDS)
                if self.heard.is_set() and now - beaten >= HEARTBEAT_SECONDS:
                    beaten = now
                    self.group.heartbeat()

    def sign(self) -> None:
        """Write the row that says that this node consumes, and how much it holds."""
        in_hand = len(self.consumer.in_hand)
        seen, served = time.time_ns() // 1_000_000, dict(self.table.served)
        try:
            self.table.put_node(Node(self.worker, in_hand, seen, served))
        except Broken as error:
            event("no sign given", error=str(error))

    def __enter__(self) -> Self:
        """Begin to look and to tell."""
        self.busy = float("-inf")
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Say goodbye: nothing is in hand any more, and the node may go."""
        self.ended.set()
        for thread in self.threads:
            thread.join()
        try:
            self.table.delete_node(self.worker)
        except Broken as error:
            event("no goodbye said", error=str(error))
        if self.group and self.notice:
            self.group.complete()

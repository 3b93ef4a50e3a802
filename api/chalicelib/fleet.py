"""The worker nodes as the API starts them: an Auto Scaling group, or one host that sleeps."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import log

# How long an instance of the API relies on the last answer about the nodes.
REMEMBER_SECONDS = 15.0

# From no node to one that consumes: the instance starts, pulls the image, and warms its world up.
START_MINUTES = 3
STARTING = f"starting a worker, about {START_MINUTES} minutes"


class Nodes(Protocol):
    """Nodes that can be started."""

    def desired(self) -> int:
        """Read how many nodes run or are to run."""

    def start(self) -> None:
        """Start one."""


@dataclass(frozen=True)
class Group:
    """An Auto Scaling group, by its name."""

    client: Any
    name: str

    def desired(self) -> int:
        """Read the desired number of nodes."""
        answer = self.client.describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])
        groups = answer["AutoScalingGroups"]
        return int(groups[0]["DesiredCapacity"]) if groups else 0

    def start(self) -> None:
        """Set the desired number to 1."""
        self.client.set_desired_capacity(
            AutoScalingGroupName=self.name, DesiredCapacity=1, HonorCooldown=False
        )


@dataclass(frozen=True)
class Host:
    """One EC2 instance with worker and broker, by its name; it stops itself when it is idle.

    Its id is not known here: a deployment may replace the instance.
    """

    client: Any
    name: str

    def desired(self) -> int:
        """Return 1 if the instance runs or starts, else 0."""
        return len(self._ids("pending", "running"))

    def start(self) -> None:
        """Start the instance; while it is still stopping, a later call does."""
        if ids := self._ids("stopped"):
            self.client.start_instances(InstanceIds=ids[:1])

    def _ids(self, *states: str) -> list[str]:
        filters = {"tag:Name": [self.name], "instance-state-name": list(states)}
        answer = self.client.describe_instances(
            Filters=[{"Name": name, "Values": values} for name, values in filters.items()]
        )
        return [
            each["InstanceId"] for group in answer["Reservations"] for each in group["Instances"]
        ]


@dataclass
class Fleet:
    """The nodes, if there are any that the API may start; else no call is made."""

    nodes: Nodes | None
    _asked: float = field(default=0.0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def desired(self) -> int:
        """Read how many nodes run or are to run."""
        return self.nodes.desired() if self.nodes else 0

    def wake(self) -> None:
        """Start a node if none runs.

        A failure is only logged: the figures of the backlog start a group's node, a minute or two
        later, and the sweep tries again to start a host.
        """
        with self._lock:
            if not self.nodes or time.monotonic() < self._asked + REMEMBER_SECONDS:
                return
            try:
                if self.nodes.desired() == 0:
                    self.nodes.start()
                    log.event("worker_woken")
            except (BotoCoreError, ClientError) as error:
                log.trouble("worker_not_woken", reason=str(error))
                return
            self._asked = time.monotonic()

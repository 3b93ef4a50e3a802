"""The Auto Scaling group of the worker nodes: its desired number, and waking the first node."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import log

# How long an instance of the API relies on the last answer about the group.
REMEMBER_SECONDS = 15.0

# From an empty group to a node that consumes: the instance starts, pulls the image, and warms its
# world up.
START_MINUTES = 3
STARTING = f"starting a worker, about {START_MINUTES} minutes"


@dataclass
class Fleet:
    """The Auto Scaling group by its name; without a name no call is made."""

    client: Any
    group: str
    _asked: float = field(default=0.0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def desired(self) -> int:
        """Read the desired number of nodes."""
        if not self.group:
            return 0
        answer = self.client.describe_auto_scaling_groups(AutoScalingGroupNames=[self.group])
        groups = answer["AutoScalingGroups"]
        return int(groups[0]["DesiredCapacity"]) if groups else 0

    def wake(self) -> None:
        """Set the desired number of nodes to 1 if it is 0.

        A failure is only logged: the figures of the backlog also start a node, a minute or two
        later.
        """
        with self._lock:
            if not self.group or time.monotonic() < self._asked + REMEMBER_SECONDS:
                return
            try:
                if self.desired() == 0:
                    self.client.set_desired_capacity(
                        AutoScalingGroupName=self.group, DesiredCapacity=1, HonorCooldown=False
                    )
                    log.event("worker_woken")
            except (BotoCoreError, ClientError) as error:
                log.trouble("worker_not_woken", reason=str(error))
                return
            self._asked = time.monotonic()

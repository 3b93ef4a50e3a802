"""The app's own figures in CloudWatch; scaling and alarms depend on them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from chalicelib import log


@dataclass(frozen=True)
class Metrics:
    """A namespace in CloudWatch; without a name nothing is published.

    The figures go by the log, in the embedded metric format from which CloudWatch makes metrics. So
    the functions need neither a grant nor a way to CloudWatch from their network.
    """

    namespace: str

    def publish(self, figures: Mapping[str, int]) -> None:
        """Publish figures by their names, under the current time."""
        if not self.namespace:
            return
        described = {
            "Timestamp": time.time_ns() // 1_000_000,
            "CloudWatchMetrics": [
                {
                    "Namespace": self.namespace,
                    # One set of no dimensions: a metric has no more than its name.
                    "Dimensions": [[]],
                    "Metrics": [{"Name": name} for name in figures],
                }
            ],
        }
        log.figures(described, figures)

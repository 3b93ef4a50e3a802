"""The app's own figures in CloudWatch; scaling and alarms depend on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Metrics:
    """A namespace in CloudWatch; without a name nothing is published."""

    client: Any
    namespace: str

    def publish(self, figures: Mapping[str, int]) -> None:
        """Publish figures by their names, under the current time."""
        if self.namespace:
            self.client.put_metric_data(
                Namespace=self.namespace,
                MetricData=[
                    {"MetricName": name, "Value": value, "Unit": "None"}
                    for name, value in figures.items()
                ],
            )

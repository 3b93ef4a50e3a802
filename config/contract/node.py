"""A worker node's row, which the node writes every few seconds while it consumes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from config.contract import resources

# Time between two writes, and time without one after which a node counts as gone.
SIGN_SECONDS = 10.0
GONE_SECONDS = 45.0

# When DynamoDB may drop the row of a node that is gone.
KEPT_SECONDS = 3600


@dataclass(frozen=True)
class Node:
    """A node's row.

    Attributes
    ----------
    worker : str
        Name of the node.
    in_hand : int
        Jobs that it has taken and not finished.
    seen : int
        When it wrote the row, in milliseconds since 1970.
    served : mapping
        The highest ticket that it claimed, for each lane.
    """

    worker: str
    in_hand: int
    seen: int
    served: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Node":
        """Read a row as boto3's resource client returns it."""
        served = {lane: int(ticket) for lane, ticket in item.get("served", {}).items()}
        return cls(str(item["sk"]), int(item["in_hand"]), int(item["seen"]), served)

    def to_item(self) -> dict[str, Any]:
        """Write the row."""
        return {
            "pk": resources.NODES_PK,
            "sk": self.worker,
            "in_hand": self.in_hand,
            "seen": self.seen,
            "served": dict(self.served),
            "ttl": self.seen // 1000 + KEPT_SECONDS,
        }

    def is_there(self, now: int) -> bool:
        """Return whether the node wrote its row in the last `GONE_SECONDS`."""
        return now - self.seen < 1000 * GONE_SECONDS

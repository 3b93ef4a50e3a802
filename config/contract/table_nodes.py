"""Writes to the rows of nodes, and to what visitors used on a day."""

from collections.abc import Mapping
from contextlib import suppress

from config.contract import resources
from config.contract.node import Node
from config.contract.table_access import Lost
from config.contract.table_batches import TableBatches
from config.contract.visitor import add_stop, add_use


class TableNodes(TableBatches):
    """Adds the writes to nodes and visitors to the reads, and to the writes to batches."""

    def add_use(
        self,
        visitor: str,
        now: int,
        use: Mapping[str, int],
        bytes_max: int = 0,
        stops_until_max: int = 0,
    ) -> bool:
        """Add to what a visitor used on the day of `now`; False if a limit does not let it.

        Parameters are those of `config.contract.visitor.add_use`.
        """
        try:
            self.access.update(add_use(self.name, visitor, now, use, bytes_max, stops_until_max))
        except Lost:
            return False
        return True

    def add_stop(self, visitor: str, now: int, stop_ms: int) -> None:
        """Count a running job that a visitor stopped, as `config.contract.visitor.add_stop`."""
        for is_first in (True, False, True):
            with suppress(Lost):
                self.access.update(add_stop(self.name, visitor, now, stop_ms, is_first=is_first))
                return

    def put_node(self, node: Node) -> None:
        """Write a node's row, by which the API knows that the node is there."""
        self.access.put(node.to_item())

    def delete_node(self, worker: str) -> None:
        """Delete a node's row."""
        self.delete_row(resources.NODES_PK, worker)

"""Writes to the rows of hosts: their offers, and the leases of wide jobs."""

from config.contract import host as rows
from config.contract import resources
from config.contract.host import Host
from config.contract.table_access import Lost
from config.contract.table_nodes import TableNodes


class TableHosts(TableNodes):
    """Adds hosts and their leases to the reads, and to the writes to nodes."""

    def hosts(self) -> list[Host]:
        """Read the rows of all hosts, as they stand now."""
        answer = self.access.query(
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": resources.HOSTS_PK},
            ConsistentRead=True,
        )
        return [Host.from_item(item) for item in answer["Items"]]

    def offer(self, host: Host) -> Host:
        """Write what a host offers; return the row with its lease, which stays as it was."""
        return self._written(rows.offer(self.name, host))

    def withdraw(self, worker: str) -> None:
        """Delete a host's row, and with it its lease."""
        self.delete_row(resources.HOSTS_PK, worker)

    def host(self, worker: str) -> Host | None:
        """Read a host's row as it stands now; None if there is none."""
        item = self.access.get(resources.HOSTS_PK, worker)
        return Host.from_item(item) if item else None

    def lease_host(self, host: Host, lease: str, now: int, *, is_own: bool = False) -> Host | None:
        """Lease a host for an attempt, for `LEASE_SECONDS`.

        Parameters
        ----------
        host : Host
            As it was read.
        lease : str
            From `config.contract.host.lease_of`.
        now : int
            Milliseconds since 1970.
        is_own : bool
            Whether it is the caller's own host, which need not be idle.

        Returns
        -------
        Host or None
            The row as written; None if another lease holds, or the host offers itself no more.
        """
        try:
            return self._written(rows.take(self.name, host, lease, now, is_own=is_own))
        except Lost:
            return None

    def renew_lease(self, worker: str, lease: str, now: int) -> bool:
        """Renew a lease for `LEASE_SECONDS`; False if it has ended."""
        try:
            self.access.update(rows.renew(self.name, worker, lease, now))
        except Lost:
            return False
        return True

    def end_lease(self, worker: str, lease: str) -> None:
        """End a lease; do nothing if it has ended, or another one holds."""
        try:
            self.access.update(rows.release(self.name, worker, lease))
        except Lost:
            return

    def _written(self, update: dict[str, object]) -> Host:
        return Host.from_item(self.access.update(update))

"""A host's row: what a worker node offers to wide jobs of others, and who has leased it.

All times are of the hosts' own clocks, which must agree to a second or so, as for heartbeats.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from config.contract import resources

# Time between two writes of an offer, and between two renewals of a lease.
OFFER_SECONDS = 3.0
# A lease that was not renewed for this long has ended: its host is free again.
LEASE_SECONDS = 12.0
# An offer that was not written for this long does not count: its host is gone.
GONE_SECONDS = 12.0

# When DynamoDB may drop the row of a host that is gone.
KEPT_SECONDS = 3600


@dataclass(frozen=True)
class Host:
    """A host's row.

    Attributes
    ----------
    worker : str
        Name of the worker node.
    address : str
        Where its agent listens, as ``10.0.0.5:7321``.
    zone : str
        Hosts of one zone are close to each other: pixels between them cost nothing.
    likeness : str
        Digest of its version and of its processor's features. Hosts with the same one compute the
        same pixels.
    ranks : int
        Ranks that it makes for one job.
    is_idle : bool
        Whether it offers them: it has no job in hand.
    seen : int
        When it wrote the offer, in milliseconds since 1970.
    lease : str
        What has leased it, as `lease_of` names an attempt; empty if nothing has.
    since, until : int
        When it was taken, and when it ends unless it is renewed, in milliseconds since 1970.
    """

    worker: str
    address: str
    zone: str
    likeness: str
    ranks: int
    is_idle: bool
    seen: int
    lease: str = ""
    since: int = 0
    until: int = 0

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Host":
        """Read a row as boto3's resource client returns it."""
        return cls(
            worker=str(item["sk"]),
            address=str(item["address"]),
            zone=str(item["zone"]),
            likeness=str(item["likeness"]),
            ranks=int(item["ranks"]),
            is_idle=bool(item["is_idle"]),
            seen=int(item["seen"]),
            lease=str(item.get("lease", "")),
            since=int(item.get("since", 0)),
            until=int(item.get("until", 0)),
        )

    def is_leased_to(self, lease: str, now: int) -> bool:
        """Return whether a lease holds at a time in milliseconds since 1970."""
        return bool(lease) and self.lease == lease and now < self.until

    def may_join(self, other: "Host", now: int) -> bool:
        """Return whether it is idle, free and alive, and may share an image with another host."""
        return (
            self.is_idle
            and self.until <= now
            and now - self.seen < 1000 * GONE_SECONDS
            and (self.zone, self.likeness) == (other.zone, other.likeness)
            and self.worker != other.worker
        )


def lease_of(job: str, attempt: int) -> str:
    """Name the attempt that leases hosts: no other attempt can use or renew its leases."""
    return f"{job}/{attempt}"


def offer(table: str, host: Host) -> dict[str, Any]:
    """Build the update that writes what a host offers, and leaves its lease as it is."""
    values = {
        "address": host.address,
        "zone": host.zone,
        "likeness": host.likeness,
        "ranks": host.ranks,
        "is_idle": host.is_idle,
        "seen": host.seen,
        "ttl": host.seen // 1000 + KEPT_SECONDS,
    }
    return update(table, host.worker, values, "") | {"ReturnValues": "ALL_NEW"}


def take(table: str, host: Host, lease: str, now: int, *, is_own: bool) -> dict[str, Any]:
    """Build the update that leases a host, if no other lease holds and it still offers itself.

    Parameters
    ----------
    table : str
        Name of the table.
    host : Host
        As it was read.
    lease : str
        From `lease_of`.
    now : int
        Milliseconds since 1970.
    is_own : bool
        Whether it is the host of the worker that leases it, which need not be idle.
    """
    values = {"lease": lease, "since": now, "until": lease_end(now)}
    when = "attribute_exists(pk) AND (attribute_not_exists(#until) OR #until <= :now)"
    found = update(table, host.worker, values, when, {":now": now})
    if not is_own:
        found["ConditionExpression"] += " AND #is_idle = :true AND #seen >= :alive"
        found["ExpressionAttributeNames"] |= {"#is_idle": "is_idle", "#seen": "seen"}
        alive = {":true": True, ":alive": now - round(1000 * GONE_SECONDS)}
        found["ExpressionAttributeValues"] |= alive
    return found | {"ReturnValues": "ALL_NEW"}


def renew(table: str, worker: str, lease: str, now: int) -> dict[str, Any]:
    """Build the update that renews a lease, if it still holds."""
    when = "#lease = :mine AND #until > :now"
    found = update(table, worker, {"until": lease_end(now)}, when, {":mine": lease, ":now": now})
    found["ExpressionAttributeNames"] |= {"#lease": "lease"}
    return found


def release(table: str, worker: str, lease: str) -> dict[str, Any]:
    """Build the update that ends a lease, if it is this one."""
    return update(table, worker, {"lease": "", "until": 0}, "#lease = :mine", {":mine": lease})


def lease_end(now: int) -> int:
    """Return when a lease ends that is taken or renewed now, in milliseconds since 1970."""
    return now + round(1000 * LEASE_SECONDS)


def update(
    table: str,
    worker: str,
    values: Mapping[str, Any],
    when: str,
    further: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build an update of a host's row; `further` has the values that the condition names."""
    found: dict[str, Any] = {
        "TableName": table,
        "Key": {"pk": resources.HOSTS_PK, "sk": worker},
        "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in values),
        "ExpressionAttributeNames": {f"#{name}": name for name in values},
        "ExpressionAttributeValues": {
            **{f":{name}": value for name, value in values.items()},
            **(further or {}),
        },
    }
    return found | ({"ConditionExpression": when} if when else {})

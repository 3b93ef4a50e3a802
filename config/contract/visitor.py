"""A visitor: who made a batch, and what all its batches used on a day.

A visitor is told by its network address, which nobody can read from the hash that is stored.
"""

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from config.contract import resources

# Headers by which the site's origin tells the API the address that it saw, and proves that it is
# the origin: a visitor can write the first one, but does not know the value of the second.
ADDRESS_HEADER = "True-Client-IP"
KEY_HEADER = "X-Origin-Key"

# Visitors with an IPv6 network have this part of the address in common.
IPV6_PREFIX = 64
HASH_DIGITS = 16

# What was used on a day is kept for some days, so that an operator can look at it.
KEPT_SECONDS = 8 * 86_400


def visitor_of(address: str, key: str) -> str:
    """Hash an address; `key` keeps others from trying out all addresses.

    A text that is no address counts as one visitor.
    """
    return hmac.digest(key.encode(), network_of(address).encode(), "sha256").hex()[:HASH_DIGITS]


def network_of(address: str) -> str:
    """Return the network that a visitor's addresses have in common: one address in IPv4."""
    try:
        found = ipaddress.ip_address(address.strip())
    except ValueError:
        return ""
    if found.version == 4:
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, IPV6_PREFIX), strict=False))


@dataclass(frozen=True)
class Use:
    """What was used on a day."""

    bytes: int = 0
    pixels: int = 0
    cpu_ms: int = 0
    stops_until: int = 0
    """Time, in ms since 1970, by which the visitor may have stopped as many jobs as it did."""

    @classmethod
    def from_item(cls, item: Mapping[str, Any] | None) -> "Use":
        """Read a row as boto3's resource client returns it; a missing one is nothing."""
        item = item or {}
        return cls(
            *(int(item.get(name, 0)) for name in ("bytes", "pixels", "cpu_ms", "stops_until"))
        )


def add_use(
    table: str,
    visitor: str,
    now: int,
    use: Mapping[str, int],
    bytes_max: int = 0,
    stops_until_max: int = 0,
) -> dict[str, Any]:
    """Build the update that adds to what a visitor used on the day of `now`.

    Parameters
    ----------
    table : str
        Name of the table.
    visitor : str
        From `visitor_of`, or `resources.ALL_VISITORS`.
    now : int
        Milliseconds since 1970.
    use : mapping
        Numbers by the names of the fields of `Use`.
    bytes_max : int
        The update fails if the day's bytes would exceed it; 0 for no limit.
    stops_until_max : int
        The update fails if the visitor's `stops_until` is later; 0 for no limit.
    """
    names = {f"#{name}": name for name in (*use, "ttl")}
    values = {f":{name}": value for name, value in use.items()}
    update: dict[str, Any] = {
        "TableName": table,
        "Key": {"pk": resources.visitor_pk(visitor), "sk": resources.day_sk(now)},
        "UpdateExpression": "SET #ttl = :ttl ADD " + ", ".join(f"#{name} :{name}" for name in use),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values | {":ttl": now // 1000 + KEPT_SECONDS},
    }
    conditions = []
    if bytes_max:
        conditions.append("(attribute_not_exists(#bytes) OR #bytes <= :room)")
        update["ExpressionAttributeValues"][":room"] = bytes_max - use["bytes"]
    if stops_until_max:
        conditions.append("(attribute_not_exists(stops_until) OR stops_until <= :until)")
        update["ExpressionAttributeValues"][":until"] = stops_until_max
    if conditions:
        update["ConditionExpression"] = " AND ".join(conditions)
    return update


def add_stop(table: str, visitor: str, now: int, stop_ms: int, *, is_first: bool) -> dict[str, Any]:
    """Build the update that counts a running job that a visitor stopped.

    `stops_until` moves on by `stop_ms`: from now, or, if it lies ahead, from where it is. Each of
    the two is an update of its own, and the condition of one of them holds.

    Parameters
    ----------
    table, visitor, now : str, str, int
        As of `add_use`.
    stop_ms : int
        Time in which one job may be stopped, in ms.
    is_first : bool
        Whether `stops_until` does not lie ahead.
    """
    update: dict[str, Any] = {
        "TableName": table,
        "Key": {"pk": resources.visitor_pk(visitor), "sk": resources.day_sk(now)},
        "ExpressionAttributeNames": {"#ttl": "ttl"},
        "ExpressionAttributeValues": {":ttl": now // 1000 + KEPT_SECONDS, ":now": now},
    }
    if is_first:
        update["UpdateExpression"] = "SET #ttl = :ttl, stops_until = :next"
        update["ConditionExpression"] = "attribute_not_exists(stops_until) OR stops_until <= :now"
        update["ExpressionAttributeValues"][":next"] = now + stop_ms
    else:
        update["UpdateExpression"] = "SET #ttl = :ttl ADD stops_until :stop"
        update["ConditionExpression"] = "stops_until > :now"
        update["ExpressionAttributeValues"][":stop"] = stop_ms
    return update

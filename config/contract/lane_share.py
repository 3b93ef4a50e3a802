"""The window: how many messages of one large batch wait on the broker at a time.

Jobs beyond it are held: queued like the others, with a line of their own in the table instead of
a message. Whoever takes a message of the batch makes room, and lets the next ones go. Each of a
batch's counter rows has its share of the window, so that the count changes in the transaction
that changes the state, and a share is never exceeded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from config.contract import resources
from config.contract.job import Change, Job, batch_not_marked, move

# Read at once; what is held beyond is let go when these have made room again.
LINES_PER_READ = 50


@dataclass(frozen=True)
class Line:
    """A held job's place in its batch."""

    sk: str
    job: str

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Line":
        """Read a row as boto3's resource client returns it."""
        return cls(str(item["sk"]), str(item["sk"]).rpartition("#")[2])


def share(window: int) -> int:
    """Tell how much of a window one counter row has."""
    return -(-window // resources.COUNTER_SHARDS)


def wait(table: str, row: Job, now: int) -> dict[str, Any]:
    """Build the write of a held job's line, which goes with the move of its row."""
    item = {
        "pk": row.batch,
        "sk": f"{prefix(row)}{now:013d}#{row.job}",
        "ttl": row.kept_until // 1000 + 86_400,
    }
    return {"Put": {"TableName": table, "Item": item}}


def first_lines(table: str, row: Job) -> dict[str, Any]:
    """Build the query for the jobs that were held first, of those counted with this one."""
    return {
        "TableName": table,
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
        "ExpressionAttributeValues": {":pk": row.batch, ":prefix": prefix(row)},
        "Limit": LINES_PER_READ,
        "ConsistentRead": True,
    }


def prefix(row: Job) -> str:
    """Begin the sort keys of the lines that share this job's counter row."""
    return f"{resources.LINE_PREFIX}{resources.shard(row.job, resources.COUNTER_SHARDS)}#"


def drop(table: str, batch: str, line: Line) -> dict[str, Any]:
    """Build the end of a line that is there."""
    return {
        "TableName": table,
        "Key": {"pk": batch, "sk": line.sk},
        "ConditionExpression": "attribute_exists(pk)",
    }


def release(
    table: str, row: Job, line: Line, now: int, due: int, ticket: int, room: int
) -> list[dict[str, Any]]:
    """Build the transaction that gives a held job a message to be published.

    It fails if the job is not held any more, the share is full, or the batch is to end.
    """
    values = {"publish": row.publish + 1, "published_at": 0, "ticket": ticket, "waiting": False}
    change = Change(values, {"waiting": True})
    return [
        *move(table, row, "queued", now, due, change, room),
        {"Delete": drop(table, row.batch, line)},
        {"ConditionCheck": batch_not_marked(table, row.batch)},
    ]

"""The lane share: how many messages of one large batch may be on the broker at the same time.

Without a limit, the messages of a batch of 50 000 images would fill the bulk queue, and the next
visitor's first image would wait behind all of them. Therefore only some jobs of a batch are
published. The others wait: their rows are `queued` like those of the published jobs, but instead
of a message they have a line, which is a row of its own in the table. When a worker takes a
message of the batch, it publishes the jobs whose lines are oldest, as far as the share allows.

A batch counts its published messages in its counter rows, in the transaction that changes a job's
state. Each counter row has an equal part of the batch's share and is never counted beyond it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from config.contract import resources
from config.contract.job import Job, time_to_live
from config.contract.writes import Change, Write, batch_is_open, delete_of, move

# Lines read at a time. Later lines are read when these have been published and taken.
LINES_PER_READ = 50


@dataclass(frozen=True)
class Line:
    """The row of a waiting job that keeps its position among its batch's waiting jobs."""

    sk: str
    job: str

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Line":
        """Read a row as boto3's resource client returns it."""
        return cls(str(item["sk"]), str(item["sk"]).rpartition("#")[2])


def share(jobs: int) -> int:
    """Compute the part of a lane share that one counter row has, rounded up."""
    return -(-jobs // resources.COUNTER_SHARDS)


def wait(table: str, row: Job, now: int) -> Write:
    """Build the write of a waiting job's line, which goes with the move of its row."""
    item = {
        "pk": row.batch,
        "sk": f"{prefix(row)}{now:013d}#{row.job}",
        "ttl": time_to_live(row.kept_until),
    }
    return {"Put": {"TableName": table, "Item": item}}


def first_lines(row: Job) -> dict[str, Any]:
    """Build the query for the oldest lines of the jobs that share this job's counter row."""
    return {
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
        "ExpressionAttributeValues": {":pk": row.batch, ":prefix": prefix(row)},
        "Limit": LINES_PER_READ,
        "ConsistentRead": True,
    }


def prefix(row: Job) -> str:
    """Return how the sort keys of the lines begin that share this job's counter row."""
    return f"{resources.LINE_PREFIX}{resources.shard(row.job, resources.COUNTER_SHARDS)}#"


def release(
    table: str, row: Job, line: Line, now: int, due: int, ticket: int, share: int
) -> list[Write]:
    """Build the transaction that gives a waiting job its next publish number.

    It fails if the job does not wait any more, if the counter row has no room for another message,
    or if the batch is to be cancelled or deleted.
    """
    values = {"publish": row.publish + 1, "published_at": 0, "ticket": ticket, "waiting": False}
    change = Change(values, {"waiting": True})
    return [
        *move(table, row, "queued", now, due, change, share),
        {"Delete": delete_of(table, row.batch, line.sk)},
        {"ConditionCheck": batch_is_open(table, row.batch)},
    ]

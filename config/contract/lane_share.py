"""The lane share: how many messages of one visitor may be in a lane of the broker at a time.

Without a limit, the messages of a visitor with a batch of 50 000 images, or with a thousand small
batches, would fill a queue, and the next visitor's first image would wait behind all of them.
Therefore only some jobs of a visitor are published. The others wait: their rows are `queued` like
those of the published jobs, but instead of a message they have a line, which is a row of its own in
the table. When a worker takes a message of the visitor, it publishes the jobs whose lines are
oldest, as far as the share allows, whichever batch they belong to.

A visitor's messages are counted by lane, in the transaction that changes a job's state. The count
is spread over several rows, so that many workers rarely write the same one. Each has an equal part
of the share and never counts beyond it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from config.contract import resources
from config.contract.job import Job, time_to_live
from config.contract.writes import Change, Write, batch_is_open, delete_of, move

# Lines read at a time. Later lines are read when these have been published and taken.
LINES_PER_READ = 50
# Reads of one release: a cancelled batch leaves thousands of lines that are of no use.
READS_MAX = 20


@dataclass(frozen=True)
class Line:
    """The row of a waiting job that keeps its position among its visitor's waiting jobs."""

    pk: str
    sk: str
    batch: str
    job: str

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Line":
        """Read a row as boto3's resource client returns it."""
        *_, batch, job = str(item["sk"]).split("#")
        return cls(str(item["pk"]), str(item["sk"]), batch, job)


def share(jobs: int) -> int:
    """Compute the part of a lane share that one row has, rounded up."""
    return -(-jobs // resources.COUNTER_SHARDS)


def wait(table: str, row: Job, now: int, share: int) -> list[Write]:
    """Build the writes that go with the move of a job's row that is to wait: its line, and a check.

    The check fails the move if the lane row has room for another message by now. Without it the
    last message of the visitor could be taken between the look at the lane row and this write:
    the worker would find no line to release, and nothing else would release the job.
    """
    full = {
        "TableName": table,
        "Key": {
            "pk": resources.visitor_pk(row.visitor),
            "sk": resources.lane_sk(row.lane, row.job),
        },
        "ConditionExpression": "#out_now >= :share",
        "ExpressionAttributeNames": {"#out_now": "out_now"},
        "ExpressionAttributeValues": {":share": share},
    }
    return [line_of(table, row, now), {"ConditionCheck": full}]


def line_of(table: str, row: Job, now: int) -> Write:
    """Build the write of a waiting job's line."""
    prefix = resources.line_prefix(row.lane, row.job)
    item = {
        "pk": resources.visitor_pk(row.visitor),
        "sk": f"{prefix}{now:013d}#{row.batch}#{row.job}",
        "ttl": time_to_live(row.kept_until),
    }
    return {"Put": {"TableName": table, "Item": item}}


def first_lines(row: Job) -> dict[str, Any]:
    """Build the query for the oldest lines of the jobs that share this job's lane row."""
    return {
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
        "ExpressionAttributeValues": {
            ":pk": resources.visitor_pk(row.visitor),
            ":prefix": resources.line_prefix(row.lane, row.job),
        },
        "Limit": LINES_PER_READ,
        "ConsistentRead": True,
    }


def release(
    table: str, row: Job, line: Line, now: int, due: int, ticket: int, share: int
) -> list[Write]:
    """Build the transaction that gives a waiting job its next publish number.

    It fails if the job does not wait any more, if the lane row has no room for another message, or
    if the batch is to be cancelled or deleted.
    """
    values = {"publish": row.publish + 1, "published_at": 0, "ticket": ticket, "waiting": False}
    change = Change(values, {"waiting": True})
    return [
        *move(table, row, "queued", now, due, change, share),
        {"Delete": delete_of(table, line.pk, line.sk)},
        {"ConditionCheck": batch_is_open(table, row.batch)},
    ]

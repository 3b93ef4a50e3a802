"""A job: its states, its message, its row, and the writes that move it from state to state.

The writes are plain values for DynamoDB's `transact_write_items`, so that API and worker, each
with a client of its own, change a row and its batch's counters by the same rule.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from config.contract import resources

State = Literal[
    "awaiting_upload", "queued", "running", "succeeded", "failed", "cancelled", "expired"
]

# What may follow what. A running job that is claimed again stays running under a new attempt.
TRANSITIONS: Mapping[State, tuple[State, ...]] = {
    "awaiting_upload": ("queued", "failed", "cancelled", "expired"),
    "queued": ("queued", "running", "failed", "cancelled", "expired"),
    "running": ("running", "queued", "succeeded", "failed", "cancelled"),
    "succeeded": ("expired",),
    "failed": ("queued", "awaiting_upload", "expired"),
    "cancelled": ("queued", "awaiting_upload", "expired"),
    "expired": (),
}
STATES: tuple[State, ...] = tuple(TRANSITIONS)
FINAL: tuple[State, ...] = ("succeeded", "failed", "cancelled", "expired")
UNFINISHED: tuple[State, ...] = ("awaiting_upload", "queued", "running")


@dataclass(frozen=True)
class Message:
    """What the queues carry: which job, and the number of this publish of it."""

    batch: str
    job: str
    publish: int

    def to_bytes(self) -> bytes:
        """Encode for the broker."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, body: bytes) -> "Message":
        """Decode from the broker.

        Raises
        ------
        ValueError
            If the body is not a message of this app.
        """
        try:
            found = json.loads(body)
            return cls(str(found["batch"]), str(found["job"]), int(found["publish"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"not a job message: {body[:80]!r}") from error


@dataclass(frozen=True)
class Job:
    """A job's row. Times are milliseconds since 1970, sizes are bytes."""

    batch: str
    job: str
    name: str
    bytes: int
    type: str
    state: State
    created: int
    kept_until: int
    changed: str = ""
    # The upload, as the API saw it when it queued the job; the worker reads with If-Match.
    etag: str = ""
    # Of an upload in parts, as S3 names it, once one was begun.
    upload: str = ""
    # Which queue its messages go to.
    lane: Literal["interactive", "bulk"] = "interactive"
    # "batch/job" whose upload is to be used again, or "".
    source: str = ""
    # publish: number of the newest message; published_at: when the broker confirmed it, else 0.
    publish: int = 0
    published_at: int = 0
    # Number in its lane, by which its place in line is told; 0 where none could be drawn.
    ticket: int = 0
    # Whether it waits for room in its batch's window, without a message.
    waiting: bool = False
    # attempt: the fence that every write of a worker is conditional on.
    attempt: int = 0
    # faults: how often ranks died on this job alone.
    faults: int = 0
    # lapses: how often the sweep found its worker silent.
    lapses: int = 0
    tiles_done: int = 0
    tiles_total: int = 0
    # Milliseconds that its computation was estimated to take still, when that was written last.
    left_ms: int = 0
    # Why the job failed, in one sentence; cause says whose fault it was.
    reason: str = ""
    cause: Literal["", "rejected", "broken"] = ""
    notes: tuple[str, ...] = ()
    # What made the result: the app and the libraries that its pixels depend on.
    versions: Mapping[str, str] = field(default_factory=dict)
    result_key: str = ""
    result_name: str = ""
    result_type: str = ""
    result_bytes: int = 0
    rows: int = 0
    columns: int = 0
    # Types of the pixels, such as uint16, once they are known.
    dtype: str = ""
    result_dtype: str = ""
    # Pictures for the page, which come after the result: keys of those that are there, and until
    # when those on their way are worth waiting for, else 0.
    original_view: str = ""
    result_view: str = ""
    views_until: int = 0
    started: int = 0
    finished: int = 0
    due: int = 0

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Job":
        """Read a row as boto3's resource client returns it (numbers are Decimal)."""
        found: dict[str, Any] = {"batch": item["pk"]}
        for each in fields(cls):
            if each.name not in item:
                continue
            value = item[each.name]
            if each.type is int or each.type == "int":
                value = int(value)
            found[each.name] = tuple(value) if each.name == "notes" else value
        return cls(**found)

    def to_item(self) -> dict[str, Any]:
        """Write a new row, with its keys and its place in the indexes."""
        values = {name: value for name, value in asdict(self).items() if name != "batch"}
        values["notes"] = list(self.notes)
        return values | {
            "pk": self.batch,
            "sk": resources.job_sk(self.job),
            "due_shard": resources.due_shard(self.job),
            "ttl": time_to_live(self.kept_until),
        }

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to this job by itself."""
        return self.state in FINAL

    @property
    def is_out(self) -> bool:
        """Whether a message of it waits on the broker that counts in its batch's window."""
        return self.lane == "bulk" and self.state == "queued" and not self.waiting


Order = Literal["", "retry", "cancel", "delete"]


@dataclass(frozen=True)
class Batch:
    """A batch's row: the recipe that its jobs share, and what was ordered for all of them.

    An order other than "" is carried out by the sweep; meanwhile no worker claims a job of a
    batch that is ordered cancelled or deleted.
    """

    batch: str
    steps: tuple[Mapping[str, Any], ...]
    format: str
    created: int
    kept_until: int
    jobs: int = 0
    order: Order = ""
    # When it was ordered, and the sort key up to which it has been carried out.
    ordered: int = 0
    order_after: str = ""
    due: int = 0

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Batch":
        """Read a row as boto3's resource client returns it."""
        return cls(
            batch=item["pk"],
            steps=tuple(json.loads(item["steps"])),
            format=item["format"],
            created=int(item["created"]),
            kept_until=int(item["kept_until"]),
            jobs=int(item["jobs"]),
            order=item["order"],
            ordered=int(item["ordered"]),
            order_after=item["order_after"],
            due=int(item["due"]),
        )

    def to_item(self) -> dict[str, Any]:
        """Write a new row. The steps are JSON text, since the table takes no floats."""
        return asdict(self) | {
            "pk": self.batch,
            "sk": resources.BATCH_SK,
            "steps": json.dumps([dict(step) for step in self.steps]),
            "due_shard": resources.due_shard(self.batch),
            "ttl": time_to_live(self.kept_until),
        }


@dataclass(frozen=True)
class Change:
    """One conditional change of a job's row.

    Attributes
    ----------
    values : mapping
        Attributes to set.
    when : mapping
        Attributes that must have these values, besides the state that was read.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    when: Mapping[str, Any] = field(default_factory=dict)


def changed_at(now: int, job: str) -> str:
    """Sort value of the index by change: ordered by time, unique in its batch."""
    return f"{now:013d}#{job}"


def time_to_live(kept_until: int) -> int:
    """Seconds at which DynamoDB may drop a row: a day after the row, so that 410 is answered."""
    return kept_until // 1000 + 86_400


def move(
    table: str,
    row: Job,
    to: State,
    now: int,
    due: int,
    change: Change = Change(),
    room: int | None = None,
) -> list[dict[str, Any]]:
    """Build the transaction that moves a job to another state and its batch's counts with it.

    Parameters
    ----------
    table : str
        Name of the table.
    row : Job
        The row as it was read; the transaction fails if its state or publish has changed since.
    to : State
        The state to reach.
    now : int
        Milliseconds since 1970.
    due : int
        When the sweep must look at the row next, in milliseconds since 1970.
    change : Change
        Further attributes to set and to require.
    room : int, optional
        Most messages that may wait beside each other in this job's share of the window; without
        it a message that comes back finds its place.

    Returns
    -------
    list of dict
        For `transact_write_items` of boto3's resource client.

    Raises
    ------
    ValueError
        If no such step exists in a job's life.
    """
    if to not in TRANSITIONS[row.state]:
        raise ValueError(f"job {row.job}: cannot go from {row.state} to {to}")
    values = {"state": to, "changed": changed_at(now, row.job), "due": due, **change.values}
    when = {"state": row.state, "publish": row.publish, **change.when}
    writes: list[dict[str, Any]] = [{"Update": update_of(table, row, values, when)}]
    by = {f"n_{row.state}": -1, f"n_{to}": 1} if to != row.state else {}
    moved = replace(row, state=to, waiting=change.values.get("waiting", row.waiting))
    if moved.is_out != row.is_out:
        by["out_now"] = moved.is_out - row.is_out
    if by:
        counted = count(table, row.batch, row.job, by)
        if by.get("out_now") == 1 and room is not None:
            counted["ConditionExpression"] = "attribute_not_exists(#out_now) OR #out_now < :room"
            counted["ExpressionAttributeValues"][":room"] = room
        writes.append({"Update": counted})
    return writes


def update_of(
    table: str, row: Job, values: Mapping[str, Any], when: Mapping[str, Any]
) -> dict[str, Any]:
    """Build a conditional update of one row; also good for `update_item`."""
    names = {f"#{name}": name for name in (*values, *when)}
    return {
        "TableName": table,
        "Key": {"pk": row.batch, "sk": resources.job_sk(row.job)},
        "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in values),
        "ConditionExpression": " AND ".join(f"#{name} = :when_{name}" for name in when),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}
        | {f":when_{name}": value for name, value in when.items()},
    }


def count(table: str, batch: str, job: str, by: Mapping[str, int]) -> dict[str, Any]:
    """Build an update that adds to a batch's counters."""
    return {
        "TableName": table,
        "Key": {"pk": batch, "sk": resources.counter_sk(job)},
        "UpdateExpression": "ADD " + ", ".join(f"#{name} :{name}" for name in by),
        "ExpressionAttributeNames": {f"#{name}": name for name in by},
        "ExpressionAttributeValues": {f":{name}": value for name, value in by.items()},
    }


def batch_not_marked(table: str, batch: str) -> dict[str, Any]:
    """Build the check that nobody asked to cancel or delete the whole batch."""
    return {
        "TableName": table,
        "Key": {"pk": batch, "sk": resources.BATCH_SK},
        "ConditionExpression": "attribute_exists(pk) AND #order IN (:none, :retry)",
        "ExpressionAttributeNames": {"#order": "order"},
        "ExpressionAttributeValues": {":none": "", ":retry": "retry"},
    }

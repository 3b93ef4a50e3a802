"""The writes to the table, as plain values for boto3's resource client.

The functions here do not call the table: `JobTable` sends these values, alone or in transactions.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from config.contract import resources
from config.contract.job import (
    TRANSITIONS,
    Batch,
    BatchCommand,
    Job,
    Message,
    State,
    time_to_live,
)

Write = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """One conditional change of a job's row.

    Attributes
    ----------
    values : mapping
        Attributes to set.
    when : mapping
        Attributes that must have these values, besides the state and publish that were read.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    when: Mapping[str, Any] = field(default_factory=dict)


def move(
    table: str,
    row: Job,
    to: State,
    now: int,
    due: int,
    change: Change = Change(),
    share: int | None = None,
) -> list[Write]:
    """Build the transaction that moves a job to another state, and the counts with it.

    The counts are those of its batch by state, and those of its visitor's messages in its lane.

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
    share : int, optional
        Most messages that the row of the visitor's lane may count; the transaction fails if a new
        one would exceed it. Without it there is no limit.

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
    values = {"state": to, "changed": row.changes_at(now), "due": due, **change.values}
    when = {"state": row.state, "publish": row.publish, **change.when}
    writes: list[Write] = [{"Update": update_of(table, row, values, when)}]
    if to != row.state:
        by = {f"n_{row.state}": -1, f"n_{to}": 1}
        writes.append({"Update": count(table, row.batch, row.job, by)})
    moved = replace(
        row,
        state=to,
        waiting=change.values.get("waiting", row.waiting),
        lane=change.values.get("lane", row.lane),
    )
    if moved.is_out != row.is_out:
        writes.append({"Update": count_out(table, moved, moved.is_out - row.is_out, share)})
    return writes


def written(row: Job, to: State, now: int, due: int, values: Mapping[str, Any]) -> Job:
    """Return a row as a write has left it, without reading it."""
    item = {**row.to_item(), **values, "state": to, "due": due}
    return Job.from_item(item | {"changed": row.changes_at(now)})


def update_of(
    table: str, row: Job | Message, values: Mapping[str, Any], when: Mapping[str, Any]
) -> Write:
    """Build a conditional update of a job's row; also good for `update_item`."""
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


def count(table: str, batch: str, job: str, by: Mapping[str, int]) -> Write:
    """Build an update that adds to the counter row of a job."""
    return {
        "TableName": table,
        "Key": {"pk": batch, "sk": resources.counter_sk(job)},
        "UpdateExpression": "ADD " + ", ".join(f"#{name} :{name}" for name in by),
        "ExpressionAttributeNames": {f"#{name}": name for name in by},
        "ExpressionAttributeValues": {f":{name}": value for name, value in by.items()},
    }


def count_out(table: str, row: Job, by: int, share: int | None = None) -> Write:
    """Build an update that adds to the messages which a job's visitor has in its lane.

    It fails if there is a `share` and the row counts as many already.
    """
    names = {"#out_now": "out_now", "#ttl": "ttl"}
    values = {":by": by, ":ttl": time_to_live(row.kept_until)}
    update = {
        "TableName": table,
        "Key": {
            "pk": resources.visitor_pk(row.visitor),
            "sk": resources.lane_sk(row.lane, row.job),
        },
        "UpdateExpression": "SET #ttl = :ttl ADD #out_now :by",
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    }
    if by > 0 and share is not None:
        update["ConditionExpression"] = "attribute_not_exists(#out_now) OR #out_now < :share"
        values[":share"] = share
    return update


def delete_job(table: str, row: Job) -> list[Write]:
    """Build the transaction that deletes a job as it was read, with its count in its lane."""
    delete = {
        "TableName": table,
        "Key": {"pk": row.batch, "sk": resources.job_sk(row.job)},
        "ConditionExpression": "#state = :state AND #publish = :publish AND #waiting = :waiting",
        "ExpressionAttributeNames": {f"#{name}": name for name in ("state", "publish", "waiting")},
        "ExpressionAttributeValues": {
            ":state": row.state,
            ":publish": row.publish,
            ":waiting": row.waiting,
        },
    }
    writes: list[Write] = [{"Delete": delete}]
    if row.is_out:
        writes.append({"Update": count_out(table, row, -1)})
    return writes


def counts(table: str, rows: Sequence[Job]) -> list[Write]:
    """Build the writes that count new jobs: one per counter row, which a transaction names once."""
    numbers = Counter(resources.counter_sk(row.job) for row in rows)
    jobs = {resources.counter_sk(row.job): row.job for row in rows}
    return [
        {"Update": count(table, rows[0].batch, jobs[sk], {"n_awaiting_upload": number})}
        for sk, number in numbers.items()
    ]


def put_new(table: str, item: Mapping[str, Any]) -> Write:
    """Build the write of a row that must not be there yet."""
    condition = "attribute_not_exists(pk)"
    return {"Put": {"TableName": table, "Item": item, "ConditionExpression": condition}}


def delete_of(table: str, pk: str, sk: str) -> Write:
    """Build the deletion of a row that must be there; also good for `delete_item`."""
    return {
        "TableName": table,
        "Key": {"pk": pk, "sk": sk},
        "ConditionExpression": "attribute_exists(pk)",
    }


def batch_is_open(table: str, batch: str) -> Write:
    """Build the check that a batch is there, and its command is neither cancel nor delete."""
    return {
        "TableName": table,
        "Key": {"pk": batch, "sk": resources.BATCH_SK},
        "ConditionExpression": "attribute_exists(pk) AND #command IN (:none, :retry)",
        "ExpressionAttributeNames": {"#command": "command"},
        "ExpressionAttributeValues": {":none": "", ":retry": "retry"},
    }


def reserve(table: str, batch: str, more: int, jobs_max: int) -> Write:
    """Build the write that counts `more` jobs into an open batch of `jobs_max` at most."""
    check = batch_is_open(table, batch)
    values = {":more": more, ":room": jobs_max - more}
    return {
        "Update": check
        | {
            "UpdateExpression": "SET jobs = jobs + :more",
            "ConditionExpression": f"{check['ConditionExpression']} AND jobs <= :room",
            "ExpressionAttributeValues": check["ExpressionAttributeValues"] | values,
        }
    }


def update_batch(
    table: str,
    batch: str,
    values: Mapping[str, Any],
    commands: Sequence[BatchCommand],
    commanded: int | None = None,
) -> Write:
    """Build an update of a batch's row, if it has one of `commands`, given at `commanded`."""
    options: dict[str, Any] = {f":command_{i}": command for i, command in enumerate(commands)}
    condition = f"attribute_exists(pk) AND #command IN ({', '.join(options)})"
    if commanded is not None:
        condition += " AND #commanded = :commanded_before"
        options[":commanded_before"] = commanded
    names = {*values, "command", *(["commanded"] if commanded is not None else [])}
    return {
        "TableName": table,
        "Key": {"pk": batch, "sk": resources.BATCH_SK},
        "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in values),
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {f"#{name}": name for name in names},
        "ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}
        | options,
    }


def put_request(table: str, batch: Batch, request: str, fingerprint: str) -> Write:
    """Build the write that remembers a request of a batch, which must be new."""
    item = {
        "pk": batch.batch,
        "sk": resources.REQUEST_PREFIX + request,
        "fingerprint": fingerprint,
        "ttl": time_to_live(batch.kept_until),
    }
    return put_new(table, item)


def next_ticket(table: str, lane: str) -> Write:
    """Build the update that draws a lane's next ticket, which its answer names as ``issued``."""
    return {
        "TableName": table,
        "Key": {"pk": resources.TICKETS_PK, "sk": lane},
        "UpdateExpression": "ADD issued :one",
        "ExpressionAttributeValues": {":one": 1},
        "ReturnValues": "UPDATED_NEW",
    }

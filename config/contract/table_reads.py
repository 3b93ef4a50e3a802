"""Reads of the table. None of them is a scan."""

from collections.abc import Mapping, Sequence
from typing import Any

from config.contract import lane_share, resources
from config.contract.job import STATES, Batch, Job
from config.contract.lane_share import Line
from config.contract.node import Node
from config.contract.table_access import Key, TableAccess
from config.contract.visitor import Use


class TableReads:
    """Reads of batches, jobs, counters and nodes.

    A read sees every write that was done before it. Only the indexes (`changes`, `due`) lag by a
    moment, and `nodes` may.
    """

    def __init__(self, access: TableAccess) -> None:
        self.access = access

    @property
    def name(self) -> str:
        """Name of the table."""
        return self.access.name

    def batch(self, batch: str) -> Batch | None:
        """Read a batch's row; None if there is none."""
        item = self.access.get(batch, resources.BATCH_SK)
        return Batch.from_item(item) if item else None

    def job(self, batch: str, job: str) -> Job | None:
        """Read a job's row; None if there is none."""
        item = self.access.get(batch, resources.job_sk(job))
        return Job.from_item(item) if item else None

    def batch_and_job(self, batch: str, job: str) -> tuple[Batch | None, Job | None]:
        """Read the rows of a batch and of a job in it, in one request."""
        own, its = (batch, resources.BATCH_SK), (batch, resources.job_sk(job))
        found = self.access.get_many([own, its])
        return (
            Batch.from_item(found[own]) if own in found else None,
            Job.from_item(found[its]) if its in found else None,
        )

    def jobs(self, keys: Sequence[Key]) -> list[Job]:
        """Read jobs by (batch, job id), in the order given; those that are gone are left out."""
        wanted = [(batch, resources.job_sk(job)) for batch, job in keys]
        found = self.access.get_many(wanted)
        return [Job.from_item(found[key]) for key in wanted if key in found]

    def items(self, keys: Sequence[Key]) -> dict[Key, Mapping[str, Any]]:
        """Read rows of any kind by (pk, sk)."""
        return self.access.get_many(keys)

    def summary(self, batch: str) -> tuple[Batch, dict[str, int]] | None:
        """Read a batch's row and its counts by state, in one request."""
        # "batch" and "count#…" are neighbours in the order of sort keys.
        items = self.access.query(
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":pk": batch,
                ":first": resources.BATCH_SK,
                ":last": resources.COUNTER_PREFIX + "~",
            },
            ConsistentRead=True,
        )["Items"]
        if not items or items[0]["sk"] != resources.BATCH_SK:
            return None
        counts: dict[str, int] = {
            state: sum(int(row.get(f"n_{state}", 0)) for row in items[1:]) for state in STATES
        }
        return Batch.from_item(items[0]), counts

    def changes(self, batch: str, since: str, limit: int) -> tuple[list[Job], bool]:
        """Read the jobs of a batch that changed after a position in the index, oldest change first.

        Returns
        -------
        tuple of (list of Job, bool)
            The jobs, and whether there are more.
        """
        answer = self.access.query(
            IndexName=resources.CHANGES_INDEX,
            KeyConditionExpression="pk = :pk AND changed > :since",
            # A string key must not be empty, and every position sorts after a zero.
            ExpressionAttributeValues={":pk": batch, ":since": since or "0"},
            Limit=limit,
        )
        return [Job.from_item(item) for item in answer["Items"]], "LastEvaluatedKey" in answer

    def rows_after(self, batch: str, sk: str, limit: int) -> list[Mapping[str, Any]]:
        """Read a batch's job and request rows in the order of their keys, after a sort key."""
        answer = self.access.query(
            KeyConditionExpression="pk = :pk AND sk > :sk",
            # Jobs and requests sort after everything else that a batch has.
            ExpressionAttributeValues={":pk": batch, ":sk": max(sk, resources.JOB_PREFIX)},
            Limit=limit,
            ConsistentRead=True,
        )
        rows: list[Mapping[str, Any]] = answer["Items"]
        return rows

    def due(self, shard: int, now: int, limit: int) -> list[Key]:
        """Read the keys of rows that the sweep must look at, longest due first."""
        answer = self.access.query(
            IndexName=resources.DUE_INDEX,
            # A due of 0 means never.
            KeyConditionExpression="due_shard = :shard AND due BETWEEN :first AND :now",
            ExpressionAttributeValues={":shard": f"due#{shard}", ":first": 1, ":now": now},
            Limit=limit,
        )
        return [(item["pk"], item["sk"]) for item in answer["Items"]]

    def nodes(self) -> list[Node]:
        """Read the rows of all worker nodes, also of those that stopped without deleting theirs."""
        answer = self.access.query(
            KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": resources.NODES_PK}
        )
        return [Node.from_item(item) for item in answer["Items"]]

    def published(self, row: Job) -> int:
        """Count the messages on the broker of the jobs that share this job's lane row."""
        sk = resources.lane_sk(row.lane, row.job)
        item = self.access.get(resources.visitor_pk(row.visitor), sk)
        return int(item.get("out_now", 0)) if item else 0

    def first_lines(self, row: Job) -> list[Line]:
        """Read the lines of jobs that wait longest, of those that share this job's lane row."""
        answer = self.access.query(**lane_share.first_lines(row))
        return [Line.from_item(item) for item in answer["Items"]]

    def use(self, visitors: Sequence[str], now: int) -> list[Use]:
        """Read what visitors used on the day of `now`, in the order given, in one request."""
        keys = [(resources.visitor_pk(each), resources.day_sk(now)) for each in visitors]
        found = self.access.get_many(keys)
        return [Use.from_item(found.get(key)) for key in keys]

    def fingerprint(self, batch: str, request: str) -> str | None:
        """Read the fingerprint of the body that came with a request; None if it is new."""
        item = self.access.get(batch, resources.REQUEST_PREFIX + request)
        return str(item["fingerprint"]) if item else None

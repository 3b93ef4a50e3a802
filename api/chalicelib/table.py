"""The table: every read and write of rows. Never a scan; every write of a row has a condition."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from config.contract import lane_share, resources
from config.contract.job import STATES, Batch, Job
from config.contract.lane_share import Line
from config.contract.node import Node

REQUEST_PREFIX = "request#"

# What a cancelled transaction names when another writer was there first.
LOST_CODES = {"None", "ConditionalCheckFailed", "TransactionConflict"}
LOST_ERRORS = {
    "ConditionalCheckFailedException",
    "TransactionConflictException",
    "TransactionInProgressException",
}

# What BatchGetItem takes at once.
KEYS_PER_READ = 100
# Before keys are asked for again that DynamoDB had no capacity for; it doubles each time.
PAUSE_SECONDS = 0.05
PAUSE_SECONDS_MAX = 1.0

Key = tuple[str, str]


class LostRaceError(Exception):
    """Another writer changed what this write was conditional on; read again."""


@dataclass(frozen=True)
class Table:
    """The table by its name, through `boto3.resource("dynamodb").meta.client`."""

    client: Any
    name: str

    def batch(self, batch: str) -> Batch | None:
        """Read a batch's row."""
        item = self._get(batch, resources.BATCH_SK)
        return Batch.from_item(item) if item else None

    def job(self, batch: str, job: str) -> Job | None:
        """Read a job's row."""
        item = self._get(batch, resources.job_sk(job))
        return Job.from_item(item) if item else None

    def batch_and_job(self, batch: str, job: str) -> tuple[Batch | None, Job | None]:
        """Read the rows of a batch and of a job in it, in one request."""
        own, its = (batch, resources.BATCH_SK), (batch, resources.job_sk(job))
        found = self.items([own, its])
        return (
            Batch.from_item(found[own]) if own in found else None,
            Job.from_item(found[its]) if its in found else None,
        )

    def jobs(self, keys: Sequence[Key]) -> list[Job]:
        """Read jobs by (batch, job id), in the order given; those that are gone are left out."""
        wanted = [(batch, resources.job_sk(job)) for batch, job in keys]
        found = self.items(wanted)
        return [Job.from_item(found[key]) for key in wanted if key in found]

    def items(self, keys: Sequence[Key]) -> dict[Key, Mapping[str, Any]]:
        """Read rows by (pk, sk), a hundred at a time."""
        found: dict[Key, Mapping[str, Any]] = {}
        left = [{"pk": pk, "sk": sk} for pk, sk in dict.fromkeys(keys)]
        pause = PAUSE_SECONDS
        while left:
            now, left = left[:KEYS_PER_READ], left[KEYS_PER_READ:]
            answer = self.client.batch_get_item(
                RequestItems={self.name: {"Keys": now, "ConsistentRead": True}}
            )
            for item in answer["Responses"].get(self.name, ()):
                found[item["pk"], item["sk"]] = item
            # DynamoDB hands back what it had no capacity for.
            refused = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
            if refused:
                time.sleep(pause)
                pause = min(2 * pause, PAUSE_SECONDS_MAX)
            left += refused
        return found

    def summary(self, batch: str) -> tuple[Batch, dict[str, int]] | None:
        """Read a batch's row and its counts by state, in one request."""
        # "batch" and "count#…" are neighbours in the order of sort keys.
        items = self._query(
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
        """Read the jobs of a batch that changed after a place in the index, oldest change first.

        Returns
        -------
        tuple of (list of Job, bool)
            The jobs, and whether there are more.
        """
        answer = self._query(
            IndexName=resources.CHANGES_INDEX,
            KeyConditionExpression="pk = :pk AND changed > :since",
            # A string key must not be empty, and every place sorts after a zero.
            ExpressionAttributeValues={":pk": batch, ":since": since or "0"},
            Limit=limit,
        )
        return [Job.from_item(item) for item in answer["Items"]], "LastEvaluatedKey" in answer

    def rows_after(self, batch: str, sk: str, limit: int) -> list[Mapping[str, Any]]:
        """Read a batch's job and request rows in the order of their keys, after a sort key."""
        answer = self._query(
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
        answer = self._query(
            IndexName=resources.DUE_INDEX,
            # 0 stands for never.
            KeyConditionExpression="due_shard = :shard AND due BETWEEN :first AND :now",
            ExpressionAttributeValues={":shard": f"due#{shard}", ":first": 1, ":now": now},
            Limit=limit,
        )
        return [(item["pk"], item["sk"]) for item in answer["Items"]]

    def nodes(self) -> list[Node]:
        """Read the signs of life of all worker nodes, those of nodes that are gone among them."""
        answer = self._query(
            KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": resources.NODES_PK}
        )
        return [Node.from_item(item) for item in answer["Items"]]

    def out(self, row: Job) -> int:
        """Count the messages that wait on the broker in a job's share of its batch's window."""
        item = self._get(row.batch, resources.counter_sk(row.job))
        return int(item.get("out_now", 0)) if item else 0

    def first_lines(self, row: Job) -> list[Line]:
        """Read which jobs were held first, of those counted with this one."""
        answer = self.client.query(**lane_share.first_lines(self.name, row))
        return [Line.from_item(item) for item in answer["Items"]]

    def draw_ticket(self, lane: str) -> int:
        """Count up the tickets of a lane; who draws later gets a higher one."""
        answer = self.client.update_item(**resources.next_ticket(self.name, lane))
        return int(answer["Attributes"]["issued"])

    def fingerprint(self, batch: str, request: str) -> str | None:
        """Read the fingerprint of the body that came with an idempotency key."""
        item = self._get(batch, REQUEST_PREFIX + request)
        return str(item["fingerprint"]) if item else None

    def transact(self, writes: Sequence[Mapping[str, Any]]) -> None:
        """Do all writes or none.

        Raises
        ------
        LostRaceError
            If a condition did not hold, or another transaction was at one of the rows.
        """
        try:
            self.client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            reasons = error.response.get("CancellationReasons")
            codes = {each.get("Code", "None") for each in reasons or ()}
            if (codes and codes <= LOST_CODES) or error.response["Error"]["Code"] in LOST_ERRORS:
                raise LostRaceError from error
            raise

    def update(self, update: Mapping[str, Any]) -> None:
        """Do one conditional update.

        Raises
        ------
        LostRaceError
            If its condition did not hold.
        """
        self._write(self.client.update_item, update)

    def delete(self, batch: str, sk: str) -> None:
        """Delete a row that is there.

        Raises
        ------
        LostRaceError
            If it is not.
        """
        self._write(
            self.client.delete_item,
            {
                "TableName": self.name,
                "Key": {"pk": batch, "sk": sk},
                "ConditionExpression": "attribute_exists(pk)",
            },
        )

    def put_new(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Build the write of a row that must not be there yet."""
        return {
            "Put": {
                "TableName": self.name,
                "Item": item,
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        }

    def _write(self, call: Any, arguments: Mapping[str, Any]) -> None:
        try:
            call(**arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] in LOST_ERRORS:
                raise LostRaceError from error
            raise

    def _get(self, pk: str, sk: str) -> Mapping[str, Any] | None:
        answer = self.client.get_item(
            TableName=self.name, Key={"pk": pk, "sk": sk}, ConsistentRead=True
        )
        item: Mapping[str, Any] | None = answer.get("Item")
        return item

    def _query(self, **arguments: Any) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self.client.query(TableName=self.name, **arguments)
        return answer

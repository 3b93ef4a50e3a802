"""A worker's writes to the table: claim a job, tell its progress, settle it.

Every write is conditional on the attempt that this worker holds, the fence: when another has taken
the job over, or it was cancelled, the write fails, and the method says so by False or None.
"""

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from cluster_worker.errors import Broken
from cluster_worker.node.storage import answering, client, unanswered
from config.contract import lane_share, resources
from config.contract.job import (
    UNFINISHED,
    Batch,
    Change,
    Job,
    Message,
    State,
    batch_not_marked,
    changed_at,
    move,
    update_of,
)
from config.contract.lane_share import Line
from config.contract.node import Node
from config.contract.settings import WorkerSettings

# Two transactions that meet on one row, mostly a counter's: the later one is told to come again.
CONFLICTS_MAX = 12
CONFLICT_SECONDS = 0.02
CONFLICT_SECONDS_MAX = 1.0
CONFLICTS = ("TransactionConflict", "TransactionConflictException", "ThrottlingError")
CONDITION = ("ConditionalCheckFailed", "ConditionalCheckFailedException")


class Lost(Exception):
    """A condition failed: the row is not as it was read."""


class Rows:
    """The table, as a worker uses it; safe to use from many threads.

    Parameters
    ----------
    settings : WorkerSettings
        Name of the table, region, endpoint, and the lapse of the heartbeat.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self.table = settings.table
        self.lapse = settings.heartbeat_lapse_seconds * 1000
        self.share = lane_share.share(settings.lane_share_jobs)
        resource = client("dynamodb", settings.dynamodb_endpoint, settings.aws_region)
        # The resource's client takes and gives Python values, and is safe in threads.
        self.client = resource.meta.client
        # The highest ticket that was claimed here, for each lane: how far its line has come.
        self.served = dict.fromkeys(resources.LANES, 0)

    def get_job(self, batch: str, job: str) -> Job | None:
        """Read a job's row; None if there is none."""
        item = self.get(batch, resources.job_sk(job))
        return Job.from_item(item) if item else None

    def get_batch(self, batch: str) -> Batch | None:
        """Read a batch's row; None if there is none."""
        item = self.get(batch, resources.BATCH_SK)
        return Batch.from_item(item) if item else None

    def get_both(self, batch: str, job: str) -> tuple[Job | None, Batch | None]:
        """Read the rows of a job and of its batch, in one request."""
        keys = [{"pk": batch, "sk": sk} for sk in (resources.job_sk(job), resources.BATCH_SK)]
        asked = {self.table: {"Keys": keys, "ConsistentRead": True}}
        with answering("the table"):
            answer = self.client.batch_get_item(RequestItems=asked)
        if answer.get("UnprocessedKeys"):
            # There was no capacity for both; each by itself is asked for with patience.
            return self.get_job(batch, job), self.get_batch(batch)
        found = {item["sk"]: item for item in answer["Responses"].get(self.table, ())}
        its, whole = (found.get(key["sk"]) for key in keys)
        return Job.from_item(its) if its else None, Batch.from_item(whole) if whole else None

    def get(self, pk: str, sk: str) -> Mapping[str, Any] | None:
        """Read one row, as it stands now."""
        with answering("the table"):
            answer = self.client.get_item(
                TableName=self.table, Key={"pk": pk, "sk": sk}, ConsistentRead=True
            )
        found: Mapping[str, Any] | None = answer.get("Item")
        return found

    def claim(self, row: Job, worker: str, now: int) -> Job | None:
        """Take a job over, whoever held it before, under the next attempt.

        Parameters
        ----------
        row : Job
            As read just now, queued or running.
        worker : str
            Name of this node, for whoever looks at the row.
        now : int
            Milliseconds since 1970.

        Returns
        -------
        Job or None
            The row as claimed; None if it changed since it was read, or if its batch is to be
            cancelled or deleted.
        """
        values: dict[str, Any] = {
            "attempt": row.attempt + 1,
            "worker": worker,
            "started": now,
            "finished": 0,
            "tiles_done": 0,
            "tiles_total": 0,
            "left_ms": 0,
            "reason": "",
            "cause": "",
        }
        change = Change(values, when={"attempt": row.attempt})
        writes = move(self.table, row, "running", now, now + self.lapse, change)
        writes.append({"ConditionCheck": batch_not_marked(self.table, row.batch)})
        try:
            self.transact(writes)
        except Lost:
            return None
        self.served[row.lane] = max(row.ticket, self.served[row.lane])
        return self.written(row, "running", now, now + self.lapse, values)

    def release(self, row: Job, now: int) -> Iterator[Message]:
        """Let jobs go that were held first in a job's batch, as far as the window has room.

        Parameters
        ----------
        row : Job
            Whose message was taken, which made room in the share that it is counted in.
        now : int
            Milliseconds since 1970.

        Yields
        ------
        Message
            To be published, and told of by `published`; until then the sweep sees to it.
        """
        with answering("the table"):
            found = self.client.query(**lane_share.first_lines(self.table, row))["Items"]
        for line in map(Line.from_item, found):
            waiting = self.get_job(row.batch, line.job)
            if waiting is None or waiting.state != "queued" or not waiting.waiting:
                # It was cancelled, or has ended by another way; its line leads nowhere.
                self.drop_line(row.batch, line)
                continue
            if self.out(row) >= self.share:
                return
            due, ticket = now + self.lapse, self.draw_ticket(row.lane)
            writes = lane_share.release(self.table, waiting, line, now, due, ticket, self.share)
            try:
                self.transact(writes)
            except Lost:
                # Another node was first, or the batch is to end.
                return
            yield Message(waiting.batch, waiting.job, waiting.publish + 1)

    def drop_line(self, batch: str, line: Line) -> None:
        """Take a line away that leads nowhere; another node may have done so."""
        gone = lane_share.drop(self.table, batch, line)
        with contextlib.suppress(Lost):
            self.patiently(lambda: self.client.delete_item(**gone))

    def out(self, row: Job) -> int:
        """Count the messages that wait on the broker in a job's share of its batch's window."""
        counter = self.get(row.batch, resources.counter_sk(row.job))
        return int(counter.get("out_now", 0)) if counter else 0

    def draw_ticket(self, lane: str) -> int:
        """Draw the next ticket of a lane."""
        with answering("the table"):
            answer = self.client.update_item(**resources.next_ticket(self.table, lane))
        return int(answer["Attributes"]["issued"])

    def published(self, message: Message, now: int) -> None:
        """Write that the broker has a message; another's word on the job is left."""
        row = self.get_job(message.batch, message.job)
        if row is None:
            return
        change = update_of(self.table, row, {"published_at": now}, {"publish": message.publish})
        with contextlib.suppress(Lost):
            self.patiently(lambda: self.client.update_item(**change))

    def progress(self, row: Job, done: int, total: int, left: int, now: int) -> bool:
        """Write how many tiles are done and what is left, which is the heartbeat too.

        Parameters
        ----------
        row : Job
            As it was claimed.
        done, total : int
            Tiles.
        left, now : int
            Milliseconds that the rest is estimated to take, and since 1970.

        Returns
        -------
        bool
            False if the job was cancelled or is another attempt's: stop working on it.
        """
        values = {
            "tiles_done": done,
            "tiles_total": total,
            "left_ms": left,
            "changed": changed_at(now, row.job),
            "due": now + self.lapse,
        }
        return self.update(row, values) is not None

    def succeed(self, row: Job, now: int, **values: Any) -> bool:
        """Write the result's place and size, and that the job is done.

        Parameters
        ----------
        row : Job
            As claimed.
        now : int
            Milliseconds since 1970.
        **values
            Fields of `Job`: result_key, result_name, result_type, result_bytes, rows, columns,
            dtype, result_dtype, notes, tiles_done, tiles_total, views_until.

        Returns
        -------
        bool
            False if the job is not this attempt's any more; the result is then nobody's.
        """
        return self.settle(row, "succeeded", now, row.kept_until, {"finished": now, **values})

    def show(self, row: Job, now: int, **views: str) -> bool:
        """Write which pictures of a job that succeeded are there, and that no more will come.

        Parameters
        ----------
        row : Job
            As claimed.
        now : int
            Milliseconds since 1970.
        **views
            Fields of `Job`: original_view, result_view.

        Returns
        -------
        bool
            False if the job is gone; the pictures are then nobody's.
        """
        values = {**views, "views_until": 0, "changed": changed_at(now, row.job)}
        return self.update(row, values, "succeeded") is not None

    def fail(self, row: Job, reason: str, cause: Literal["rejected", "broken"], now: int) -> bool:
        """Write that the job failed, with the reason in one sentence; False if it is not ours."""
        values = {"finished": now, "reason": reason, "cause": cause}
        return self.settle(row, "failed", now, row.kept_until, values)

    def cancel(self, row: Job, now: int) -> bool:
        """Write that an unfinished job is cancelled; False if it is not as it was read."""
        if row.state not in UNFINISHED:
            return False
        return self.settle(row, "cancelled", now, row.kept_until, {"finished": now})

    def hand_back(self, row: Job, now: int) -> bool:
        """Put a running job back into the queue without penalty; its message is still there."""
        values = {"tiles_done": 0, "tiles_total": 0, "left_ms": 0}
        return self.settle(row, "queued", now, now + self.lapse, values)

    def add_fault(self, row: Job, now: int) -> Job | None:
        """Count that a rank died on this job alone; None if the job is not ours."""
        item = self.update(row, {"faults": row.faults + 1, "due": now + self.lapse})
        return Job.from_item(item) if item else None

    def settle(self, row: Job, to: State, now: int, due: int, values: Mapping[str, Any]) -> bool:
        """Move a job to another state, as long as the attempt is the same."""
        change = Change(values, when={"attempt": row.attempt})
        try:
            self.transact(move(self.table, row, to, now, due, change))
        except Lost:
            # The sweep may have published the job again; until another claims it, it is ours.
            found = self.get_job(row.batch, row.job)
            if (
                found is None
                or (found.state, found.attempt) != (row.state, row.attempt)
                or found.publish == row.publish
            ):
                return False
            return self.settle(found, to, now, due, values)
        return True

    def written(self, row: Job, state: State, now: int, due: int, values: Mapping[str, Any]) -> Job:
        """Give a row as a write has left it, without reading it."""
        item = {**row.to_item(), **values, "state": state, "due": due}
        return Job.from_item(item | {"changed": changed_at(now, row.job)})

    def put_node(self, node: Node) -> None:
        """Write a node's sign of life."""
        with answering("the table"):
            self.client.put_item(TableName=self.table, Item=node.to_item())

    def delete_node(self, worker: str) -> None:
        """Take a node's sign of life away."""
        key = {"pk": resources.NODES_PK, "sk": worker}
        with answering("the table"):
            self.client.delete_item(TableName=self.table, Key=key)

    def update(
        self, row: Job, values: Mapping[str, Any], state: State = "running"
    ) -> Mapping[str, Any] | None:
        """Change a row of this attempt; the new row, or None if it is not ours or so any more."""
        change = update_of(self.table, row, values, {"state": state, "attempt": row.attempt})

        def write() -> Any:
            return self.client.update_item(**change, ReturnValues="ALL_NEW")["Attributes"]

        try:
            item: Mapping[str, Any] = self.patiently(write)
        except Lost:
            return None
        return item

    def transact(self, writes: list[dict[str, Any]]) -> None:
        """Write all or nothing.

        Raises
        ------
        Lost
            If a condition failed.
        Broken
            If the table does not answer.
        """
        self.patiently(lambda: self.client.transact_write_items(TransactItems=writes))

    def patiently(self, write: Callable[[], Any]) -> Any:
        """Write again when another's write was under way on the same row."""
        for tried in range(CONFLICTS_MAX):
            try:
                return write()
            except ClientError as error:
                codes = codes_of(error)
                if any(code in CONDITION for code in codes):
                    raise Lost from error
                if not any(code in CONFLICTS for code in codes):
                    raise unanswered("the table", error) from error
            except BotoCoreError as error:
                raise unanswered("the table", error) from error
            seconds = min(CONFLICT_SECONDS * 2**tried, CONFLICT_SECONDS_MAX)
            time.sleep(seconds * random.uniform(0.5, 1))  # noqa: S311 - no secret
        raise Broken("the table: other writers were always first")


def codes_of(error: ClientError) -> list[str]:
    """List why a write failed; a transaction gives a reason for each of its parts."""
    reasons = error.response.get("CancellationReasons", [])
    return [error.response["Error"]["Code"], *(each.get("Code", "None") for each in reasons)]

"""The client of the table, for API and worker: the conditional writes to jobs.

A write that depends on a row is conditional on the row as it was read. If the row was changed
meanwhile, the caller loses the race: it reads the row again and decides anew, as often as
`table_access.turns` allows.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

from config.contract import lane_share, resources
from config.contract.job import AFRESH, UNFINISHED, Job, Message, State
from config.contract.lane_share import Line
from config.contract.table_access import HASTY, Lost, Patience, TableAccess, turns, unchanged
from config.contract.table_hosts import TableHosts
from config.contract.writes import Change, batch_is_open, move, next_ticket, update_of, written

# The `due` of a row that the sweep need not look at any more.
NEVER = 0

Clock = Callable[[], int]
Cause = Literal["rejected", "broken"]


class MovedOn(Lost):
    """The job is in a state that this step does not begin in; `row` is the row as read last."""

    def __init__(self, row: Job) -> None:
        super().__init__(f"job {row.job}: is {row.state}")
        self.row = row


class JobTable(TableHosts):
    """The table: its reads, its writes to batches, nodes, hosts and visitors; here those to jobs.

    Safe to use from many threads.

    Parameters
    ----------
    client : object
        `boto3.resource("dynamodb").meta.client`, which takes and returns Python values.
    name : str
        Name of the table.
    lapse_seconds : int
        A running job without a heartbeat for this long is due for the sweep.
    lane_share_jobs : int
        Most messages of one visitor that may be in a lane of the broker.
    patience : Patience
        How often a write is repeated that meets another transaction.
    translate : callable
        Turns an error of the client, or `Busy`, into the exception to raise instead.
    on_no_ticket : callable
        Called with the lane and the error when no ticket could be drawn.
    """

    def __init__(
        self,
        client: Any,
        name: str,
        *,
        lapse_seconds: int = 60,
        lane_share_jobs: int = 100,
        patience: Patience = HASTY,
        translate: Callable[[Exception], Exception] = unchanged,
        on_no_ticket: Callable[[str, Exception], None] = lambda _lane, _error: None,
    ) -> None:
        super().__init__(TableAccess(client, name, patience, translate))
        self.lapse_ms = 1000 * lapse_seconds
        self.share = lane_share.share(lane_share_jobs)
        self.on_no_ticket = on_no_ticket
        # The highest ticket that was claimed through this client, for each lane.
        self.served = dict.fromkeys(resources.LANES, 0)

    def move(
        self,
        row: Job,
        to: State,
        due: int,
        clock: Clock,
        begins_in: Collection[State],
        values: Callable[[Job], Mapping[str, Any]] = lambda _: {},
        again: Callable[[Job], Job] | None = None,
        in_open_batch: bool = True,
    ) -> Job:
        """Move a job to another state; if its row changed meanwhile, read it and try again.

        Parameters
        ----------
        row : Job
            The row as it was read.
        to : State
            The state to reach.
        due : int
            When the sweep must look at the row next, in milliseconds since 1970.
        clock : callable
            Returns milliseconds since 1970.
        begins_in : collection of State
            States that the job may come from.
        values : callable
            Returns, for the row as last read, what else to set.
        again : callable, optional
            Reads the row again after a lost race; raises if the move is no longer wanted.
        in_open_batch : bool
            Whether the batch must not have the command cancel or delete.

        Returns
        -------
        Job
            The row as written.

        Raises
        ------
        MovedOn
            If the job is in another state by now.
        Busy
            If others kept changing the row.
        """
        for turn in turns():
            if turn:
                row = (again or self.read_again)(row)
            if row.state not in begins_in:
                raise MovedOn(row)
            now, changes = clock(), values(row)
            writes = move(self.name, row, to, now, due, Change(changes), self.share)
            if changes.get("waiting"):
                writes += lane_share.wait(self.name, row, now, self.share)
            if in_open_batch:
                writes.append({"ConditionCheck": batch_is_open(self.name, row.batch)})
            with suppress(Lost):
                self.access.transact(writes)
                return written(row, to, now, due, changes)
        raise self.access.busy()

    def read_again(self, row: Job) -> Job:
        """Read a job's row again; raises `Lost` if it was deleted."""
        found = self.job(row.batch, row.job)
        if found is None:
            raise Lost(f"job {row.job}: was deleted")
        return found

    def queue(
        self,
        row: Job,
        values: Mapping[str, Any],
        due: int,
        clock: Clock,
        again: Callable[[Job], Job] | None = None,
    ) -> Job:
        """Move a job to `queued` under its next publish number; raises as `move`.

        The job waits if its visitor's lane share has no room for another message.
        """
        ticket = self.draw_ticket(row.lane)
        tried = False

        def changes(found: Job) -> Mapping[str, Any]:
            nonlocal tried
            # Most shares have room. If this one has none, the first try fails by its condition.
            waiting = tried and self.published(found) >= self.share
            tried = True
            numbers = {
                "publish": found.publish + 1,
                "ticket": 0 if waiting else ticket,
                "waiting": waiting,
            }
            return {**AFRESH, **values, **numbers}

        begins_in: tuple[State, ...] = ("awaiting_upload", "joining", "failed", "cancelled")
        return self.move(row, "queued", due, clock, begins_in, changes, again)

    def queue_again(self, row: Job, values: Mapping[str, Any], now: int, due: int) -> Job:
        """Move a queued or running job, as it was read, to `queued` under its next publish number.

        Raises
        ------
        Lost
            If the row changed since, be it by a heartbeat only, which moves `due`.
        """
        changes = {
            **values,
            "publish": row.publish + 1,
            "published_at": 0,
            "ticket": self.draw_ticket(row.lane),
        }
        change = Change(changes, {"attempt": row.attempt, "due": row.due})
        self.access.transact(move(self.name, row, "queued", now, due, change))
        return written(row, "queued", now, due, changes)

    def release(self, row: Job, clock: Clock, look_ms: int) -> Iterator[Job]:
        """Release the jobs of a visitor that wait longest, as far as its lane share has room.

        Parameters
        ----------
        row : Job
            Any job of the visitor; the jobs that share its lane row are released.
        clock : callable
            Returns milliseconds since 1970.
        look_ms : int
            Milliseconds until the sweep looks at a released job.

        Yields
        ------
        Job
            The caller publishes it, then calls `mark_published`. The sweep publishes later what
            the caller did not.
        """
        for _ in range(lane_share.READS_MAX):
            is_any_useful = False
            lines = list(self.first_lines(row))
            for line in lines:
                waiting = self.job(line.batch, line.job)
                if waiting is None or waiting.state != "queued" or not waiting.waiting:
                    # The job was cancelled or ended in another way: its line is of no use.
                    self.delete_row(line.pk, line.sk)
                    continue
                is_any_useful = True
                if self.published(waiting) >= self.share:
                    return
                try:
                    released = self._release(waiting, line, clock(), look_ms)
                except Lost:
                    # Somebody else released this job, or its batch is to be cancelled or deleted.
                    continue
                yield released
            if is_any_useful or not lines:
                return

    def _release(self, row: Job, line: Line, now: int, look_ms: int) -> Job:
        due, ticket = now + look_ms, self.draw_ticket(row.lane)
        self.access.transact(lane_share.release(self.name, row, line, now, due, ticket, self.share))
        values = {"publish": row.publish + 1, "published_at": 0, "ticket": ticket, "waiting": False}
        return written(row, "queued", now, due, values)

    def draw_ticket(self, lane: str) -> int:
        """Draw the next ticket of a lane; 0 if that fails, since a job can do without."""
        try:
            return int(self.access.update(next_ticket(self.name, lane))["issued"])
        except Exception as error:  # noqa: BLE001 - errors of a client that is not imported here
            self.on_no_ticket(lane, error)
            return 0

    def mark_published(self, message: Message, now: int) -> bool:
        """Write that the broker has a message; False if the job was published again since."""
        return self._changed(message, {"published_at": now}, {"publish": message.publish})

    def renew_wait(self, row: Job, now: int) -> bool:
        """Begin the wait for an upload anew; False if the row changed since it was read."""
        when = {"state": row.state, "changed": row.changed}
        return self._changed(row, {"changed": row.changes_at(now)}, when)

    def begin_upload(self, row: Job, upload: str, now: int) -> bool:
        """Note S3's id of an upload in parts; False if the row has one, or another state."""
        values = {"upload": upload, "changed": row.changes_at(now)}
        return self._changed(row, values, {"state": row.state, "upload": ""})

    def postpone(self, row: Job, due: int) -> bool:
        """Have the sweep look at a row later; False if the row changed since it was read."""
        when = {"state": row.state, "publish": row.publish, "due": row.due}
        return self._changed(row, {"due": due}, when)

    def _changed(
        self, row: Job | Message, values: Mapping[str, Any], when: Mapping[str, Any]
    ) -> bool:
        """Set `values` if the row has the values of `when`; return whether it had them."""
        try:
            self.access.update(update_of(self.name, row, values, when))
        except Lost:
            return False
        return True

    def cancel(self, row: Job, clock: Clock, again: Callable[[Job], Job] | None = None) -> Job:
        """Move an unfinished job to `cancelled`, whatever its attempt; raises as `move`."""
        now = clock()
        return self.move(
            row,
            "cancelled",
            row.kept_until,
            clock,
            UNFINISHED,
            lambda _: {"finished": now},
            again,
            in_open_batch=False,
        )

    def give_up(self, row: Job, reason: str, cause: Cause, now: int) -> bool:
        """Write that a job failed, exactly as it was read; False if it changed since."""
        values = {"finished": now, "reason": reason, "cause": cause}
        change = Change(values, {"attempt": row.attempt})
        try:
            self.access.transact(move(self.name, row, "failed", now, row.kept_until, change))
        except Lost:
            return False
        return True

    def expire(self, row: Job, now: int) -> None:
        """Close a job's row for good, whose objects are deleted.

        Raises
        ------
        Lost
            If the row changed since it was read; a form that was renewed keeps its job.
        """
        gone = dict.fromkeys(("result_key", "results", "original_view", "result_view", "etag"), "")
        change = Change({**gone, "views_until": 0}, {"changed": row.changed})
        self.access.transact(move(self.name, row, "expired", now, NEVER, change))

    def claim(self, row: Job, worker: str, now: int) -> Job | None:
        """Take a job over under its next attempt, whichever worker had it before.

        The attempt is a fence: the methods below write only while the row still has the attempt of
        the row that they are given.

        Parameters
        ----------
        row : Job
            As read just now, queued or running.
        worker : str
            Name of the node, for people who look at the row.
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
        change = Change(values, {"attempt": row.attempt})
        writes = move(self.name, row, "running", now, now + self.lapse_ms, change)
        writes.append({"ConditionCheck": batch_is_open(self.name, row.batch)})
        try:
            self.access.transact(writes)
        except Lost:
            return None
        self.served[row.lane] = max(row.ticket, self.served[row.lane])
        return written(row, "running", now, now + self.lapse_ms, values)

    def progress(self, row: Job, done: int, total: int, left: int, now: int) -> bool:
        """Write how many tiles are done and how much time is left, which is the heartbeat too.

        Parameters
        ----------
        row : Job
            As it was claimed.
        done, total : int
            Tiles.
        left, now : int
            Milliseconds that the rest is estimated to take, and milliseconds since 1970.

        Returns
        -------
        bool
            False if the job was cancelled or has another attempt: stop working on it.
        """
        values = {
            "tiles_done": done,
            "tiles_total": total,
            "left_ms": left,
            "changed": row.changes_at(now),
            "due": now + self.lapse_ms,
        }
        return self._update_attempt(row, values) is not None

    def succeed(self, row: Job, now: int, **values: Any) -> bool:
        """Write that a job is done, with what its result is.

        Parameters
        ----------
        row : Job
            As claimed.
        now : int
            Milliseconds since 1970.
        **values
            Fields of `Job`: result_key, result_name, result_type, result_bytes, results, rows,
            columns, dtype, result_dtype, notes, versions, hosts, tiles_done, tiles_total,
            views_until.

        Returns
        -------
        bool
            False if the job has another attempt or state by now; no row names the result then.
        """
        return self._end_attempt(row, "succeeded", now, row.kept_until, {"finished": now, **values})

    def add_views(self, row: Job, now: int, **views: str) -> bool:
        """Write which pictures for the page a succeeded job has, and that no more will come.

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
            False if the job is gone or has another attempt; no row names the pictures then.
        """
        values = {**views, "views_until": 0, "changed": row.changes_at(now)}
        return self._update_attempt(row, values, "succeeded") is not None

    def fail(self, row: Job, reason: str, cause: Cause, now: int) -> bool:
        """Write that an attempt failed, with the reason in one sentence; False as `succeed`."""
        values = {"finished": now, "reason": reason, "cause": cause}
        return self._end_attempt(row, "failed", now, row.kept_until, values)

    def hand_back(self, row: Job, now: int) -> bool:
        """Move a running job to `queued` without penalty; its message is still on the broker."""
        values = {"tiles_done": 0, "tiles_total": 0, "left_ms": 0}
        return self._end_attempt(row, "queued", now, now + self.lapse_ms, values)

    def move_to_bulk(self, row: Job, now: int) -> Job | None:
        """Move a claimed job to `queued` in the bulk lane, under its next publish number.

        Returns
        -------
        Job or None
            The caller publishes it unless it waits for its visitor's lane share; None if the job
            has another attempt or state by now.
        """
        due = now + self.lapse_ms
        for found in self._tries(row):
            moved = replace(found, lane="bulk")
            waiting = self.published(moved) >= self.share
            values = {
                "lane": "bulk",
                "publish": found.publish + 1,
                "published_at": 0,
                "ticket": 0 if waiting else self.draw_ticket("bulk"),
                "waiting": waiting,
            }
            change = Change(values, {"attempt": found.attempt})
            writes = move(self.name, found, "queued", now, due, change)
            if waiting:
                writes += lane_share.wait(self.name, moved, now, self.share)
            with suppress(Lost):
                self.access.transact(writes)
                return written(found, "queued", now, due, values)
        return None

    def add_fault(self, row: Job, now: int) -> Job | None:
        """Count that a rank died on this job alone; None if the job has another attempt."""
        item = self._update_attempt(row, {"faults": row.faults + 1, "due": now + self.lapse_ms})
        return Job.from_item(item) if item else None

    def _end_attempt(
        self, row: Job, to: State, now: int, due: int, values: Mapping[str, Any]
    ) -> bool:
        """Move a claimed job to another state; False if it has another attempt or state by now."""
        for found in self._tries(row):
            change = Change(values, {"attempt": found.attempt})
            with suppress(Lost):
                self.access.transact(move(self.name, found, to, now, due, change))
                return True
        return False

    def _tries(self, row: Job) -> Iterator[Job]:
        """Yield a claimed job's row, for a write; after a lost race, as it was read again.

        Ends if the job has another attempt or state by now. The sweep may have published the job
        again: until another worker claims it, the worker of this attempt may write.
        """
        for turn in turns():
            if turn:
                found = self.job(row.batch, row.job)
                if found is None or (found.state, found.attempt) != (row.state, row.attempt):
                    return
                row = found
            yield row
        raise self.access.busy()

    def _update_attempt(
        self, row: Job, values: Mapping[str, Any], state: State = "running"
    ) -> Mapping[str, Any] | None:
        """Set attributes of a claimed job; return the new row, or None if the claim is lost."""
        update = update_of(self.name, row, values, {"state": state, "attempt": row.attempt})
        try:
            return self.access.update(update | {"ReturnValues": "ALL_NEW"})
        except Lost:
            return None

"""Commands for a whole batch: retry, cancel or delete all its jobs.

A command is written into the batch's row and carried out row by row. The row also keeps the sort
key that was reached, so that the work can stop and go on at any time. The request that gives the
command works on it for a second; the sweep does the rest.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from chalicelib import log, lookup, objects, problems, quotas, transitions
from chalicelib.problems import Problem
from chalicelib.services import Services
from config.contract import resources
from config.contract.job import UNFINISHED, Batch, BatchCommand, Job
from config.contract.table_access import Lost

FIRST_SLICE_SECONDS = 1.0
ROWS_PER_READ = 50

# Which commands a new one may replace: cancel replaces retry, and delete replaces both.
REPLACES: Mapping[BatchCommand, tuple[BatchCommand, ...]] = {
    "retry": ("", "retry"),
    "cancel": ("", "retry", "cancel"),
    "delete": ("", "retry", "cancel"),
}


def give(services: Services, batch_id: str, command: BatchCommand) -> dict[str, Any]:
    """Write a command into a batch's row and begin to carry it out.

    Returns
    -------
    dict
        The batch's id, and as ``order`` the command that is still being carried out, or "".

    Raises
    ------
    Problem
        404 or 410 if the batch is not there, 409 if it is being cancelled, 503 if others kept
        changing it.
    """
    found = services.table.summary(batch_id)
    if found is None:
        raise problems.not_found("batch")
    batch, by_state = found
    if batch.command == "delete" and command == "delete":
        return {"batch": batch_id, "order": command}
    lookup.check_live(services, batch)
    now = services.clock()
    values = {"command": command, "commanded": now, "command_after": "", "due": now}
    try:
        services.table.update_batch(batch_id, values, REPLACES[command])
    except Lost:
        lookup.open_batch(services, batch_id)
        raise Problem(503, "others kept changing this batch; try again") from None
    log.event("commanded", batch_id, command=command)
    if command != "retry" and by_state.get("running"):
        quotas.add_stop(services, batch.visitor)
    carry_out(services, batch_id, time.monotonic() + FIRST_SLICE_SECONDS)
    left = services.table.batch(batch_id)
    return {"batch": batch_id, "order": left.command if left else command}


def carry_out(services: Services, batch_id: str, until: float) -> None:
    """Carry out a batch's command until a time on the monotonic clock."""
    batch = services.table.batch(batch_id)
    if batch is None or not batch.command:
        return
    try:
        while time.monotonic() < until:
            rows = services.table.rows_after(batch_id, batch.command_after, ROWS_PER_READ)
            if not rows:
                finish(services, batch, until)
                return
            batch = apply_to_rows(services, batch, rows, until)
    except (Lost, Problem) as error:
        # Another command came, or others kept changing a row. The next sweep goes on from the
        # sort key in the batch's row.
        log.event("command_interrupted", batch_id, command=batch.command, reason=repr(error))


def apply_to_rows(
    services: Services, batch: Batch, rows: Sequence[Mapping[str, Any]], until: float
) -> Batch:
    """Apply the command to rows until `until`, and write down the sort key that was reached."""
    reached = batch.command_after
    try:
        for row in rows:
            apply(services, batch, row)
            reached = str(row["sk"])
            if time.monotonic() > until:
                break
    finally:
        update(services, batch, command_after=reached)
    return replace(batch, command_after=reached)


def apply(services: Services, batch: Batch, item: Mapping[str, Any]) -> None:
    """Apply a command to one row of the batch."""
    if batch.command == "delete":
        delete_row(services, batch.batch, item)
    elif str(item["sk"]).startswith(resources.JOB_PREFIX):
        row = Job.from_item(item)
        try:
            if batch.command == "cancel" and row.state in UNFINISHED:
                transitions.stop(services, row)
            # A job without a file can only be retried by its visitor, who must send the file.
            if batch.command == "retry" and row.state == "failed" and row.etag:
                transitions.check_retry(services, row)
                transitions.begin_again(services, row)
        except Problem as problem:
            # The job was moved or deleted by somebody else: nothing is left to do for this row.
            # A job that was refused, or retried too often, stays failed.
            if problem.status not in (409, 410):
                raise


def delete_row(services: Services, batch: str, item: Mapping[str, Any]) -> None:
    """Delete a row; a worker that has claimed it fails at its next write and stops."""
    sk = str(item["sk"])
    if sk.startswith(resources.JOB_PREFIX):
        row = Job.from_item(item)
        deleted = services.table.delete_job(row)
        if row.is_out:
            transitions.release_waiting(services, row)
    else:
        deleted = services.table.delete_row(batch, sk)
    if not deleted:
        log.event("deleted_already", batch)


def finish(services: Services, batch: Batch, until: float) -> None:
    """End a command that was applied to every row; a deletion also deletes the objects.

    The command ``delete`` stays in the batch's row, so that the API answers 410.
    """
    if batch.command != "delete":
        update(services, batch, command="", due=0)
        log.event("command_done", batch.batch, command=batch.command)
        return
    for _ in objects.delete_objects(services, batch.batch):
        if time.monotonic() > until:
            return
    # New objects may come until workers have noticed the deletion and upload forms have expired.
    # Delete again after each of these times.
    settings, now = services.settings, services.clock()
    ends = sorted((settings.heartbeat_lapse_seconds, settings.upload_form_seconds))
    looks = (batch.commanded + 1000 * seconds for seconds in ends)
    next_look = next((look for look in looks if look > now), 0)
    update(services, batch, due=next_look)
    log.event("batch_emptied" if next_look else "command_done", batch.batch, command=batch.command)


def postpone(services: Services, batch_id: str, due: int) -> None:
    """Have the sweep go on with a command at `due`, in milliseconds since 1970."""
    batch = services.table.batch(batch_id)
    if batch is not None and batch.command:
        with suppress(Lost):
            update(services, batch, due=due)


def update(services: Services, batch: Batch, **values: Any) -> None:
    """Set attributes of a batch's row, if it still has the command that was read."""
    services.table.update_batch(batch.batch, values, (batch.command,), batch.commanded)

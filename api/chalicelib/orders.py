"""Orders for a whole batch: written down at once, carried out in bounded slices.

The batch's row keeps the order and the place that the last slice reached. A first slice runs in
the request that ordered it; the sweep does the rest.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from chalicelib import jobs, log, problems, uploads
from chalicelib.problems import Problem
from chalicelib.services import Services
from config.contract import resources
from config.contract.job import UNFINISHED, Batch, Job, Order
from config.contract.table_access import Lost

FIRST_SLICE_SECONDS = 1.0
ROWS_PER_READ = 50

# Which orders a new one may replace: cancelling goes before retrying, deleting before all.
REPLACES: Mapping[Order, tuple[Order, ...]] = {
    "retry": ("", "retry"),
    "cancel": ("", "retry", "cancel"),
    "delete": ("", "retry", "cancel"),
}


def give(services: Services, batch_id: str, order: Order) -> dict[str, Any]:
    """Order something for a whole batch and begin with it."""
    batch = services.table.batch(batch_id)
    if batch is None:
        raise problems.not_found("batch")
    if batch.order == "delete" and order == "delete":
        return {"batch": batch_id, "order": order}
    jobs.check_live(services, batch)
    now = services.clock()
    try:
        services.table.update_batch(
            batch_id,
            {"order": order, "ordered": now, "order_after": "", "due": now},
            REPLACES[order],
        )
    except Lost:
        jobs.check_open(jobs.live_batch(services, batch_id))
        raise Problem(503, "others kept changing this batch; try again") from None
    log.event("ordered", batch_id, order=order)
    carry_out(services, batch_id, time.monotonic() + FIRST_SLICE_SECONDS)
    left = services.table.batch(batch_id)
    return {"batch": batch_id, "order": left.order if left else order}


def carry_out(services: Services, batch_id: str, until: float) -> None:
    """Carry out a batch's order until a moment of the monotonic clock."""
    batch = services.table.batch(batch_id)
    if batch is None or not batch.order:
        return
    try:
        while time.monotonic() < until:
            rows = services.table.rows_after(batch_id, batch.order_after, ROWS_PER_READ)
            if not rows:
                finish(services, batch, until)
                return
            batch = go_through(services, batch, rows, until)
    except (Lost, Problem) as error:
        # Another order came, or a row was too busy; the next sweep goes on from the noted place.
        log.event("order_interrupted", batch_id, order=batch.order, reason=repr(error))


def go_through(
    services: Services, batch: Batch, rows: Sequence[Mapping[str, Any]], until: float
) -> Batch:
    """Apply the order to rows while there is time, and note the last that is done."""
    reached = batch.order_after
    try:
        for row in rows:
            apply(services, batch, row)
            reached = str(row["sk"])
            if time.monotonic() > until:
                break
    finally:
        note(services, batch, order_after=reached)
    return replace(batch, order_after=reached)


def apply(services: Services, batch: Batch, item: Mapping[str, Any]) -> None:
    """Apply an order to one row."""
    if batch.order == "delete":
        delete_row(services, batch.batch, str(item["sk"]))
    elif str(item["sk"]).startswith(resources.JOB_PREFIX):
        row = Job.from_item(item)
        try:
            if batch.order == "cancel" and row.state in UNFINISHED:
                jobs.stop(services, row)
            # One that never had a file can only be helped by its visitor.
            if batch.order == "retry" and row.state == "failed" and row.etag:
                jobs.begin_again(services, row)
        except Problem as problem:
            # Gone another way or gone altogether: nothing is left to be done for this row.
            if problem.status not in (409, 410):
                raise


def delete_row(services: Services, batch: str, sk: str) -> None:
    """Delete a row; a worker that is on it fails at its next write and stops."""
    if not services.table.delete_row(batch, sk):
        log.event("deleted_already", batch)


def finish(services: Services, batch: Batch, until: float) -> None:
    """Close an order that every row has seen; a deletion takes the objects too, and stays."""
    if batch.order != "delete":
        note(services, batch, order="", due=0)
        log.event("order_done", batch.batch, order=batch.order)
        return
    for _ in uploads.delete_objects(services, batch.batch):
        if time.monotonic() > until:
            return
    # A worker that had not noticed may write one more result, and a form signed before stays good
    # until it ends: look again when each is past.
    settings, now = services.settings, services.clock()
    ends = sorted((settings.heartbeat_lapse_seconds, settings.upload_form_seconds))
    looks = (batch.ordered + 1000 * seconds for seconds in ends)
    next_look = next((look for look in looks if look > now), 0)
    note(services, batch, due=next_look)
    log.event("batch_emptied" if next_look else "order_done", batch.batch, order=batch.order)


def postpone(services: Services, batch_id: str, due: int) -> None:
    """Have the sweep go on with an order later."""
    batch = services.table.batch(batch_id)
    if batch is not None and batch.order:
        with suppress(Lost):
            note(services, batch, due=due)


def note(services: Services, batch: Batch, **values: Any) -> None:
    """Set attributes of a batch's row while its order is the one that was read."""
    services.table.update_batch(batch.batch, values, (batch.order,), batch.ordered)

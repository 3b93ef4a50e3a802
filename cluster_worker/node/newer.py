"""Jobs that need a newer worker, as during an upgrade: their messages are sent again later.

Messages have a version, which grows with what a row can say. Operations and their parameters have
none: the API checks steps against its own catalogue, so steps that the catalogue of this worker
refuses are of an API that is newer, or older and had what is gone now.
"""

import threading
from collections.abc import Callable

from cluster_worker.engine.steps import checked_steps
from cluster_worker.errors import Rejected
from cluster_worker.log import event
from cluster_worker.node.consumer import Verdict
from cluster_worker.node.table import milliseconds
from config.contract.job import VERSION_MAX, Batch, Job, Message
from config.contract.references import INPUT
from config.contract.table import JobTable
from config.contract.table_access import Lost

# Wait before such a message is sent again, for a worker that may only be starting.
WAIT_SECONDS = 30.0
# How often it is sent again, which takes half an hour or more. After that, no worker will know it.
TIMES_MAX = 60


class TooNew(Exception):
    """The job needs a newer worker; the text says what this one does not know."""

    def __init__(self, row: Job, unknown: str) -> None:
        super().__init__(unknown)
        self.row = row


def check(message: Message, row: Job, batch: Batch) -> None:
    """Raise TooNew if this worker does not know all that a job needs."""
    if message.version > VERSION_MAX:
        raise TooNew(row, f"message: is of version {message.version}, known is {VERSION_MAX}")
    try:
        checked_steps(batch.steps, [each.name.removeprefix(INPUT) for each in batch.inputs])
    except Rejected as error:
        raise TooNew(row, str(error)) from error


def put_off(
    table: JobTable,
    error: TooNew,
    worker: str,
    draining: threading.Event,
    publish: Callable[[Job, float], None],
) -> Verdict:
    """Queue a job again under its next publish number; after `TIMES_MAX` times, let it fail.

    A new message begins with no deliveries. If the old one were handed back, the broker would make
    it a dead letter after `resources.DELIVERY_LIMIT` of them, long before an upgrade ends.

    Parameters
    ----------
    table : JobTable
        Holds the job's row.
    error : TooNew
        Has the row, and what is not known.
    worker : str
        Name of this node.
    draining : Event
        Set when the time of a drain is over: nothing is waited for then.
    publish : callable
        Called with the row as queued, and with the seconds after which to publish it.
    """
    row, now = error.row, milliseconds()
    event("message of a newer version", job=row.job, unknown=str(error), times=row.too_new)
    if row.state == "queued" and row.too_new >= TIMES_MAX:
        claimed = table.claim(row, worker, now)
        if claimed is not None:
            reason = (
                f"{row.name}: the workers of this app are too old for it ({error}); retry later"
            )
            table.fail(claimed, reason, "broken", milliseconds())
            return Verdict.DEAD
    elif row.state == "queued":
        # The sweep publishes it if this worker ends before it could.
        due = now + round(2000 * WAIT_SECONDS)
        try:
            queued = table.queue_again(row, {"too_new": row.too_new + 1}, now, due)
        except Lost:
            pass
        else:
            publish(queued, WAIT_SECONDS)
            return Verdict.DONE
    # A newer worker has the job, or its row has changed: look again later.
    draining.wait(WAIT_SECONDS)
    return Verdict.HAND_BACK

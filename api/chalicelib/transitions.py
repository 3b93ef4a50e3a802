"""The steps of a job's life that the API takes: queue, publish, release, retry, cancel, fail."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from chalicelib import log, lookup, objects, problems, quotas, tracing
from chalicelib.problems import Problem
from chalicelib.queue import BrokerError
from chalicelib.services import Services
from config.contract import resources
from config.contract.job import AFRESH, UNFINISHED, Job, State
from config.contract.table import Cause, MovedOn
from config.contract.table_access import Busy

# When the sweep first looks whether a file arrived whose browser did not call `uploaded`.
FIRST_LOOK_MS = 120_000
# When the sweep first looks whether S3 has joined the parts of a file. The page asks more often.
JOINING_LOOK_MS = 30_000


class MovedOnError(Problem):
    """The answer 409 when a job is in a state that a step does not begin in; `row` is that row."""

    def __init__(self, row: Job) -> None:
        super().__init__(409, f"{row.name}: is {row.state}, which it cannot leave this way")
        self.row = row


@contextmanager
def races_as_problems(row: Job) -> Iterator[None]:
    """Answer a lost race for a job: 409 if the job moved on, 503 if others kept changing it."""
    try:
        yield
    except MovedOn as error:
        raise MovedOnError(error.row) from None
    except Busy as error:
        raise Problem(503, f"{row.name}: others kept changing this job; try again") from error


def again(services: Services) -> Callable[[Job], Job]:
    """Return a function that reads a job again after a lost race; 410 if it was deleted."""

    def read(row: Job) -> Job:
        found = services.table.job(row.batch, row.job)
        if found is None:
            raise problems.gone("job")
        return found

    return read


def again_in_open_batch(services: Services) -> Callable[[Job], Job]:
    """Return the same function for an open batch; it also raises as `lookup.open_batch`."""

    def read(row: Job) -> Job:
        lookup.open_batch(services, row.batch)
        return again(services)(row)

    return read


def join(services: Services, row: Job) -> Job:
    """Move a job whose parts have all arrived to `joining`; one that is `joining` stays so."""
    if row.state == "joining":
        return row
    begins_in: tuple[State, ...] = ("awaiting_upload",)
    due, again = services.clock() + JOINING_LOOK_MS, again_in_open_batch(services)
    with races_as_problems(row):
        return services.table.move(row, "joining", due, services.clock, begins_in, again=again)


def look_ms(services: Services) -> int:
    """Return after how long the sweep looks at a queued job.

    At once where the API does not reach the broker: there the sweep of the worker's host is what
    publishes it.
    """
    return 1000 * services.settings.republish_seconds if services.publisher.in_reach else 0


def queue(services: Services, row: Job, values: Mapping[str, Any]) -> Job:
    """Write the row `queued` under the next publish number, with `values`, then publish it.

    If the visitor's lane share has no room, the job waits and is published later.
    """
    due = services.clock() + look_ms(services)
    if trace := tracing.traceparent_for_job():
        values = {**values, "trace": trace}
    with races_as_problems(row), tracing.step("queue job", job=row.job):
        queued = services.table.queue(
            row, values, due, services.clock, again_in_open_batch(services)
        )
    log.event("queued", row.batch, job=row.job, publish=queued.publish, waiting=queued.waiting)
    if not queued.waiting:
        publish(services, queued)
    return queued


def publish(services: Services, row: Job) -> bool:
    """Publish a queued row's message, and write that the broker has it.

    Returns
    -------
    bool
        False if the broker did not confirm; the sweep then publishes it later. If it is out of
        reach, that is the sweep of the worker's host.
    """
    if not services.publisher.in_reach:
        return False
    try:
        with tracing.step("publish message", job=row.job, lane=row.lane):
            services.publisher.publish(row.message, resources.LANES[row.lane])
    except BrokerError as error:
        log.trouble("publish_failed", row.batch, job=row.job, reason=str(error))
        return False
    if not services.table.mark_published(row.message, services.clock()):
        log.event("published_twice", row.batch, job=row.job, publish=row.publish)
    return True


def release_waiting(services: Services, row: Job) -> None:
    """Publish the jobs of a visitor that wait longest, as far as its lane share has room.

    Parameters
    ----------
    services : Services
        What the API works with.
    row : Job
        Any job of the visitor; the jobs that share its lane row are released.
    """
    for released in services.table.release(row, services.clock, look_ms(services)):
        log.event("released", released.batch, job=released.job, publish=released.publish)
        publish(services, released)


def retry(services: Services, batch: str, job: str) -> Job:
    """Do a job again that failed or was cancelled; an unfinished one is left as it is.

    Raises
    ------
    Problem
        409 if it has succeeded, was refused, or was retried as often as allowed; 429 if a quota of
        the day is used up.
    """
    row = lookup.fetch(services, batch, job)
    if row.state in UNFINISHED:
        return row
    if row.state == "succeeded":
        raise Problem(409, f"{row.name}: has succeeded; there is nothing to retry")
    check_retry(services, row)
    try:
        return begin_again(services, row)
    except MovedOnError as error:
        if error.row.state in UNFINISHED:
            return error.row
        raise


def check_retry(services: Services, row: Job) -> None:
    """Check that a visitor may have a job done again; raises as `retry`."""
    most = services.settings.retries_max
    if row.state == "failed" and row.cause == "rejected":
        raise Problem(
            409,
            f"{row.reason}. A retry would find the same: change the file or the steps, and send "
            "them in a new batch",
        )
    if row.retries >= most:
        raise Problem(409, f"{row.name}: was retried {most} times; send it in a new batch")
    quotas.check(services, row.visitor)


def begin_again(services: Services, row: Job, retries: int = 1) -> Job:
    """Queue a failed or cancelled job, or await its upload if it has no file.

    Parameters
    ----------
    services : Services
        What the API works with.
    row : Job
        The job.
    retries : int
        How many retries of its visitor this counts as; 0 for an operator's.
    """
    values = {"retries": row.retries + retries}
    if row.etag:
        return queue(services, row, values)
    # Delete what has arrived, or the sweep would find it before its replacement.
    for _ in objects.delete_objects(services, row.batch, row.job):
        pass
    with races_as_problems(row):
        return services.table.move(
            row,
            "awaiting_upload",
            services.clock() + FIRST_LOOK_MS,
            services.clock,
            ("failed", "cancelled"),
            lambda _: {**AFRESH, "etag": "", "upload": "", **values},
            again_in_open_batch(services),
        )


def cancel(services: Services, batch: str, job: str) -> Job:
    """Cancel a job; a worker that has claimed it fails at its next write and stops.

    Raises
    ------
    Problem
        409 if it is finished.
    """
    row = lookup.fetch(services, batch, job)
    if row.state == "cancelled":
        return row
    try:
        stopped = stop(services, row)
    except MovedOnError as error:
        if error.row.state == "cancelled":
            return error.row
        raise
    if row.state == "running":
        quotas.add_stop(services, row.visitor)
    return stopped


def stop(services: Services, row: Job) -> Job:
    """Move an unfinished job to `cancelled`."""
    with races_as_problems(row):
        stopped = services.table.cancel(row, services.clock, again(services))
    log.event("cancelled", row.batch, job=row.job)
    return stopped


def fail(services: Services, row: Job, reason: str, cause: Cause) -> None:
    """Move a job to `failed`, unless it changed since it was read."""
    if services.table.give_up(row, reason, cause, services.clock()):
        log.event("failed", row.batch, job=row.job, reason=reason, cause=cause)

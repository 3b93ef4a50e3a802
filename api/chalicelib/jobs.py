"""One job: how it looks from outside, and the steps of its life that the API takes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from chalicelib import log, problems, uploads
from chalicelib.images import UploadError
from chalicelib.problems import Problem
from chalicelib.queue import BrokerError
from chalicelib.services import Services
from config.contract import resources
from config.contract.job import AFRESH, UNFINISHED, Batch, Job
from config.contract.table import Cause, MovedOn
from config.contract.table_access import Busy

# When the sweep first looks whether a file arrived of which the browser never told.
FIRST_LOOK_MS = 120_000


def view(row: Job) -> dict[str, Any]:
    """Show a job as the API does."""
    result = {
        "url": f"/{row.result_key}",
        "name": row.result_name,
        "type": row.result_type,
        "bytes": row.result_bytes,
    }
    return {
        "job": row.job,
        "name": row.name,
        "state": row.state,
        "tiles": {"done": row.tiles_done, "total": row.tiles_total},
        "left": row.left_ms,
        "lane": row.lane,
        "ticket": row.ticket,
        "attempt": row.attempt,
        "reason": row.reason,
        "cause": row.cause,
        "notes": list(row.notes),
        "versions": dict(row.versions),
        "changed": changed_ms(row),
        "created": row.created,
        "started": row.started,
        "finished": row.finished,
        "rows": row.rows,
        "columns": row.columns,
        "bytes": row.bytes,
        "type": row.type,
        "result": result if row.state == "succeeded" else None,
        "views": views(row),
    }


def views(row: Job) -> dict[str, Any]:
    """Show where pictures for a page are, of what browsers do not show well by themselves."""
    return {
        "original": view_at(row.original_view, row.dtype),
        "result": view_at(row.result_view, row.result_dtype),
        "until": row.views_until,
    }


def view_at(key: str, dtype: str) -> dict[str, str] | None:
    """Show one picture; None if there is none."""
    if not key:
        return None
    return {"url": f"/{key}", "type": resources.VIEW_TYPES[key.rpartition(".")[2]], "dtype": dtype}


def view_with_form(services: Services, row: Job) -> dict[str, Any]:
    """Show a job, with the form to send its file with if it waits for one."""
    if row.state == "awaiting_upload":
        return view(row) | {"upload": uploads.form(services, row)}
    return view(row)


def changed_ms(row: Job) -> int:
    """Tell when the row last changed, in milliseconds since 1970."""
    return int(row.changed.partition("#")[0] or 0)


def live_batch(services: Services, batch: str) -> Batch:
    """Read a batch that is there.

    Raises
    ------
    Problem
        404 if there is none, 410 if it was deleted or its time is over.
    """
    return check_live(services, services.table.batch(batch))


def check_live(services: Services, found: Batch | None) -> Batch:
    """Pass a batch on that can still be read; raises as `live_batch` does."""
    if found is None:
        raise problems.not_found("batch")
    if found.order == "delete" or found.kept_until <= services.clock():
        raise problems.gone("batch")
    return found


def check_open(batch: Batch) -> None:
    """Refuse to begin work in a batch that is being cancelled."""
    if batch.order == "cancel":
        raise Problem(409, "the batch is being cancelled; try again when that is done")


def fetch(services: Services, batch: str, job: str) -> Job:
    """Read a job of a live batch.

    Raises
    ------
    Problem
        404 or 410 if batch or job is not there or no longer.
    """
    found, row = services.table.batch_and_job(batch, job)
    check_live(services, found)
    if row is None:
        raise problems.not_found("job")
    if row.state == "expired":
        raise problems.gone("job")
    return row


class MovedOnError(Problem):
    """A job has gone another way meanwhile; it carries the row as it is now."""

    def __init__(self, row: Job) -> None:
        super().__init__(409, f"{row.name}: is {row.state}, which it cannot leave this way")
        self.row = row


def renew_form(services: Services, batch: str, job: str) -> dict[str, Any]:
    """Sign a fresh form, from when on the job waits anew."""
    row = fetch(services, batch, job)
    if row.state != "awaiting_upload":
        raise Problem(409, f"{row.name}: is {row.state}; only a job that awaits its upload has one")
    if not services.table.renew_wait(row, services.clock()):
        log.event("renewal_lost_race", row.batch, job=row.job)
        row = fetch(services, batch, job)
        if row.state != "awaiting_upload":
            raise MovedOnError(row)
    return uploads.form(services, row)


def sign_parts(services: Services, batch: str, job: str, raw: str | bytes) -> dict[str, Any]:
    """Sign the addresses of parts; the first call begins the upload in parts.

    Raises
    ------
    Problem
        409 if the job awaits no upload, 422 if it has no such parts.
    """
    numbers = services.bodies.part_numbers(raw)
    row = awaiting(services, batch, job)
    most = uploads.part_count(row.bytes)
    wrong = [number for number in numbers if number > most]
    if wrong:
        raise Problem(422, f"parts: {row.name} has parts 1 to {most}, got {wrong[0]}", "/parts")
    if not row.upload:
        row = begin_parts(services, row)
    return {
        "part_bytes": uploads.part_bytes(row.bytes),
        "parts": [uploads.sign_part(services, row, number) for number in numbers],
    }


def list_parts(services: Services, batch: str, job: str) -> dict[str, Any]:
    """Tell which parts S3 has, so that nothing is sent twice."""
    row = awaiting(services, batch, job)
    return {
        "part_bytes": uploads.part_bytes(row.bytes),
        "arrived": sorted(uploads.arrived_parts(services, row)),
    }


def awaiting(services: Services, batch: str, job: str) -> Job:
    """Read a job that awaits its upload."""
    row = fetch(services, batch, job)
    if row.state != "awaiting_upload":
        raise Problem(409, f"{row.name}: is {row.state}; only a job that awaits its upload has any")
    return row


def begin_parts(services: Services, row: Job) -> Job:
    """Begin an upload in parts and note it in the row, unless another request was first."""
    upload = uploads.begin_parts(services, row)
    if not services.table.begin_upload(row, upload, services.clock()):
        uploads.abort_parts(services, row, upload)
        return awaiting(services, row.batch, row.job)
    return replace(row, upload=upload)


def complete_upload(services: Services, batch: str, job: str) -> Job:
    """Check what arrived for a job and queue it; a job that has gone on already is left so.

    Raises
    ------
    Problem
        409 if nothing arrived yet, 422 if it is no image that can be used, 503 if it is still being
        put in its place.
    """
    row = fetch(services, batch, job)
    if row.state in ("queued", "running", "succeeded"):
        return row
    if row.state == "failed" and row.cause == "rejected" and not row.etag:
        raise Problem(422, row.reason)
    if row.state != "awaiting_upload":
        raise Problem(409, f"{row.name}: is {row.state}; retry it first")
    try:
        received = receive(services, row)
    except UploadError as error:
        raise Problem(422, str(error)) from error
    except uploads.StillPlacing as error:
        raise Problem(503, str(error)) from error
    except MovedOnError as error:
        # Said twice at once, or found by the sweep at the same time.
        if error.row.state in ("queued", "running", "succeeded"):
            return error.row
        raise
    if received is None:
        raise Problem(409, f"{row.name}: no upload has arrived yet; send the file first")
    # The upload may have taken longer than idle nodes are kept.
    services.fleet.wake()
    return received


def receive(services: Services, row: Job) -> Job | None:
    """Queue a job whose file arrived; None if it has not.

    Raises
    ------
    UploadError
        If the file cannot be used; the row then says so too.
    StillPlacing
        As `uploads.inspect`.
    """
    try:
        upload = uploads.inspect(services, row)
    except UploadError as error:
        fail(services, row, str(error), "rejected")
        raise
    if upload is None:
        return None
    return queue(services, row, {"etag": upload.etag, "type": upload.type})


def retry(services: Services, batch: str, job: str) -> Job:
    """Do a job again that failed or was cancelled; one that is under way is left so."""
    row = fetch(services, batch, job)
    if row.state in UNFINISHED:
        return row
    if row.state == "succeeded":
        raise Problem(409, f"{row.name}: has succeeded; there is nothing to retry")
    try:
        return begin_again(services, row)
    except MovedOnError as error:
        if error.row.state in UNFINISHED:
            return error.row
        raise


def begin_again(services: Services, row: Job) -> Job:
    """Queue a failed or cancelled job, or await its upload if there is none to work on."""
    values: Mapping[str, Any] = {}
    if row.etag and row.cause == "rejected":
        # The worker may have rejected it because the file was replaced: look at it again.
        try:
            upload = uploads.inspect(services, row)
        except UploadError:
            upload = None
        except uploads.StillPlacing as error:
            raise Problem(503, str(error)) from error
        values = {"etag": upload.etag, "type": upload.type} if upload else {"etag": ""}
    if values.get("etag", row.etag):
        return queue(services, row, values)
    # Else the sweep would find the bad file again while its replacement is under way.
    for _ in uploads.delete_objects(services, row.batch, row.job):
        pass
    with races_as_problems(row):
        return services.table.move(
            row,
            "awaiting_upload",
            services.clock() + FIRST_LOOK_MS,
            services.clock,
            ("failed", "cancelled"),
            lambda _: {**AFRESH, "etag": "", "upload": ""},
            again_in_open_batch(services),
        )


def queue(services: Services, row: Job, values: Mapping[str, Any]) -> Job:
    """Write the row `queued` under the next publish number, then publish it.

    A job that its batch's lane share has no room for is waiting, and published later.
    """
    due = services.clock() + 1000 * services.settings.republish_seconds
    with races_as_problems(row):
        queued = services.table.queue(
            row, values, due, services.clock, again_in_open_batch(services)
        )
    log.event("queued", row.batch, job=row.job, publish=queued.publish, waiting=queued.waiting)
    if not queued.waiting:
        send(services, queued)
    return queued


def release_waiting(services: Services, row: Job) -> None:
    """Publish the jobs of a batch that wait longest, as far as its lane share has room for them.

    Parameters
    ----------
    services : Services
        What the API works with.
    row : Job
        Any job of the batch; those that share its counter row are looked at.
    """
    look_ms = 1000 * services.settings.republish_seconds
    for released in services.table.release(row, services.clock, look_ms):
        log.event("released", row.batch, job=released.job, publish=released.publish)
        send(services, released)


def send(services: Services, row: Job) -> bool:
    """Publish a queued row's message and note that the broker has it.

    Returns
    -------
    bool
        False if the broker did not confirm; the sweep then publishes it later.
    """
    try:
        services.publisher.publish(row.message, resources.LANES[row.lane])
    except BrokerError as error:
        log.trouble("publish_failed", row.batch, job=row.job, reason=str(error))
        return False
    if not services.table.mark_published(row.message, services.clock()):
        log.event("published_twice", row.batch, job=row.job, publish=row.publish)
    return True


def cancel(services: Services, batch: str, job: str) -> Job:
    """Cancel a job; its worker sees it at its next write."""
    row = fetch(services, batch, job)
    if row.state == "cancelled":
        return row
    try:
        return stop(services, row)
    except MovedOnError as error:
        if error.row.state == "cancelled":
            return error.row
        raise


def stop(services: Services, row: Job) -> Job:
    """Move a job that is not finished to `cancelled`."""
    with races_as_problems(row):
        stopped = services.table.cancel(row, services.clock, again(services))
    log.event("cancelled", row.batch, job=row.job)
    return stopped


def fail(services: Services, row: Job, reason: str, cause: Cause) -> None:
    """Write a job `failed` as it was read; one that changed meanwhile is left as it is."""
    if services.table.give_up(row, reason, cause, services.clock()):
        log.event("failed", row.batch, job=row.job, reason=reason, cause=cause)


def again(services: Services) -> Callable[[Job], Job]:
    """Return how a job is read again after a lost race; 410 if it is gone."""

    def read(row: Job) -> Job:
        found = services.table.job(row.batch, row.job)
        if found is None:
            raise problems.gone("job")
        return found

    return read


def again_in_open_batch(services: Services) -> Callable[[Job], Job]:
    """Return how a job is read again whose batch must be open; raises as `live_batch`, or 409."""

    def read(row: Job) -> Job:
        check_open(live_batch(services, row.batch))
        return again(services)(row)

    return read


@contextmanager
def races_as_problems(row: Job) -> Iterator[None]:
    """Turn a lost race for a job into its answer: 409 if it moved on, 503 if it kept changing."""
    try:
        yield
    except MovedOn as error:
        raise MovedOnError(error.row) from None
    except Busy as error:
        raise Problem(503, f"{row.name}: others kept changing this job; try again") from error

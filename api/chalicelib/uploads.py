"""The calls about uploads: a fresh form, addresses of parts, and the end of the upload."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from chalicelib import log, lookup, objects, quotas, tracing, transitions
from chalicelib.images import UploadError
from chalicelib.problems import Problem
from chalicelib.services import Services
from chalicelib.transitions import MovedOnError
from config.contract.job import Job

# States of a job whose file was accepted before.
ACCEPTED = ("queued", "running", "succeeded")
# States in which a job has no file yet that was checked.
EXPECTED = ("awaiting_upload", "joining")


def renew_form(services: Services, batch: str, job: str) -> dict[str, Any]:
    """Sign a fresh form; the job's wait for its upload begins anew."""
    row = lookup.fetch(services, batch, job)
    if row.state != "awaiting_upload":
        raise Problem(409, f"{row.name}: is {row.state}; only a job that awaits its upload has one")
    if not services.table.renew_wait(row, services.clock()):
        log.event("renewal_lost_race", row.batch, job=row.job)
        row = lookup.fetch(services, batch, job)
        if row.state != "awaiting_upload":
            raise MovedOnError(row)
    return objects.form(services, row)


def sign_parts(services: Services, batch: str, job: str, numbers: Sequence[int]) -> dict[str, Any]:
    """Sign the addresses of parts; the first call begins the upload in parts.

    Raises
    ------
    Problem
        409 if the job does not await its upload, 422 if its file has no such parts.
    """
    row = awaiting(services, batch, job)
    most = objects.part_count(row.bytes)
    wrong = [number for number in numbers if number > most]
    if wrong:
        raise Problem(422, f"parts: {row.name} has parts 1 to {most}, got {wrong[0]}", "/parts")
    if not row.upload:
        row = begin_parts(services, row)
    return {
        "part_bytes": objects.part_bytes(row.bytes),
        "parts": [objects.sign_part(services, row, number) for number in numbers],
    }


def list_parts(services: Services, batch: str, job: str) -> dict[str, Any]:
    """List the parts that S3 has, so that a client sends only the others."""
    row = lookup.fetch(services, batch, job)
    arrived: Iterable[int]
    if row.state == "joining":
        # All have arrived. A client that was refused by a quota asks again.
        arrived = range(1, objects.part_count(row.bytes) + 1)
    else:
        arrived = objects.arrived_parts(services, awaiting(services, batch, job)) or ()
    return {"part_bytes": objects.part_bytes(row.bytes), "arrived": sorted(arrived)}


def awaiting(services: Services, batch: str, job: str) -> Job:
    """Read a job that awaits its upload; raises 409 if it does not."""
    row = lookup.fetch(services, batch, job)
    if row.state != "awaiting_upload":
        raise Problem(409, f"{row.name}: is {row.state}; only a job that awaits its upload has any")
    return row


def begin_parts(services: Services, row: Job) -> Job:
    """Begin an upload in parts and note its id in the row, unless another request did so first."""
    upload = objects.begin_parts(services, row)
    if not services.table.begin_upload(row, upload, services.clock()):
        objects.abort_parts(services, row, upload)
        return awaiting(services, row.batch, row.job)
    return replace(row, upload=upload)


def complete_upload(services: Services, batch: str, job: str) -> Job:
    """Check the file that arrived for a job and queue it; a later call changes nothing.

    Returns
    -------
    Job
        It is `joining` while S3 still joins the parts of the file: call again, or leave it to the
        sweep.

    Raises
    ------
    Problem
        409 if no file arrived yet, 422 if it is not an image this app can use, 429 if a quota of
        the day is used up, 503 if S3 is still copying it.
    """
    row = lookup.fetch(services, batch, job)
    if row.state in ACCEPTED:
        return row
    if row.state == "failed" and not row.etag:
        raise Problem(422, row.reason)
    if row.state not in EXPECTED:
        raise Problem(409, f"{row.name}: is {row.state}; retry it first")
    try:
        received = receive(services, row)
    except UploadError as error:
        raise Problem(422, str(error)) from error
    except objects.StillPlacing as error:
        raise Problem(503, str(error)) from error
    except MovedOnError as error:
        # Another call came at the same time, or the sweep found the file.
        if error.row.state in (*ACCEPTED, "joining"):
            return error.row
        raise
    if received is None:
        raise Problem(409, f"{row.name}: no upload has arrived yet; send the file first")
    # The upload may have taken longer than idle nodes are kept.
    services.fleet.wake()
    return received


def receive(services: Services, row: Job) -> Job | None:
    """Queue a job whose file arrived; join its parts before that.

    Returns
    -------
    Job or None
        The job as queued, or `joining` while S3 takes long to join the parts; None if the file, or
        a part of it, has not arrived.

    Raises
    ------
    UploadError
        If the file cannot be used; the job is then `failed`.
    StillPlacing
        As `objects.inspect`.
    QuotaUsedError
        If the visitor may send no more today; the job stays as it is.
    """
    try:
        with tracing.step("check upload", job=row.job):
            upload = objects.inspect(services, row)
        if upload is None and row.upload:
            joined = join(services, row)
            if joined is None:
                return None
            # The row first: if the file cannot be used, the job fails from this state.
            row = joined
            upload = objects.look(services, row)
    except UploadError as error:
        transitions.fail(services, row, str(error), error.cause)
        raise
    if upload is None:
        return row if row.state == "joining" else None
    with quotas.counted(services, row):
        return transitions.queue(services, row, {"etag": upload.etag, "type": upload.type})


def join(services: Services, row: Job) -> Job | None:
    """Move a job to `joining` and have S3 join its parts; wait for S3 as long as a request may.

    Returns
    -------
    Job or None
        The job, which is `joining`; None if a part has not arrived.
    """
    arrived = objects.arrived_parts(services, row)
    if arrived is not None and len(arrived) < objects.part_count(row.bytes):
        return None
    row = transitions.join(services, row)
    # Without parts, an earlier call has joined them, or S3 still joins them for an earlier call.
    if arrived is not None:
        with suppress(objects.StillPlacing):
            objects.join_parts(services, row, arrived)
    return row

"""Read the batch or job of a request, or refuse the request if it is gone or not open."""

from chalicelib import problems
from chalicelib.problems import Problem
from chalicelib.services import Services
from config.contract.job import Batch, Job


def live_batch(services: Services, batch: str) -> Batch:
    """Read a batch.

    Raises
    ------
    Problem
        404 if there is none, 410 if it was deleted or its time is over.
    """
    return check_live(services, services.table.batch(batch))


def check_live(services: Services, found: Batch | None) -> Batch:
    """Return a batch that was read; raises as `live_batch`."""
    if found is None:
        raise problems.not_found("batch")
    if found.command == "delete" or found.kept_until <= services.clock():
        raise problems.gone("batch")
    return found


def check_open(batch: Batch) -> None:
    """Check that a batch is not being cancelled; raises 409 if it is."""
    if batch.command == "cancel":
        raise Problem(409, "the batch is being cancelled; try again when that is done")


def open_batch(services: Services, batch: str) -> Batch:
    """Read a batch that is not being cancelled; raises as `live_batch` and `check_open`."""
    found = live_batch(services, batch)
    check_open(found)
    return found


def fetch(services: Services, batch: str, job: str) -> Job:
    """Read a job of a batch.

    Raises
    ------
    Problem
        404 if there is no such batch or job, 410 if it was deleted or expired.
    """
    found, row = services.table.batch_and_job(batch, job)
    check_live(services, found)
    if row is None:
        raise problems.not_found("job")
    if row.state == "expired":
        raise problems.gone("job")
    return row

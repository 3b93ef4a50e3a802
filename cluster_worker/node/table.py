"""A worker node's client of the table: it retries longer than the API, and raises `Broken`."""

import time

from botocore.exceptions import BotoCoreError, ClientError

from cluster_worker.errors import Broken
from cluster_worker.log import event
from cluster_worker.node.storage import aws_failure, client
from config.contract.settings import WorkerSettings
from config.contract.table import JobTable
from config.contract.table_access import Busy, Patience

# No user waits for these writes, so one that conflicts with another transaction may be repeated for
# up to 7 s.
PATIENT = Patience(tries=12)


def job_table(settings: WorkerSettings) -> JobTable:
    """Make the node's client of the table."""
    resource = client("dynamodb", settings.dynamodb_endpoint, settings.aws_region)
    return JobTable(
        # The resource's client takes and returns Python values, and is safe in threads.
        resource.meta.client,
        settings.table,
        lapse_seconds=settings.heartbeat_lapse_seconds,
        lane_share_jobs=settings.lane_share_jobs,
        patience=PATIENT,
        translate=broken,
        on_no_ticket=lambda lane, error: event("no ticket", lane=lane, error=str(error)),
    )


def broken(error: Exception) -> Exception:
    """Turn errors of boto3, and a write that was repeated too often, into `Broken`.

    Any other error is returned unchanged.
    """
    if isinstance(error, Busy):
        return Broken(f"the table: {error}")
    if isinstance(error, BotoCoreError | ClientError):
        return aws_failure("the table", error)
    return error


def milliseconds() -> int:
    """Return the current time in milliseconds since 1970, as rows of the table store it."""
    return int(time.time() * 1000)

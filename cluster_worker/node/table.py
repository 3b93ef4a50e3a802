"""The table as a worker node uses it: patient with other writers, and `Broken` when it is away."""

from botocore.exceptions import BotoCoreError, ClientError

from cluster_worker.errors import Broken
from cluster_worker.log import event
from cluster_worker.node.storage import client, unanswered
from config.contract.settings import WorkerSettings
from config.contract.table import JobTable
from config.contract.table_access import Busy, Patience

# Nobody waits for an answer here, so that a write that meets others may be repeated for 7 s.
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
    """Turn what boto3 raises, and a race that is given up, into `Broken`; leave what else it is."""
    if isinstance(error, Busy):
        return Broken(f"the table: {error}")
    if isinstance(error, BotoCoreError | ClientError):
        return unanswered("the table", error)
    return error

"""Where the ranks of a job leave objects, and what killed attempts have left."""

from cluster_worker.errors import Broken
from cluster_worker.log import event
from cluster_worker.node.storage import Storage
from cluster_worker.objects.places import StorePlace
from config.contract import resources
from config.contract.job import Job


def scratch_of(bucket: str, storage: Storage, row: Job) -> StorePlace:
    """Return where an attempt leaves objects; delete those of earlier attempts.

    An attempt that ends deletes its own. This one has the job now, so the others are of no use; if
    they cannot be deleted, lifecycle rules of the buckets do it after a day.
    """
    address = f"s3://{bucket}/{resources.SCRATCH_PREFIX}"
    if row.attempt > 1:
        StorePlace(address, resources.scratch_key(row.batch, row.job)).clear()
        try:
            storage.abort_joins(row)
        except Broken as error:
            event("parts not deleted", job=row.job, error=str(error))
    return StorePlace(address, resources.scratch_key(row.batch, row.job, row.attempt))

"""Names of resources: keys in the buckets, queues on the broker, keys and indexes of the table."""

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

# Deliveries after which the broker makes a message a dead letter. This is only a backstop: the
# fault limit of a job is far lower, but the death of a whole worker counts as a delivery for each
# of its jobs.
DELIVERY_LIMIT = 20

# Content types of the pictures for the page, by the ending of their keys: a whole picture, one file
# of tiles at every zoom, and the values of an image that a screen cannot show as it is.
VIEW_TYPES = {
    "png": "image/png",
    "tiles": "application/x-image-tiles",
    "values": "application/x-image-values",
}

# Counter rows of a batch: enough that two hundred workers rarely write the same one.
COUNTER_SHARDS = 8

CHANGES_INDEX = "changes"  # hash pk, range changed: what changed in a batch since
DUE_INDEX = "due"  # hash due_shard, range due: what the sweep must look at
DUE_SHARDS = 4

BATCH_SK = "batch"
NODES_PK = "nodes"  # no batch has this id
HOSTS_PK = "hosts"  # no batch has this id
TICKETS_PK = "tickets"  # no batch has this id
COUNTER_PREFIX = "count#"
JOB_PREFIX = "job#"
REQUEST_PREFIX = "request#"

# The rows of a visitor: what it has in each lane, its lines, and what it used on each day.
VISITOR_PREFIX = "visitor#"
ALL_VISITORS = "all"  # no visitor has this name
LANE_PREFIX = "lane#"
LINE_PREFIX = "line#"  # jobs that wait for their visitor's lane share
DAY_PREFIX = "day#"


@dataclass(frozen=True)
class Queue:
    """A durable quorum queue. Changed arguments need a new name, hence the version in it."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


DEAD_LETTERS = Queue("dip.dead.v1", {"x-queue-type": "quorum"})

JOB_ARGUMENTS: dict[str, Any] = {
    "x-queue-type": "quorum",
    "x-delivery-limit": DELIVERY_LIMIT,
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": DEAD_LETTERS.name,
    "x-dead-letter-strategy": "at-least-once",
    # At-least-once dead-lettering is only offered with this overflow rule.
    "x-overflow": "reject-publish",
}

# The lanes: small batches and the first images of large ones go by `interactive`, the others by
# `bulk`. A worker takes from both, so that neither waits until the other is empty.
JOBS = Queue("dip.interactive.v1", JOB_ARGUMENTS)
BULK = Queue("dip.bulk.v1", JOB_ARGUMENTS)
LANES = {"interactive": JOBS, "bulk": BULK}

# Largest message that the broker takes: a picture of a preview with room to spare. Amazon MQ's own
# default is 512 KiB, which such a picture may exceed.
MESSAGE_BYTES_MAX = 4 * 1024 * 1024

# An older preview is useless, since its page has asked for the next one.
PREVIEW_SECONDS = 10
PREVIEWS = Queue(
    "dip.previews.v1",
    {
        "x-queue-type": "classic",
        "x-message-ttl": 1000 * PREVIEW_SECONDS,
        "x-max-length": 100,
        "x-overflow": "reject-publish",
    },
)

QUEUES = (DEAD_LETTERS, JOBS, BULK, PREVIEWS)


# Below it lies, in the bucket of uploads, what the ranks of a large image leave for each other.
SCRATCH_PREFIX = "scratch"


def upload_key(batch: str, job: str) -> str:
    """Key of the original in the uploads bucket."""
    return f"uploads/{batch}/{job}"


def result_key(batch: str, job: str, attempt: int, extension: str) -> str:
    """Key of one attempt's result in the results bucket; also its path on the site's origin.

    Every attempt writes under its own key, so that a late writer never touches the winner's.
    """
    return f"{results_prefix(batch, job)}{attempt}/result.{extension}"


def further_result_key(batch: str, job: str, attempt: int, name: str, extension: str) -> str:
    """Key of a kept image or a table of an attempt, beside its result; `name` is unique there."""
    return f"{results_prefix(batch, job)}{attempt}/results/{name}.{extension}"


def view_key(batch: str, job: str, attempt: int, image: str, extension: str) -> str:
    """Key of a picture of an attempt's `original` or `result`, beside the result."""
    return f"{results_prefix(batch, job)}{attempt}/{image}-view.{extension}"


def results_prefix(batch: str, job: str = "") -> str:
    """Return how the keys begin of the results and pictures of a job, or of a whole batch.

    They do not hold the batch id, which may list, retry and delete the batch, but a code from which
    it cannot be computed. So the address of a result may be passed on; it leads to nothing else.
    """
    return f"files/{code_of(batch)}/" + (f"{job}/" if job else "")


def scratch_key(batch: str, job: str, attempt: int | str = "") -> str:
    """Return how keys begin, below `SCRATCH_PREFIX`, of what ranks leave in an attempt, or in all.

    As `results_prefix`, it does not tell the batch id.
    """
    return f"job-{code_of(batch)}-{job}/{attempt}".rstrip("/")


def code_of(batch: str) -> str:
    """Return a code that the batch id cannot be computed from (HMAC-SHA256 with the id as key)."""
    return hmac.digest(batch.encode(), b"results", "sha256").hex()[:32]


def job_sk(job: str) -> str:
    """Sort key of a job's row."""
    return JOB_PREFIX + job


def counter_sk(job: str) -> str:
    """Sort key of the counter row that a job is counted in."""
    return f"{COUNTER_PREFIX}{shard(job, COUNTER_SHARDS)}"


def visitor_pk(visitor: str) -> str:
    """Partition key of a visitor's rows."""
    return VISITOR_PREFIX + visitor


def lane_sk(lane: str, job: str) -> str:
    """Sort key of the row that counts the messages of a visitor in a lane, for this job's shard."""
    return f"{LANE_PREFIX}{lane}#{shard(job, COUNTER_SHARDS)}"


def line_prefix(lane: str, job: str) -> str:
    """Return how the sort keys of the lines begin that share this job's lane row."""
    return f"{LINE_PREFIX}{lane}#{shard(job, COUNTER_SHARDS)}#"


def day_sk(now: int) -> str:
    """Sort key of what was used on the day (UTC) of a time in milliseconds since 1970."""
    return f"{DAY_PREFIX}{datetime.fromtimestamp(now / 1000, UTC):%Y-%m-%d}"


def due_shard(job: str) -> str:
    """Partition of the due index that holds a row."""
    return f"due#{shard(job, DUE_SHARDS)}"


def shard(job: str, shards: int) -> int:
    """Compute a stable number below `shards` from a job id."""
    return hashlib.blake2b(job.encode(), digest_size=4).digest()[0] % shards


def public_name(batch: str) -> str:
    """Hash of a batch id, for logs. The id itself gives access and is never logged."""
    return hashlib.sha256(batch.encode()).hexdigest()[:12]


# The table as DynamoDB's create_table takes it; the stack and the local runner both make it.
TABLE_SCHEMA: dict[str, Any] = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
        {"AttributeName": "changed", "AttributeType": "S"},
        {"AttributeName": "due_shard", "AttributeType": "S"},
        {"AttributeName": "due", "AttributeType": "N"},
    ],
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": CHANGES_INDEX,
            "KeySchema": [
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "changed", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        },
        {
            "IndexName": DUE_INDEX,
            "KeySchema": [
                {"AttributeName": "due_shard", "KeyType": "HASH"},
                {"AttributeName": "due", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        },
    ],
}

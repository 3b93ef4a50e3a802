"""Jobs for a runner in tests, with their images."""

import io
import secrets
from dataclasses import replace

import numpy as np
import tifffile
from skimage import data

from config.contract import resources
from config.contract.job import Batch, Job, Message, changed_at

JOB = "c" * 16
KEPT = 1_800_000_900_000
DEEP = np.tile(data.camera(), (1, 9))[:300]
SIXTEEN_BITS = data.camera()[:200, :300].astype(np.uint16) * 16


def put(
    runner,
    s3,
    image,
    steps,
    format="same",
    lane="interactive",
    inputs=(),
    write=None,
    trace="",
    **tags,
):
    """Store a TIFF, with `tags`, and a queued job for it; return the message of the job."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, tile=(256, 256), **tags)
    # Each job has a batch of its own, since a worker reads a batch only once.
    batch_id = secrets.token_hex(16)
    key = resources.upload_key(batch_id, JOB)
    bucket = runner.settings.uploads_bucket
    etag = s3.put_object(Bucket=bucket, Key=key, Body=buffer.getvalue())["ETag"]
    batch = Batch(batch_id, tuple(steps), format, 0, KEPT, inputs=inputs, write=write or {})
    size = len(buffer.getvalue())
    kind = "image/tiff"
    job = Job(batch_id, JOB, "scan.tif", size, kind, "queued", 0, KEPT, changed_at(0, JOB), etag)
    job = replace(job, publish=1, lane=lane, trace=trace)
    for item in (batch.to_item(), job.to_item()):
        runner.table.access.client.put_item(TableName=runner.settings.table, Item=item)
    return Message(batch_id, JOB, 1, trace=trace)


def row_of(runner, message):
    return runner.table.job(message.batch, message.job)


def stored(runner, s3, key):
    return s3.get_object(Bucket=runner.settings.results_bucket, Key=key)["Body"].read()

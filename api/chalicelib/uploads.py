"""Uploads: the form that a browser sends a file with, and what is checked once it arrived."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.images import MAGIC_BYTES, UNKNOWN_TYPE, UploadError, check_size, sniff
from chalicelib.parts import Parts
from config import places
from config.job import Job

NOT_THERE = {"404", "NoSuchKey", "412", "PreconditionFailed"}


@dataclass(frozen=True)
class Upload:
    """A file that arrived and looks like an image."""

    etag: str
    type: str


def form(parts: Parts, row: Job) -> dict[str, Any]:
    """Sign a form with which exactly one file may be sent: this key, this size, this type.

    Returns
    -------
    dict
        ``url``, ``fields`` to send before the file, and ``expires`` in milliseconds since 1970.
    """
    now = parts.clock()
    # A form must not outlive the job, whose end nobody would clean up after.
    seconds = min(parts.settings.upload_form_seconds, (row.kept_until - now) // 1000)
    content_type = row.type or UNKNOWN_TYPE
    signed = parts.s3_public.generate_presigned_post(
        Bucket=parts.settings.uploads_bucket,
        Key=places.upload_key(row.batch, row.job),
        Fields={"Content-Type": content_type},
        Conditions=[
            {"Content-Type": content_type},
            ["content-length-range", row.bytes, row.bytes],
        ],
        ExpiresIn=seconds,
    )
    return {"url": signed["url"], "fields": signed["fields"], "expires": now + 1000 * seconds}


def inspect(parts: Parts, row: Job) -> Upload | None:
    """Look at what arrived for a job, or was copied for it just now.

    Returns
    -------
    Upload or None
        None if nothing is there yet, or it was replaced while we looked.

    Raises
    ------
    UploadError
        If its size or its first bytes are wrong, or the file that it should use again is gone.
    """
    found = look(parts, row)
    if found is None and row.source:
        copy_source(parts, row)
        found = look(parts, row)
    return found


def copy_source(parts: Parts, row: Job) -> None:
    """Give a job a copy of another's file, so that either may be deleted without the other."""
    bucket = parts.settings.uploads_bucket
    batch, _, job = row.source.partition("/")
    try:
        parts.s3.copy_object(
            Bucket=bucket,
            Key=places.upload_key(row.batch, row.job),
            CopySource={"Bucket": bucket, "Key": places.upload_key(batch, job)},
        )
    except ClientError as error:
        if error.response["Error"]["Code"] in NOT_THERE:
            raise UploadError(
                f"{row.name}: the file that was sent before is no longer kept; send it again"
            ) from error
        raise


def look(parts: Parts, row: Job) -> Upload | None:
    """Look at the file of a job as it lies there; None and raises as `inspect` does."""
    place = {
        "Bucket": parts.settings.uploads_bucket,
        "Key": places.upload_key(row.batch, row.job),
    }
    try:
        head = parts.s3.head_object(**place)
        check_size(row.name, head["ContentLength"], row.bytes, parts.settings.upload_bytes_max)
        first = parts.s3.get_object(
            **place, IfMatch=head["ETag"], Range=f"bytes=0-{MAGIC_BYTES - 1}"
        )["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in NOT_THERE:
            return None
        raise
    return Upload(head["ETag"], sniff(row.name, first))


def delete_objects(parts: Parts, batch: str, job: str = "") -> Iterator[int]:
    """Delete the uploads and results of a job, or of a whole batch, a page at a time.

    Yields
    ------
    int
        How many objects went, after each page; the caller may stop there and begin anew later.
    """
    results = f"files/{batch}/" + (f"{job}/" if job else "")
    uploads = places.upload_key(batch, job)
    for bucket, prefix in (
        (parts.settings.uploads_bucket, uploads),
        (parts.settings.results_bucket, results),
    ):
        pages = parts.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            keys = [{"Key": each["Key"]} for each in page.get("Contents", ())]
            if keys:
                parts.s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
                yield len(keys)

"""Files in S3: forms and parts for sending them, checks after they arrived, and deletion."""

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from chalicelib import tiff_size
from chalicelib.images import (
    MAGIC_BYTES,
    TIFF,
    UNKNOWN_TYPE,
    GoneError,
    bytes_max,
    check_size,
    sniff,
)
from chalicelib.services import Services
from config.contract import resources
from config.contract.job import Job
from config.contract.settings import MIB

# Small, so that a lost connection costs little; not smaller, so that a file has few parts.
PART_BYTES = 8 * MIB
PARTS_MAX = 10_000

# The size in pixels of a TIFF from this size on is read before it is queued. A smaller one is soon
# refused by a worker, and needs no further requests here.
HEADER_BYTES_MIN = 4 * MIB

NOT_THERE = "NoSuchKey"
NO_UPLOAD = "NoSuchUpload"

# How long a request waits while S3 joins or copies a file; then the client asks again. The rest of
# the request must also fit into the gateway's 29 s.
PLACING_SECONDS = 15.0
# S3 sends a space now and then during such a call, so that the client's timeout does not end it.
PLACING = ThreadPoolExecutor(4, thread_name_prefix="placing")
# Calls that have not ended, by batch and job: a request that is repeated waits for the same call.
_placing: dict[tuple[str, str], Future[object]] = {}
_placing_lock = threading.Lock()


class StillPlacing(Exception):
    """S3 is still joining or copying a file; ask again."""


@dataclass(frozen=True)
class Upload:
    """A file that arrived and looks like an image."""

    etag: str
    type: str


def form(services: Services, row: Job) -> dict[str, Any]:
    """Sign a form for the upload of one file: it fixes the key, the size and the type.

    Returns
    -------
    dict
        ``url``, ``fields`` to send before the file, and ``expires`` in milliseconds since 1970.
    """
    now = services.clock()
    # A form must not outlive the job: nothing would delete a file that came later.
    seconds = min(services.settings.upload_form_seconds, (row.kept_until - now) // 1000)
    content_type = row.type or UNKNOWN_TYPE
    signed = services.s3_public.generate_presigned_post(
        Bucket=services.settings.uploads_bucket,
        Key=resources.upload_key(row.batch, row.job),
        Fields={"Content-Type": content_type},
        Conditions=[
            {"Content-Type": content_type},
            ["content-length-range", row.bytes, row.bytes],
        ],
        ExpiresIn=seconds,
    )
    return {"url": signed["url"], "fields": signed["fields"], "expires": now + 1000 * seconds}


def inspect(services: Services, row: Job) -> Upload | None:
    """Look at the file of a job; copy the file that it uses again before that.

    Returns
    -------
    Upload or None
        None if nothing is there yet.

    Raises
    ------
    UploadError
        If its size or first bytes are wrong, or the file to be used again is gone.
    StillPlacing
        If S3 takes long to copy it.
    """
    found = look(services, row)
    # A client that has begun an upload in parts sends the file itself.
    if found is None and row.reuse and not row.upload:
        copy_reused(services, row)
        found = look(services, row)
    return found


def placed(row: Job, call: Callable[[], object]) -> None:
    """Wait for a call in which S3 joins or copies a job's file.

    A call that has begun goes on after the wait, and the next request waits for it instead of
    calling again. A call that has not begun is cancelled.

    Raises
    ------
    StillPlacing
        After `PLACING_SECONDS`.
    """
    waited_for = placing(row, call)
    try:
        waited_for.result(PLACING_SECONDS)
    except TimeoutError as error:
        # A call that waits behind others must not begin after its request has ended.
        waited_for.cancel()
        raise StillPlacing(
            f"{row.name}: the file is still being put in its place; ask again"
        ) from error


def placing(row: Job, call: Callable[[], object]) -> Future[object]:
    """Begin a call for a job, unless an earlier one for the same job has not ended; return it."""
    key = row.batch, row.job
    with _placing_lock:
        known = _placing.get(key)
        if known is not None and not known.done():
            return known
        _placing[key] = begun = PLACING.submit(call)
        for other in [other for other, each in _placing.items() if each.done()]:
            del _placing[other]
    return begun


def part_bytes(size: int) -> int:
    """Compute the size of every part but the last: S3 takes 10 000 parts, of 5 MiB or more."""
    return max(PART_BYTES, math.ceil(size / PARTS_MAX))


def part_count(size: int) -> int:
    """Compute the number of parts of a file of `size` bytes."""
    return math.ceil(size / part_bytes(size))


def begin_parts(services: Services, row: Job) -> str:
    """Begin an upload in parts; returns its id."""
    begun = services.s3.create_multipart_upload(
        Bucket=services.settings.uploads_bucket,
        Key=resources.upload_key(row.batch, row.job),
        ContentType=row.type or UNKNOWN_TYPE,
    )
    return str(begun["UploadId"])


def abort_parts(services: Services, row: Job, upload: str) -> None:
    """Abort an upload in parts, and delete the parts that arrived."""
    services.s3.abort_multipart_upload(**multipart(services, row, upload))


def multipart(services: Services, row: Job, upload: str) -> dict[str, str]:
    """Return the arguments of boto3 that name an upload in parts."""
    key = resources.upload_key(row.batch, row.job)
    return {"Bucket": services.settings.uploads_bucket, "Key": key, "UploadId": upload}


def sign_part(services: Services, row: Job, number: int) -> dict[str, Any]:
    """Sign the address for one part; it takes exactly the length of that part."""
    size = part_bytes(row.bytes)
    length = min(size, row.bytes - (number - 1) * size)
    now = services.clock()
    seconds = min(services.settings.upload_form_seconds, (row.kept_until - now) // 1000)
    url = services.s3_public.generate_presigned_url(
        "upload_part",
        Params={
            **multipart(services, row, row.upload),
            "PartNumber": number,
            "ContentLength": length,
        },
        ExpiresIn=seconds,
    )
    return {"part": number, "bytes": length, "url": url, "expires": now + 1000 * seconds}


def arrived_parts(services: Services, row: Job) -> dict[int, str] | None:
    """Read the ETags of the parts that S3 has whole, by number.

    Returns
    -------
    dict of int to str, or None
        None if S3 does not know the upload any more: its parts were joined, are being joined, or
        were deleted.
    """
    if not row.upload:
        return {}
    size = part_bytes(row.bytes)
    pages = services.s3.get_paginator("list_parts").paginate(**multipart(services, row, row.upload))
    try:
        return {
            each["PartNumber"]: each["ETag"]
            for page in pages
            for each in page.get("Parts", ())
            if each["Size"] == min(size, row.bytes - (each["PartNumber"] - 1) * size)
        }
    except ClientError as error:
        if error.response["Error"]["Code"] == NO_UPLOAD:
            return None
        raise


def join_parts(services: Services, row: Job, arrived: Mapping[int, str]) -> None:
    """Join the parts that arrived, by their ETags; nothing happens if S3 joined them before.

    Raises
    ------
    StillPlacing
        If S3 takes long.
    """
    listed = [{"PartNumber": each, "ETag": arrived[each]} for each in sorted(arrived)]
    join = partial(
        services.s3_placing.complete_multipart_upload,
        **multipart(services, row, row.upload),
        MultipartUpload={"Parts": listed},
    )
    try:
        placed(row, join)
    except ClientError as error:
        if error.response["Error"]["Code"] != NO_UPLOAD:
            raise


def copy_reused(services: Services, row: Job) -> None:
    """Copy another job's file to this job, so that each can be deleted without the other."""
    bucket = services.settings.uploads_bucket
    batch, _, job = row.reuse.partition("/")
    copy = partial(
        services.s3_placing.copy_object,
        Bucket=bucket,
        Key=resources.upload_key(row.batch, row.job),
        CopySource={"Bucket": bucket, "Key": resources.upload_key(batch, job)},
    )
    try:
        placed(row, copy)
    except ClientError as error:
        if error.response["Error"]["Code"] == NOT_THERE:
            raise GoneError(
                f"{row.name}: the file that was sent before is no longer kept; send it again"
            ) from error
        raise


def look(services: Services, row: Job) -> Upload | None:
    """Read the start of a job's file and check it; returns and raises as `inspect` does."""
    try:
        found = services.s3.get_object(
            Bucket=services.settings.uploads_bucket,
            Key=resources.upload_key(row.batch, row.job),
            Range=f"bytes=0-{MAGIC_BYTES - 1}",
        )
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == NOT_THERE:
            return None
        if code == "InvalidRange":
            # S3 refuses a range of an empty file.
            check_size(row.name, 0, row.bytes, services.settings.upload_bytes_max)
        raise
    first = found["Body"].read(MAGIC_BYTES)
    # Some stores return an empty file instead of refusing the range.
    size = int(found.get("ContentRange", f"/{found['ContentLength']}").rpartition("/")[2])
    kind = sniff(row.name, first) if size else ""
    check_size(row.name, size, row.bytes, bytes_max(services.settings, kind))
    if kind == TIFF and size >= HEADER_BYTES_MIN:
        tiff_size.check(row.name, reader(services, row, found["ETag"]), services.settings)
    return Upload(found["ETag"], kind)


def reader(services: Services, row: Job, etag: str) -> Callable[[int, int], bytes]:
    """Return a function that reads bytes of a job's file, by offset and length."""

    def read(offset: int, count: int) -> bytes:
        try:
            found = services.s3.get_object(
                Bucket=services.settings.uploads_bucket,
                Key=resources.upload_key(row.batch, row.job),
                Range=f"bytes={offset}-{offset + count - 1}",
                IfMatch=etag,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in ("InvalidRange", "PreconditionFailed"):
                return b""
            raise
        return bytes(found["Body"].read(count))

    return read


def abort_all(services: Services, prefix: str) -> None:
    """Abort the uploads in parts under a prefix, whose parts would be paid for."""
    bucket = services.settings.uploads_bucket
    pages = services.s3.get_paginator("list_multipart_uploads").paginate(
        Bucket=bucket, Prefix=prefix
    )
    for page in pages:
        for each in page.get("Uploads", ()):
            # Stores that ignore the prefix list all.
            if each["Key"].startswith(prefix):
                services.s3.abort_multipart_upload(
                    Bucket=bucket, Key=each["Key"], UploadId=each["UploadId"]
                )


def delete_objects(services: Services, batch: str, job: str = "") -> Iterator[int]:
    """Delete the uploads and results of a job, or of a whole batch, a page at a time.

    Yields
    ------
    int
        Number of objects deleted, after each page. The caller may stop there and call again
        later.
    """
    abort_all(services, resources.upload_key(batch, job))
    for bucket, prefix in (
        (services.settings.uploads_bucket, resources.upload_key(batch, job)),
        (services.settings.results_bucket, resources.results_prefix(batch, job)),
        # Results of an older worker, whose addresses held the batch.
        (services.settings.results_bucket, f"files/{batch}/" + (f"{job}/" if job else "")),
    ):
        pages = services.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            keys = [{"Key": each["Key"]} for each in page.get("Contents", ())]
            if keys:
                services.s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
                yield len(keys)

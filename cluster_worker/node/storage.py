"""Objects in S3: download uploads, and store results."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import boto3
from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cluster_worker.errors import Broken, Rejected
from cluster_worker.objects.spools import COPIED_BYTES_MIN, StoredTiles
from config.contract import resources
from config.contract.job import InputFile, Job
from config.contract.settings import MIB, WorkerSettings

CONNECT_SECONDS = 5
READ_SECONDS = 30
CONNECTIONS = 32
# How often botocore tries a call that fails for a transient reason, with backoff in between.
TRIES = 5

CHUNK_BYTES = MIB
# How often a download is tried. botocore does not repeat it if the connection breaks in the body,
# because the caller reads the stream.
DOWNLOADS_MAX = 3

# Results of at least this size are uploaded in parts of this size, several at a time.
PARTS_BYTES = 16 * MIB
MULTIPART = TransferConfig(
    multipart_threshold=PARTS_BYTES, multipart_chunksize=PARTS_BYTES, max_concurrency=4
)

# A result never changes under its key. Shared caches must not store it: only those who know its
# address may read it. There is no max-age, because a browser would count it from the download; the
# header Expires says when the result is deleted.
CACHE_CONTROL = "private, immutable"

# Parts of a result that S3 copies at the same time.
COPIES_AT_ONCE = 8

MISSING = ("NoSuchKey", "404")
CHANGED = ("PreconditionFailed", "412")


class Storage:
    """The two buckets, for uploads and results; safe to use from many threads.

    Parameters
    ----------
    settings : WorkerSettings
        Names of the buckets, region and endpoint.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self.uploads = settings.uploads_bucket
        self.results = settings.results_bucket
        self.whole_bytes_max = settings.upload_bytes_max
        self.client = client("s3", settings.s3_endpoint, settings.aws_region)

    def download(self, row: Job | InputFile, path: Path) -> None:
        """Download a job's upload, in the version that the API saw when it queued the job.

        Parameters
        ----------
        row : Job or InputFile
            Its ETag states the version, and its name begins the error sentence.
        path : Path
            The file to write.

        Raises
        ------
        Rejected
            If the upload is gone, or was replaced by another one.
        Broken
            If S3 does not answer, or the file cannot be written.
        """
        for left in reversed(range(DOWNLOADS_MAX)):
            try:
                with path.open("wb") as file:
                    self.fetch(row, file)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code in MISSING:
                    raise Rejected(f"{row.name}: the upload is gone; upload it again") from error
                if code in CHANGED:
                    raise Rejected(
                        f"{row.name}: the file changed after it was accepted; upload it again"
                    ) from error
                raise aws_failure("S3", error) from error
            except BotoCoreError as error:
                if not left:
                    raise aws_failure("S3", error) from error
            except OSError as error:
                raise Broken(f"{path.parent}: cannot be written: {error.strerror}") from error
            else:
                return

    def fetch(self, row: Job | InputFile, file: BinaryIO) -> None:
        """Write a job's upload to an open file, in one try.

        Raises
        ------
        ClientError, BotoCoreError
            If S3 refuses the call, or does not answer.
        """
        key = resources.upload_key(row.batch, row.job)
        answer = self.client.get_object(Bucket=self.uploads, Key=key, IfMatch=row.etag)
        with closing(answer["Body"]) as body:
            for chunk in body.iter_chunks(CHUNK_BYTES):
                file.write(chunk)

    def upload(
        self, path: Path, key: str, media_type: str, download_name: str, kept_until: int
    ) -> None:
        """Store a result.

        Parameters
        ----------
        path : Path
            The file.
        key : str
            From `config.contract.resources.result_key`.
        media_type : str
            Sent to browsers.
        download_name : str
            File name under which browsers save it.
        kept_until : int
            When the result is deleted, in milliseconds since 1970; caches may keep it until then.

        Raises
        ------
        Broken
            If S3 does not store it.
        """
        headers = result_headers(media_type, download_name, kept_until)
        with aws_errors_as_broken("S3"):
            if path.stat().st_size < PARTS_BYTES:
                # Bytes instead of a file: for a file, botocore first asks S3 whether to send it,
                # and waits for the answer.
                self.client.put_object(
                    Bucket=self.results, Key=key, Body=path.read_bytes(), **headers
                )
            else:
                self.client.upload_file(
                    str(path), self.results, key, ExtraArgs=headers, Config=MULTIPART
                )

    def join(
        self,
        head: Path,
        tiles: StoredTiles,
        key: str,
        media_type: str,
        download_name: str,
        kept_until: int,
        check: Callable[[], None],
    ) -> None:
        """Store a result whose tiles lie in the bucket of uploads: S3 copies them as parts.

        No pixels pass through this host, except what the ranks ended with: a few megabytes each.

        Parameters
        ----------
        head : Path
            The file that the tiles follow.
        tiles : StoredTiles
            Their objects, the large ones first.
        key, media_type, download_name, kept_until
            As for `upload`.
        check : callable
            Called before each part, from several threads; raises if the job is lost.

        Raises
        ------
        Broken
            If S3 does not store it.
        Cancelled
            If `check` does. After any error no part is left.
        """
        where = {"Bucket": self.results, "Key": key}
        headers = result_headers(media_type, download_name, kept_until)
        with aws_errors_as_broken("S3"):
            begun = self.client.create_multipart_upload(**where, **headers)
            where["UploadId"] = begun["UploadId"]
            try:
                listed = self.send_parts(head, tiles, where, check)
                self.client.complete_multipart_upload(**where, MultipartUpload={"Parts": listed})
            except BaseException:
                self.client.abort_multipart_upload(**where)
                raise

    def send_parts(
        self, head: Path, tiles: StoredTiles, where: dict[str, str], check: Callable[[], None]
    ) -> list[dict[str, Any]]:
        """Send the head and have S3 copy the tiles; return the parts' numbers and ETags."""
        bucket, _, prefix = tiles.store.removeprefix("s3://").partition("/")
        keys = [f"{prefix}/{each}" if prefix else each for each in tiles.keys]

        def read(number: int) -> bytes:
            answer = self.client.get_object(Bucket=bucket, Key=keys[number])
            with closing(answer["Body"]) as body:
                return bytes(body.read())

        def send(number: int, objects: list[int]) -> dict[str, Any]:
            check()
            place = {**where, "PartNumber": number}
            if objects and tiles.sizes[objects[0]] >= COPIED_BYTES_MIN:
                source = {"Bucket": bucket, "Key": keys[objects[0]]}
                found = self.client.upload_part_copy(**place, CopySource=source)["CopyPartResult"]
            else:
                content = b"".join(map(read, objects)) if objects else head.read_bytes()
                found = self.client.upload_part(**place, Body=content)
            return {"PartNumber": number, "ETag": found["ETag"]}

        with ThreadPoolExecutor(COPIES_AT_ONCE) as pool:
            sent = [
                pool.submit(send, number, objects)
                for number, objects in enumerate([[], *parts_of(tiles.sizes)], start=1)
            ]
            try:
                return [each.result() for each in sent]
            finally:
                # After an error, those that have not begun.
                for each in sent:
                    each.cancel()

    def abort_joins(self, row: Job) -> None:
        """Abort what attempts at a job that were killed have begun to join."""
        prefix = resources.results_prefix(row.batch, row.job)
        with aws_errors_as_broken("S3"):
            found = self.client.list_multipart_uploads(Bucket=self.results, Prefix=prefix)
            for each in found.get("Uploads", ()):
                # Stores that ignore the prefix list all.
                if each["Key"].startswith(prefix):
                    where = {"Key": each["Key"], "UploadId": each["UploadId"]}
                    self.client.abort_multipart_upload(Bucket=self.results, **where)


def parts_of(sizes: list[int]) -> Iterator[list[int]]:
    """Combine objects, by their numbers, to parts that are large enough; the last may be smaller.

    Those that are large enough by themselves must come first.
    """
    waiting: list[int] = []
    for number, size in enumerate(sizes):
        waiting.append(number)
        if size >= COPIED_BYTES_MIN or sum(sizes[i] for i in waiting) >= COPIED_BYTES_MIN:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def result_headers(media_type: str, download_name: str, kept_until: int) -> dict[str, Any]:
    """Return what S3 sends with a result; the parameters are as for `Storage.upload`."""
    return {
        "ContentType": media_type,
        "ContentDisposition": disposition(download_name),
        "CacheControl": CACHE_CONTROL,
        "Expires": datetime.fromtimestamp(kept_until // 1000, UTC),
    }


def client(service: str, endpoint: str, region: str) -> Any:
    """Make a client of an AWS service.

    Parameters
    ----------
    service : str
        As boto3 names it.
    endpoint : str
        URL of a compatible service; empty for AWS.
    region : str
        Of AWS.

    Returns
    -------
    object
        A client; for ``"dynamodb"`` a resource.
    """
    options: dict[str, Any] = {}
    if endpoint:
        # Stores other than AWS have no host name for each bucket, and not all support the new
        # checksums.
        options = {
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        }
    config = Config(
        signature_version="s3v4" if service == "s3" else None,
        s3={"addressing_style": "path" if endpoint else "virtual"},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=CONNECTIONS,
        # Tests make every call to a real store. Validating the arguments again takes a tenth of
        # the time of a call.
        parameter_validation=False,
        retries={"mode": "standard", "total_max_attempts": TRIES},
        **options,
    )
    # A new session: making clients from boto3's default session is not safe in threads.
    session = boto3.session.Session(region_name=region)
    made = session.resource if service == "dynamodb" else session.client
    return made(service, endpoint_url=endpoint or None, config=config)


def disposition(name: str) -> str:
    """Return the Content-Disposition header that names a file for browsers (RFC 6266).

    Old browsers read the name in ASCII; browsers that support RFC 5987 read the exact name.
    """
    # No control characters: a line break in a name would begin another header.
    name = "".join(each for each in name if each.isprintable()) or "result"
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r'["\\%/;]', "_", plain)
    if not plain.partition(".")[0]:
        plain = f"result{plain}"
    if plain == name:
        return f'inline; filename="{plain}"'
    encoded = quote(name, safe="", errors="replace")
    return f"inline; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


def aws_failure(service: str, error: Exception) -> Broken:
    """Make the error for a failed call of AWS.

    It does not repeat botocore's message, which may contain a URL with the id of the batch.
    """
    if isinstance(error, ClientError):
        return Broken(f"{service}: {error.operation_name}: {error.response['Error']['Code']}")
    return Broken(f"{service} does not answer ({type(error).__name__})")


@contextmanager
def aws_errors_as_broken(service: str) -> Iterator[None]:
    """Turn the errors of botocore and boto3 into `Broken`."""
    try:
        yield
    except (BotoCoreError, ClientError, S3UploadFailedError) as error:
        raise aws_failure(service, error) from error

"""Objects in S3: download uploads, and store results."""

import re
import unicodedata
from collections.abc import Iterator
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
        headers = {
            "ContentType": media_type,
            "ContentDisposition": disposition(download_name),
            "CacheControl": CACHE_CONTROL,
            "Expires": datetime.fromtimestamp(kept_until // 1000, UTC),
        }
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

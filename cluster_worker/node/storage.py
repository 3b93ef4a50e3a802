"""Objects in S3: uploads to read, results to write."""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager
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
from config.contract.job import Job
from config.contract.settings import MIB, WorkerSettings

CONNECT_SECONDS = 5
READ_SECONDS = 30
CONNECTIONS = 32
# botocore repeats what is transient, with backoff; this is the first try and the repeats.
TRIES = 5

CHUNK_BYTES = MIB
# A body that breaks off is not repeated by botocore, since the caller holds the stream.
DOWNLOADS_MAX = 3

# Results from this size on go up in parts, side by side, by threads that are made for each.
PARTS_BYTES = 16 * MIB
MULTIPART = TransferConfig(
    multipart_threshold=PARTS_BYTES, multipart_chunksize=PARTS_BYTES, max_concurrency=4
)

# A result never changes under its key, and is for who knows the batch only.
CACHE_CONTROL = "private, max-age=31536000, immutable"

MISSING = ("NoSuchKey", "404")
CHANGED = ("PreconditionFailed", "412")


class Storage:
    """The two buckets; safe to use from many threads.

    Parameters
    ----------
    settings : WorkerSettings
        Names of the buckets, region and endpoint.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self.uploads = settings.uploads_bucket
        self.results = settings.results_bucket
        self.client = client("s3", settings.s3_endpoint, settings.aws_region)

    def download(self, row: Job, path: Path) -> None:
        """Fetch a job's upload, exactly as the API saw it when it queued the job.

        Raises
        ------
        Rejected
            If the upload is gone, or is another one by now.
        Broken
            If S3 does not answer, or there is no room for the file.
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
                raise unanswered("S3", error) from error
            except BotoCoreError as error:
                if not left:
                    raise unanswered("S3", error) from error
            except OSError as error:
                raise Broken(f"{path.parent}: cannot be written: {error.strerror}") from error
            else:
                return

    def fetch(self, row: Job, file: BinaryIO) -> None:
        """Fetch an upload once; raises what botocore raises."""
        key = resources.upload_key(row.batch, row.job)
        answer = self.client.get_object(Bucket=self.uploads, Key=key, IfMatch=row.etag)
        with closing(answer["Body"]) as body:
            for chunk in body.iter_chunks(CHUNK_BYTES):
                file.write(chunk)

    def upload(self, path: Path, key: str, media_type: str, download_name: str) -> None:
        """Store a result.

        Parameters
        ----------
        path : Path
            The file.
        key : str
            From `config.contract.resources.result_key`.
        media_type : str
            That browsers are told.
        download_name : str
            Under which browsers save it.

        Raises
        ------
        Broken
            If S3 does not take it.
        """
        headers = {
            "ContentType": media_type,
            "ContentDisposition": disposition(download_name),
            "CacheControl": CACHE_CONTROL,
        }
        with answering("S3"):
            if path.stat().st_size < PARTS_BYTES:
                # Bytes, not a file: for one of those S3 is asked first whether to send it.
                self.client.put_object(
                    Bucket=self.results, Key=key, Body=path.read_bytes(), **headers
                )
            else:
                self.client.upload_file(
                    str(path), self.results, key, ExtraArgs=headers, Config=MULTIPART
                )


def client(service: str, endpoint: str, region: str) -> Any:
    """Make a client of one AWS service, or of what stands in for it at an endpoint."""
    options: dict[str, Any] = {}
    if endpoint:
        # Stores other than AWS know no host per bucket, and not all know the new checksums.
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
        # Each call of ours is tested against a store; to look at its arguments again costs a tenth.
        parameter_validation=False,
        retries={"mode": "standard", "total_max_attempts": TRIES},
        **options,
    )
    # A session of its own: boto3's default one is not safe to make clients from in threads.
    session = boto3.session.Session(region_name=region)
    made = session.resource if service == "dynamodb" else session.client
    return made(service, endpoint_url=endpoint or None, config=config)


def disposition(name: str) -> str:
    """Word the header under which a browser saves a file (RFC 6266).

    Old browsers get the name in ASCII; those that know RFC 5987 get it as it is.
    """
    # No control characters: a line break in a name must not begin a header.
    name = "".join(each for each in name if each.isprintable()) or "result"
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r'["\\%/;]', "_", plain)
    if not plain.partition(".")[0]:
        plain = f"result{plain}"
    if plain == name:
        return f'inline; filename="{plain}"'
    encoded = quote(name, safe="", errors="replace")
    return f"inline; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


def unanswered(service: str, error: Exception) -> Broken:
    """Word a failure of AWS, without the address in botocore's words, which names the batch."""
    if isinstance(error, ClientError):
        return Broken(f"{service}: {error.operation_name}: {error.response['Error']['Code']}")
    return Broken(f"{service} does not answer ({type(error).__name__})")


@contextmanager
def answering(service: str) -> Iterator[None]:
    """Turn what botocore raises into `Broken`."""
    try:
        yield
    except (BotoCoreError, ClientError, S3UploadFailedError) as error:
        raise unanswered(service, error) from error

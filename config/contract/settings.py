"""Settings: typed values from the environment and `.env` files, read once at the start.

The environment wins over the `.env` of the room (in `api/` or `cluster_worker/`), which wins over
the `.env` in the top folder. `.env.example` lists every setting with its meaning.
"""

import os
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

TOP = Path(__file__).resolve().parents[2]

MIB = 1024 * 1024

# The broker's address for an API that cannot reach the broker.
NO_BROKER = "none"


class SettingError(ValueError):
    """A setting is missing or cannot be used; the text is for the operator."""


def setting(help: str, default: Any = MISSING) -> Any:
    """Declare a setting; one without a default must be set."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """Settings of API and worker: addresses and names of resources, and limits they share."""

    aws_region: str = setting("AWS region", "eu-central-1")
    table: str = setting("DynamoDB table with the state of every job", "dip-jobs")
    uploads_bucket: str = setting("S3 bucket that visitors upload to")
    results_bucket: str = setting("S3 bucket of the results, served under /files/")
    broker_url: str = setting(
        "RabbitMQ as amqp://user:password@host:port/ or amqps://…; none for an API that cannot "
        "reach it, because it is on the worker's host"
    )
    broker_secret: str = setting(
        "Secret in AWS Secrets Manager with username and password of the broker; "
        "empty if BROKER_URL has them",
        "",
    )
    worker_group: str = setting(
        "Auto Scaling group of the worker nodes; empty if there is none", ""
    )
    s3_endpoint: str = setting("S3 as API and workers reach it; empty for AWS", "")
    dynamodb_endpoint: str = setting("DynamoDB as API and workers reach it; empty for AWS", "")
    heartbeat_lapse_seconds: int = setting(
        "Time without a heartbeat after which a running job is queued again", 60
    )
    lane_share_jobs: int = setting(
        "Most images of one visitor that wait in a lane of the broker at a time", 100
    )
    pixels_max: int = setting("Largest image accepted, in pixels (rows × columns)", 400_000_000)
    upload_bytes_max: int = setting("Largest file accepted, in bytes", 512 * MIB)
    streamed_pixels_max: int = setting(
        "Largest image accepted of a TIFF that is read by windows, in pixels; never fewer than "
        "PIXELS_MAX",
        10**12,
    )
    streamed_bytes_max: int = setting(
        "Largest TIFF accepted, in bytes; those above UPLOAD_BYTES_MAX must be readable by windows",
        10**12,
    )
    trace_collector: str = setting(
        "Collector of traces, such as http://127.0.0.1:4318, which gets OTLP over HTTP; empty for "
        "none",
        "",
    )


@dataclass(frozen=True, kw_only=True)
class ApiSettings(Endpoints):
    """Settings of the API."""

    s3_public_endpoint: str = setting("S3 as browsers reach it; empty for AWS", "")
    batch_jobs_max: int = setting("Most images in one batch", 50_000)
    request_jobs_max: int = setting("Most images in one request", 100)
    steps_max: int = setting("Longest chain of operations", 20)
    upload_form_seconds: int = setting("How long an upload form stays valid", 3600)
    upload_wait_seconds: int = setting("How long a job waits for its upload", 24 * 3600)
    kept_seconds: int = setting("How long rows, uploads and results are kept", 7 * 24 * 3600)
    origin_key: str = setting(
        "Random text that the site's origin sends to the API, so that it is believed who the "
        "visitor is; `make run` and the server make one if it is empty",
        "",
    )
    origin_secret: str = setting(
        "Secret in AWS Secrets Manager with that text; empty if ORIGIN_KEY has it", ""
    )
    visitor_day_bytes_max: int = setting(
        "Most bytes that one visitor may send in a day (UTC); 0 for no limit", 100 * 1024 * MIB
    )
    visitor_day_pixels_max: int = setting(
        "Most pixels of one visitor that are processed in a day; 0 for no limit", 200_000_000_000
    )
    visitor_day_cpu_seconds_max: int = setting(
        "Most processor time that one visitor's images take in a day; 0 for no limit", 36_000
    )
    visitor_minute_stops_max: int = setting(
        "Most running images that one visitor may stop in a minute before it must wait; 0 for no "
        "limit",
        30,
    )
    total_day_bytes_max: int = setting(
        "Most bytes that all visitors may send in a day; 0 for no limit", 2048 * 1024 * MIB
    )
    total_day_pixels_max: int = setting(
        "Most pixels of all visitors that are processed in a day; 0 for no limit",
        4_000_000_000_000,
    )
    total_day_cpu_seconds_max: int = setting(
        "Most processor time that all visitors' images take in a day; 0 for no limit", 720_000
    )
    retries_max: int = setting("How often the visitor may have one image done again", 5)
    publish_seconds: float = setting("Longest wait for the broker to confirm a message", 5.0)
    republish_seconds: int = setting("Time after which the sweep checks a queued job again", 30)
    metrics_namespace: str = setting(
        "CloudWatch namespace of the app's own metrics; empty to publish none", ""
    )
    workers_max: int = setting("Most worker nodes that the group may have", 1)
    worker_images: int = setting(
        "Number of waiting images for which one worker node is wanted", 100
    )
    autoscaling_endpoint: str = setting(
        "Auto Scaling as the API reaches it, where it has IPv6 alone; empty for AWS's own address",
        "",
    )
    worker_host: str = setting(
        "Name of the EC2 instance that has broker and worker, which the API starts when images "
        "wait; empty if there is none",
        "",
    )
    host_idle_seconds: int = setting(
        "Time without work after which that instance stops itself", 600
    )
    thousand_images_usd: float = setting(
        "Price of 1,000 images, for estimates; 0 to state none", 0.0
    )


@dataclass(frozen=True, kw_only=True)
class WorkerSettings(Endpoints):
    """Settings of a worker node."""

    ranks: int = setting(
        "Images computed side by side, and MPI ranks for a large one; 0 means one per core", 0
    )
    warm_operations: str = setting(
        "Operations that the worker loads before an image needs them, by name with commas between "
        "them; all of them if it is empty, or as long as kernels are not compiled",
        "",
    )
    decode_seconds_max: float = setting("Most processor time to decode or encode one file", 60.0)
    job_seconds_max: float = setting("Most processor time one image may take in a rank", 600.0)
    job_memory_bytes_max: int = setting("Most memory one image may need per rank", 4096 * MIB)
    fault_limit: int = setting(
        "Number of attempts of a job in which its rank died twice at which the job fails", 2
    )
    drain_seconds: float = setting("Time to finish the running jobs after SIGTERM", 60.0)
    progress_seconds: float = setting("Time between two progress writes of one job", 0.5)
    scratch_dir: str = setting("Folder in memory for pixels and files of running jobs", "/dev/shm")  # noqa: S108
    spool_dir: str = setting("Folder on disk for images larger than memory", "/var/tmp")  # noqa: S108
    kernels_dir: str = setting(
        "Folder with kernels that were compiled beforehand, by family of processors; the worker's "
        "image has one; empty for none",
        "",
    )
    alive_file: str = setting(
        "File that the node touches while its consumer responds; empty for none", ""
    )
    metadata_endpoint: str = setting(
        "EC2's metadata service, which announces the end of the node; empty elsewhere", ""
    )
    lifecycle_hook: str = setting(
        "Lifecycle hook by which the group waits until a node is drained; empty for none", ""
    )
    hosts_max: int = setting(
        "Most hosts that work on one image together, this one included; 1 for this one alone", 1
    )
    hosts_save_seconds: float = setting(
        "Least time that further hosts must save, by the estimate, for an image to lease them", 20.0
    )
    hosts_secret_file: str = setting(
        "File with the secret of the group's hosts, the same on each: openssl rand -hex 32", ""
    )
    hosts_secret: str = setting(
        "Secret in AWS Secrets Manager with that text; empty if HOSTS_SECRET_FILE has it", ""
    )
    hosts_zone: str = setting(
        "Hosts of one zone work together; on EC2, if it is empty, the availability zone", ""
    )
    host_address: str = setting(
        "Address by which the other hosts reach this one; on EC2, if it is empty, its private one",
        "",
    )
    agent_port: int = setting("TCP port at which hosts ask this one for its ranks", 7321)
    metrics_address: str = setting(
        "Address at which Prometheus reads the node's metrics, such as 127.0.0.1:9400; empty for "
        "none",
        "",
    )
    mpi_ports: str = setting(
        "TCP ports at which ranks of several hosts reach each other, as LOW:HIGH; empty for any",
        "30000:30999",
    )


@dataclass(frozen=True, kw_only=True)
class LocalSettings:
    """Settings of `make run`; it sets all others itself."""

    port: int = setting("Port of the site on this machine", 8000)
    ranks: int = setting(
        "Images computed side by side, and MPI ranks for a large one; 0 means one per core", 0
    )
    sweep_seconds: float = setting("Time between two sweeps on this machine", 5.0)
    local_host: str = setting(
        "Address that site and S3 listen on; in a container 0.0.0.0, so that its ports can be "
        "published",
        "127.0.0.1",
    )
    s3_port: int = setting("Port of S3, to which the page uploads; 0 for a free one", 0)
    trace: int = setting("1 to record traces and show them on a page of their own", 0)
    hosts: int = setting(
        "Workers of `make run`; several are isolated as hosts are, for which they need root", 1
    )


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Settings of the server of API and site on a machine of one's own, besides the API's."""

    proxies: int = setting(
        "How many proxies of your own stand before the server; each adds the address that it saw "
        "to X-Forwarded-For",
        0,
    )

    listen_host: str = setting("Address that the server listens on", "127.0.0.1")
    listen_port: int = setting("Port that the server listens on", 8080)
    api_threads: int = setting("Most requests to the API that are answered at the same time", 16)
    schedule_seconds: float = setting("Time between two sweeps of the server", 60.0)


Settings = TypeVar(
    "Settings", Endpoints, ApiSettings, WorkerSettings, LocalSettings, ServerSettings
)


def load(
    kind: type[Settings], room: str = "", environment: Mapping[str, str] | None = None
) -> Settings:
    """Read settings of one kind.

    Parameters
    ----------
    kind : type
        One of the dataclasses above.
    room : str
        Folder whose own `.env` overrides the one at the top, such as ``"api"``.
    environment : mapping, optional
        Used instead of the process's environment.

    Raises
    ------
    SettingError
        If a setting is missing or of the wrong type.
    """
    given = dict(read_env_file(TOP / ".env"))
    if room:
        given |= read_env_file(TOP / room / ".env")
    given |= os.environ if environment is None else environment
    return kind(**{each.name: value_of(each, given) for each in fields(kind)})


def value_of(each: "Field[Any]", given: Mapping[str, str]) -> Any:
    """Convert one setting's text to its type, or return its default."""
    name = each.name.upper()
    text = given.get(name, "")
    if text == "":
        if each.default is MISSING:
            raise SettingError(f"{name} is not set; copy .env.example to .env and fill it in")
        return each.default
    try:
        return each.type(text) if callable(each.type) else text
    except ValueError as error:
        kind = "a whole number" if each.type is int else "a number"
        raise SettingError(f"{name}: must be {kind}, got {text!r}") from error


def read_env_file(path: Path) -> dict[str, str]:
    """Read NAME=value lines; skip blank lines and lines that begin with #.

    Raises
    ------
    SettingError
        If another line is found.
    """
    if not path.is_file():
        return {}
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals:
            raise SettingError(f"{path}:{number}: must read NAME=value, got {line!r}")
        found[name.strip()] = value.strip().strip("\"'")
    return found

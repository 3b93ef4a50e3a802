"""Settings of the stack, from `cdk -c name=value` or else from `DIP_NAME` in the environment.

The setting `size` selects the defaults; every other setting overrides one of them. Nothing is read
from an AWS account, so the same settings result in the same template everywhere.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from config.contract.settings import ApiSettings, SettingError, WorkerSettings

PREFIX = "DIP_"

# Most steps of a step scaling policy; there is one step for each worker.
WORKERS_MAX = 20

EGRESS = ("auto", "nat", "endpoints", "direct")
ZONES = 2
# Families that `cluster_worker.engine.prebuilt` knows.
PROCESSORS = ("x86-64-v3", "x86-64-v4")
# The only retention times of logs that CloudWatch offers, in days, up to a year.
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365)
# RabbitMQ 4 runs on m7g instances only, of which the smallest costs four times as much as a micro.
# AWS has announced no end of support of 3.13 (looked up in December 2026); it does so 90 days
# before. `infra.account` asks whether new brokers can be created.
VERSION = "4.2"
VERSION_OF_MICRO = "3.13"
MICRO = "mq.t3.micro"
# RabbitMQ on the worker's host instead of Amazon MQ.
ON_HOST = "host"
# The broker's instance types with the most connections that one host takes: Amazon MQ's defaults;
# for the medium one `infra.broker` sets the largest number allowed.
CONNECTIONS_MAX: Mapping[str, int] = {
    MICRO: 500,
    "mq.m7g.medium": 300,
    "mq.m7g.large": 1500,
    "mq.m7g.xlarge": 3000,
    "mq.m7g.2xlarge": 6000,
    "mq.m7g.4xlarge": 12_000,
}
# An instance of the API has a connection for messages and one for previews; each of the functions
# Sweep, Backlog and DeadLetters has one. A worker has three, and while nodes are replaced there may
# be twice as many workers.
CONNECTIONS_OF_INSTANCE = 2
CONNECTIONS_OF_FUNCTIONS = 3
CONNECTIONS_OF_WORKER = 2 * 3
INSTANCE_TYPE = re.compile(r"[a-z0-9-]+\.[a-z0-9]+")
ZONE = re.compile(r"[a-z]{2}(-[a-z]+)+-\d[a-z]")
# Bucket names consist of this name, account and region, and may have 63 characters.
NAME = re.compile(r"[a-z][a-z0-9-]{1,19}")
DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")
CERTIFICATE = re.compile(r"arn:aws[a-z-]*:acm:us-east-1:\d{12}:certificate/[0-9a-f-]+")
COLLECTOR = re.compile(r"https://[a-z0-9.-]+(/[\w./-]*)?")
MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
# Arm instances, such as c7g, which cannot run the image.
ARM = re.compile(r"[a-z]+\d+g[a-z]*\.")


@dataclass(frozen=True, kw_only=True)
class StackSettings:
    """The settings that an operator may choose.

    Attributes
    ----------
    name : str
        Name of the app; begins the names of resources.
    size : str
        ``tiny``, ``small`` or ``production``: the set of defaults.
    instance_types : tuple of str
        x86 instance types of the workers; with several, AWS finds a spot instance more often.
    processors : str
        Family of processors that the image's kernels are compiled for: ``x86-64-v3``, which all
        of EC2's instances of the last years are, or ``x86-64-v4`` (AVX-512).
    spot_percent : int
        Share of the workers that are spot instances, in percent.
    workers_max : int
        Most workers at a time.
    worker_images : int
        Number of waiting images for which one more worker is wanted.
    hosts_max : int
        Most workers that share one large image, if others of its zone are idle; 1 for none.
    broker_type : str
        Instance type of Amazon MQ; or ``host``: RabbitMQ on the one worker, which sleeps.
    broker_cluster : bool
        Whether the broker is a cluster of three hosts in two zones instead of one host.
    zones : tuple of str
        The two availability zones; empty for the first two of the region. Needed where these lack
        an instance type; `make deploy` says so.
    egress : str
        How the network reaches AWS: ``nat``, ``endpoints``, ``auto`` for the cheaper of the two,
        or ``direct`` with public addresses for the workers (`infra.network`).
    domain, certificate : str
        Domain of the site, and ARN of its certificate in us-east-1; empty for CloudFront's own
        domain.
    kept_days, log_days : int
        How long images and logs are kept, in days.
    pixels_max, upload_bytes_max, job_seconds_max : int
        Limits for one image: pixels, bytes, and seconds of computing.
    streamed_pixels_max, streamed_bytes_max : int
        Those of pixels and bytes for a TIFF that is read by windows.
    requests_per_second, requests_burst : int
        Rate and burst above which the API refuses requests.
    api_concurrency : int
        Most Lambda instances of the API; each may open two connections to the broker.
    firewall_requests : int
        Requests of one address within five minutes above which it is blocked; 0 for no firewall.
    is_kept : bool
        Whether images, table and logs are kept when the stack is deleted.
    alarm_mail : str
        Mail address for alarms; empty for none.
    trace_collector : str
        Address of a collector of traces (OTLP over HTTPS at port 443), which API and workers reach;
        empty for no traces.
    budget_usd : int
        Spend of a month above which an alarm is sent, in US dollars.
    """

    name: str = "dip"
    size: str = "small"
    instance_types: tuple[str, ...] = ("c6i.xlarge", "c7i.xlarge", "c6a.xlarge", "m6i.xlarge")
    processors: str = "x86-64-v3"
    spot_percent: int = 100
    workers_max: int = 2
    worker_images: int = 100
    hosts_max: int = 1
    broker_type: str = MICRO
    broker_cluster: bool = False
    zones: tuple[str, ...] = ()
    egress: str = "direct"
    domain: str = ""
    certificate: str = ""
    kept_days: int = 7
    log_days: int = 30
    pixels_max: int = ApiSettings.pixels_max
    upload_bytes_max: int = ApiSettings.upload_bytes_max
    streamed_pixels_max: int = ApiSettings.streamed_pixels_max
    streamed_bytes_max: int = ApiSettings.streamed_bytes_max
    job_seconds_max: int = int(WorkerSettings.job_seconds_max)
    requests_per_second: int = 50
    requests_burst: int = 100
    api_concurrency: int = 50
    firewall_requests: int = 0
    is_kept: bool = False
    alarm_mail: str = ""
    trace_collector: str = ""
    budget_usd: int = 200

    @property
    def on_host(self) -> bool:
        """Whether the broker is on the host of the only worker, which sleeps between batches."""
        return self.broker_type == ON_HOST


SIZES: Mapping[str, StackSettings] = {
    "tiny": StackSettings(
        size="tiny",
        instance_types=("c6i.xlarge",),
        spot_percent=0,
        workers_max=1,
        broker_type=ON_HOST,
        requests_per_second=20,
        requests_burst=40,
        budget_usd=50,
    ),
    "small": StackSettings(),
    "production": StackSettings(
        size="production",
        instance_types=("c6i.2xlarge", "c7i.2xlarge", "c6a.2xlarge", "m6i.2xlarge"),
        spot_percent=70,
        workers_max=10,
        worker_images=200,
        broker_type="mq.m7g.large",
        broker_cluster=True,
        egress="auto",
        log_days=90,
        requests_per_second=200,
        requests_burst=400,
        api_concurrency=200,
        firewall_requests=3000,
        is_kept=True,
        budget_usd=2000,
    ),
}


def load(context: Callable[[str], Any], environment: Mapping[str, str]) -> StackSettings:
    """Read and check the settings.

    Parameters
    ----------
    context : callable
        Takes a name, returns its value from `cdk -c`, or None.
    environment : mapping
        Environment variables.

    Raises
    ------
    SettingError
        With one sentence: the setting, its rule and the value found.
    """

    def text(name: str) -> str | None:
        found = context(name)
        return environment.get(PREFIX + name.upper()) if found is None else str(found)

    size = text("size") or "small"
    if size not in SIZES:
        raise SettingError(f"size: must be one of {', '.join(SIZES)}, got {size!r}")
    given = {}
    for each in fields(StackSettings):
        value = text(each.name)
        if value is not None:
            given[each.name] = convert(each.name, value, getattr(SIZES[size], each.name))
    settings = replace(SIZES[size], **given)
    check(settings)
    return settings


def convert(name: str, text: str, like: object) -> Any:
    """Convert a setting's text to the type of its default `like`: bool, int, tuple or str.

    Raises
    ------
    SettingError
        If the text is not of that type.
    """
    if isinstance(like, bool):
        if text.lower() not in ("true", "false"):
            raise SettingError(f"{name}: must be true or false, got {text!r}")
        return text.lower() == "true"
    if isinstance(like, int):
        if not text.isdecimal():
            raise SettingError(f"{name}: must be a whole number, got {text!r}")
        return int(text)
    if isinstance(like, tuple):
        return tuple(each.strip() for each in text.split(",") if each.strip())
    return text


def check(settings: StackSettings) -> None:
    """Check that the settings can be deployed.

    Raises
    ------
    SettingError
        With one sentence: the setting, its rule and the value found.
    """
    check_pattern(settings.name, NAME, "name", "2 to 20 of a-z, 0-9 and -, beginning with a letter")
    if settings.broker_type not in (*CONNECTIONS_MAX, ON_HOST):
        types = ", ".join((*CONNECTIONS_MAX, ON_HOST))
        raise SettingError(f"broker_type: must be one of {types}, got {settings.broker_type!r}")
    if not settings.instance_types:
        raise SettingError("instance_types: must name at least one, such as c6i.xlarge")
    for each in settings.instance_types:
        check_pattern(each, INSTANCE_TYPE, "instance_types", "names such as c6i.xlarge")
        if ARM.match(each):
            raise SettingError(f"instance_types: the worker's image is for x86, got {each!r}")
    if settings.processors not in PROCESSORS:
        raise SettingError(
            f"processors: must be one of {', '.join(PROCESSORS)}, got {settings.processors!r}"
        )
    for name, low, high in (
        ("spot_percent", 0, 100),
        ("workers_max", 1, WORKERS_MAX),
        ("worker_images", 1, 100_000),
        ("kept_days", 1, 365),
        ("job_seconds_max", 10, 7200),
        ("requests_per_second", 1, 10_000),
        ("requests_burst", 1, 5000),
        ("api_concurrency", 1, 5000),
        ("budget_usd", 1, 1_000_000),
    ):
        value = getattr(settings, name)
        if not low <= value <= high:
            raise SettingError(f"{name}: must lie between {low:,} and {high:,}, got {value:,}")
    if settings.firewall_requests and not 10 <= settings.firewall_requests <= 2_000_000_000:
        raise SettingError(
            f"firewall_requests: must be 0 or at least 10, got {settings.firewall_requests}"
        )
    if settings.log_days not in LOG_DAYS:
        days = ", ".join(map(str, LOG_DAYS))
        raise SettingError(f"log_days: must be one of {days}, got {settings.log_days}")
    if settings.egress not in EGRESS:
        raise SettingError(f"egress: must be one of {', '.join(EGRESS)}, got {settings.egress!r}")
    if settings.zones and len(set(settings.zones)) != ZONES:
        raise SettingError(f"zones: must name {ZONES}, got {','.join(settings.zones)!r}")
    for each in settings.zones:
        check_pattern(each, ZONE, "zones", "names such as eu-central-1a")
    if settings.broker_cluster and settings.broker_type == MICRO:
        raise SettingError(f"broker_cluster: {MICRO} is for one host; take a larger broker_type")
    if not 1 <= settings.hosts_max <= settings.workers_max:
        raise SettingError(
            f"hosts_max: must lie between 1 and workers_max ({settings.workers_max}), "
            f"got {settings.hosts_max}"
        )
    if settings.on_host:
        check_host(settings)
    else:
        check_connections(settings)
    check_names(settings)


def check_host(settings: StackSettings) -> None:
    """Raise SettingError for what one host with worker and broker cannot be."""
    for name, only in (
        ("workers_max", 1),
        ("spot_percent", 0),
        ("broker_cluster", False),
        ("egress", "direct"),
    ):
        if (found := getattr(settings, name)) != only:
            raise SettingError(
                f"{name}: must be {str(only).lower()} where broker_type is {ON_HOST}, "
                f"got {str(found).lower()}"
            )
    if len(settings.instance_types) != 1:
        types = ",".join(settings.instance_types)
        raise SettingError(
            f"instance_types: must name one where broker_type is {ON_HOST}, got {types}"
        )


def version_of(broker_type: str) -> str:
    """Return the version of RabbitMQ for instances of a type."""
    return VERSION_OF_MICRO if broker_type == MICRO else VERSION


def check_connections(settings: StackSettings) -> None:
    """Raise SettingError if API and workers may open more connections than the broker takes."""
    others = CONNECTIONS_OF_FUNCTIONS + CONNECTIONS_OF_WORKER * settings.workers_max
    wanted = CONNECTIONS_OF_INSTANCE * settings.api_concurrency + others
    most = CONNECTIONS_MAX[settings.broker_type]
    if wanted > most:
        raise SettingError(
            f"api_concurrency: API and workers may open {wanted:,} connections, and a broker on "
            f"{settings.broker_type} takes {most:,}; set at most "
            f"{(most - others) // CONNECTIONS_OF_INSTANCE}, or a larger broker_type"
        )


def check_names(settings: StackSettings) -> None:
    """Check domain, certificate and mail address; raise SettingError for one that cannot work."""
    if bool(settings.domain) != bool(settings.certificate):
        raise SettingError("domain: needs a certificate as well, and a certificate needs a domain")
    if settings.domain:
        check_pattern(settings.domain, DOMAIN, "domain", "a name such as images.example.org")
        check_pattern(
            settings.certificate,
            CERTIFICATE,
            "certificate",
            "the ARN of a certificate in us-east-1, where CloudFront looks for it",
        )
    if settings.trace_collector:
        rule = "an address such as https://collector.example.org"
        check_pattern(settings.trace_collector, COLLECTOR, "trace_collector", rule)
    if settings.alarm_mail:
        check_pattern(settings.alarm_mail, MAIL, "alarm_mail", "an address such as ops@example.org")


def check_pattern(value: str, pattern: re.Pattern[str], name: str, rule: str) -> None:
    """Raise SettingError if a value does not match its pattern; `rule` describes the pattern."""
    if not pattern.fullmatch(value):
        raise SettingError(f"{name}: must be {rule}, got {value!r}")

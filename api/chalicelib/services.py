"""The clients that the API works with, made at the first request: table, buckets, broker."""

import functools
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from chalicelib import log
from chalicelib.bodies import Bodies
from chalicelib.fleet import Fleet, Group, Host
from chalicelib.metrics import Metrics
from chalicelib.queue import Publisher
from chalicelib.schemas import Limits
from config.contract import settings as config_settings
from config.contract.credentials import signed_in
from config.contract.otlp import Spans
from config.contract.settings import NO_BROKER, ApiSettings
from config.contract.table import JobTable

CATALOGUE_FILE = config_settings.TOP / "config" / "contract" / "catalogue.json"

# The gateway gives a request 29 s. A service that does not answer must leave time to report it.
TIMEOUTS = {
    "connect_timeout": 2,
    "read_timeout": 5,
    "retries": {"total_max_attempts": 3, "mode": "standard"},
}

# S3 may take seconds to list the parts of a large file, or the objects of a batch; a third try
# would not fit into the request.
S3_TIMEOUTS = TIMEOUTS | {
    "read_timeout": 10,
    "retries": {"total_max_attempts": 2, "mode": "standard"},
}

# For calls in which S3 joins or copies a whole file: they may take minutes, and the wait for
# them has a deadline of its own (`objects.placed`).
PLACING_TIMEOUTS = TIMEOUTS | {"read_timeout": 60}

_lock = threading.Lock()


@dataclass(frozen=True)
class Services:
    """What the API works with.

    `s3_placing` waits longer, for calls in which S3 joins or copies a whole file. `s3_public` signs
    addresses for browsers. `origin_key` returns the text by which the site's origin is known.
    `clock` returns milliseconds since 1970.
    """

    settings: ApiSettings
    catalogue: Mapping[str, Any]
    bodies: Bodies
    table: JobTable
    s3: Any
    s3_placing: Any
    s3_public: Any
    publisher: Publisher
    fleet: Fleet
    metrics: Metrics
    spans: Spans
    origin_key: Callable[[], str]
    clock: Callable[[], int]


def services() -> Services:
    """Return the services, made at the first call."""
    with _lock:
        return _made_once()


@functools.cache
def _made_once() -> Services:
    return make(config_settings.load(ApiSettings, "api"))


def make(settings: ApiSettings) -> Services:
    """Make the services; no connection is opened yet."""
    catalogue = read_catalogue()
    dynamodb = boto3.resource(
        "dynamodb",
        region_name=settings.aws_region,
        endpoint_url=settings.dynamodb_endpoint or None,
        config=Config(**TIMEOUTS),
    )
    return Services(
        settings=settings,
        catalogue=catalogue,
        bodies=Bodies(catalogue, Limits.of(settings)),
        table=job_table(dynamodb.meta.client, settings),
        s3=s3_client(settings.aws_region, settings.s3_endpoint),
        s3_placing=s3_client(settings.aws_region, settings.s3_endpoint, PLACING_TIMEOUTS),
        s3_public=s3_client(
            settings.aws_region, settings.s3_public_endpoint or settings.s3_endpoint
        ),
        publisher=publisher(settings, settings.publish_seconds),
        fleet=fleet(settings),
        metrics=Metrics(settings.metrics_namespace),
        spans=spans(settings),
        origin_key=functools.cache(lambda: origin_key(settings)),
        clock=lambda: time.time_ns() // 1_000_000,
    )


def job_table(client: Any, settings: ApiSettings) -> JobTable:
    """Make the client of the table from boto3's."""
    return JobTable(
        client,
        settings.table,
        lapse_seconds=settings.heartbeat_lapse_seconds,
        lane_share_jobs=settings.lane_share_jobs,
        on_no_ticket=lambda lane, error: log.trouble("no_ticket", lane=lane, reason=str(error)),
    )


def client(service: str, settings: ApiSettings, endpoint: str = "") -> Any:
    """Make a client for one of AWS's services, at its own address or another."""
    return boto3.client(
        service,
        region_name=settings.aws_region,
        endpoint_url=endpoint or None,
        config=Config(**TIMEOUTS),
    )


def publisher(settings: ApiSettings, seconds: float) -> Publisher:
    """Make a publisher whose calls take no longer than `seconds`."""
    in_reach = settings.broker_url != NO_BROKER
    return Publisher((lambda: broker_url(settings)) if in_reach else None, seconds)


def spans(settings: ApiSettings) -> Spans:
    """Make what sends spans to the collector of traces, if there is one."""
    on_lambda = "AWS_LAMBDA_FUNCTION_NAME" in os.environ
    return Spans(
        settings.trace_collector,
        lambda reason: log.trouble("spans_lost", reason=reason),
        at_once=on_lambda,
    )


def fleet(settings: ApiSettings) -> Fleet:
    """Make what starts the first worker: a group, one host, or nothing."""
    if settings.worker_host:
        return Fleet(Host(client("ec2", settings), settings.worker_host))
    if settings.worker_group:
        scaling = client("autoscaling", settings, settings.autoscaling_endpoint)
        return Fleet(Group(scaling, settings.worker_group))
    return Fleet(None)


def broker_url(settings: ApiSettings) -> str:
    """Return the broker's address, with user and password from its secret if there is one."""
    if not settings.broker_secret:
        return settings.broker_url
    return signed_in(settings.broker_url, secret(settings.broker_secret, settings))


def origin_key(settings: ApiSettings) -> str:
    """Return the text by which the site's origin is known, from its secret if there is one."""
    if not settings.origin_secret:
        return settings.origin_key
    return secret(settings.origin_secret, settings)


def secret(name: str, settings: ApiSettings) -> str:
    """Read a secret from AWS Secrets Manager."""
    found = client("secretsmanager", settings).get_secret_value(SecretId=name)
    return str(found["SecretString"])


def s3_client(region: str, endpoint: str, timeouts: Mapping[str, Any] = S3_TIMEOUTS) -> Any:
    """Make a client for S3 at an address, or at AWS.

    On AWS the host must be the region's: the global host, which boto3 would put into presigned
    forms, answers with a redirect. Other stores rarely have a host name for each bucket, so that
    the bucket's name goes into the path.
    """
    return boto3.client(
        "s3",
        region_name=region,
        endpoint_url=endpoint or f"https://s3.{region}.amazonaws.com",
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if endpoint else "virtual"},
            **timeouts,
        ),
    )


def read_catalogue() -> dict[str, Any]:
    """Read the exported catalogue of operations."""
    catalogue: dict[str, Any] = json.loads(CATALOGUE_FILE.read_text())
    return catalogue

"""What a node must know to join a group of hosts: the secret, its own address, and its zone."""

import os
from dataclasses import dataclass, field
from functools import partial

from cluster_worker.engine.hosts.channel import Secret, check_secret
from cluster_worker.engine.hosts.group import read_secret
from cluster_worker.errors import Broken, Rejected
from cluster_worker.node.metadata import Metadata
from cluster_worker.node.storage import aws_errors_as_broken, client
from config.contract.settings import SettingError, WorkerSettings


@dataclass(frozen=True)
class GroupSettings:
    """Secret of the group, and address and zone of this host."""

    secret: Secret = field(repr=False)
    address: str
    zone: str


def group_settings(settings: WorkerSettings) -> GroupSettings | None:
    """Read what a node must know to join a group; None if `HOSTS_MAX` is 1.

    Raises
    ------
    SettingError
        If a setting is missing or cannot be used.
    Broken
        If Secrets Manager or the metadata service does not answer.
    """
    if settings.hosts_max < 2:
        return None
    try:
        secret = secret_of(settings)
    except Rejected as error:
        raise SettingError(f"HOSTS_SECRET_FILE: {error}") from error
    metadata = Metadata(settings.metadata_endpoint) if settings.metadata_endpoint else None
    address = settings.host_address or (metadata.address() if metadata else "")
    zone = settings.hosts_zone or (metadata.zone() if metadata else "")
    if metadata and not address:
        raise Broken("the metadata service does not tell this host's address")
    if not address:
        raise SettingError(
            "HOST_ADDRESS is not set, and HOSTS_MAX is above 1; set it to the address by which the "
            "other hosts reach this one"
        )
    again = partial(secret_of, settings)
    return GroupSettings(Secret(secret, again), address, zone)


def secret_of(settings: WorkerSettings) -> bytes:
    """Read the group's secret.

    Raises
    ------
    SettingError, Rejected
        If none is set, or it is too short or cannot be read.
    Broken
        If Secrets Manager does not answer.
    """
    if settings.hosts_secret_file:
        return read_secret(settings.hosts_secret_file)
    if not settings.hosts_secret:
        raise SettingError(
            "HOSTS_SECRET_FILE is not set, and HOSTS_MAX is above 1; write the same secret on all "
            "hosts: openssl rand -hex 32"
        )
    secrets = client("secretsmanager", "", settings.aws_region)
    with aws_errors_as_broken("Secrets Manager"):
        found = secrets.get_secret_value(SecretId=settings.hosts_secret)
    return check_secret(found["SecretString"].encode())


def tell_ranks_of_store(settings: WorkerSettings) -> None:
    """Set the variables by which the ranks' library of object stores finds S3, as boto3 does here.

    It must be called before the ranks' forkserver starts.
    """
    os.environ.setdefault("AWS_REGION", settings.aws_region)
    if settings.s3_endpoint:
        os.environ.setdefault("AWS_ENDPOINT", settings.s3_endpoint)

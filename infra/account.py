"""What must be there before a deployment: `make deploy` runs this first, and it changes nothing.

Each fault is one sentence that says what to do. A *fault* would make the first create of the stack
fail after minutes, and ends the check with exit code 1. A *note* says what will be less than it
could be, or what could not be looked up.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from config.contract.settings import SettingError
from infra.cost import egress, read_prices
from infra.settings import CONNECTIONS_OF_FUNCTIONS, ZONES, StackSettings, load, version_of

# The oldest bootstrap that publishes container images as this CDK does.
BOOTSTRAP = "/cdk-bootstrap/hnb659fds/version"
BOOTSTRAP_MIN = 6

# Concurrent executions that AWS keeps for functions without a reservation.
UNRESERVED_MIN = 100

# Codes of Service Quotas.
VCPUS_SPOT = "L-34B43A08"
VCPUS_ON_DEMAND = "L-1216C47A"
VPCS = "L-F678F1CE"
ADDRESSES = "L-0263D0A3"

DOCKER_SECONDS = 20

# Makes a boto3 client for a service.
Clients = Callable[[str], Any]


@dataclass
class Findings:
    """What the checks found.

    Attributes
    ----------
    faults : list of str
        What would make the deployment fail.
    notes : list of str
        What the operator should know.
    """

    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check(settings: StackSettings, clients: Clients, region: str) -> Findings:
    """Compare an account with what the stack needs.

    Parameters
    ----------
    settings : StackSettings
        Of the stack.
    clients : callable
        Makes a boto3 client for a service.
    region : str
        Region of the stack.
    """
    findings = Findings()
    try:
        account = clients("sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        findings.faults.append(f"AWS credentials: {error}; run `aws configure`, or set AWS_PROFILE")
        return findings
    ec2, quotas = clients("ec2"), clients("service-quotas")
    checks = [check_bootstrap(clients("ssm"), account, region)]
    if not settings.on_host:
        checks.append(check_zones(ec2, clients("mq"), settings))
    # A deployed stack has its buckets already, and the quotas count what it has.
    if is_new(clients("cloudformation"), settings.name, findings):
        if not settings.on_host:
            checks.append(check_concurrency(clients("lambda"), settings))
        checks += [
            check_buckets(clients("s3"), settings, account, region),
            check_network(ec2, quotas, settings),
        ]
    for each in checks:
        collect(each, findings.faults, findings)
    collect(check_nodes(ec2, quotas, settings), findings.notes, findings)
    return findings


def collect(sentences: Iterator[str], target: list[str], findings: Findings) -> None:
    """Add the sentences of a check to a list; note it if AWS refuses to answer."""
    try:
        target += sentences
    except (BotoCoreError, ClientError) as error:
        findings.notes.append(f"not checked: {error}")


def is_new(cloudformation: Any, name: str, findings: Findings) -> bool:
    """Return whether there is no stack of this name, or only one whose first create failed."""
    try:
        (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            findings.notes.append(f"not checked: {error}")
        return True
    return str(stack["StackStatus"]) in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")


def check_bootstrap(ssm: Any, account: str, region: str) -> Iterator[str]:
    """Yield a sentence if `cdk bootstrap` was not run, or long ago."""
    command = f"infra/node_modules/.bin/cdk bootstrap aws://{account}/{region}"
    try:
        version = int(ssm.get_parameter(Name=BOOTSTRAP)["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        yield f"account {account} has no CDK bootstrap in {region}; run: {command}"
        return
    if version < BOOTSTRAP_MIN:
        yield (
            f"the CDK bootstrap in {region} must be {BOOTSTRAP_MIN} or newer, got {version}; "
            f"run: {command}"
        )


def check_concurrency(functions: Any, settings: StackSettings) -> Iterator[str]:
    """Yield a sentence if Lambda cannot reserve what the functions need."""
    free = int(functions.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"])
    wanted = settings.api_concurrency + CONNECTIONS_OF_FUNCTIONS + UNRESERVED_MIN
    if free < wanted:
        ours = wanted - UNRESERVED_MIN
        yield (
            f"Lambda: {wanted} concurrent executions must be free ({ours} for the app, "
            f"{UNRESERVED_MIN} that AWS keeps), got {free}; ask for more at Service Quotas "
            "(Lambda, Concurrent executions), or lower api_concurrency"
        )


def check_buckets(s3: Any, settings: StackSettings, account: str, region: str) -> Iterator[str]:
    """Yield a sentence for each bucket whose name is taken."""
    for what in ("uploads", "results"):
        name = f"{settings.name}-{what}-{account}-{region}"
        try:
            s3.head_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchBucket"):
                continue
        yield (
            f"the bucket {name} is there already, kept from an earlier stack; "
            "delete it, or choose another -c name"
        )


def check_network(ec2: Any, quotas: Any, settings: StackSettings) -> Iterator[str]:
    """Yield a sentence for each quota of the network that is used up."""
    used = [("VPCs", "vpc", VPCS, len(ec2.describe_vpcs()["Vpcs"]))]
    if egress(settings, read_prices()) == "nat":
        used += [("elastic IPs", "ec2", ADDRESSES, len(ec2.describe_addresses()["Addresses"]))]
    for what, service, code, number in used:
        most = quota(quotas, service, code)
        if number >= most:
            yield f"all {most:.0f} {what} of this region are in use; ask for more at Service Quotas"


def check_nodes(ec2: Any, quotas: Any, settings: StackSettings) -> Iterator[str]:
    """Yield a sentence if fewer worker nodes can run than `workers_max`."""
    found = ec2.describe_instance_types(InstanceTypes=list(settings.instance_types))
    largest = max(each["VCpuInfo"]["DefaultVCpus"] for each in found["InstanceTypes"])
    spot = round(settings.workers_max * settings.spot_percent / 100)
    for nodes, name, code in (
        (spot, "All Standard Spot Instance Requests", VCPUS_SPOT),
        (settings.workers_max - spot, "Running On-Demand Standard instances", VCPUS_ON_DEMAND),
    ):
        most = quota(quotas, "ec2", code)
        if nodes and most < nodes * largest:
            yield (
                f"EC2: {nodes} nodes need {nodes * largest} vCPUs, and the quota {name} is "
                f"{most:.0f}: {most // largest:.0f} can run; ask for more at Service Quotas"
            )


def quota(quotas: Any, service: str, code: str) -> float:
    """Return the value of a quota of the account."""
    found = quotas.get_service_quota(ServiceCode=service, QuotaCode=code)
    return float(found["Quota"]["Value"])


def check_zones(ec2: Any, mq: Any, settings: StackSettings) -> Iterator[str]:
    """Yield a sentence for each zone of the stack that lacks the broker's or all nodes' types."""
    offered = ec2.describe_availability_zones(
        Filters=[{"Name": "zone-type", "Values": ["availability-zone"]}]
    )
    known = sorted(each["ZoneName"] for each in offered["AvailabilityZones"])
    version = version_of(settings.broker_type)
    taken = settings.zones or tuple(known[:ZONES])
    brokers, nodes = zones_of_broker(mq, settings), zones_of_nodes(ec2, settings)
    good = [each for each in known if each in brokers and each in nodes]
    advice = (
        f"deploy with -c zones={','.join(good[:ZONES])}"
        if len(good) >= ZONES
        else "choose other types, or another region"
    )
    for zone in taken:
        if zone not in known:
            yield f"zones: this region has {', '.join(known)}, got {zone}"
        elif zone not in brokers:
            yield f"zone {zone} has no {settings.broker_type} with RabbitMQ {version}; {advice}"
        elif zone not in nodes:
            yield f"zone {zone} has none of {', '.join(settings.instance_types)}; {advice}"


def zones_of_broker(mq: Any, settings: StackSettings) -> set[str]:
    """Return the zones in which Amazon MQ offers the broker's instance type and version."""
    version = version_of(settings.broker_type)
    found = mq.describe_broker_instance_options(
        EngineType="RABBITMQ", HostInstanceType=settings.broker_type
    )
    return {
        zone["Name"]
        for option in found["BrokerInstanceOptions"]
        if any(each.startswith(version) for each in option["SupportedEngineVersions"])
        for zone in option["AvailabilityZones"]
    }


def zones_of_nodes(ec2: Any, settings: StackSettings) -> set[str]:
    """Return the zones in which EC2 offers at least one of the nodes' instance types."""
    found = ec2.describe_instance_type_offerings(
        LocationType="availability-zone",
        Filters=[{"Name": "instance-type", "Values": list(settings.instance_types)}],
    )
    return {each["Location"] for each in found["InstanceTypeOfferings"]}


def check_docker() -> Iterator[str]:
    """Yield a sentence if no Docker engine answers, which builds the worker's image."""
    try:
        found = subprocess.run(
            ["docker", "info"],  # noqa: S607
            capture_output=True,
            timeout=DOCKER_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        yield "Docker is not installed; it builds the worker's image"
        return
    except subprocess.TimeoutExpired:
        yield f"Docker did not answer within {DOCKER_SECONDS} s; it builds the worker's image"
        return
    if found.returncode:
        yield "Docker does not answer; start its service, or run this as one of its users"


def main(arguments: list[str], environment: Mapping[str, str] = os.environ) -> int:
    """Check machine and account for settings given as for `cdk`.

    Returns
    -------
    int
        Exit code: 2 for an unusable setting, 1 if something is missing; else 0.
    """
    parser = argparse.ArgumentParser(prog="make deploy", description="Check before a deployment")
    parser.add_argument("-c", "--context", action="append", default=[], metavar="NAME=VALUE")
    given = dict(each.partition("=")[::2] for each in parser.parse_args(arguments).context)
    try:
        settings = load(given.get, environment)
    except SettingError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    # The CDK's command reads this variable, which boto3 does not.
    session = boto3.Session(region_name=environment.get("AWS_REGION"))
    if session.region_name is None:
        sys.stderr.write("AWS_REGION is not set; set it to the region of the stack\n")
        return 1
    findings = check(settings, session.client, session.region_name)
    findings.faults += check_docker()
    for each in findings.notes:
        sys.stdout.write(f"note: {each}\n")
    for each in findings.faults:
        sys.stderr.write(f"missing: {each}\n")
    return 1 if findings.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

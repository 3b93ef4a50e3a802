"""The check before a deployment, on AWS's own answers as botocore's models describe them."""

import subprocess
from dataclasses import replace

import boto3
import pytest
from botocore.stub import Stubber

from config.contract.settings import TOP
from infra import account as room
from infra.settings import SIZES

REGION = "eu-central-1"
KEYS = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": REGION}
SMALL = replace(SIZES["small"], broker_type="mq.m7g.medium", egress="nat")
ZONES = ("eu-central-1a", "eu-central-1b", "eu-central-1c")


class Account:
    """An account in which everything is there, until a test takes something away."""

    def __init__(self):
        self.stack = None
        self.bootstrap = "21"
        self.concurrency = 1000
        self.buckets = []
        self.quotas = {
            room.VCPUS_SPOT: 64,
            room.VCPUS_ON_DEMAND: 64,
            room.VPCS: 5,
            room.ADDRESSES: 5,
        }
        self.vpcs = 1
        self.broker_zones = ZONES
        self.node_zones = ZONES
        self.refused = set()

    def client(self, service):
        client = boto3.client(service, **KEYS)
        stub = Stubber(client)
        if service in self.refused:
            stub.add_client_error(next(self.answers(service))[0], "AccessDenied", "not allowed")
        else:
            for method, answer in self.answers(service):
                if isinstance(answer, str):
                    stub.add_client_error(method, answer)
                else:
                    stub.add_response(method, answer)
        stub.activate()
        return client

    def answers(self, service):
        """Yield each call of a service with its answer, or with the code of an error."""
        match service:
            case "sts":
                yield "get_caller_identity", {"Account": "123456789012"}
            case "ssm":
                found = {"Parameter": {"Value": self.bootstrap}}
                yield "get_parameter", found if self.bootstrap else "ParameterNotFound"
            case "cloudformation":
                stack = {"StackName": "dip", "StackStatus": self.stack or "", "CreationTime": 0}
                yield "describe_stacks", {"Stacks": [stack]} if self.stack else "ValidationError"
            case "lambda":
                limit = {"UnreservedConcurrentExecutions": self.concurrency}
                yield "get_account_settings", {"AccountLimit": limit}
            case "s3":
                for what in ("uploads", "results"):
                    yield "head_bucket", {} if what in self.buckets else "404"
            case "mq":
                zones = [{"Name": each} for each in self.broker_zones]
                option = {"AvailabilityZones": zones, "SupportedEngineVersions": ["3.13", "4.2"]}
                yield "describe_broker_instance_options", {"BrokerInstanceOptions": [option]}
            case "ec2":
                zones = [{"ZoneName": each} for each in ZONES]
                yield "describe_availability_zones", {"AvailabilityZones": zones}
                offered = [{"Location": each} for each in self.node_zones]
                yield "describe_instance_type_offerings", {"InstanceTypeOfferings": offered}
                if self.stack is None:
                    yield "describe_vpcs", {"Vpcs": [{}] * self.vpcs}
                    yield "describe_addresses", {"Addresses": []}
                yield (
                    "describe_instance_types",
                    {"InstanceTypes": [{"VCpuInfo": {"DefaultVCpus": 4}}]},
                )
            case "service-quotas":
                network = [room.VPCS, room.ADDRESSES] if self.stack is None else []
                for code in (*network, room.VCPUS_SPOT, room.VCPUS_ON_DEMAND):
                    yield "get_service_quota", {"Quota": {"Value": self.quotas[code]}}


@pytest.fixture
def account():
    return Account()


def found(account, settings=SMALL):
    return room.check(settings, account.client, REGION)


def test_nothing_is_missing_in_an_account_that_has_everything(account):
    assert found(account) == room.Findings()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"bootstrap": ""},
            "account 123456789012 has no CDK bootstrap in eu-central-1; "
            "run: infra/node_modules/.bin/cdk bootstrap aws://123456789012/eu-central-1",
        ),
        ({"bootstrap": "4"}, "the CDK bootstrap in eu-central-1 must be 6 or newer, got 4; run: "),
        (
            {"concurrency": 10},
            "Lambda: 153 concurrent executions must be free (53 for the app, 100 that AWS keeps), "
            "got 10; ask for more at Service Quotas",
        ),
        (
            {"buckets": ["results"]},
            "the bucket dip-results-123456789012-eu-central-1 is there already, kept from an "
            "earlier stack; delete it, or choose another -c name",
        ),
        ({"vpcs": 5}, "all 5 VPCs of this region are in use; ask for more at Service Quotas"),
        (
            {"broker_zones": ZONES[1:]},
            "zone eu-central-1a has no mq.m7g.medium with RabbitMQ 4.2; "
            "deploy with -c zones=eu-central-1b,eu-central-1c",
        ),
        (
            {"node_zones": ZONES[:1]},
            "zone eu-central-1b has none of c6i.xlarge, c7i.xlarge, c6a.xlarge, m6i.xlarge; "
            "choose other types, or another region",
        ),
    ],
)
def test_what_would_make_the_first_create_fail_is_one_sentence(account, change, sentence):
    for name, value in change.items():
        setattr(account, name, value)
    (fault,) = found(account).faults
    assert fault.startswith(sentence)


def test_zones_that_lack_a_type_can_be_replaced_by_others(account):
    account.broker_zones = ZONES[1:]
    assert not found(account, replace(SMALL, zones=ZONES[1:])).faults


def test_a_zone_of_another_region_is_named(account):
    (fault,) = found(account, replace(SMALL, zones=("eu-west-1a", ZONES[0]))).faults
    assert fault.startswith("zones: this region has eu-central-1a, eu-central-1b, eu-central-1c")


def test_a_small_quota_of_processors_is_a_note_with_the_number_of_nodes_that_can_run(account):
    account.quotas[room.VCPUS_SPOT] = 5
    assert found(account).notes == [
        "EC2: 2 nodes need 8 vCPUs, and the quota All Standard Spot Instance Requests is 5: 1 can "
        "run; ask for more at Service Quotas"
    ]


def test_a_deployed_stack_is_not_asked_for_what_it_has_already(account):
    account.stack, account.concurrency, account.buckets = "UPDATE_COMPLETE", 10, ["uploads"]
    assert not found(account).faults


def test_a_stack_whose_first_create_failed_is_checked_like_a_new_one(account):
    stack = account.client("cloudformation")
    assert room.is_new(stack, "dip", room.Findings())
    account.stack = "ROLLBACK_COMPLETE"
    assert room.is_new(account.client("cloudformation"), "dip", room.Findings())


def test_what_the_operator_may_not_look_up_is_noted(account):
    account.refused = {"lambda"}
    findings = found(account)
    assert not findings.faults
    (note,) = findings.notes
    assert note.startswith("not checked: An error occurred (AccessDenied)")


def test_missing_credentials_are_one_sentence(account):
    account.refused = {"sts"}
    (fault,) = found(account).faults
    assert fault.startswith("AWS credentials: ")


def test_a_machine_without_a_docker_engine_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list(room.check_docker()) == ["Docker is not installed; it builds the worker's image"]
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\nexit 1\n")
    docker.chmod(0o755)
    assert list(room.check_docker()) == [
        "Docker does not answer; start its service, or run this as one of its users"
    ]


def test_a_deployment_begins_with_the_check_and_may_need_no_approval():
    def plan(*more):
        command = [
            "make",
            "--no-print-directory",
            "--dry-run",
            "deploy",
            "C=-c size=production",
            *more,
        ]
        found = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=30)
        return found.stdout.splitlines()

    assert plan()[-2:] == [
        ".venv/bin/python -m infra.account -c size=production",
        "infra/node_modules/.bin/cdk deploy  -c size=production",
    ]
    assert "deploy --require-approval never -c" in plan("REQUIRE_APPROVAL=never")[-1]

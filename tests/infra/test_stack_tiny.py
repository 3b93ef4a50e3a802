"""The template of the tiny size: one host with worker and broker, which sleeps between batches."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from infra import rules
from infra.grants import ON_ALL
from tests.infra.template import Template, violations

pytestmark = pytest.mark.slow

CFN_LINT = str(Path(sys.executable).with_name("cfn-lint"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return Template(tmp_path_factory.mktemp("tiny"), size="tiny")


def actions_of(statement):
    actions = statement["Action"]
    return {actions} if isinstance(actions, str) else set(actions)


def test_the_template_passes_cfn_lint(tiny):
    command = [CFN_LINT, "--ignore-checks", "W3005", "W3010", "--", str(tiny.path)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert (found.returncode, found.stdout) == (0, "")


def test_every_rule_of_cdk_nag_is_followed_or_waived_with_a_reason(tiny):
    report = tiny.folder / "validation-report.json"
    assert not report.exists() or not violations(report)


def test_every_waiver_is_of_something_that_the_rules_find(tmp_path, monkeypatch):
    waived = []
    monkeypatch.setattr(rules, "acknowledge", lambda *of: waived.extend(rules.waived(*of)))
    with pytest.raises(RuntimeError, match="wildcard permissions"):
        Template(tmp_path, size="tiny")
    assert violations(tmp_path / "validation-report.json") == set(waived)


def test_nothing_that_costs_money_by_the_hour_runs_while_no_image_waits(tiny):
    kinds = Counter(each["Type"] for each in tiny.resources.values())
    assert not {
        "AWS::AmazonMQ::Broker",
        "AWS::EC2::NatGateway",
        "AWS::EC2::EIP",
        "AWS::WAFv2::WebACL",
        "AWS::AutoScaling::AutoScalingGroup",
    } & set(kinds)
    endpoints = tiny.all("AWS::EC2::VPCEndpoint").values()
    assert {each["VpcEndpointType"] for each in endpoints} == {"Gateway"}
    host = tiny.one("AWS::EC2::Instance")
    # It powers itself off, and its disk stays.
    assert host["InstanceInitiatedShutdownBehavior"] == "stop"
    assert host["MetadataOptions"]["HttpTokens"] == "required"
    assert all(each["Ebs"]["Encrypted"] for each in host["BlockDeviceMappings"])


def test_nothing_lets_the_world_in(tiny):
    (group,) = tiny.all("AWS::EC2::SecurityGroup").values()
    assert "SecurityGroupIngress" not in group
    assert {each["FromPort"] for each in group["SecurityGroupEgress"]} == {443}
    assert not tiny.all("AWS::EC2::SecurityGroupIngress")


def test_the_functions_are_outside_of_the_network_and_start_the_host(tiny):
    for function in tiny.all("AWS::Serverless::Function").values():
        assert "VpcConfig" not in function
        # A new account has ten executions at once, and none may be reserved.
        assert "ReservedConcurrentExecutions" not in function
        variables = function["Environment"]["Variables"]
        assert (variables["BROKER_URL"], variables["WORKER_HOST"]) == ("none", "dip-host")
    host = tiny.one("AWS::EC2::Instance")
    assert {"Key": "Name", "Value": "dip-host"} in host["Tags"]
    (start,) = [each for each in tiny.statements("Api") if "ec2:StartInstances" in actions_of(each)]
    assert start["Condition"] == {"StringEquals": {"aws:ResourceTag/Name": "dip-host"}}


def test_what_is_granted_on_everything_is_named_with_its_reason(tiny):
    for start in ("Api", "Workers"):
        statements = list(tiny.statements(start))
        granted = set().union(*(actions_of(each) for each in statements if each["Resource"] == "*"))
        assert granted <= set(ON_ALL)
        assert not [each for each in set().union(*map(actions_of, statements)) if "*" in each]


def test_the_host_may_do_what_a_worker_and_the_sweep_do(tiny, small):
    """The sweep's part of the API's role is all of it but the forms, the secret and the host."""

    def granted(template, start):
        return set().union(*map(actions_of, template.statements(start)))

    host = granted(tiny, "Workers")
    not_here = {"secretsmanager:GetSecretValue", "ec2:DescribeInstances", "ec2:StartInstances"}
    assert granted(tiny, "Api") - not_here <= host
    of_group = {each for each in granted(small, "Workers") if each.startswith("autoscaling:")}
    assert granted(small, "Workers") - of_group - not_here <= host


def test_the_host_is_set_up_by_the_scripts_of_any_machine(tiny):
    text = json.dumps(tiny.one("AWS::EC2::Instance")["UserData"])
    assert "/opt/dip/config/host-node-config.sh" in text
    assert "BROKER_URL" not in text
    (folder,) = [each for each in tiny.folder.glob("asset.*") if (each / "systemd").is_dir()]
    for name in ("host", "broker", "worker"):
        assert (folder / f"{name}-node-config.sh").is_file()
    # Its sweep is the API's own package.
    assert tiny.code().stem.removeprefix("asset.") in text


def test_the_alarms_are_those_that_can_be_measured(tiny):
    names = {each.removeprefix("Watch")[:-8] for each in tiny.all("AWS::CloudWatch::Alarm")}
    assert names == {
        "DeadLetters",
        "OldestWaiting",
        "Errors",
        "FunctionErrors",
        "FunctionThrottles",
        "TableThrottles",
    }


def test_no_alarm_sends_the_operator_to_what_is_not_there(tiny):
    texts = [each["AlarmDescription"] for each in tiny.all("AWS::CloudWatch::Alarm").values()]
    assert [each for each in texts if "the host" in each]
    for word in ("make letters", "the group", "workers_max"):
        assert not [each for each in texts if word in each]

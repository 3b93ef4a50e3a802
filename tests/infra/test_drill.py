"""The drill: a worker is killed in the middle of a batch, and nothing is lost."""

import os

import boto3
import pytest
from moto import mock_aws

from config.contract.settings import TOP
from infra import drill
from infra.drill import Report
from infra.local.app import LocalApp
from infra.local.ports import HOST, free_ports
from infra.local.process import LocalError

GOOD = Report(4, 0, 0, 1.0, "the worker", 1, 2.0, 3.0)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_batch_survives_the_death_of_the_worker(capsys):
    (port,) = free_ports(1)
    # As `make run` starts it: the drill finds the worker by the folder.
    with LocalApp(TOP / ".run" / str(port), port) as app:
        before = app.pids()["worker"]
        assert drill.main([app.url, "--images", "4"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert any(line.startswith(f"killed the worker, process {before}, ") for line in lines)
        assert lines[-1].startswith("4 of 4 results equal that of the quiet app, byte for byte")
        assert app.pids()["worker"] != before


def test_an_app_that_does_not_run_here_is_one_sentence():
    (port,) = free_ports(1)
    with pytest.raises(LocalError, match=r"no worker of .* runs here"):
        drill.kill_local_worker(f"http://{HOST}:{port}")


def test_no_process_of_another_app_is_killed(monkeypatch):
    killed = []
    monkeypatch.setattr(os, "kill", lambda *of: killed.append(of))
    with pytest.raises(LocalError):
        drill.kill_local_worker(f"http://{HOST}:1")
    assert killed == []


@mock_aws
@pytest.mark.parametrize(
    ("tag", "name", "state"),
    [("aws:autoscaling:groupName", "dip-workers", "terminated"), ("Name", "dip-host", "running")],
)
def test_a_stack_loses_a_node_of_its_own(tag, name, state):
    ec2 = boto3.client("ec2", region_name="eu-central-1")
    ids = {}
    for each in (name, "another"):
        tags = [{"ResourceType": "instance", "Tags": [{"Key": tag, "Value": each}]}]
        made = ec2.run_instances(
            ImageId="ami-12345678", MinCount=1, MaxCount=1, TagSpecifications=tags
        )
        ids[each] = made["Instances"][0]["InstanceId"]
    assert ids[name] in drill.kill_node(ec2, "dip")
    found = ec2.describe_instances(InstanceIds=list(ids.values()))
    states = {
        each["InstanceId"]: each["State"]["Name"]
        for group in found["Reservations"]
        for each in group["Instances"]
    }
    assert states == {ids[name]: state, ids["another"]: "running"}


@mock_aws
def test_a_stack_without_a_node_is_one_sentence():
    ec2 = boto3.client("ec2", region_name="eu-central-1")
    with pytest.raises(LocalError, match="no node of dip runs"):
        drill.kill_node(ec2, "dip")


@pytest.mark.parametrize("fault", [{"lost": 1}, {"different": 1}, {"done_before": 4}])
def test_a_drill_that_lost_something_or_killed_nobody_at_work_has_failed(fault):
    assert GOOD.is_good
    assert not Report(**(vars(GOOD) | fault)).is_good


def test_a_drill_that_came_too_late_says_what_to_do():
    assert "use more images" in Report(**(vars(GOOD) | {"done_before": 4})).lines()[-1]


def test_a_drill_that_fails_deletes_its_batches(monkeypatch):
    deleted = []

    class Quiet:
        def __init__(self, _, images):
            self.images = images

        def wait_for(self, number):
            return number

        def digests(self):
            return ["a"] * self.images

        def delete(self):
            deleted.append(self.images)

    def kill():
        raise LocalError("drill: no worker runs")

    monkeypatch.setattr(drill, "Batch", Quiet)
    with pytest.raises(LocalError, match="no worker runs"):
        drill.drill("http://a", kill, 3)
    assert deleted == [1, 3]

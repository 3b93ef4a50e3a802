"""What the stack adds so that workers share images: ports, a secret, grants and an alarm."""

import pytest

from config.contract.settings import TOP, SettingError, WorkerSettings
from infra.settings import load

pytestmark = pytest.mark.slow

LOW, HIGH = map(int, WorkerSettings.mpi_ports.split(":"))
PORTS = {(WorkerSettings.agent_port,) * 2, (LOW, HIGH)}


def between_workers(template, way):
    """Return the ports of the rules by which workers reach each other."""
    other = {"In": "SourceSecurityGroupId", "E": "DestinationSecurityGroupId"}[way]
    return {
        (each["FromPort"], each["ToPort"])
        for each in template.all(f"AWS::EC2::SecurityGroup{way}gress").values()
        if each[other] == each["GroupId"]
    }


def test_workers_that_share_reach_each_other_at_the_ports_of_agents_and_mpi_alone(sharing, small):
    assert between_workers(sharing, "In") == between_workers(sharing, "E") == PORTS
    assert between_workers(small, "In") == set()


def test_workers_that_share_read_one_secret(sharing):
    (secret,) = sharing.all("AWS::SecretsManager::Secret").keys() & {
        name for name in sharing.resources if name.startswith("WorkersHostsSecret")
    }
    assert [each for each in sharing.statements("Workers") if each["Resource"] == {"Ref": secret}]


def test_every_worker_writes_below_one_prefix_what_its_ranks_leave(sharing, small):
    for stack in (sharing, small):
        statements = list(stack.statements("Workers"))
        scratch = [each for each in statements if "/scratch/*" in str(each["Resource"])]
        (allowed,) = [set(each["Action"]) for each in scratch]
        names = ("GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload")
        assert allowed == {f"s3:{each}" for each in names}
        (listed,) = [each for each in statements if each["Action"] == "s3:ListBucket"]
        assert listed["Condition"] == {"StringLike": {"s3:prefix": "scratch/*"}}


def test_nodes_are_told_how_many_share_and_by_which_secret(sharing, small):
    def told(template):
        node = template.one("AWS::EC2::LaunchTemplate")["LaunchTemplateData"]["UserData"]
        return str(node)

    assert "HOSTS_MAX=2" in told(sharing)
    assert "HOSTS_SECRET=" in told(sharing)
    assert "HOSTS_" not in told(small)


def test_api_and_nodes_are_told_the_collector_of_traces(sharing, small):
    for template, told in ((sharing, True), (small, False)):
        node = template.one("AWS::EC2::LaunchTemplate")["LaunchTemplateData"]["UserData"]
        assert ("TRACE_COLLECTOR=https://traces.example.org" in str(node)) is told
        functions = template.all("AWS::Serverless::Function").values()
        variables = [each.get("Environment", {}).get("Variables", {}) for each in functions]
        assert any("TRACE_COLLECTOR" in each for each in variables) is told


def test_a_lease_that_lasts_too_long_raises_an_alarm_with_a_line_of_the_runbook(sharing, small):
    alarm = sharing.one("AWS::CloudWatch::Alarm", "WatchOldestLease")
    assert "Runbook 10" in alarm["AlarmDescription"]
    assert alarm["Threshold"] == 3600
    assert "Runbook 10" in (TOP / "docs" / "operators.md").read_text()
    assert not [name for name in small.all("AWS::CloudWatch::Alarm") if "Lease" in name]


@pytest.mark.parametrize("given", [{"hosts_max": "3"}, {"hosts_max": "0"}])
def test_more_hosts_than_workers_is_one_sentence(given):
    with pytest.raises(SettingError, match=r"^hosts_max: must lie between 1 and workers_max \(2\)"):
        load(given.get, {})

"""A node that leases hosts for its jobs: two agents at two addresses of this machine."""

import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest

from cluster_worker.engine.hosts.channel import Lost, Secret, connect
from cluster_worker.node.consumer import Verdict
from cluster_worker.node.group import GroupSettings, group_settings
from cluster_worker.node.hosts import HostGroup
from cluster_worker.node.table import milliseconds
from config.contract.host import lease_of
from config.contract.settings import SettingError
from tests.cluster_worker.node.ec2 import ec2
from tests.cluster_worker.node.runner_jobs import DEEP, JOB, put, row_of, stored

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

SECRET = b"a secret of the hosts of this test"
CHAIN = [{"operation": "gaussian"}, {"operation": "threshold_otsu"}]
SLOW = [*CHAIN[:1], {"operation": "denoise_tv_chambolle", "max_num_iter": 20, "eps": 1e-7}]


@pytest.fixture
def hosts(runner, monkeypatch):
    """The runner's own host, which is busy, and an idle one; it leases what there is."""
    monkeypatch.setattr("cluster_worker.node.hosts.OFFER_SECONDS", 0.2)
    settings = replace(runner.settings, hosts_max=2, agent_port=0, mpi_ports="")

    def join(name, address, is_idle):
        own = GroupSettings(Secret(SECRET), address, "zone")
        return HostGroup(settings, own, runner.engine, runner.table, name, lambda: is_idle)

    own, other = join("own", "127.0.0.1", False), join("other", "127.0.0.2", True)
    monkeypatch.setattr(own, "wanted", lambda job, hosts: hosts)
    monkeypatch.setattr(runner, "group", own)
    with own, other:
        own.offer()
        other.offer()
        yield {"own": own, "other": other}
    assert runner.table.hosts() == []


def result_alone(runner, s3, monkeypatch, steps):
    with monkeypatch.context() as patch:
        patch.setattr(runner, "group", None)
        message = put(runner, s3, DEEP, steps, lane="bulk")
        assert runner.run(message) is Verdict.DONE
    row = row_of(runner, message)
    assert row.hosts == {}
    return stored(runner, s3, row.result_key)


def nothing_is_left(runner, s3):
    """Check that both hosts are free, and that no pixels are left in the store."""
    assert {each.worker: each.until for each in runner.table.hosts()} == {"own": 0, "other": 0}
    bucket = runner.settings.uploads_bucket
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix="scratch/")
    # The agents notice a moment later that the engine has gone.
    until(lambda: runner.engine.dispatcher.lent_bytes == 0)


@pytest.mark.parametrize("memory", [256 << 20, 0], ids=["held", "streamed"])
def test_a_job_over_two_hosts_has_the_result_of_one_and_tells_its_ranks(
    runner, s3, hosts, monkeypatch, memory
):
    monkeypatch.setattr("cluster_worker.engine.file_plans.MEMORY_BYTES_MAX", memory)
    message = put(runner, s3, DEEP, CHAIN)
    assert runner.run(message) is Verdict.DONE
    row = row_of(runner, message)
    assert (row.state, row.reason) == ("succeeded", "")
    assert row.hosts == {"own": (0,), "other": (1,)}
    nothing_is_left(runner, s3)
    assert stored(runner, s3, row.result_key) == result_alone(runner, s3, monkeypatch, CHAIN)


@pytest.mark.parametrize("leased", ["own", "other"])
def test_a_job_whose_hosts_work_for_another_runs_on_its_own(runner, s3, hosts, leased):
    name, now = lease_of("another", 1), milliseconds()
    assert runner.table.lease_host(hosts[leased].row, name, now, is_own=leased == "own")
    message = put(runner, s3, DEEP, CHAIN)
    assert runner.run(message) is Verdict.DONE
    row = row_of(runner, message)
    assert (row.state, row.hosts) == ("succeeded", {})
    # That lease is not touched.
    assert runner.table.host(leased).is_leased_to(name, now)


def test_a_host_whose_lease_ends_is_left_and_the_others_finish_the_job(
    runner, s3, hosts, monkeypatch
):
    message = put(runner, s3, DEEP, SLOW, lane="bulk")
    lease = lease_of(JOB, 1)
    running = threading.Thread(target=runner.run, args=(message,))
    running.start()
    until(lambda: hosts["other"].row.is_leased_to(lease, milliseconds()))
    until(lambda: row_of(runner, message).tiles_done > 0)
    runner.table.end_lease("other", lease)
    running.join(60)
    row = row_of(runner, message)
    assert (row.state, row.reason, row.attempt, row.faults) == ("succeeded", "", 1, 0)
    assert row.hosts == {"own": (0,)}
    nothing_is_left(runner, s3)
    assert stored(runner, s3, row.result_key) == result_alone(runner, s3, monkeypatch, SLOW)


def test_a_host_that_leaves_is_lost_to_the_job_and_its_ranks_did_not_die(runner, s3, hosts, capfd):
    message = put(runner, s3, DEEP, SLOW, lane="bulk")
    running = threading.Thread(target=runner.run, args=(message,))
    running.start()
    until(lambda: row_of(runner, message).tiles_done > 0)
    hosts["other"].agent.close()
    running.join(60)
    row = row_of(runner, message)
    assert (row.state, row.attempt, row.faults, row.hosts) == ("succeeded", 1, 0, {"own": (0,)})
    (lost,) = [each for each in capfd.readouterr().err.splitlines() if '"world lost"' in each]
    assert "its agent has closed the connection" in lost
    nothing_is_left(runner, s3)


def test_the_ranks_of_a_host_wait_for_the_memory_of_its_own_jobs(runner, s3, hosts, monkeypatch):
    is_free, agent, asked = threading.Event(), hosts["other"].agent, []

    def lent_fits():
        asked.append(runner.engine.dispatcher.lent_bytes)
        return is_free.is_set()

    monkeypatch.setattr(agent, "terms", replace(agent.terms, lent_fits=lent_fits))
    message = put(runner, s3, DEEP, CHAIN)
    running = threading.Thread(target=runner.run, args=(message,))
    running.start()
    until(lambda: len(asked) > 4)
    # No job of its own that needs this memory begins meanwhile.
    assert min(asked) > 0
    assert not row_of(runner, message).is_final
    is_free.set()
    running.join(60)
    assert row_of(runner, message).hosts == {"own": (0,), "other": (1,)}
    nothing_is_left(runner, s3)


def test_a_cancelled_job_frees_its_hosts(runner, s3, hosts):
    message = put(runner, s3, DEEP, SLOW, lane="bulk")
    running = threading.Thread(target=runner.run, args=(message,))
    running.start()
    until(lambda: row_of(runner, message).tiles_done > 0)
    runner.table.cancel(row_of(runner, message), milliseconds)
    running.join(30)
    assert row_of(runner, message).state == "cancelled"
    nothing_is_left(runner, s3)


def test_an_engine_that_has_not_leased_a_host_gets_no_rank(runner, hosts):
    other = hosts["other"]
    for lease in ("", lease_of("another", 1)):
        with closing(connect("127.0.0.2", other.agent.port, SECRET)) as channel:
            (welcome,) = channel.wait(5)
            assert welcome["kind"] == "welcome"
            channel.send("launch", words=[], ranks=1, lease=lease, memory=1, seconds=1.0)
            said = []
            with pytest.raises(Lost, match="has closed the connection"):
                # Signs of life may come before.
                until(lambda channel=channel, said=said: said.extend(channel.wait(1)))
            assert said == []


def test_a_small_job_leases_no_host(runner, s3, hosts, monkeypatch):
    monkeypatch.setattr(hosts["own"], "wanted", HostGroup.wanted.__get__(hosts["own"]))
    message = put(runner, s3, DEEP, CHAIN)
    assert runner.run(message) is Verdict.DONE
    assert row_of(runner, message).hosts == {}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "HOSTS_SECRET_FILE is not set, and HOSTS_MAX is above 1; write the same secret"),
        ({"hosts_secret_file": "/none"}, "HOSTS_SECRET_FILE: /none: cannot be read: No such file"),
        ({"hosts_secret_file": "short"}, "HOSTS_SECRET_FILE: the secret of the hosts: must have"),
        ({"hosts_secret_file": "long"}, "HOST_ADDRESS is not set, and HOSTS_MAX is above 1; set"),
    ],
)
def test_what_a_group_lacks_is_one_sentence(runner, tmp_path, monkeypatch, given, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short").write_text("short")
    (tmp_path / "long").write_bytes(SECRET)
    with pytest.raises(SettingError) as caught:
        group_settings(replace(runner.settings, hosts_max=2, **given))
    assert str(caught.value).startswith(sentence)
    assert group_settings(runner.settings) is None


def test_on_ec2_a_host_knows_its_address_and_zone(runner, tmp_path):
    (tmp_path / "secret").write_bytes(SECRET)
    with ec2() as service:
        service.values["local-ipv4"] = "10.0.0.5"
        service.values["placement/availability-zone"] = "eu-central-1b"
        given = {"hosts_secret_file": str(tmp_path / "secret"), "metadata_endpoint": service.url}
        found = group_settings(replace(runner.settings, hosts_max=2, **given))
    assert (found.secret.value, found.address, found.zone) == (SECRET, "10.0.0.5", "eu-central-1b")


def test_a_secret_that_changes_in_its_file_is_read_again(runner, tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(SECRET)
    given = {"hosts_secret_file": str(path), "host_address": "127.0.0.1"}
    found = group_settings(replace(runner.settings, hosts_max=2, **given))
    path.write_bytes(SECRET[::-1])
    assert found.secret.renew()
    assert found.secret.value == SECRET[::-1]


def until(is_so, seconds=30):
    by = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < by, "it did not happen in time"
        # Each look is a request to the table, which this process serves too.
        time.sleep(0.1)

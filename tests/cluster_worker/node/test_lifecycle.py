"""The life cycle of a node: a real consumer on a real broker, beside a simulated EC2."""

import json
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import boto3
import pika
import pytest

from cluster_worker.node import lifecycle as room
from cluster_worker.node.charges import Charges
from cluster_worker.node.consumer import Address, Consumer, Verdict
from cluster_worker.node.lifecycle import LifeSigns
from cluster_worker.node.metadata import Metadata
from cluster_worker.node.table import job_table
from config.contract import resources
from config.contract.job import Message
from config.contract.node import Node
from config.contract.settings import WorkerSettings
from tests.cluster_worker.node.ec2 import INSTANCE, ec2
from tests.infra.processes import eventually
from tests.store_server import serving

pytestmark = pytest.mark.slow

REGION = "eu-central-1"
HOOK, GROUP = "drain", "dip-workers"


@pytest.fixture(scope="module")
def aws():
    """Run a DynamoDB with the app's table; yield its address."""
    with pytest.MonkeyPatch.context() as patch, serving() as url:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        client = boto3.client("dynamodb", endpoint_url=url, region_name=REGION)
        client.create_table(TableName="jobs", **resources.TABLE_SCHEMA)
        yield url
        client.close()


@pytest.fixture
def service(monkeypatch):
    with ec2() as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL_AUTO_SCALING", service.url)
        yield service


@pytest.fixture
def settings(aws, broker, service, tmp_path):
    return WorkerSettings(
        uploads_bucket="u",
        results_bucket="r",
        broker_url=broker.url,
        table="jobs",
        dynamodb_endpoint=aws,
        aws_region=REGION,
        metadata_endpoint=service.url,
        worker_group=GROUP,
        lifecycle_hook=HOOK,
        alive_file=str(tmp_path / "alive"),
    )


@pytest.fixture
def channel(broker):
    broker.declare_queues()
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        channel = connection.channel()
        channel.queue_purge(resources.JOBS.name)
        yield channel


class Work:
    """Jobs that run until the test sets `may_end`."""

    def __init__(self):
        self.begun, self.finished = [], []
        self.may_end = threading.Event()

    def __call__(self, message):
        self.begun.append(message.job)
        self.may_end.wait(60)
        self.finished.append(message.job)
        return Verdict.DONE


@contextmanager
def running(settings, work, lends=lambda: False):
    """Run a node's consumer with its signs of life, as `python -m cluster_worker` does."""
    table = job_table(settings)
    consumer = Consumer(Address(settings.broker_url), {resources.JOBS.name: 2}, work)

    def run():
        with LifeSigns(settings, consumer, table, "node", Charges(), lends):
            consumer.run(settings.drain_seconds, work.may_end.set)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield consumer, thread
    finally:
        work.may_end.set()
        consumer.stop()
        thread.join(60)
        assert not thread.is_alive()


def publish(channel, job):
    durable = pika.BasicProperties(delivery_mode=2)
    channel.basic_publish("", resources.JOBS.name, Message("b", job, 1).to_bytes(), durable)


def row_of(settings):
    item = job_table(settings).access.get(resources.NODES_PK, "node")
    return Node.from_item(item) if item else None


def spot(seconds=120):
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return json.dumps({"action": "terminate", "time": at.strftime("%Y-%m-%dT%H:%M:%SZ")})


@pytest.mark.parametrize(
    ("path", "value"),
    [("autoscaling/target-lifecycle-state", "Terminated"), ("spot/instance-action", spot)],
    ids=["lifecycle", "spot"],
)
def test_a_notice_to_end_stops_consuming_and_lets_the_job_in_hand_finish(
    settings, service, channel, monkeypatch, path, value
):
    monkeypatch.setattr(room, "HEARTBEAT_SECONDS", 0.5)
    service.values["autoscaling/target-lifecycle-state"] = "InService"
    work = Work()
    publish(channel, "in hand")
    with running(settings, work) as (consumer, thread):
        eventually(lambda: work.begun == ["in hand"])
        service.values[path] = value() if callable(value) else value
        noticed = time.monotonic()
        eventually(lambda: consumer.stopping)
        sys.stdout.write(f"consuming ended {time.monotonic() - noticed:.2f} s after the notice\n")
        publish(channel, "late")
        eventually(lambda: len(service.called("RecordLifecycleActionHeartbeat")) >= 2)
        assert thread.is_alive()
        assert not service.called("CompleteLifecycleAction")
        work.may_end.set()
        thread.join(60)
    assert work.finished == ["in hand"]
    assert channel.queue_declare(resources.JOBS.name, passive=True).method.message_count == 1
    (completed,) = service.called("CompleteLifecycleAction")
    assert completed["LifecycleActionResult"] == "CONTINUE"
    for call in (completed, service.called("RecordLifecycleActionHeartbeat")[0]):
        assert (call["InstanceId"], call["AutoScalingGroupName"]) == (INSTANCE, GROUP)
        assert call["LifecycleHookName"] == HOOK


def consumers(channel):
    return channel.queue_declare(resources.JOBS.name, passive=True).method.consumer_count


def test_a_spot_instance_hands_back_what_does_not_fit_its_time(settings, service, channel):
    work = Work()
    publish(channel, "long")
    with running(settings, work) as (consumer, _):
        eventually(lambda: work.begun)
        # This leaves only the time that a node keeps to hand jobs back, so it gives up at once.
        service.values["spot/instance-action"] = spot(room.SPARE_SECONDS)
        eventually(work.may_end.is_set)
        assert consumer.seconds_left < settings.drain_seconds


def test_a_node_is_protected_while_it_works_and_no_longer(settings, service, channel, monkeypatch):
    monkeypatch.setattr(room, "IDLE_SECONDS", 1.0)
    work = Work()
    with running(settings, work):
        eventually(lambda: consumers(channel) == 1)
        assert not service.called("SetInstanceProtection")
        publish(channel, "a")
        eventually(lambda: protection(service) == ["true"])
        work.may_end.set()
        eventually(lambda: protection(service) == ["true", "false"])


def test_a_node_is_protected_while_its_ranks_work_for_another(
    settings, service, channel, monkeypatch
):
    monkeypatch.setattr(room, "IDLE_SECONDS", 1.0)
    lends = threading.Event()
    lends.set()
    with running(settings, Work(), lends.is_set):
        eventually(lambda: protection(service) == ["true"])
        lends.clear()
        eventually(lambda: protection(service) == ["true", "false"])


def protection(service):
    return [each["ProtectedFromScaleIn"] for each in service.called("SetInstanceProtection")]


def test_a_node_gives_signs_of_life_and_deletes_its_row_at_the_end(settings, channel, monkeypatch):
    monkeypatch.setattr(room, "SIGN_SECONDS", 0.2)
    work = Work()
    with running(settings, work):
        publish(channel, "a")
        eventually(lambda: (found := row_of(settings)) and found.in_hand == 1)
        assert row_of(settings).served == {"interactive": 0, "bulk": 0}
        assert row_of(settings).is_there(time.time_ns() // 1_000_000)
        work.may_end.set()
        eventually(lambda: row_of(settings).in_hand == 0)
    assert row_of(settings) is None


def test_a_consumer_that_hangs_leaves_its_file_alone(settings, channel, monkeypatch, tmp_path):
    monkeypatch.setattr(room, "HANGS_SECONDS", 1.0)
    work = Work()
    alive = tmp_path / "alive"
    with running(settings, work) as (consumer, _):
        eventually(alive.exists)
        monkeypatch.setattr(consumer, "serve", lambda: work.may_end.wait(60))
        eventually(lambda: time.monotonic() - consumer.alive_at > 2.0)
        before = alive.stat().st_mtime_ns
        time.sleep(1.5)
        assert alive.stat().st_mtime_ns == before


def test_a_consumer_whose_slots_stand_still_leaves_its_file_alone(
    settings, channel, monkeypatch, tmp_path
):
    settings = replace(settings, job_seconds_max=2)
    monkeypatch.setattr(room, "STILL", 1)
    work, alive = Work(), tmp_path / "alive"
    with running(settings, work) as (consumer, _):
        # With nothing in hand it may wait for as long as it likes.
        time.sleep(2.5)
        alive.unlink(missing_ok=True)
        eventually(alive.exists)
        publish(channel, "still")
        eventually(lambda: time.monotonic() - consumer.moved_at > 2.5)
        before = alive.stat().st_mtime_ns
        time.sleep(1.5)
        assert alive.stat().st_mtime_ns == before
        work.may_end.set()
        eventually(lambda: alive.stat().st_mtime_ns > before)


def test_a_metadata_session_that_ran_out_is_renewed(service):
    metadata = Metadata(service.url)
    assert metadata.instance() == INSTANCE
    service.sessions.clear()
    assert metadata.instance() == INSTANCE


def test_a_metadata_service_that_is_away_gives_no_notice():
    assert Metadata("http://127.0.0.1:1").notice() is None


def test_a_node_outside_ec2_calls_neither_metadata_nor_auto_scaling(settings, service, channel):
    elsewhere = WorkerSettings(**{**vars(settings), "metadata_endpoint": ""})
    work = Work()
    publish(channel, "a")
    with running(elsewhere, work):
        eventually(lambda: work.begun)
        work.may_end.set()
    assert not service.sessions
    assert not service.calls

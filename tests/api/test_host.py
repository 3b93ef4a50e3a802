"""A worker's host with the broker on it, which sleeps: the API starts it, and its sweep publishes.

Two sides share one table: the API, which cannot reach the broker, and the host's own sweep.
"""

from dataclasses import replace

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from chalicelib import backlog, host, sweep
from chalicelib import services as services_module
from chalicelib.fleet import STARTING, Fleet, Host
from chalicelib.queue import BrokerError, Publisher

from config.contract.node import Node
from config.contract.settings import NO_BROKER

pytestmark = pytest.mark.slow

REGION = "eu-central-1"


class Sides:
    """The API's services, those of the host, and the instance."""

    def __init__(self, api, host_services, client, instance):
        self.api, self.host, self.client, self.instance = api, host_services, client, instance

    def instance_state(self):
        found = self.client.describe_instances(InstanceIds=[self.instance])
        return found["Reservations"][0]["Instances"][0]["State"]["Name"]


@pytest.fixture(scope="module")
def ec2(all_parts):
    """Make a client of moto's EC2, and find an image; both take long."""
    client = boto3.client("ec2", region_name=REGION)
    (image, *_) = client.describe_images(Owners=["amazon"])["Images"]
    return client, image["ImageId"]


@pytest.fixture
def sides(api, ec2, monkeypatch):
    client, image = ec2
    name = f"host-of-{api.table.name}"
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}]
    made = client.run_instances(ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=tags)
    instance = made["Instances"][0]["InstanceId"]
    client.stop_instances(InstanceIds=[instance])
    on_host = api.services
    settings = replace(on_host.settings, broker_url=NO_BROKER, worker_host=name)
    api.services = replace(
        on_host,
        settings=settings,
        publisher=Publisher(None, 5.0),
        fleet=Fleet(Host(client, name)),
    )
    monkeypatch.setattr(services_module, "_made_once", lambda: api.services)
    yield Sides(api, on_host, client, instance)
    client.terminate_instances(InstanceIds=[instance])


def test_the_first_batch_starts_the_host_and_says_so(sides):
    body = {
        "steps": [{"operation": "gaussian"}],
        "images": [{"name": "a.png", "bytes": 100, "type": "image/png"}],
    }
    status, made = sides.api.post("/batches", body)
    assert (status, made["notice"]) == (201, STARTING)
    assert sides.instance_state() == "running"


def test_the_api_writes_the_row_and_the_sweep_of_the_host_publishes(sides, queues):
    api = sides.api
    batch, (job,) = api.queued("a.png")
    assert (api.row(batch, job).published_at, queues.take()) == (0, [])
    # The API's sweep may look at the row often; it stays due soon.
    for _ in range(5):
        api.clock.pass_seconds(60)
        assert api.sweep() == {"left_to_host": 1}
    api.clock.pass_seconds(1)
    assert sweep.run(sides.host, 30) == {"published_again": 1}
    row = api.row(batch, job)
    assert queues.take() == [row.message]
    assert (row.state, row.published_at) == ("queued", api.clock.now)


def test_a_host_that_is_awake_publishes_at_its_next_sweep(sides, queues):
    batch, (job,) = sides.api.queued("a.png")
    assert sweep.run(sides.host, 30) == {"published_again": 1}
    assert queues.take() == [sides.api.row(batch, job).message]


def test_an_image_that_waits_starts_a_host_that_was_just_stopping(sides):
    api = sides.api
    api.queued("a.png")
    sides.client.stop_instances(InstanceIds=[sides.instance])
    api.services.fleet._asked = 0.0
    api.clock.pass_seconds(60)
    api.sweep()
    assert sides.instance_state() == "running"


def test_a_job_whose_host_died_is_left_to_the_host_as_well(sides, queues):
    api = sides.api
    batch, (job,) = api.queued("a.png")
    api.claim(batch, job)
    api.clock.pass_seconds(3600)
    assert api.sweep() == {"left_to_host": 1}
    api.clock.pass_seconds(60)
    assert sweep.run(sides.host, 30) == {"published_again": 1}
    assert api.row(batch, job).lapses == 1


def test_what_needs_the_broker_is_told_in_a_sentence(sides):
    api = sides.api
    assert backlog.measure(api.services) == {}
    with pytest.raises(BrokerError, match="on the worker's host"):
        api.services.publisher.counts()
    status, problem = api.post(
        "/previews", {"picture": "0" * 64, "steps": [{"operation": "gaussian"}]}
    )
    assert status == 501
    assert problem["detail"].startswith("this installation has no previews")


def test_a_host_that_sleeps_is_no_trouble(sides):
    api = sides.api
    status, found = api.get("/health")
    assert (status, found["broker"]) == (200, "asleep")
    node = Node("one", 0, api.clock(), {})
    api.table.access.client.put_item(TableName=api.table.name, Item=node.to_item())
    assert api.get("/health")[1]["broker"] == "ok"


def test_a_table_that_does_not_answer_is_told_where_the_broker_sleeps(sides, monkeypatch):
    def fail():
        raise EndpointConnectionError(endpoint_url="https://table")

    monkeypatch.setattr(sides.api.services.table, "nodes", fail)
    status, problem = sides.api.get("/health")
    assert status == 503
    assert problem["detail"].startswith("broker: Could not connect")


def test_the_host_ends_when_nothing_was_to_be_done_for_its_idle_time(sides, queues):
    api, minutes = sides.api, []
    batch, (job,) = api.queued("a.png")
    api.clock.pass_seconds(120)

    def pause(_):
        minutes.append(queues.take())
        api.clock.pass_seconds(60)
        if len(minutes) == 3:
            api.end(batch, job)

    host.run(sides.host, pause, lambda: 60.0 * len(minutes))
    assert any(minutes[:3])
    # The last work was seen before the job ended.
    idle = sides.host.settings.host_idle_seconds // 60
    assert idle <= len(minutes) <= 3 + idle


def test_a_broker_that_does_not_answer_keeps_the_host_up(sides):
    lost = replace(sides.host, publisher=Publisher("amqp://dip:none@127.0.0.1:1/", 1.0))
    assert host.has_work(lost)
    assert not host.has_work(sides.host)

"""The backlog, the fleet, estimates and dead letters, on a broker, moto's group and a table."""

import io
import json
import time
from dataclasses import asdict, replace

import boto3
import pytest
from botocore.exceptions import ClientError
from chalicelib import backlog, batch_view, letters, log
from chalicelib import services as services_module
from chalicelib.fleet import START_MINUTES, STARTING, Fleet, Group
from chalicelib.metrics import Metrics
from chalicelib.queue import BrokerError, Publisher
from chalicelib.services import broker_url

from config.contract import resources
from config.contract.host import Host
from config.contract.job import Message
from config.contract.node import GONE_SECONDS, Node
from config.contract.settings import SettingError
from config.contract.table_access import TableAccess

pytestmark = pytest.mark.slow

REGION = "eu-central-1"


@pytest.fixture
def group(api, monkeypatch):
    """The app with a group of worker nodes: none at first, three at most."""
    client = boto3.client("autoscaling", region_name=REGION)
    name = f"workers-{api.table.name}"
    client.create_launch_configuration(
        LaunchConfigurationName=name, ImageId="ami-12345678", InstanceType="c6i.xlarge"
    )
    client.create_auto_scaling_group(
        AutoScalingGroupName=name,
        LaunchConfigurationName=name,
        MinSize=0,
        MaxSize=3,
        DesiredCapacity=0,
        AvailabilityZones=[f"{REGION}a"],
    )
    settings = replace(api.services.settings, worker_group=name, workers_max=3, worker_images=2)
    api.services = replace(api.services, settings=settings, fleet=Fleet(Group(client, name)))
    monkeypatch.setattr(services_module, "_made_once", lambda: api.services)
    return name


def desired(api):
    return api.services.fleet.desired()


def order(api, number):
    """Have the group hold this number of nodes."""
    group = api.services.fleet.nodes
    group.client.set_desired_capacity(AutoScalingGroupName=group.name, DesiredCapacity=number)


def sign(api, worker, in_hand=0, ago=0.0, served=None):
    """Write a node's sign of life, as a worker does."""
    node = Node(worker, in_hand, api.clock() - int(1000 * ago), served or {})
    api.table.access.client.put_item(TableName=api.table.name, Item=node.to_item())


def line(api, batch):
    """Read what a batch's page is told of the line."""
    return api.get(f"/batches/{batch}")[1]["line"]


def test_what_waits_and_who_works_is_counted(api, queues):
    api.queued("a.png", "b.png", "c.png")
    queues.put(Message("0" * 32, "1" * 16, 1))
    sign(api, "one", in_hand=2)
    sign(api, "two")
    sign(api, "gone", in_hand=9, ago=GONE_SECONDS + 1)
    assert backlog.measure(api.services) == {
        "Waiting": 3,
        "InHand": 2,
        "Nodes": 2,
        "Wanted": 1,
        "DeadLetters": 1,
    }


def test_the_oldest_lease_of_a_node_is_told_and_one_that_has_ended_is_not(api, queues):
    for worker, since, until in (("a", 90, -1), ("b", 700, 5), ("c", 20, 5)):
        now = api.clock()
        host = Host(worker, "", "zone", "alike", 2, is_idle=True, seen=now)
        given = {"lease": "job/1", "since": now - 1000 * since, "until": now + 1000 * until}
        item = {"pk": resources.HOSTS_PK, "sk": worker, **asdict(host), **given}
        api.table.access.client.put_item(TableName=api.table.name, Item=item)
    assert backlog.measure(api.services)["OldestLeaseSeconds"] in (700, 701)


def test_the_figures_are_published_under_their_names_by_the_log(api, queues, monkeypatch):
    lines = io.StringIO()
    monkeypatch.setattr(log.logger.handlers[0], "stream", lines)
    figures = backlog.measure(replace(api.services, metrics=Metrics("dip")))
    (line,) = [each for each in map(json.loads, lines.getvalue().splitlines()) if "_aws" in each]
    (described,) = line["_aws"]["CloudWatchMetrics"]
    assert (described["Namespace"], described["Dimensions"]) == ("dip", [[]])
    assert {each["Name"]: line[each["Name"]] for each in described["Metrics"]} == figures
    assert abs(line["_aws"]["Timestamp"] - 1000 * time.time()) < 60_000


@pytest.mark.parametrize(
    ("images", "there", "wanted"),
    [(0, 0, 0), (0, 3, 0), (1, 0, 1), (2, 1, 1), (3, 1, 2), (99, 1, 3), (1, 3, 3)],
)
def test_more_nodes_are_wanted_the_more_waits_and_none_is_taken_from_work(
    api, group, images, there, wanted
):
    order(api, there)
    assert backlog.wanted(api.services, images) == wanted


def test_the_first_batch_wakes_a_node_and_says_so(api, group):
    status, made = api.post("/batches", body("a.png"))
    assert (status, made["notice"]) == (201, STARTING)
    assert desired(api) == 1


def test_nothing_is_said_once_a_node_is_there(api, group):
    order(api, 1)
    sign(api, "one")
    assert api.post("/batches", body("a.png"))[1]["notice"] == ""


def test_a_group_that_has_more_nodes_keeps_them(api, group):
    order(api, 3)
    assert api.post("/batches", body("a.png"))[1]["notice"] == STARTING
    assert desired(api) == 3


def test_an_upload_that_took_long_wakes_a_node_again(api, group):
    batch, (job,) = api.batch("a.png")
    order(api, 0)
    api.services.fleet._asked = 0.0
    api.arrive(batch, job)
    assert api.post(f"/batches/{batch}/jobs/{job}/uploaded")[0] == 202
    assert desired(api) == 1


def test_a_group_that_does_not_answer_keeps_no_batch_from_being_made(api, group):
    class Down:
        def describe_auto_scaling_groups(self, **_):
            raise ClientError({"Error": {"Code": "Throttling"}}, "DescribeAutoScalingGroups")

    api.services = replace(api.services, fleet=Fleet(Group(Down(), group)))
    assert api.post("/batches", body("a.png"))[0] == 201


def test_without_a_group_nothing_is_said_and_nobody_asked(api):
    assert api.post("/batches", body("a.png"))[1]["notice"] == ""


def test_a_batch_that_waits_hears_that_a_node_is_started(api, group):
    batch, _ = api.queued("a.png")
    assert line(api, batch)["start_seconds"] == 60 * START_MINUTES
    sign(api, "one")
    assert (line(api, batch)["workers"], line(api, batch)["start_seconds"]) == (1, 0)


def test_without_a_group_no_node_is_said_to_start(api):
    batch, _ = api.queued("a.png")
    assert (line(api, batch)["workers"], line(api, batch)["start_seconds"]) == (0, 0)


def test_tickets_tell_how_many_images_are_ahead(api):
    api.queued("a.png", "b.png")
    batch, (job,) = api.queued("c.png")
    sign(api, "one", served={"interactive": 1})
    sign(api, "gone", ago=GONE_SECONDS + 1, served={"interactive": 9})
    assert api.row(batch, job).ticket - line(api, batch)["served"]["interactive"] == 2
    # Sent again, it stands at the end of the line.
    api.queued("d.png")
    api.end(batch, job, "failed")
    api.post(f"/batches/{batch}/jobs/{job}/retry")
    assert api.row(batch, job).ticket == 5


def test_a_job_is_queued_also_where_no_ticket_can_be_drawn(api, monkeypatch):
    update = TableAccess.update

    def refuse_tickets(access, change):
        if change["Key"]["pk"] == resources.TICKETS_PK:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "UpdateItem")
        return update(access, change)

    monkeypatch.setattr(TableAccess, "update", refuse_tickets)
    batch, (job,) = api.queued("a.png")
    assert api.row(batch, job).ticket == 0


def test_an_estimate_is_stated_where_prices_are_known(api):
    assert batch_view.estimate(api.services, 5) is None
    priced = replace(api.services, settings=replace(api.services.settings, thousand_images_usd=0.5))
    assert batch_view.estimate(priced, 5) == 0.0025


def body(*names):
    images = [{"name": name, "bytes": 100, "type": "image/png"} for name in names]
    return {"steps": [{"operation": "gaussian"}], "images": images}


# Dead letters


def die(api, queues, batch, job, reason="a rank died twice"):
    """End a job as a worker does at the fault limit: failed, its message a dead letter."""
    queues.take()
    api.claim(batch, job)
    row = api.row(batch, job)
    api.move(batch, job, "failed", row.kept_until, reason=reason, cause="broken", faults=2)
    queues.put(Message(batch, job, row.publish))


def test_dead_letters_are_listed_with_their_reasons_and_no_batch_id(api, queues):
    batch, (job,) = api.queued("a.png")
    die(api, queues, batch, job)
    (letter,) = letters.show(api.services)
    assert (letter["job"], letter["name"], letter["reason"]) == (job, "a.png", "a rank died twice")
    assert (letter["state"], letter["faults"]) == ("failed", 2)
    assert batch not in str(letter)


def test_a_letter_sent_back_is_a_queued_job_and_no_letter_any_more(api, queues):
    batch, (first, second) = api.queued("a.png", "b.png")
    for job in (first, second):
        die(api, queues, batch, job)
    assert letters.send_back(api.services, [first]) == {"sent": 1, "dropped": 0, "left": 0}
    row = api.row(batch, first)
    assert (row.state, row.faults, row.reason) == ("queued", 0, "")
    assert queues.take() == [Message(batch, first, row.publish)]
    assert [each["job"] for each in letters.show(api.services)] == [second]
    assert letters.send_back(api.services) == {"sent": 1, "dropped": 0, "left": 0}
    assert letters.show(api.services) == []


def test_letters_of_jobs_that_are_gone_or_went_on_are_dropped(api, queues):
    batch, (job,) = api.queued("a.png")
    die(api, queues, batch, job)
    assert api.post(f"/batches/{batch}/jobs/{job}/retry")[0] == 202
    queues.put(Message("0" * 32, "1" * 16, 1))
    queues.take()
    assert letters.send_back(api.services) == {"sent": 0, "dropped": 2, "left": 0}
    assert queues.take() == []
    assert queues.take(resources.DEAD_LETTERS) == []


def test_a_letter_of_a_job_in_work_is_left(api, queues):
    api.queued("a.png")
    (message,) = queues.take()
    queues.put(message)
    assert letters.send_back(api.services) == {"sent": 0, "dropped": 0, "left": 1}
    assert queues.take(resources.DEAD_LETTERS) == [message]


def test_a_letter_that_the_sweep_has_in_hand_is_found_at_a_second_look(api, queues, monkeypatch):
    batch, (job,) = api.queued("a.png")
    die(api, queues, batch, job)
    publisher = api.services.publisher
    look, looks = publisher.dead_letters, []

    def empty_at_first(limit):
        looks.append(limit)
        return look(limit) if len(looks) > 1 else []

    monkeypatch.setattr(publisher, "dead_letters", empty_at_first)
    assert letters.send_back(api.services) == {"sent": 1, "dropped": 0, "left": 0}


def test_the_operators_function_lists_and_sends(api, queues):
    from app import dead_letters

    batch, (job,) = api.queued("a.png")
    die(api, queues, batch, job)
    assert [each["job"] for each in dead_letters({}, None)["letters"]] == [job]
    assert dead_letters({"send": "all"}, None)["sent"] == 1
    assert dead_letters({}, None) == {"letters": []}


# The broker's password


def test_a_password_comes_from_its_secret(api):
    client = boto3.client("secretsmanager", region_name=REGION)
    client.create_secret(Name="broker", SecretString='{"username": "dip", "password": "a/b:c"}')
    settings = replace(
        api.services.settings, broker_url="amqps://host:5671", broker_secret="broker"
    )
    assert broker_url(settings) == "amqps://dip:a%2Fb%3Ac@host:5671"


def test_a_secret_that_is_none_is_one_sentence_without_it(api):
    client = boto3.client("secretsmanager", region_name=REGION)
    client.create_secret(Name="other", SecretString="hidden")
    settings = replace(api.services.settings, broker_secret="other")
    with pytest.raises(SettingError, match=r"^BROKER_SECRET: must hold JSON") as caught:
        broker_url(settings)
    assert "hidden" not in str(caught.value)


def test_a_password_that_was_changed_is_read_again(broker, queues):
    urls = [broker.url.replace("dip:", "dip:old"), broker.url]
    publisher = Publisher(lambda: urls.pop(0), 10.0)
    publisher.publish(Message("0" * 32, "1" * 16, 1))
    publisher.close()
    assert len(queues.take()) == 1


def test_a_password_that_stays_wrong_is_told(broker):
    publisher = Publisher(lambda: broker.url.replace("dip:", "dip:old"), 10.0)
    with pytest.raises(BrokerError, match="refused"):
        publisher.publish(Message("0" * 32, "1" * 16, 1))

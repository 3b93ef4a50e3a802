"""The API on a real broker and on the S3 and DynamoDB of `make run`; tests turn its clock."""

import base64
import itertools
import json
from dataclasses import dataclass, replace

import pika
import pytest
from app import app
from chalice.test import Client
from chalicelib import commands, sweep, transitions
from chalicelib import services as services_module
from chalicelib.queue import Publisher
from moto import mock_aws

from config.contract import resources
from config.contract.job import Message
from config.contract.settings import ApiSettings
from config.contract.visitor import ADDRESS_HEADER, KEY_HEADER, visitor_of
from config.contract.writes import Change, move
from infra.local.broker import Broker
from tests.store_server import serving

REGION = "eu-central-1"
ORIGIN_KEY = "k" * 32
NUMBERS = itertools.count(1)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(92)  # 100 bytes


@dataclass
class Clock:
    """Milliseconds since 1970, as far as the tests let them pass."""

    now: int = 1_800_000_000_000

    def __call__(self):
        return self.now

    def pass_seconds(self, seconds):
        self.now += int(1000 * seconds)


class Api:
    """What tests do through HTTP and, as a browser or worker would, beside it."""

    def __init__(self, services, clock):
        self.services, self.clock = services, clock
        self.table, self.s3 = services.table, services.s3
        self.http = Client(app).http
        self.address = "198.51.100.1"

    def visit_from(self, address):
        """Send the next requests from another address, as CloudFront or the front would."""
        self.address = address

    @property
    def visitor(self):
        return visitor_of(self.address, ORIGIN_KEY)

    def call(self, method, path, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers |= {KEY_HEADER: ORIGIN_KEY, ADDRESS_HEADER: self.address}
        raw = b"" if body is None else json.dumps(body).encode()
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        answer = self.http.request(method, path, headers, raw)
        return answer.status_code, answer.json_body

    def post(self, path, body=None, **headers):
        return self.call("POST", path, body, **headers)

    def get(self, path):
        return self.call("GET", path)

    def batch(self, *names, size=100, steps=("gaussian",), key=None):
        """Make a batch of PNGs; returns its id and the ids of its jobs."""
        body = {
            "steps": [each if isinstance(each, dict) else {"operation": each} for each in steps],
            "images": [
                {"name": name, "bytes": size, "type": "image/png"} for name in names or ("a.png",)
            ],
        }
        status, made = self.post("/batches", body, **({"Idempotency_Key": key} if key else {}))
        assert status == 201, made
        return made["batch"], [job["job"] for job in made["jobs"]]

    def arrive(self, batch, job, content=PNG):
        """Put a file where the browser's form would."""
        bucket = self.services.settings.uploads_bucket
        self.s3.put_object(Bucket=bucket, Key=resources.upload_key(batch, job), Body=content)

    def queued(self, *names, **more):
        """Make a batch whose files arrived and whose jobs are queued."""
        batch, jobs = self.batch(*names, **more)
        for job in jobs:
            self.arrive(batch, job)
            status, found = self.post(f"/batches/{batch}/jobs/{job}/uploaded")
            assert (status, found["state"]) == (202, "queued")
        return batch, jobs

    def row(self, batch, job):
        return self.table.job(batch, job)

    def write(self, batch, job, **values):
        """Write a row's attributes as a worker would, with no condition and no count."""
        names = {f"#{name}": name for name in values}
        self.table.access.client.update_item(
            TableName=self.table.name,
            Key={"pk": batch, "sk": resources.job_sk(job)},
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={f":{name}": value for name, value in values.items()},
        )

    def move(self, batch, job, to, due=0, **values):
        """Take a step of a job's life as a worker would, counts included."""
        row = self.row(batch, job)
        change = Change(values)
        self.table.access.transact(move(self.table.name, row, to, self.clock(), due, change))

    def claim(self, batch, job):
        """Begin work on a job."""
        lapse = 1000 * self.services.settings.heartbeat_lapse_seconds
        attempt = self.row(batch, job).attempt + 1
        self.move(batch, job, "running", self.clock() + lapse, attempt=attempt)

    def end(self, batch, job, to="succeeded", **values):
        """End work on a job."""
        self.claim(batch, job)
        if to == "succeeded":
            values["result_key"] = self.store_result(batch, job)
        self.move(batch, job, to, self.row(batch, job).kept_until, **values)

    def release(self, batch, job):
        """Release waiting jobs, as a worker does that took a message."""
        transitions.release_waiting(self.services, self.row(batch, job))

    def store_result(self, batch, job, attempt=1):
        """Put a result and a table where a worker would; returns the key of the result."""
        key = resources.result_key(batch, job, attempt, "png")
        table = resources.further_result_key(batch, job, attempt, "cells", "csv")
        for each in (key, table):
            self.s3.put_object(Bucket=self.services.settings.results_bucket, Key=each, Body=PNG)
        return key

    def state(self, batch, job):
        return self.row(batch, job).state

    def counts(self, batch):
        status, found = self.get(f"/batches/{batch}")
        assert status == 200, found
        return {state: number for state, number in found["counts"].items() if number}

    def uploads(self):
        return self.objects(self.services.settings.uploads_bucket)

    def results(self):
        return self.objects(self.services.settings.results_bucket)

    def objects(self, bucket):
        return [each["Key"] for each in self.s3.list_objects_v2(Bucket=bucket).get("Contents", ())]

    def sweep(self):
        return sweep.run(self.services, 30)


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    with Broker(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
def queues(broker):
    """The broker's own side: what lies in which queue; all empty at first."""
    connection = pika.BlockingConnection(pika.URLParameters(broker.url))
    queues = Queues(connection.channel(), broker.url)
    yield queues
    connection.close()


class Queues:
    def __init__(self, channel, url):
        self.channel, self.url = channel, url
        for queue in resources.QUEUES:
            channel.queue_declare(queue.name, durable=True, arguments=queue.arguments)
            channel.queue_purge(queue.name)

    def take(self, queue=resources.JOBS):
        """Take all messages out of a queue."""
        found = []
        while True:
            method, _, body = self.channel.basic_get(queue.name, auto_ack=True)
            if method is None:
                return found
            found.append(Message.from_bytes(body))

    def put(self, message, queue=resources.DEAD_LETTERS):
        self.channel.confirm_delivery()
        body = message if isinstance(message, bytes) else message.to_bytes()
        self.channel.basic_publish("", queue.name, body)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(scope="session")
def all_parts(broker):
    # moto has the other services: machines and groups of them.
    with serving() as url, mock_aws():
        settings = ApiSettings(
            aws_region=REGION,
            uploads_bucket="",
            results_bucket="",
            s3_endpoint=url,
            dynamodb_endpoint=url,
            broker_url=broker.url,
            origin_key=ORIGIN_KEY,
        )
        made = services_module.make(settings)
        yield made
        made.publisher.close()


@pytest.fixture
def api(all_parts, queues, clock, monkeypatch):
    """The app with a table and buckets of its own."""
    # On a busy machine a command may take longer; tests of its slices set their own length.
    monkeypatch.setattr(commands, "FIRST_SLICE_SECONDS", 60.0)
    mark = f"{next(NUMBERS)}"
    settings = replace(
        all_parts.settings,
        table=f"dip-jobs-{mark}",
        uploads_bucket=f"dip-uploads-{mark}",
        results_bucket=f"dip-results-{mark}",
    )
    table = services_module.job_table(all_parts.table.access.client, settings)
    made = replace(all_parts, settings=settings, table=table, clock=clock)
    for bucket in (settings.uploads_bucket, settings.results_bucket):
        made.s3.create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
    table.access.client.create_table(TableName=table.name, **resources.TABLE_SCHEMA)
    monkeypatch.setattr(services_module, "_made_once", lambda: made)
    yield Api(made, clock)
    table.access.client.delete_table(TableName=table.name)


@pytest.fixture
def dead_broker(api, monkeypatch):
    """Take the broker away; calling the result brings it back."""
    lost = Publisher("amqp://dip:none@127.0.0.1:1/", 2.0)
    without = replace(api.services, publisher=lost)
    monkeypatch.setattr(services_module, "_made_once", lambda: without)
    with_it, api.services = api.services, without

    def bring_back():
        api.services = with_it
        monkeypatch.setattr(services_module, "_made_once", lambda: with_it)

    return bring_back


@pytest.fixture
def policy():
    """Read what an upload form allows."""

    def read(form):
        return json.loads(base64.b64decode(form["fields"]["policy"]))

    return read

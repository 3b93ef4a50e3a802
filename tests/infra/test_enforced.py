"""The packaged functions and a worker under the template's own roles, with all rules enforced.

ministack checks signatures, presigned conditions and the policies of the roles for every call to
S3, DynamoDB, Secrets Manager, Auto Scaling and CloudWatch. It does not have the network (security
groups, endpoints), and the bucket policies are not applied, since they refuse what comes without
TLS. RabbitMQ speaks TLS with Amazon MQ's limits for the smallest broker.
"""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from botocore.exceptions import ClientError
from chalicelib import objects
from chalicelib.bodies import PREVIEW_BYTES_MAX
from chalicelib.calls import CALLS

from config.contract import preview, resources
from config.contract.job import Message
from config.contract.settings import MIB
from infra.api import MEGABYTES
from infra.broker import configuration_of
from infra.local.app import has_event
from infra.local.broker import Broker, connect
from infra.local.ports import HOST, free_ports
from infra.local.process import Process
from infra.local.supervisor import Supervisor
from tests.app import pictures
from tests.client import Client
from tests.infra.emulator import (
    ACCOUNT,
    GROUP,
    REGION,
    RESULTS,
    TABLE,
    UPLOADS,
    Emulator,
    send,
)

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

# What a schedule sends.
SCHEDULED = {
    "version": "0",
    "id": "1",
    "account": ACCOUNT,
    "time": "2026-12-01T00:00:00Z",
    "region": REGION,
    "resources": [],
    "source": "aws.events",
    "detail-type": "Scheduled Event",
    "detail": {},
}
BLUR = [{"operation": "gaussian", "sigma": 1.0}]
SERVER = Path(__file__).with_name("lambda_server.py")
# Modules that Lambda has itself.
RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3")


class TlsBroker(Broker):
    """A RabbitMQ that speaks TLS as well, with the configuration that the stack gives Amazon MQ."""

    def __init__(self, folder):
        super().__init__(folder)
        (self.tls_port,) = free_ports(1)
        self.authority = folder / "ca.pem"
        make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        names = ["-subj", "/CN=broker", "-addext", f"subjectAltName=IP:{HOST}"]
        files = ["-keyout", folder / "key.pem", "-out", self.authority]
        subprocess.run([*make, *names, *files], check=True, capture_output=True, timeout=60)
        with (folder / "rabbitmq" / "rabbitmq.conf").open("a") as file:
            file.write(
                f"listeners.ssl.default = {HOST}:{self.tls_port}\n"
                f"ssl_options.certfile = {self.authority}\n"
                f"ssl_options.keyfile = {folder / 'key.pem'}\n"
            )
            limits = configuration_of("mq.m7g.medium").splitlines(keepends=True)
            file.writelines(each for each in limits if "consumer_timeout" not in each)


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with TlsBroker(tmp_path_factory.mktemp("broker")) as running:
        running.declare_queues()
        yield running


@pytest.fixture(scope="module")
def emulator(tmp_path_factory, small, broker):
    user, password = re.match(r"amqp://([^:]+):([^@]+)@", broker.url).groups()
    secret = {"username": user, "password": password}
    with Emulator(tmp_path_factory.mktemp("emulator"), small, secret) as running:
        yield running


class Site:
    """The functions' code in a process of its own, under a role.

    Attributes
    ----------
    called : set of str
        Names of the calls that were answered.
    """

    def __init__(self, folder, emulator, broker, keys, **settings):
        self.folder, self.emulator = folder, emulator
        (port,) = free_ports(1)
        self.url = f"http://{HOST}:{port}"
        code, libraries = folder / "code", folder / "libraries"
        libraries.mkdir(parents=True)
        subprocess.run(
            [sys.executable, "-m", "zipfile", "-e", emulator.template.code(), code],
            check=True,
            timeout=60,
        )
        site = next(path for path in map(str, sys.path) if path.endswith("site-packages"))
        for name in RUNTIME:
            (libraries / name).symlink_to(f"{site}/{name}")
        (libraries / "six.py").symlink_to(f"{site}/six.py")
        variables = emulator.environment(keys) | names_of(emulator, broker) | settings
        variables["AWS_LAMBDA_FUNCTION_NAME"] = "dip-APIHandler"
        command = (f"{sys.base_prefix}/bin/python3", "-S", SERVER, port, code, libraries)
        self.process = Process("api", tuple(map(str, command)), variables)
        self.supervisor = Supervisor(folder, print)
        self.called = set()

    def __enter__(self):
        self.supervisor.start(self.process)
        log = self.folder / "api.log"
        self.supervisor.await_ready("api", lambda: "ready" in log.read_text(), 60)
        self.client = Client(self.url)
        return self

    def __exit__(self, *_):
        self.client.__exit__()
        self.supervisor.end()

    def call(self, name, body=None, query="", expected=None, **ids):
        """Make a call of the contract by its name, and return its answer."""
        call = CALLS[name]
        path = call.path.format(**ids) + query
        text = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"}
        status, answer = self.client.request(call.method, f"/api{path}", text, headers)
        assert status == (expected or call.status), (name, status, answer[:500])
        self.called.add(name)
        return json.loads(answer) if call.media_type == "application/json" else answer

    def run(self, function, event=SCHEDULED):
        """Run a function that is not the API's."""
        status, answer = self.client.request("POST", f"/function/{function}", json.dumps(event))
        assert status == 200, answer
        return json.loads(answer)

    def create(self, *files, steps=BLUR):
        """Create a batch of files; return its id and its jobs with their forms."""
        images = [
            {"name": f"{number}.tif", "bytes": len(content), "type": "image/tiff"}
            for number, content in enumerate(files)
        ]
        made = self.call("create_batch", {"steps": steps, "images": images})
        return made["batch"], made["jobs"]

    def wait(self, batch, job, *states, seconds=120):
        """Wait until a job is in one of some states; return its view."""
        until = time.monotonic() + seconds
        while (view := self.call("get_job", batch=batch, job=job))["state"] not in states:
            assert time.monotonic() < until, view
            time.sleep(0.2)
        return view

    def log(self):
        return (self.folder / "api.log").read_text()


def names_of(emulator, broker):
    """Return the settings that the stack gives to API and workers."""
    (secret,) = (each for each in emulator.known if each.startswith("BrokerUser"))
    return {
        "PATH": os.environ["PATH"],
        "TABLE": TABLE,
        "UPLOADS_BUCKET": UPLOADS,
        "RESULTS_BUCKET": RESULTS,
        "BROKER_URL": f"amqps://{HOST}:{broker.tls_port}",
        "BROKER_SECRET": emulator.known[secret],
        "WORKER_GROUP": GROUP,
        "SSL_CERT_FILE": str(broker.authority),
    }


@pytest.fixture(scope="module")
def keys(emulator):
    return emulator.keys_of("Api")


@pytest.fixture(scope="module")
def site(tmp_path_factory, emulator, broker, keys):
    settings = {"METRICS_NAMESPACE": "dip", "WORKERS_MAX": "2"}
    with Site(tmp_path_factory.mktemp("api"), emulator, broker, keys, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def worker(tmp_path_factory, emulator, broker):
    """A worker with one rank under the role of the worker nodes."""
    folder = tmp_path_factory.mktemp("worker")
    settings = {
        **names_of(emulator, broker),
        **emulator.environment(emulator.keys_of("Workers")),
        # The node is no instance of a group here.
        "WORKER_GROUP": "",
        "RANKS": "1",
        "UCX_NET_DEVICES": "lo",
        "FI_TCP_IFACE": "lo",
    }
    supervisor = Supervisor(folder, print)
    supervisor.start(Process.python("worker", "cluster_worker", **settings))
    supervisor.await_ready("worker", lambda: has_event(folder / "worker.log", "ready"), 180)
    yield folder / "worker.log"
    supervisor.end()


def tiff(rows, columns, seed=0):
    """Make a TIFF of noise, which no codec makes smaller."""
    noise = np.random.default_rng(seed).integers(0, 256, (rows, columns), dtype=np.uint8)
    return pictures.tiff(noise)


def keys_in(emulator, bucket):
    found = emulator.client("s3").list_objects_v2(Bucket=bucket)
    return {each["Key"] for each in found.get("Contents", ())}


def parts_in(emulator):
    found = emulator.client("s3").list_multipart_uploads(Bucket=UPLOADS)
    return {each["Key"] for each in found.get("Uploads", ())}


def test_what_a_role_does_not_grant_is_refused(emulator, keys):
    s3, table = emulator.client("s3", keys), emulator.client("dynamodb", keys)
    metrics, groups = (emulator.client(name, keys) for name in ("cloudwatch", "autoscaling"))
    for call in (
        lambda: s3.get_object(Bucket=RESULTS, Key="files/x"),
        lambda: s3.put_object(Bucket=RESULTS, Key="files/x", Body=b""),
        lambda: s3.put_object(Bucket=UPLOADS, Key="elsewhere", Body=b""),
        lambda: table.scan(TableName=TABLE),
        lambda: table.delete_table(TableName=TABLE),
        lambda: metrics.put_metric_data(Namespace="x", MetricData=[{"MetricName": "x"}]),
        lambda: groups.set_desired_capacity(AutoScalingGroupName="x", DesiredCapacity=1),
        lambda: emulator.client("secretsmanager", keys).list_secrets(),
    ):
        with pytest.raises(ClientError) as caught:
            call()
        code = caught.value.response["Error"]["Code"]
        assert code in ("AccessDenied", "AccessDeniedException"), caught.value


def test_what_a_form_does_not_allow_is_refused(site, worker, emulator):
    content = tiff(8, 8)
    _, (job,) = site.create(content)
    form = job["upload"]
    for changed, sent in (
        (form["fields"], content + b"x"),
        (form["fields"] | {"key": "uploads/elsewhere"}, content),
        (form["fields"] | {"x-amz-signature": "0" * 64}, content),
    ):
        with pytest.raises(AssertionError, match=r"EntityTooLarge|AccessDenied|SignatureDoesNot"):
            site.client.upload(form | {"fields": changed}, sent)


def test_an_image_goes_the_whole_way_and_leaves_nothing_when_it_is_deleted(site, worker, emulator):
    content = tiff(64, 64)
    batch, (first,) = site.create(content)
    more = [{"name": name, "bytes": len(content), "type": "image/tiff"} for name in "bc"]
    second, third = site.call("add_jobs", {"images": more}, batch=batch)["jobs"]
    form = site.call("renew_upload", batch=batch, job=second["job"])["upload"]
    for job, fields in ((first["job"], first["upload"]), (second["job"], form)):
        site.client.upload(fields, content)
        site.call("complete_upload", batch=batch, job=job)
        assert site.wait(batch, job, "succeeded", "failed")["state"] == "succeeded"
    shown = site.call("get_batch", batch=batch)
    assert shown["counts"]["succeeded"] == 2
    results = keys_in(emulator, RESULTS)
    urls = {each["result"]["url"] for each in shown["jobs"] if each["result"]}
    assert {url.removeprefix("/") for url in urls} <= results
    site.call("cancel_job", batch=batch, job=third["job"])
    site.call("retry_job", batch=batch, job=third["job"])
    site.call("retry_batch", batch=batch)
    site.call("cancel_batch", batch=batch)
    site.call("delete_batch", batch=batch)
    assert_gone(site, emulator, batch)


def assert_gone(site, emulator, batch):
    """Sweep until nothing of a batch is left."""
    until = time.monotonic() + 60
    prefix = resources.results_prefix(batch)
    while True:
        site.run("sweep")
        left = {key for key in keys_in(emulator, UPLOADS) if batch in key}
        left |= {key for key in keys_in(emulator, RESULTS) if key.startswith(prefix)}
        left |= {key for key in parts_in(emulator) if batch in key}
        if not left:
            break
        assert time.monotonic() < until, left
        time.sleep(0.5)
    site.call("get_batch", batch=batch, expected=410)


def test_a_file_of_20_mib_goes_in_parts(site, worker, emulator):
    content = tiff(4096, 5120)
    batch, (job,) = site.create(content, steps=[{"operation": "invert"}])
    ids = {"batch": batch, "job": job["job"]}
    assert len(content) > 20 * MIB
    size = objects.part_bytes(len(content))
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    numbers = list(range(1, len(pieces) + 1))
    signed = site.call("sign_parts", {"parts": numbers}, **ids)["parts"]
    assert send("PUT", signed[0]["url"], pieces[0] + b"x")[0] == 403
    for part, piece in zip(signed, pieces, strict=True):
        assert send("PUT", part["url"], piece)[0] == 200
    assert site.call("list_parts", **ids)["arrived"] == numbers
    while site.call("complete_upload", **ids)["state"] == "joining":
        time.sleep(0.2)
    assert site.wait(batch, job["job"], "succeeded", "failed")["state"] == "succeeded"
    site.call("delete_batch", batch=batch)
    assert_gone(site, emulator, batch)


def test_parts_that_were_begun_are_gone_with_their_batch(site, emulator):
    batch, (job,) = site.create(tiff(4096, 5120))
    ids = {"batch": batch, "job": job["job"]}
    (part,) = site.call("sign_parts", {"parts": [1]}, **ids)["parts"]
    assert send("PUT", part["url"], bytes(objects.PART_BYTES))[0] == 200
    site.call("cancel_job", **ids)
    site.call("delete_batch", batch=batch)
    assert_gone(site, emulator, batch)


def test_what_has_expired_is_gone(tmp_path, emulator, broker, keys):
    settings = {"KEPT_SECONDS": "2", "UPLOAD_WAIT_SECONDS": "1"}
    with Site(tmp_path, emulator, broker, keys, **settings) as site:
        begun, (job,) = site.create(tiff(4096, 5120))
        site.call("sign_parts", {"parts": [1]}, batch=begun, job=job["job"])
        make_due(emulator, begun, job["job"])
        kept, (job,) = site.create(tiff(8, 8))
        site.client.upload(job["upload"], tiff(8, 8))
        site.call("complete_upload", batch=kept, job=job["job"])
        time.sleep(2.5)
        for batch in (begun, kept):
            until = time.monotonic() + 60
            while any(batch in key for key in keys_in(emulator, UPLOADS) | parts_in(emulator)):
                site.run("sweep")
                assert time.monotonic() < until
                time.sleep(0.2)
        site.call("get_batch", batch=kept, expected=410)


def make_due(emulator, batch, job):
    """Have the sweep look at a job now, not only after the ten minutes that an upload may take."""
    emulator.client("dynamodb").update_item(
        TableName=TABLE,
        Key={"pk": {"S": batch}, "sk": {"S": resources.job_sk(job)}},
        UpdateExpression="SET due = :now",
        ExpressionAttributeValues={":now": {"N": "1"}},
    )


def test_the_backlog_is_measured_published_and_starts_a_node(site, emulator):
    figures = site.run("backlog")
    assert set(figures) >= {"Waiting", "Nodes", "Wanted", "DeadLetters"}
    # CloudWatch takes them from the function's log, which the emulator does not do.
    assert '"CloudWatchMetrics": [{"Namespace": "dip"' in site.log()
    groups = emulator.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    # The first upload woke it.
    assert [each["DesiredCapacity"] for each in groups] == [1]


def test_dead_letters_are_listed_and_sent_back(site, broker):
    connection = connect(broker.url)
    channel = connection.channel()
    letter = Message("0" * 32, "1" * 16, 1)
    channel.basic_publish("", resources.DEAD_LETTERS.name, letter.to_bytes())
    connection.close()
    (found,) = site.run("dead_letters", {})["letters"]
    assert found["job"] == "1" * 16
    assert site.run("dead_letters", {"send": "all"}) == {"sent": 0, "dropped": 1, "left": 0}


def test_previews_with_the_largest_content_pass_the_broker(site, worker):
    # As much as a request may hold, and a result that is as large as an answer may be.
    noise = np.random.default_rng(1).integers(0, 65536, (1000, 1000), dtype=np.uint16)
    content = pictures.tiff(noise)
    picture = hashlib.sha256(content).hexdigest()
    body = {"picture": picture, "content": base64.b64encode(content).decode()}
    steps = [{"operation": "resize", "rows": 1100, "columns": 1100}]
    assert 2.6e6 < len(json.dumps(body)) < PREVIEW_BYTES_MAX
    until = time.monotonic() + 60
    answer = site.call("make_preview", body | {"steps": steps})
    size = len(base64.b64decode(answer["url"].partition(",")[2]))
    assert 512 * 1024 < size <= preview.CONTENT_BYTES_MAX
    assert time.monotonic() < until
    # The picture is at hand now.
    site.call("make_preview", {"picture": picture, "steps": BLUR})
    status = Path(f"/proc/{site.supervisor.pids()['api']}/status").read_text()
    memory = int(re.search(r"VmHWM:\s*(\d+)", status)[1]) / 1024
    sys.stdout.write(f"the API's process took {memory:.0f} MB at most\n")
    assert memory < 0.75 * MEGABYTES


def test_every_call_of_the_contract_was_made_and_nothing_was_denied(site, worker):
    for name in ("list_operations", "read_reference", "get_contract"):
        site.call(name)
    health = site.call("get_health")
    assert health["status"] == "ok"
    assert site.called == set(CALLS)
    for log in (site.log(), worker.read_text()):
        assert "AccessDenied" not in log


@pytest.mark.parametrize(
    ("action", "fails"),
    [
        ("s3:ListMultipartUploadParts", "list_parts"),
        ("s3:AbortMultipartUpload", "delete_batch"),
        ("s3:ListBucketMultipartUploads", "delete_batch"),
    ],
)
def test_without_a_grant_its_call_fails(tmp_path, emulator, broker, action, fails):
    """So the emulator would have shown a grant that is missing."""
    keys = emulator.keys_of("Api", without=(action,))
    with Site(tmp_path, emulator, broker, keys) as site:
        batch, (job,) = site.create(tiff(4096, 5120))
        ids = {"batch": batch, "job": job["job"]}
        (part,) = site.call("sign_parts", {"parts": [1]}, **ids)["parts"]
        assert send("PUT", part["url"], bytes(objects.PART_BYTES))[0] == 200
        ids = ids if fails == "list_parts" else {"batch": batch}
        site.call(fails, **ids, expected=500)
        assert "AccessDenied" in site.log()

"""Uploads and results on an S3, over HTTP."""

import hashlib
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest

from cluster_worker.errors import Broken, Rejected
from cluster_worker.node import storage as storage_module
from cluster_worker.node.storage import Storage, disposition
from config.contract import resources
from config.contract.job import Job
from config.contract.settings import MIB, WorkerSettings
from tests.store_server import serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

BATCH, JOB = "b" * 32, "c" * 16
KEY = resources.upload_key(BATCH, JOB)
# Milliseconds since 1970.
KEPT_UNTIL = 1_800_000_000_999


@pytest.fixture(scope="module", autouse=True)
def keys():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        yield


@pytest.fixture(scope="module")
def settings(keys):
    with serving() as url:
        yield settings_for(url)


def settings_for(endpoint):
    return WorkerSettings(
        uploads_bucket="uploads",
        results_bucket="results",
        broker_url="amqp://unused",
        s3_endpoint=endpoint,
        aws_region="eu-central-1",
    )


@pytest.fixture(scope="module")
def s3(settings):
    client = boto3.client("s3", endpoint_url=settings.s3_endpoint, region_name="eu-central-1")
    for bucket in (settings.uploads_bucket, settings.results_bucket):
        client.create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
    return client


@pytest.fixture(scope="module")
def storage(settings, s3):
    return Storage(settings)


def row_of(etag):
    return Job(BATCH, JOB, "cat.jpg", 9, "image/jpeg", "running", 0, 0, etag=etag)


def test_an_upload_is_fetched_as_it_was_accepted(storage, s3, tmp_path):
    content = bytes(range(256)) * 10_000
    answer = s3.put_object(Bucket="uploads", Key=KEY, Body=content)
    storage.download(row_of(answer["ETag"]), tmp_path / "source")
    assert (tmp_path / "source").read_bytes() == content


def test_an_upload_that_changed_after_it_was_accepted_is_refused(storage, s3, tmp_path):
    accepted = s3.put_object(Bucket="uploads", Key=KEY, Body=b"a cat")["ETag"]
    s3.put_object(Bucket="uploads", Key=KEY, Body=b"a dog")
    with pytest.raises(Rejected) as caught:
        storage.download(row_of(accepted), tmp_path / "source")
    assert str(caught.value) == ("cat.jpg: the file changed after it was accepted; upload it again")


def test_an_upload_that_is_gone_is_refused(storage, tmp_path):
    row = replace(row_of('"0"'), job="d" * 16)
    with pytest.raises(Rejected, match=r"cat.jpg: the upload is gone; upload it again"):
        storage.download(row, tmp_path / "source")


def test_no_room_for_the_upload_is_the_nodes_fault(storage, s3, tmp_path):
    etag = s3.put_object(Bucket="uploads", Key=KEY, Body=b"a cat")["ETag"]
    with pytest.raises(Broken, match="cannot be written"):
        storage.download(row_of(etag), tmp_path / "none" / "source")


@pytest.mark.parametrize("size", [0, 1000, 40 * MIB + 7])
def test_a_result_is_stored_with_what_a_browser_must_know(storage, s3, tmp_path, size):
    path, key = tmp_path / "result", resources.result_key(BATCH, JOB, 1, "png")
    path.write_bytes(bytes(size))
    storage.upload(path, key, "image/png", "Käse.png", KEPT_UNTIL)
    found = s3.get_object(Bucket="results", Key=key)
    assert found["ContentLength"] == size
    assert hashlib.sha256(found["Body"].read()).digest() == hashlib.sha256(bytes(size)).digest()
    assert found["ContentType"] == "image/png"
    # No max-age: it would begin at the download, and end long after the result is deleted.
    assert found["CacheControl"] == "private, immutable"
    assert found["ExpiresString"] == "Fri, 15 Jan 2027 08:00:00 GMT"
    assert found["ContentDisposition"] == (
        "inline; filename=\"Kase.png\"; filename*=UTF-8''K%C3%A4se.png"
    )
    # S3 marks an upload in parts by a hyphen in its ETag.
    assert ("-" in found["ETag"]) == (size > 16 * MIB)


def test_a_store_that_is_away_is_the_nodes_fault_and_the_batch_is_not_told(monkeypatch, tmp_path):
    monkeypatch.setattr(storage_module, "TRIES", 1)
    storage = Storage(settings_for("http://127.0.0.1:9"))
    with pytest.raises(Broken, match="S3 does not answer") as caught:
        storage.download(row_of('"0"'), tmp_path / "source")
    assert BATCH not in str(caught.value)
    (tmp_path / "result").write_bytes(b"a cat")
    with pytest.raises(Broken, match="S3 does not answer") as caught:
        storage.upload(tmp_path / "result", KEY, "image/png", "cat.png", KEPT_UNTIL)
    assert BATCH not in str(caught.value)


def test_a_bucket_that_is_not_ours_is_the_nodes_fault(settings, s3, tmp_path):
    storage = Storage(replace(settings, results_bucket="none"))
    (tmp_path / "result").write_bytes(b"a cat")
    with pytest.raises(Broken, match="S3"):
        storage.upload(tmp_path / "result", KEY, "image/png", "cat.png", KEPT_UNTIL)


class BreaksOff(BaseHTTPRequestHandler):
    """An S3 whose first two answers end in the middle."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_GET(self):
        BreaksOff.asked += 1
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.send_header("ETag", '"0"')
        self.end_headers()
        self.wfile.write(b"x" * (400 if BreaksOff.asked < 3 else 1000))
        self.close_connection = True

    def log_message(self, *words):
        pass


def test_a_download_that_breaks_off_is_begun_again(tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), BreaksOff) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        storage = Storage(settings_for(f"http://127.0.0.1:{server.server_port}"))
        storage.download(row_of('"0"'), tmp_path / "source")
        server.shutdown()
    assert (tmp_path / "source").read_bytes() == b"x" * 1000
    assert BreaksOff.asked == 3


def test_aws_is_addressed_by_bucket_and_region_and_others_by_path(settings):
    def address(storage):
        return storage.client.generate_presigned_url("get_object", {"Bucket": "cats", "Key": "k"})

    aws = Storage(replace(settings, s3_endpoint=""))
    assert address(aws).startswith("https://cats.s3.eu-central-1.amazonaws.com/k?X-Amz-")
    assert address(Storage(settings)).startswith(f"{settings.s3_endpoint}/cats/k?X-Amz-")


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("cat.png", 'inline; filename="cat.png"'),
        ("my cat (1).png", 'inline; filename="my cat (1).png"'),
        ('a"b;c.png', "inline; filename=\"a_b_c.png\"; filename*=UTF-8''a%22b%3Bc.png"),
        ("猫.png", "inline; filename=\"result.png\"; filename*=UTF-8''%E7%8C%AB.png"),
        ("cat\r\nSet-Cookie: x", 'inline; filename="catSet-Cookie: x"'),
        ("\udc80.png", "inline; filename=\"result.png\"; filename*=UTF-8''.png"),
        ("", 'inline; filename="result"'),
    ],
)
def test_a_download_name_travels_in_a_header(name, header):
    assert disposition(name) == header

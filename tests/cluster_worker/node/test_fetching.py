"""An upload is fetched early if it is small, and once more if that failed."""

import threading
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from cluster_worker.node.fetching import EARLY_BYTES_MAX, Fetch
from cluster_worker.node.storage import Storage
from cluster_worker.timings import Timings
from config.contract import resources
from config.contract.job import Job
from tests.cluster_worker.node.runner_jobs import JOB, KEPT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def storage(runner_settings):
    return Storage(runner_settings)


@pytest.fixture
def accepted(s3, runner_settings):
    """Return a function that stores an upload of a size in bytes and returns its job."""

    def make(size):
        row = Job("d" * 32, JOB, "a", size, "", "queued", 0, KEPT)
        key = resources.upload_key(row.batch, row.job)
        bucket = runner_settings.uploads_bucket
        return replace(row, etag=s3.put_object(Bucket=bucket, Key=key, Body=bytes(size))["ETag"])

    return make


@pytest.mark.parametrize("size", [1, EARLY_BYTES_MAX + 1], ids=["small", "large"])
def test_a_small_upload_is_fetched_before_it_is_needed(storage, accepted, tmp_path, size):
    row, path, timings = accepted(size), tmp_path / "source", Timings()
    upload = Fetch(storage, path)
    # The first row is out of date, as when a row is read again before it is claimed.
    upload.begin(replace(row, etag='"other"'))
    upload.begin(row)
    if size <= EARLY_BYTES_MAX:
        assert upload.early.result()[0] == bytes(size)
    else:
        assert upload.early is None
    upload.finish(row, timings, ExitStack())
    assert path.read_bytes() == bytes(size)
    assert min(timings.spent["s3"]) > 0


def test_what_was_not_fetched_early_is_fetched_again(storage, accepted, tmp_path):
    row, path = accepted(5), tmp_path / "source"
    busy = Fetch(storage, path)
    busy.early = Future()  # never begins: it waits behind others
    failed = Fetch(storage, path)
    failed.begin(replace(row, etag='"other"'))
    for upload in (busy, failed):
        upload.finish(row, Timings(), ExitStack())
        assert path.read_bytes() == bytes(5)
        path.unlink()


def test_the_upload_of_a_job_that_is_not_claimed_is_not_waited_for(storage, accepted, monkeypatch):
    row, slow = accepted(5), threading.Event()
    monkeypatch.setattr(storage, "fetch", lambda *_: slow.wait())
    upload = Fetch(storage, Path("never"))
    upload.begin(row)
    under_way = upload.early
    upload.cancel()
    assert not under_way.done() or under_way.cancelled()
    slow.set()

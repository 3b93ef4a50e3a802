import time

import pytest

from config.contract import resources
from config.contract.job import Message
from config.contract.table_access import Lost, TableAccess


def test_an_upload_is_checked_queued_and_published(api, queues):
    batch, (job,) = api.queued()
    row = api.row(batch, job)
    assert (row.state, row.publish, row.published_at) == ("queued", 1, api.clock())
    bucket, key = api.services.settings.uploads_bucket, resources.upload_key(batch, job)
    assert row.etag == api.s3.head_object(Bucket=bucket, Key=key)["ETag"]
    assert queues.take() == [Message(batch, job, 1)]
    assert api.counts(batch) == {"queued": 1}


def test_telling_twice_of_an_upload_queues_it_once(api, queues):
    batch, (job,) = api.queued()
    status, found = api.post(f"/batches/{batch}/jobs/{job}/uploaded")
    assert (status, found["state"]) == (202, "queued")
    assert len(queues.take()) == 1


def test_an_upload_that_is_not_there_yet_is_a_conflict(api):
    batch, (job,) = api.batch()
    status, problem = api.post(f"/batches/{batch}/jobs/{job}/uploaded")
    assert status == 409
    assert problem["detail"] == "a.png: no upload has arrived yet; send the file first"
    assert api.state(batch, job) == "awaiting_upload"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "a.png: the file is empty"),
        (
            b"hello" * 20,
            "a.png: not an image this app reads (starts with 68 65 6c 6c); "
            "use JPEG, PNG, WebP, TIFF or another format of docs/formats.md",
        ),
        (
            b"\xff\xd8\xff",
            "a.png: 3 bytes arrived where 100 were announced; send it again",
        ),
    ],
)
def test_a_file_that_cannot_be_used_fails_its_job_in_one_sentence(api, queues, content, sentence):
    batch, (job,) = api.batch()
    api.arrive(batch, job, content)
    for _ in range(2):
        status, problem = api.post(f"/batches/{batch}/jobs/{job}/uploaded")
        assert (status, problem["detail"]) == (422, sentence)
    row = api.row(batch, job)
    assert (row.state, row.cause, row.reason) == ("failed", "rejected", sentence)
    assert api.counts(batch) == {"failed": 1}
    assert queues.take() == []


def test_a_file_under_a_wrong_ending_is_taken_for_what_it_is(api):
    batch, (job,) = api.batch(size=100)
    api.arrive(batch, job, b"\xff\xd8\xff" + bytes(97))
    api.post(f"/batches/{batch}/jobs/{job}/uploaded")
    assert api.row(batch, job).type == "image/jpeg"


@pytest.mark.parametrize("way", ["retry", "uploaded"])
def test_a_rejected_file_is_not_tried_again(api, queues, way):
    batch, (job,) = api.batch()
    api.arrive(batch, job, b"")
    api.post(f"/batches/{batch}/jobs/{job}/uploaded")
    api.arrive(batch, job)
    status, problem = api.post(f"/batches/{batch}/jobs/{job}/{way}")
    assert status == (409 if way == "retry" else 422)
    assert problem["detail"].startswith("a.png: the file is empty")
    api.post(f"/batches/{batch}/retry")
    assert api.state(batch, job) == "failed"
    assert queues.take() == []


def test_an_image_that_a_worker_rejected_is_not_tried_again(api, queues):
    batch, (job,) = api.queued()
    queues.take()
    api.end(batch, job, "failed", cause="rejected", reason="a.png: has no pixels")
    status, problem = api.post(f"/batches/{batch}/jobs/{job}/retry")
    assert status == 409
    assert problem["detail"] == (
        "a.png: has no pixels. A retry would find the same: change the file or the steps, and "
        "send them in a new batch"
    )
    api.post(f"/batches/{batch}/retry")
    assert api.state(batch, job) == "failed"


def test_a_job_that_was_cancelled_before_its_file_came_awaits_it_again(api):
    batch, (job,) = api.batch()
    api.post(f"/batches/{batch}/jobs/{job}/cancel")
    status, again = api.post(f"/batches/{batch}/jobs/{job}/retry")
    assert (status, again["state"], again["reason"]) == (202, "awaiting_upload", "")
    assert again["upload"]["fields"]["key"] == resources.upload_key(batch, job)
    api.arrive(batch, job)
    status, found = api.post(f"/batches/{batch}/jobs/{job}/uploaded")
    assert (status, found["state"]) == (202, "queued")


def test_a_job_is_queued_also_while_the_broker_is_down(api, queues, dead_broker):
    batch, (job,) = api.batch()
    api.arrive(batch, job)
    started = time.monotonic()
    status, found = api.post(f"/batches/{batch}/jobs/{job}/uploaded")
    assert (status, found["state"]) == (202, "queued")
    assert time.monotonic() - started < 3
    row = api.row(batch, job)
    assert (row.publish, row.published_at) == (1, 0)


def test_a_failed_job_is_done_again_from_its_upload(api, queues):
    batch, (job,) = api.queued()
    api.write(batch, job, state="failed", cause="broken", reason="x", attempt=3, faults=2)
    queues.take()
    status, found = api.post(f"/batches/{batch}/jobs/{job}/retry")
    assert (status, found["state"], found["reason"]) == (202, "queued", "")
    row = api.row(batch, job)
    assert (row.publish, row.attempt, row.faults) == (2, 3, 0)
    assert queues.take() == [Message(batch, job, 2)]


@pytest.mark.parametrize("state", ["awaiting_upload", "queued", "running"])
def test_a_job_under_way_is_left_so_by_a_retry(api, state):
    batch, (job,) = api.batch()
    api.write(batch, job, state=state)
    status, found = api.post(f"/batches/{batch}/jobs/{job}/retry")
    assert (status, found["state"]) == (202, state)


def test_a_job_that_succeeded_is_neither_retried_nor_cancelled(api):
    batch, (job,) = api.queued()
    api.write(batch, job, state="succeeded")
    for what in ("retry", "cancel"):
        status, problem = api.post(f"/batches/{batch}/jobs/{job}/{what}")
        assert status == 409
        assert problem["detail"].startswith("a.png: ")


@pytest.mark.parametrize("state", ["awaiting_upload", "queued", "running"])
def test_an_unfinished_job_is_cancelled(api, state):
    batch, (job,) = api.queued() if state != "awaiting_upload" else api.batch()
    if state == "running":
        api.claim(batch, job)
    for _ in range(2):
        status, found = api.post(f"/batches/{batch}/jobs/{job}/cancel")
        assert (status, found["state"]) == (202, "cancelled")
    assert api.counts(batch) == {"cancelled": 1}


def test_a_cancelled_job_can_be_retried(api):
    batch, (job,) = api.queued()
    api.post(f"/batches/{batch}/jobs/{job}/cancel")
    _, found = api.post(f"/batches/{batch}/jobs/{job}/retry")
    assert found["state"] == "queued"
    assert api.counts(batch) == {"queued": 1}


def test_a_step_that_lost_a_race_is_taken_from_the_row_as_it_is_now(api, monkeypatch):
    batch, (job,) = api.queued()
    transact, turns = TableAccess.transact, []

    def be_overtaken_once(table, writes):
        turns.append(1)
        if len(turns) == 1:
            api.write(batch, job, publish=5)
            raise Lost
        transact(table, writes)

    monkeypatch.setattr(TableAccess, "transact", be_overtaken_once)
    status, found = api.post(f"/batches/{batch}/jobs/{job}/cancel")
    assert (status, found["state"]) == (202, "cancelled")
    assert len(turns) == 2


def test_a_result_is_named_by_its_path_on_the_site(api):
    batch, (job,) = api.queued()
    key = resources.result_key(batch, job, 1, "png")
    values = {"result_name": "a.png", "result_type": "image/png", "result_bytes": 9}
    api.write(batch, job, state="succeeded", result_key=key, **values)
    _, found = api.get(f"/batches/{batch}/jobs/{job}")
    assert found["result"] == {
        "url": f"/{resources.results_prefix(batch, job)}1/result.png",
        "name": "a.png",
        "type": "image/png",
        "bytes": 9,
        "rows": 0,
        "columns": 0,
    }


def test_the_address_of_a_result_or_picture_leads_to_nothing_else_of_its_batch(api):
    batch, (job,) = api.queued()
    result = resources.result_key(batch, job, 1, "png")
    view = resources.view_key(batch, job, 1, "result", "tiles")
    api.write(batch, job, state="succeeded", result_key=result, result_view=view, dtype="uint8")
    _, found = api.get(f"/batches/{batch}/jobs/{job}")
    for address in (found["result"]["url"], found["views"]["result"]["url"]):
        assert batch not in address
        _, _, code, its_job, *_ = address.split("/")
        assert its_job == job
        # Nor may the hash in the logs lead from one to the other.
        assert not code.startswith(resources.public_name(batch))
        for method, path in (
            ("GET", f"/batches/{code}"),
            ("POST", f"/batches/{code}/jobs/{job}/retry"),
            ("POST", f"/batches/{code}/jobs/{job}/cancel"),
            ("DELETE", f"/batches/{code}"),
        ):
            assert api.call(method, path)[0] == 404
    assert api.get(f"/batches/{batch}")[0] == 200


def test_an_expired_job_is_gone(api):
    batch, (job,) = api.batch()
    api.write(batch, job, state="expired")
    assert api.get(f"/batches/{batch}/jobs/{job}")[0] == 410


@pytest.mark.parametrize(
    ("call", "won_by", "state"),
    [("uploaded", "awaiting_upload", "queued"), ("cancel", "queued", "cancelled")],
)
def test_who_says_the_same_at_the_same_time_gets_the_same_answer(
    api, monkeypatch, call, won_by, state
):
    batch, (job,) = api.batch("a.png")
    api.arrive(batch, job)
    if won_by == "queued":
        api.post(f"/batches/{batch}/jobs/{job}/uploaded")
    transact = TableAccess.transact

    def let_another_win(table, writes):
        monkeypatch.setattr(TableAccess, "transact", transact)
        api.post(f"/batches/{batch}/jobs/{job}/{call}")
        raise Lost

    monkeypatch.setattr(TableAccess, "transact", let_another_win)
    status, found = api.post(f"/batches/{batch}/jobs/{job}/{call}")
    assert (status, found["state"]) == (202, state)
    assert api.counts(batch) == {state: 1}


def test_a_whole_number_may_be_written_as_a_float(api):
    image = {"name": "a.png", "bytes": 100.0, "type": "image/png"}
    body = {"steps": [{"operation": "invert"}], "images": [image]}
    assert api.post("/batches", body)[0] == 201


def test_a_size_beyond_all_files_is_refused_in_words(api):
    image = {"name": "a.png", "bytes": 10**400, "type": "image/png"}
    body = {"steps": [{"operation": "invert"}], "images": [image]}
    status, problem = api.post("/batches", body)
    assert status == 422
    assert problem["detail"].startswith("a.png: ")
    assert "at most" in problem["detail"]

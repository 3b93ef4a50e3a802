import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
import tifffile
from botocore.exceptions import ReadTimeoutError
from chalicelib import objects, sweep
from chalicelib import services as services_module
from chalicelib.images import UploadError, sniff

from config.contract import resources, table_access
from config.contract.job import Message
from config.contract.table import JobTable


def test_a_form_allows_one_key_one_size_and_one_type(api, policy):
    _, made = api.post(
        "/batches",
        {
            "steps": [{"operation": "invert"}],
            "images": [{"name": "a.jpg", "bytes": 12345, "type": "image/jpeg"}],
        },
    )
    job = made["jobs"][0]
    conditions = policy(job["upload"])["conditions"]
    assert ["content-length-range", 12345, 12345] in conditions
    assert {"Content-Type": "image/jpeg"} in conditions
    assert {"key": resources.upload_key(made["batch"], job["job"])} in conditions
    assert {"bucket": api.services.settings.uploads_bucket} in conditions
    assert job["upload"]["fields"]["Content-Type"] == "image/jpeg"
    assert job["upload"]["fields"]["x-amz-algorithm"] == "AWS4-HMAC-SHA256"
    assert job["upload"]["expires"] == api.clock() + 3600 * 1000


def test_on_aws_a_form_leads_to_the_regions_own_host(api, monkeypatch):
    client = services_module.s3_client("eu-central-1", "")
    monkeypatch.setattr(
        services_module, "_made_once", lambda: replace(api.services, s3_public=client)
    )
    _, made = api.post(
        "/batches",
        {"steps": [{"operation": "invert"}], "images": [{"name": "a", "bytes": 1}]},
    )
    host = urlsplit(made["jobs"][0]["upload"]["url"]).hostname
    assert host == f"{api.services.settings.uploads_bucket}.s3.eu-central-1.amazonaws.com"


def test_a_form_leads_to_the_address_that_browsers_reach(api, monkeypatch):
    client = services_module.s3_client("eu-central-1", "https://store.example:9000")
    monkeypatch.setattr(
        services_module, "_made_once", lambda: replace(api.services, s3_public=client)
    )
    batch, (job,) = api.batch()
    _, fresh = api.post(f"/batches/{batch}/jobs/{job}/upload")
    bucket = api.services.settings.uploads_bucket
    assert fresh["upload"]["url"] == f"https://store.example:9000/{bucket}"


def test_a_file_of_unknown_type_may_be_sent(api, policy):
    _, made = api.post(
        "/batches",
        {"steps": [{"operation": "invert"}], "images": [{"name": "scan", "bytes": 7, "type": ""}]},
    )
    conditions = policy(made["jobs"][0]["upload"])["conditions"]
    assert {"Content-Type": "application/octet-stream"} in conditions


def test_a_file_that_arrived_without_a_byte_is_refused(api):
    batch, (job,) = api.batch()
    api.arrive(batch, job, b"")
    status, answer = api.post(f"/batches/{batch}/jobs/{job}/uploaded")
    assert (status, answer["detail"]) == (422, "a.png: the file is empty")


def test_a_store_that_knows_no_range_of_an_empty_file_may_give_it_whole(api):
    class Store:
        def get_object(self, **_):
            return {"Body": io.BytesIO(), "ContentLength": 0, "ETag": "e"}

    batch, (job,) = api.batch()
    row = api.row(batch, job)
    with pytest.raises(UploadError, match=r"^a.png: the file is empty$"):
        objects.look(replace(api.services, s3=Store()), row)


def test_rows_that_the_table_had_no_capacity_for_are_asked_for_again(api, monkeypatch):
    pauses = []
    monkeypatch.setattr(table_access.time, "sleep", pauses.append)
    batch, (job,) = api.batch()

    class Busy:
        """Return one of the rows that were asked for, and none at first."""

        def batch_get_item(self, **question):
            asked = question["RequestItems"][api.table.name]
            given, refused = asked["Keys"][: len(pauses)], asked["Keys"][len(pauses) :]
            if given:
                items = {api.table.name: asked | {"Keys": given}}
                answer = api.table.access.client.batch_get_item(RequestItems=items)
            else:
                answer = {"Responses": {}}
            return answer | {"UnprocessedKeys": {api.table.name: {"Keys": refused}}}

    found, row = JobTable(Busy(), api.table.name).batch_and_job(batch, job)
    assert (found.batch, row.job) == (batch, job)
    assert pauses == [0.05, 0.1]


def test_a_late_upload_form_is_renewed(api):
    batch, (job,) = api.batch()
    api.clock.pass_seconds(2 * 3600)
    status, fresh = api.post(f"/batches/{batch}/jobs/{job}/upload")
    assert status == 200
    assert fresh["upload"]["expires"] == api.clock() + 3600 * 1000


def test_a_form_does_not_outlive_its_job(api):
    batch, (job,) = api.batch()
    end = api.row(batch, job).kept_until
    api.clock.now = end - 60_000
    _, fresh = api.post(f"/batches/{batch}/jobs/{job}/upload")
    assert fresh["upload"]["expires"] == end


def test_only_a_job_that_awaits_its_upload_gets_a_form(api):
    batch, (job,) = api.queued()
    status, problem = api.post(f"/batches/{batch}/jobs/{job}/upload")
    assert status == 409
    assert problem["detail"].startswith("a.png: is queued")


@pytest.mark.parametrize(
    ("first", "found"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"RIFF\n\0\0\0WEBP", "image/webp"),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
        (b"II+\0", "image/tiff"),
        (b"GIF89a", "image/gif"),
        (b"BM" + bytes(12) + b"\x28\0\0\0", "image/bmp"),
        (b"P5\n4 4\n255\n", "image/x-portable-anymap"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2"),
        (b"\0\0\0 ftypavif\0\0\0\0", "image/avif"),
    ],
)
def test_a_format_is_known_by_its_first_bytes(first, found):
    assert sniff("a", first) == found


@pytest.mark.parametrize(
    ("first", "says"),
    [
        (b"GIF90a", "(starts with 47 49 46 39)"),
        (b"BM is no picture by itself", "(starts with 42 4d 20 69)"),
        (b"\x89PNG\r\n\x1a", "(starts with 89 50 4e 47)"),
        (b"h", "(starts with 68)"),
    ],
)
def test_another_format_is_named_by_its_first_bytes(first, says):
    with pytest.raises(UploadError) as error:
        sniff("cat.gif", first)
    formats = "JPEG, PNG, WebP, TIFF or another format of docs/formats.md"
    sentence = f"cat.gif: not an image this app reads {says}; use {formats}"
    assert str(error.value) == sentence


def test_what_is_deleted_is_only_what_belongs_to_the_job(api):
    batch, (first, second) = api.batch("a.png", "b.png")
    for job in (first, second):
        api.arrive(batch, job)
        for attempt in (1, 2):
            api.store_result(batch, job, attempt)
    assert sum(objects.delete_objects(api.services, batch, first)) == 5
    assert api.uploads() == [resources.upload_key(batch, second)]
    assert len(api.results()) == 4
    assert sum(objects.delete_objects(api.services, batch)) == 5
    assert api.results() == []


def again(api, batch, job, size=100, member="source"):
    """Make a batch whose one image uses a file again."""
    image = {"name": "a.png", "bytes": size, member: {"batch": batch, "job": job}}
    status, made = api.post("/batches", {"steps": [{"operation": "invert"}], "images": [image]})
    assert status == 201
    return made["batch"], made["jobs"][0]["job"]


@pytest.mark.parametrize("member", ["source", "reuse"])
def test_a_file_is_used_again_without_being_sent_again(api, member):
    batch, (job,) = api.queued()
    other, copy = again(api, batch, job, member=member)
    status, view = api.post(f"/batches/{other}/jobs/{copy}/uploaded")
    assert (status, view["state"]) == (202, "queued")
    # Either goes without the other.
    api.call("DELETE", f"/batches/{batch}")
    assert api.uploads() == [resources.upload_key(other, copy)]


def test_a_file_that_is_gone_is_not_used_again(api):
    batch, (job,) = api.queued()
    api.call("DELETE", f"/batches/{batch}")
    other, copy = again(api, batch, job)
    status, problem = api.post(f"/batches/{other}/jobs/{copy}/uploaded")
    assert status == 422
    assert problem["detail"].endswith("no longer kept; send it again")
    assert (api.row(other, copy).state, api.row(other, copy).cause) == ("failed", "broken")
    _, view = api.post(f"/batches/{other}/jobs/{copy}/retry")
    assert view["state"] == "awaiting_upload"


def test_a_file_used_again_must_be_as_large_as_was_said(api):
    batch, (job,) = api.queued()
    other, copy = again(api, batch, job, size=99)
    status, problem = api.post(f"/batches/{other}/jobs/{copy}/uploaded")
    assert status == 422
    assert "100 bytes arrived where 99 were announced" in problem["detail"]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_a_tiff_of_too_many_pixels_is_refused_with_numbers_before_it_is_queued(
    api, monkeypatch, order, big
):
    monkeypatch.setattr(objects, "HEADER_BYTES_MIN", 1)
    file = io.BytesIO()
    # All tiles are empty: the file says how large it is, and holds nothing.
    tiles = iter([b""] * 4 * 3907)
    shape, tile = (1000, 1_000_001), (256, 256)
    tifffile.imwrite(
        file, tiles, shape=shape, dtype="u1", tile=tile, compression=8, byteorder=order, bigtiff=big
    )
    content = file.getvalue()
    for most, state in ((shape[0] * shape[1], "queued"), (shape[0] * shape[1] - 1, "failed")):
        settings = replace(api.services.settings, streamed_pixels_max=most, pixels_max=1)
        monkeypatch.setattr(
            services_module,
            "_made_once",
            lambda found=settings: replace(api.services, settings=found),
        )
        batch, (job,) = api.batch(size=len(content))
        api.s3.put_object(
            Bucket=api.services.settings.uploads_bucket,
            Key=resources.upload_key(batch, job),
            Body=content,
        )
        api.post(f"/batches/{batch}/jobs/{job}/uploaded")
        row = api.row(batch, job)
        assert row.state == state
    assert row.reason.endswith(
        ": 1000 × 1000001 = 1,000 megapixels; at most 1,000 megapixels are accepted, so send a "
        "part of it or a smaller copy"
    )


def test_a_source_that_is_no_id_is_said_so(api):
    image = {"name": "a.png", "bytes": 1, "source": {"batch": "../x", "job": "0" * 16}}
    status, problem = api.post("/batches", {"steps": [{"operation": "invert"}], "images": [image]})
    assert status == 422
    assert problem["detail"] == 'images[0].source.batch: must be the id of a batch, got "../x"'


SIZE = 20 * 2**20
PARTS = [8 * 2**20, 8 * 2**20, 4 * 2**20]


def send(api, batch, job, number, size=None, start=b"\x89PNG\r\n\x1a\n"):
    """Put a part where its signed address leads."""
    status, found = api.post(f"/batches/{batch}/jobs/{job}/parts", {"parts": [number]})
    assert status == 200, found
    query = parse_qs(urlsplit(found["parts"][0]["url"]).query)
    start = start if number == 1 else b""
    api.s3.upload_part(
        Bucket=api.services.settings.uploads_bucket,
        Key=resources.upload_key(batch, job),
        UploadId=query["uploadId"][0],
        PartNumber=number,
        Body=start.ljust(size or PARTS[number - 1], b"x"),
    )


def test_a_large_file_comes_in_parts_and_goes_on_where_it_was(api):
    batch, (job,) = api.batch(size=SIZE)
    at = f"/batches/{batch}/jobs/{job}"
    assert api.get(f"{at}/parts") == (200, {"part_bytes": 8 * 2**20, "arrived": []})
    send(api, batch, job, 3)
    send(api, batch, job, 1)
    assert api.get(f"{at}/parts")[1]["arrived"] == [1, 3]
    status, problem = api.post(f"{at}/uploaded")
    assert status == 409
    assert problem["detail"].endswith("has arrived yet; send the file first")
    send(api, batch, job, 2)
    status, view = api.post(f"{at}/uploaded")
    assert (status, view["state"]) == (202, "queued")
    # Said twice, as after an answer that was lost.
    assert api.post(f"{at}/uploaded")[0] == 202
    assert api.get(f"{at}/parts")[0] == 409


@pytest.fixture
def slow_store(api, monkeypatch):
    """A store that joins parts when its event `may_go` is set."""

    class Slow:
        may_go, ended, joined = threading.Event(), threading.Event(), 0

        def complete_multipart_upload(self, **named):
            assert self.may_go.wait(60)
            self.joined += 1
            api.s3.complete_multipart_upload(**named)
            self.ended.set()

    store = Slow()
    slow = replace(api.services, s3_placing=store)
    monkeypatch.setattr(services_module, "_made_once", lambda: slow)
    monkeypatch.setattr(objects, "PLACING_SECONDS", 0.2)
    # At its end it waits for the calls, which the store must outlive.
    with ThreadPoolExecutor(4) as placing:
        monkeypatch.setattr(objects, "PLACING", placing)
        yield store
        store.may_go.set()


def in_parts(api):
    """Make a batch of one large file whose parts have all arrived."""
    batch, (job,) = api.batch(size=SIZE)
    api.get(f"/batches/{batch}/jobs/{job}/parts")
    for part in (1, 2, 3):
        send(api, batch, job, part)
    return batch, job


def test_a_job_is_joining_while_the_parts_of_its_file_are_joined(api, queues, slow_store):
    batch, job = in_parts(api)
    at = f"/batches/{batch}/jobs/{job}"
    for _ in range(2):
        status, view = api.post(f"{at}/uploaded")
        assert (status, view["state"]) == (202, "joining")
    assert api.get(at)[1]["state"] == "joining"
    assert api.counts(batch) == {"joining": 1}
    # A client that was refused, by a quota for example, finds nothing to send again.
    assert api.get(f"{at}/parts")[1]["arrived"] == [1, 2, 3]
    slow_store.may_go.set()
    until = time.monotonic() + 30
    while (answer := api.post(f"{at}/uploaded"))[1]["state"] == "joining":
        assert time.monotonic() < until, answer
    assert (answer[0], answer[1]["state"]) == (202, "queued")
    assert api.counts(batch) == {"queued": 1}
    assert queues.take() == [Message(batch, job, 1)]
    # The calls waited for the same join.
    assert slow_store.joined == 1


def test_joined_parts_that_are_no_image_fail_their_job_at_once(api):
    batch, (job,) = api.batch(size=SIZE)
    for number in (1, 2, 3):
        send(api, batch, job, number, start=b"%PDF-1.7")
    status, problem = api.post(f"/batches/{batch}/jobs/{job}/uploaded")
    assert status == 422
    assert api.row(batch, job).state == "failed"
    assert problem["detail"] == api.row(batch, job).reason


def test_the_sweep_completes_a_join_that_nobody_asks_for(api, queues, slow_store):
    batch, job = in_parts(api)
    api.post(f"/batches/{batch}/jobs/{job}/uploaded")
    slow_store.may_go.set()
    assert slow_store.ended.wait(30)
    api.clock.pass_seconds(31)
    assert sweep.run(services_module.services()) == {"received": 1}
    assert queues.take() == [Message(batch, job, 1)]


def test_a_joined_file_whose_answer_was_lost_is_found(api, queues):
    batch, job = in_parts(api)
    row = api.row(batch, job)
    objects.join_parts(api.services, row, objects.arrived_parts(api.services, row))
    status, view = api.post(f"/batches/{batch}/jobs/{job}/uploaded")
    assert (status, view["state"]) == (202, "queued")
    assert queues.take() == [Message(batch, job, 1)]


def test_a_joined_file_that_does_not_show_yet_is_waited_for(api, monkeypatch):
    batch, job = in_parts(api)
    row = api.row(batch, job)
    objects.abort_parts(api.services, row, row.upload)
    for _ in range(2):
        status, view = api.post(f"/batches/{batch}/jobs/{job}/uploaded")
        assert (status, view["state"]) == (202, "joining")
    api.arrive(batch, job, b"\x89PNG\r\n\x1a\n".ljust(SIZE, b"x"))
    assert api.post(f"/batches/{batch}/jobs/{job}/uploaded")[1]["state"] == "queued"


def test_parts_that_are_never_joined_fail_the_job_which_then_takes_the_file_again(api, slow_store):
    batch, job = in_parts(api)
    assert api.post(f"/batches/{batch}/jobs/{job}/uploaded")[1]["state"] == "joining"
    api.clock.pass_seconds(60)
    assert sweep.run(services_module.services()) == {"joining": 1}
    api.clock.pass_seconds(sweep.JOINING_MS_MAX / 1000)
    assert sweep.run(services_module.services()) == {"not_joined": 1}
    row = api.row(batch, job)
    assert (row.state, row.cause) == ("failed", "broken")
    assert row.reason == f"a.png: {sweep.NOT_JOINED}"
    _, again = api.post(f"/batches/{batch}/jobs/{job}/retry")
    assert again["state"] == "awaiting_upload"
    assert "upload" in again


def test_a_job_that_is_joining_can_be_cancelled(api, slow_store):
    batch, job = in_parts(api)
    api.post(f"/batches/{batch}/jobs/{job}/uploaded")
    assert api.post(f"/batches/{batch}/jobs/{job}/cancel")[1]["state"] == "cancelled"
    assert api.counts(batch) == {"cancelled": 1}


def test_a_store_that_does_not_answer_in_time_is_said_with_when_to_ask_again(api, monkeypatch):
    class Silent:
        def get_paginator(self, _name):
            raise ReadTimeoutError(endpoint_url="https://store.example")

    batch, job = in_parts(api)
    silent = replace(api.services, s3=Silent())
    monkeypatch.setattr(services_module, "_made_once", lambda: silent)
    answer = api.http.get(f"/batches/{batch}/jobs/{job}/parts")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.json_body["detail"] == "the storage did not answer in time; try again"


def test_two_tries_of_s3_leave_a_request_time_to_say_so():
    config = services_module.s3_client("eu-central-1", "").meta.config
    tries = config.retries["total_max_attempts"]
    assert tries * (config.connect_timeout + config.read_timeout) < 29


def test_what_could_not_begin_to_put_a_file_in_its_place_is_not_done_later(api, monkeypatch):
    batch, (job,) = api.batch()
    row, may_go, made = api.row(batch, job), threading.Event(), []
    monkeypatch.setattr(objects, "PLACING_SECONDS", 0.1)
    with ThreadPoolExecutor(1) as placing:
        monkeypatch.setattr(objects, "PLACING", placing)
        calls = ((row, lambda: may_go.wait(60)), (replace(row, job="b"), lambda: made.append("b")))
        for each, call in calls:
            with pytest.raises(objects.StillPlacing):
                objects.placed(each, call)
        may_go.set()
    assert made == []


def test_a_part_is_signed_with_its_length(api):
    batch, (job,) = api.batch(size=SIZE)
    _, found = api.post(f"/batches/{batch}/jobs/{job}/parts", {"parts": [1, 3]})
    assert [(each["part"], each["bytes"]) for each in found["parts"]] == [
        (1, PARTS[0]),
        (3, PARTS[2]),
    ]
    query = parse_qs(urlsplit(found["parts"][1]["url"]).query)
    assert query["X-Amz-SignedHeaders"] == ["content-length;host"]
    assert query["partNumber"] == ["3"]


def test_a_part_that_broke_off_is_not_counted(api):
    batch, (job,) = api.batch(size=SIZE)
    send(api, batch, job, 1, size=7 * 2**20)
    assert api.get(f"/batches/{batch}/jobs/{job}/parts")[1]["arrived"] == []


def test_there_are_no_parts_beyond_the_last(api):
    batch, (job,) = api.batch(size=SIZE)
    status, problem = api.post(f"/batches/{batch}/jobs/{job}/parts", {"parts": [4]})
    assert (status, problem["detail"]) == (422, "parts: a.png has parts 1 to 3, got 4")


def test_parts_are_given_up_with_their_batch(api):
    batch, (job,) = api.batch(size=SIZE)
    send(api, batch, job, 1)
    api.call("DELETE", f"/batches/{batch}")
    bucket = api.services.settings.uploads_bucket
    left = api.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    assert [each for each in left if batch in each["Key"]] == []

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from chalicelib import objects, sweep
from chalicelib import services as services_module
from chalicelib.images import UploadError, sniff

from config.contract import resources, table_access
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


def test_on_aws_a_form_leads_to_the_regions_own_host(api):
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
    ],
)
def test_a_format_is_known_by_its_first_bytes(first, found):
    assert sniff("a", first) == found


@pytest.mark.parametrize(
    ("first", "says"),
    [
        (b"GIF89a", "(starts with 47 49 46 38)"),
        (b"\x89PNG\r\n\x1a", "(starts with 89 50 4e 47)"),
        (b"RIFF\n\0\0\0WAVE", "(starts with 52 49 46 46)"),
        (b"h", "(starts with 68)"),
    ],
)
def test_another_format_is_named_by_its_first_bytes(first, says):
    with pytest.raises(UploadError) as error:
        sniff("cat.gif", first)
    sentence = f"cat.gif: not an image this app reads {says}; use JPEG, PNG, WebP or TIFF"
    assert str(error.value) == sentence


def test_what_is_deleted_is_only_what_belongs_to_the_job(api):
    batch, (first, second) = api.batch("a.png", "b.png")
    for job in (first, second):
        api.arrive(batch, job)
        for attempt in (1, 2):
            api.store_result(batch, job, attempt)
    assert sum(objects.delete_objects(api.services, batch, first)) == 3
    assert api.uploads() == [resources.upload_key(batch, second)]
    assert len(api.results()) == 2
    assert sum(objects.delete_objects(api.services, batch)) == 3
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
    assert api.state(other, copy) == "failed"


def test_a_file_used_again_must_be_as_large_as_was_said(api):
    batch, (job,) = api.queued()
    other, copy = again(api, batch, job, size=99)
    status, problem = api.post(f"/batches/{other}/jobs/{copy}/uploaded")
    assert status == 422
    assert "100 bytes arrived where 99 were announced" in problem["detail"]


def test_a_source_that_is_no_id_is_said_so(api):
    image = {"name": "a.png", "bytes": 1, "source": {"batch": "../x", "job": "0" * 16}}
    status, problem = api.post("/batches", {"steps": [{"operation": "invert"}], "images": [image]})
    assert status == 422
    assert problem["detail"] == 'images[0].source.batch: must be the id of a batch, got "../x"'


SIZE = 20 * 2**20
PARTS = [8 * 2**20, 8 * 2**20, 4 * 2**20]


def send(api, batch, job, number, size=None):
    """Put a part where its signed address leads."""
    status, found = api.post(f"/batches/{batch}/jobs/{job}/parts", {"parts": [number]})
    assert status == 200, found
    query = parse_qs(urlsplit(found["parts"][0]["url"]).query)
    start = b"\x89PNG\r\n\x1a\n" if number == 1 else b""
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
    """A store that joins parts when it is let go; gives the event that does so."""
    let_go = threading.Event()

    class Slow:
        def complete_multipart_upload(self, **named):
            assert let_go.wait(60)
            api.s3.complete_multipart_upload(**named)

    slow = replace(api.services, s3_placing=Slow())
    monkeypatch.setattr(services_module, "_made_once", lambda: slow)
    monkeypatch.setattr(objects, "PLACING_SECONDS", 0.2)
    # At its end it waits for the calls, which the store must outlive.
    with ThreadPoolExecutor(4) as placing:
        monkeypatch.setattr(objects, "PLACING", placing)
        yield let_go
        let_go.set()


def in_parts(api):
    """Make a batch of one large file whose parts have all arrived."""
    batch, (job,) = api.batch(size=SIZE)
    api.get(f"/batches/{batch}/jobs/{job}/parts")
    for part in (1, 2, 3):
        send(api, batch, job, part)
    return batch, job


def test_a_large_file_that_takes_long_to_be_joined_is_asked_for_again(api, slow_store):
    batch, job = in_parts(api)
    at = f"/batches/{batch}/jobs/{job}/uploaded"
    status, problem = api.post(at)
    assert status == 503
    assert problem["detail"] == "a.png: the file is still being put in its place; ask again"
    slow_store.set()
    # The call goes on meanwhile; whoever asks before it is through is told so once more.
    until = time.monotonic() + 30
    while (answer := api.post(at))[0] != 202:
        assert time.monotonic() < until, answer
    assert answer[1]["state"] == "queued"


def test_what_could_not_begin_to_put_a_file_in_its_place_is_not_done_later(api, monkeypatch):
    batch, (job,) = api.batch()
    row, let_go, made = api.row(batch, job), threading.Event(), []
    monkeypatch.setattr(objects, "PLACING_SECONDS", 0.1)
    with ThreadPoolExecutor(1) as placing:
        monkeypatch.setattr(objects, "PLACING", placing)
        for call in (lambda: let_go.wait(60), lambda: made.append("late")):
            with pytest.raises(objects.StillPlacing):
                objects.placed(row, call)
        let_go.set()
    assert made == []


def test_a_file_that_is_never_joined_keeps_no_sweep_busy_and_expires(api, slow_store):
    batch, job = in_parts(api)
    for _ in range(3):
        due = api.row(batch, job).due
        api.clock.now = due
        assert sweep.run(services_module.services()) == {"awaited": 1}
        assert api.row(batch, job).due > due
    api.clock.pass_seconds(api.services.settings.upload_wait_seconds)
    assert sweep.run(services_module.services()) == {"expired": 1}
    assert api.row(batch, job).state == "expired"


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

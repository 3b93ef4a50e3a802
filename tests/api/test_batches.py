from dataclasses import replace

import pytest
from chalicelib import batch_view
from chalicelib import services as services_module

from config.contract.job import READING_VERSION, WRITING_VERSION
from config.contract.table_access import Lost, TableAccess

KEY = "0123456789abcdef" * 2
STEPS = [{"operation": "gaussian", "sigma": 2}]


def images(*names):
    return [{"name": name, "bytes": 100, "type": "image/png"} for name in names]


def test_a_batch_comes_with_a_form_for_each_image(api):
    status, made = api.post("/batches", {"steps": STEPS, "images": images("a.png", "b.png")})
    assert status == 201
    assert [job["name"] for job in made["jobs"]] == ["a.png", "b.png"]
    assert {job["state"] for job in made["jobs"]} == {"awaiting_upload"}
    assert all(job["upload"]["url"] and job["upload"]["fields"]["key"] for job in made["jobs"])
    assert made["kept_until"] == api.clock() + 7 * 24 * 3600 * 1000


def test_steps_are_kept_with_every_default_filled_in(api):
    batch, _ = api.batch(steps=("unsharp_mask",))
    _, found = api.get(f"/batches/{batch}")
    assert found["steps"] == [
        {"operation": "unsharp_mask", "radius": 1.0, "amount": 1.0, "preserve_range": False}
    ]
    assert (found["format"], found["depth"]) == ("same", "input")


def test_a_batch_may_ask_for_scikit_images_own_values(api):
    body = {"steps": STEPS, "images": images("a.png"), "depth": "native", "metadata": "strip"}
    _, made = api.post("/batches", body)
    _, found = api.get(f"/batches/{made['batch']}")
    assert (found["depth"], found["metadata"]) == ("native", "strip")


@pytest.mark.parametrize("form", ["same", "jpeg", "webp"])
def test_a_batch_may_choose_the_quality_of_its_results(api, form):
    body = {"steps": STEPS, "images": images("a.png"), "format": form, "quality": 80.0}
    _, made = api.post("/batches", body)
    _, found = api.get(f"/batches/{made['batch']}")
    assert (found["format"], found["quality"]) == (form, 80)
    batch, _ = api.batch()
    _, found = api.get(f"/batches/{batch}")
    assert found["quality"] is None


@pytest.mark.parametrize("form", ["png", "tiff", "zarr"])
def test_a_quality_of_a_format_without_loss_is_refused(api, form):
    body = {"steps": STEPS, "images": images("a.png"), "format": form, "quality": 80}
    status, problem = api.post("/batches", body)
    said = (
        f"quality: is for jpeg, webp, avif, jpegxl and same; {form} is written without loss, so "
        "leave it out"
    )
    assert (status, problem["detail"], problem["pointer"]) == (422, said, "/quality")


def test_a_batch_may_say_how_its_files_are_read(api):
    read = {"kind": "labels", "channels": "1,3", "z": "4..9", "nodata": -9999.5}
    body = {"steps": STEPS, "images": images("a.png"), "read": read}
    _, made = api.post("/batches", body)
    _, found = api.get(f"/batches/{made['batch']}")
    assert found["read"] == read
    # A worker that knows no such options hands the message back.
    assert api.row(made["batch"], made["jobs"][0]["job"]).version == READING_VERSION
    body = {"steps": STEPS, "images": images("a.png"), "across": "stack"}
    _, made = api.post("/batches", body)
    assert api.get(f"/batches/{made['batch']}")[1]["across"] == "stack"
    assert api.row(made["batch"], made["jobs"][0]["job"]).version == READING_VERSION
    batch, _ = api.batch()
    found = api.get(f"/batches/{batch}")[1]
    assert (found["read"], found["across"]) == ({}, "plane")


def test_an_older_worker_does_not_meet_parameters_that_are_not_set(api):
    batch, _ = api.batch(steps=({"operation": "gaussian", "sigma": 2},))
    (kept,) = api.table.batch(batch).steps
    (shown,) = api.get(f"/batches/{batch}")[1]["steps"]
    assert shown == {**kept, "sigma_columns": None}
    assert "sigma_columns" not in kept


def test_a_batch_may_say_how_its_results_are_written(api):
    write = {"compression": "jpeg", "layout": "cog", "subsampling": "420"}
    body = {"steps": STEPS, "images": images("a.png"), "format": "tiff", "quality": 80}
    _, made = api.post("/batches", body | {"write": write})
    found = api.get(f"/batches/{made['batch']}")[1]
    assert (found["write"], found["quality"]) == (write, 80)
    # A worker that knows no such options hands the message back.
    assert api.row(made["batch"], made["jobs"][0]["job"]).version == WRITING_VERSION
    body = {"steps": STEPS, "images": images("a.png"), "write": {"bytes_max": 90_000.0}}
    _, made = api.post("/batches", body)
    assert api.get(f"/batches/{made['batch']}")[1]["write"] == {"bytes_max": 90_000}
    batch, _ = api.batch()
    assert api.get(f"/batches/{batch}")[1]["write"] == {}


@pytest.mark.parametrize(
    "asked", [{"format": "jpeg", "quality": 80}, {"quality": 80}, {"format": "avif"}]
)
def test_an_older_worker_gets_no_job_whose_result_it_would_write_otherwise(api, asked):
    _, made = api.post("/batches", {"steps": STEPS, "images": images("a.png"), **asked})
    assert api.row(made["batch"], made["jobs"][0]["job"]).version == WRITING_VERSION


def test_an_older_worker_gets_no_job_of_an_incomplete_file(api):
    body = {"steps": STEPS, "images": images("a.png"), "read": {"incomplete": True}}
    _, made = api.post("/batches", body)
    assert api.row(made["batch"], made["jobs"][0]["job"]).version == WRITING_VERSION


@pytest.mark.parametrize(
    ("body", "said", "pointer"),
    [
        (
            {"format": "png", "write": {"layout": "cog"}},
            "write.layout: is for tiff, and results are png; leave it out",
            "/write/layout",
        ),
        (
            {"format": "jpeg", "quality": 80, "write": {"bytes_max": 9000}},
            "write.bytes_max: searches the quality, and quality is 80; leave one of them out",
            "/write/bytes_max",
        ),
        (
            {"write": {"compression": "zip"}},
            'write.compression: must be one of none, deflate, lzw, zstd, jpeg, g4, got "zip"',
            "/write/compression",
        ),
    ],
)
def test_options_of_writing_that_cannot_be_are_refused(api, body, said, pointer):
    status, problem = api.post("/batches", {"steps": STEPS, "images": images("a.png"), **body})
    assert (status, problem["detail"], problem["pointer"]) == (422, said, pointer)


def test_two_images_may_have_one_name(api):
    batch, jobs = api.batch("a.png", "a.png")
    assert len(set(jobs)) == 2
    assert api.counts(batch) == {"awaiting_upload": 2}


def test_a_hundred_images_are_counted_exactly(api):
    batch, jobs = api.batch(*(f"{i}.png" for i in range(100)))
    assert len(set(jobs)) == 100
    assert api.counts(batch) == {"awaiting_upload": 100}


def test_a_repeated_request_finds_what_the_first_one_made(api):
    body = {"steps": STEPS, "images": images("a.png", "b.png")}
    _, first = api.post("/batches", body, Idempotency_Key=KEY)
    batch, job = first["batch"], first["jobs"][0]["job"]
    api.arrive(batch, job)
    api.post(f"/batches/{batch}/jobs/{job}/uploaded")
    api.clock.pass_seconds(60)
    status, second = api.post("/batches", body, Idempotency_Key=KEY)
    assert status == 201
    assert (second["batch"], second["kept_until"]) == (batch, first["kept_until"])
    assert [job["job"] for job in second["jobs"]] == [job["job"] for job in first["jobs"]]
    assert [job["state"] for job in second["jobs"]] == ["queued", "awaiting_upload"]
    assert ["upload" in job for job in second["jobs"]] == [False, True]
    assert api.counts(batch) == {"queued": 1, "awaiting_upload": 1}


def test_a_key_with_another_body_is_a_conflict(api):
    api.post("/batches", {"steps": STEPS, "images": images("a.png")}, Idempotency_Key=KEY)
    body = {"steps": STEPS, "images": images("b.png")}
    status, problem = api.post("/batches", body, Idempotency_Key=KEY)
    assert status == 409
    assert problem["detail"] == "Idempotency-Key: came with another body before; take a new one"


def test_a_request_that_was_cut_off_is_completed_by_its_repetition(api, monkeypatch):
    body = {"steps": STEPS, "images": images(*(f"{i}.png" for i in range(100)))}
    transact, calls = TableAccess.transact, []

    def crash_at_the_third(table, writes):
        calls.append(len(writes))
        if len(calls) == 3:
            raise ConnectionError("cut off")
        transact(table, writes)

    monkeypatch.setattr(TableAccess, "transact", crash_at_the_third)
    assert api.post("/batches", body, Idempotency_Key=KEY)[0] == 500
    monkeypatch.setattr(TableAccess, "transact", transact)
    status, made = api.post("/batches", body, Idempotency_Key=KEY)
    assert status == 201
    assert len({job["job"] for job in made["jobs"]}) == 100
    assert api.counts(made["batch"]) == {"awaiting_upload": 100}
    assert max(calls) <= 100


def test_a_transaction_that_lost_a_race_is_tried_again(api, monkeypatch):
    transact, turns = TableAccess.transact, []

    def lose_twice(table, writes):
        turns.append(1)
        if len(turns) in (1, 3):
            raise Lost
        transact(table, writes)

    monkeypatch.setattr(TableAccess, "transact", lose_twice)
    status, made = api.post("/batches", {"steps": STEPS, "images": images("a.png")})
    assert status == 201
    assert api.counts(made["batch"]) == {"awaiting_upload": 1}


@pytest.mark.parametrize("key", ["", "abc", "G" * 32, "A" * 32, "0" * 33])
def test_a_key_must_be_128_bits(api, key):
    body = {"steps": STEPS, "images": images("a.png")}
    status, problem = api.post("/batches", body, Idempotency_Key=key)
    assert status == 400
    assert problem["detail"].startswith("Idempotency-Key: must be 32 hexadecimal digits")


def test_images_are_added_once_for_a_key(api):
    batch, _ = api.batch("a.png")
    body = {"images": images("b.png", "c.png")}
    for _ in range(2):
        status, added = api.post(f"/batches/{batch}/jobs", body, Idempotency_Key=KEY)
        assert status == 201
        assert [job["name"] for job in added["jobs"]] == ["b.png", "c.png"]
    assert api.counts(batch) == {"awaiting_upload": 3}
    assert api.table.batch(batch).jobs == 3
    status, _ = api.post(f"/batches/{batch}/jobs", {"images": images("d")}, Idempotency_Key=KEY)
    assert status == 409


def test_a_batch_is_never_fuller_than_its_limit(api, monkeypatch):
    small = replace(api.services, settings=replace(api.services.settings, batch_jobs_max=3))
    monkeypatch.setattr(services_module, "_made_once", lambda: small)
    batch, _ = api.batch("a.png", "b.png")
    status, problem = api.post(f"/batches/{batch}/jobs", {"images": images("c", "d")})
    assert status == 409
    assert problem["detail"] == "images: a batch holds at most 3; it has 2, got 2 more"
    assert api.post(f"/batches/{batch}/jobs", {"images": images("c")})[0] == 201
    assert api.counts(batch) == {"awaiting_upload": 3}


def test_polling_lists_only_what_changed(api):
    batch, (_, second) = api.batch("a.png", "b.png")
    api.clock.pass_seconds(10)
    _, page = api.get(f"/batches/{batch}")
    assert len(page["jobs"]) == 2
    api.clock.pass_seconds(4)
    api.arrive(batch, second)
    api.post(f"/batches/{batch}/jobs/{second}/uploaded")
    _, page = api.get(f"/batches/{batch}?since={page['cursor']}")
    assert [job["job"] for job in page["jobs"]] == [second]
    assert page["counts"]["queued"] == 1
    # It had changed a moment before, so it is listed once more.
    for listed in ([second], []):
        api.clock.pass_seconds(2.5)
        _, page = api.get(f"/batches/{batch}?since={page['cursor']}")
        assert [job["job"] for job in page["jobs"]] == listed


def test_what_changed_in_the_last_two_seconds_is_listed_again(api):
    batch, (job,) = api.batch("a.png")
    _, page = api.get(f"/batches/{batch}")
    _, again = api.get(f"/batches/{batch}?since={page['cursor']}")
    assert [found["job"] for found in again["jobs"]] == [job]


def test_pages_join_to_the_whole_batch(api):
    batch, jobs = api.batch(*(f"{i}.png" for i in range(25)))
    seen, since, more = [], "", True
    while more:
        _, page = api.get(f"/batches/{batch}?limit=10&since={since}")
        seen += [job["job"] for job in page["jobs"]]
        since, more = page["cursor"], page["more"]
    assert sorted(seen) == sorted(jobs)


@pytest.mark.parametrize("query", ["since=x", "limit=0", "limit=501", "limit=x", "limit=-1"])
def test_a_strange_page_is_refused(api, query):
    batch, _ = api.batch()
    status, problem = api.get(f"/batches/{batch}?{query}")
    assert status == 400
    assert problem["detail"].startswith(query.partition("=")[0])


@pytest.mark.parametrize("path", ["/batches/x", "/batches/" + "0" * 32, "/batches/batch/jobs/1"])
def test_what_is_not_there_is_not_found(api, path):
    status, problem = api.get(path)
    assert status == 404
    assert problem["detail"] == "batch: there is none with this id"


def test_a_batch_is_gone_when_its_time_is_over(api):
    batch, (job,) = api.batch()
    api.clock.pass_seconds(7 * 24 * 3600)
    assert api.get(f"/batches/{batch}")[0] == 410
    assert api.get(f"/batches/{batch}/jobs/{job}")[0] == 410
    assert api.post(f"/batches/{batch}/cancel")[0] == 410


def test_a_cursor_never_runs_ahead_of_a_late_index():
    assert batch_view.end("1000000010000#aa", False, 1_000_000_010_500) == "1000000008500"
    assert batch_view.end("1000000000000#aa", False, 1_000_000_010_500) == "1000000000000-aa"
    assert batch_view.end("1000000010000#aa", True, 1_000_000_010_500) == "1000000010000-aa"


@pytest.mark.parametrize("seconds", [-30, 30])
def test_a_poll_sees_the_end_of_a_job_whose_worker_has_another_time(api, seconds):
    batch, (job, other) = api.queued("a.png", "b.png")
    seen, since = {}, ""

    def poll():
        nonlocal since
        _, page = api.get(f"/batches/{batch}?since={since}")
        seen.update({each["job"]: each for each in page["jobs"]})
        since = page["cursor"]

    for second in range(45):
        api.clock.pass_seconds(1)
        poll()
        if second == 20:
            api.clock.pass_seconds(seconds)
            api.end(batch, job)
            api.clock.pass_seconds(-seconds)
        if second == 22:
            api.post(f"/batches/{batch}/jobs/{other}/cancel")
    assert {each: view["state"] for each, view in seen.items()} == {
        job: "succeeded",
        other: "cancelled",
    }


def test_what_was_written_last_has_the_latest_time_whatever_the_clocks(api):
    batch, (job,) = api.queued()
    api.clock.pass_seconds(30)
    api.claim(batch, job)
    api.clock.pass_seconds(-30)
    before = api.row(batch, job).changed
    api.post(f"/batches/{batch}/jobs/{job}/cancel")
    assert api.row(batch, job).changed > before


def test_polls_look_far_back_only_now_and_then():
    now = 1_000_000_100_000
    assert batch_view.begin("", now) == ("", now)
    near = f"1000000099000-{'a' * 16}"
    assert batch_view.begin(f"{near}~{now - 9000:013d}", now) == (near, now - 9000)
    assert batch_view.begin(f"{near}~{now - 10_000:013d}", now) == ("1000000040000", now)

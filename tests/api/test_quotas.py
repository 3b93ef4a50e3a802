"""Quotas of a day, the visitors that they are counted for, and the cap on retries."""

from dataclasses import replace

import pytest
from chalicelib import quotas, transitions
from chalicelib import services as services_module

from config.contract import resources
from config.contract.visitor import ADDRESS_HEADER, KEY_HEADER, Use, visitor_of

DAY = 86_400


@pytest.fixture
def limited(api, monkeypatch):
    """Return a function that sets quotas, and others of the API's settings."""
    monkeypatch.setattr(services_module, "_made_once", lambda: api.services)

    def limit(**settings):
        api.services = replace(api.services, settings=replace(api.services.settings, **settings))
        return api

    return limit


def create(api, size=100, **headers):
    image = {"name": "a.png", "bytes": size, "type": "image/png"}
    return api.post("/batches", {"steps": [{"operation": "invert"}], "images": [image]}, **headers)


def use(api, visitor):
    (found,) = api.table.use((visitor,), api.clock())
    return found


def spend(api, visitor, **amounts):
    assert api.table.add_use(visitor, api.clock(), amounts)


def test_bytes_are_counted_when_a_file_is_accepted_and_for_all_visitors_too(api):
    api.queued("a.png", "b.png")
    assert use(api, api.visitor) == Use(bytes=200)
    assert use(api, resources.ALL_VISITORS) == Use(bytes=200)


def test_a_file_that_is_refused_counts_nothing(api):
    batch, (job,) = api.batch()
    api.arrive(batch, job, b"GIF90a".ljust(100, b"x"))
    assert api.post(f"/batches/{batch}/jobs/{job}/uploaded")[0] == 422
    assert use(api, api.visitor) == Use()


def test_beyond_its_bytes_a_visitor_is_told_when_to_go_on_and_others_are_not(limited):
    api = limited(visitor_day_bytes_max=250)
    api.queued("a.png", "b.png")
    status, problem = create(api)
    assert status == 429
    assert problem["detail"] == (
        "your address may have 250 bytes a day; 200 bytes were sent today, and 100 bytes are too "
        "many; go on after midnight (UTC)"
    )
    assert create(api, size=50)[0] == 201
    api.visit_from("198.51.100.2")
    assert create(api)[0] == 201
    api.visit_from("198.51.100.1")
    api.clock.pass_seconds(DAY)
    assert create(api)[0] == 201


def test_the_answer_429_says_how_many_seconds_are_left_of_the_day(limited):
    api = limited(visitor_day_bytes_max=50)
    api.clock.now += 1000 * DAY - api.clock() % (1000 * DAY) - 90_000
    headers = {"Content-Type": "application/json"}
    image = b'{"steps":[{"operation":"invert"}],"images":[{"name":"a.png","bytes":51}]}'
    answer = api.http.post("/batches", headers=headers, body=image)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "90")


@pytest.mark.parametrize(
    ("bytes", "says"),
    [(0, "0 bytes"), (2**20, "1 MiB"), (3 * 2**29, "1.5 GiB"), (2**41, "2,048 GiB")],
)
def test_an_amount_has_the_unit_that_fits(bytes, says):
    assert quotas.amount(bytes) == says


def test_files_that_were_announced_together_are_counted_one_by_one(limited):
    api = limited(visitor_day_bytes_max=250)
    batches = [api.batch() for _ in range(3)]
    states = []
    for batch, (job,) in batches:
        api.arrive(batch, job)
        states.append(api.post(f"/batches/{batch}/jobs/{job}/uploaded")[0])
    assert states == [202, 202, 429]
    batch, (job,) = batches[2]
    assert api.state(batch, job) == "awaiting_upload"
    assert use(api, api.visitor) == Use(bytes=200)
    # The sweep does not let it through either, and looks again when the next day begins.
    api.clock.pass_seconds(130)
    assert api.sweep()["beyond_quota"] == 1
    assert api.row(batch, job).due > api.clock() + 60_000


def test_bytes_that_do_not_fit_into_the_total_are_not_counted_for_the_visitor(limited):
    api = limited(total_day_bytes_max=150)
    api.queued()
    batch, (job,) = api.batch(size=50)
    api.arrive(batch, job, b"\x89PNG\r\n\x1a\n".ljust(50, b"x"))
    spend(api, resources.ALL_VISITORS, bytes=10)
    status, problem = api.post(f"/batches/{batch}/jobs/{job}/uploaded")
    assert status == 429
    assert problem["detail"].startswith("all visitors together may have")
    assert use(api, api.visitor) == Use(bytes=100)


def test_bytes_of_a_job_that_could_not_be_queued_are_taken_back(api, monkeypatch):
    batch, (job,) = api.batch()
    with pytest.raises(ZeroDivisionError), quotas.counted(api.services, api.row(batch, job)):
        1 / 0  # noqa: B018 - raises
    assert use(api, api.visitor) == use(api, resources.ALL_VISITORS) == Use()


@pytest.mark.parametrize("who", ["visitor", "total"])
@pytest.mark.parametrize(
    ("what", "used", "quota", "says"),
    [
        ("pixels", 5_000_000_000, 5_000_000_000, "5 gigapixels a day, and 5 are done today"),
        ("cpu_seconds", 7_200_000, 7200, "7,200 s of processor time a day, and 7,200 s are used"),
    ],
)
def test_what_workers_counted_ends_new_batches_more_images_and_retries(
    limited, who, what, used, quota, says
):
    api = limited(**{f"{who}_day_{what}_max": quota})
    batch, (job,) = api.queued()
    api.end(batch, job, "failed", cause="broken")
    visitor = api.visitor if who == "visitor" else resources.ALL_VISITORS
    spend(api, visitor, **{"cpu_ms" if what == "cpu_seconds" else what: used})
    image = {"images": [{"name": "b.png", "bytes": 1}]}
    for status, problem in (
        create(api),
        api.post(f"/batches/{batch}/jobs", image),
        api.post(f"/batches/{batch}/jobs/{job}/retry"),
    ):
        assert (status, says in problem["detail"]) == (429, True)
    assert api.state(batch, job) == "failed"


def test_without_quotas_nothing_is_asked(limited, monkeypatch):
    who = ("visitor", "total")
    api = limited(
        **{
            f"{each}_day_{what}_max": 0
            for each in who
            for what in ("bytes", "pixels", "cpu_seconds")
        },
        visitor_minute_stops_max=0,
    )
    monkeypatch.setattr(type(api.table), "use", None)
    assert create(api)[0] == 201


def stop_running(api, whole_batch=False):
    batch, (job,) = api.queued()
    api.claim(batch, job)
    at = f"/batches/{batch}" if whole_batch else f"/batches/{batch}/jobs/{job}"
    assert api.post(f"{at}/cancel")[0] == 202


@pytest.mark.parametrize("whole_batch", [False, True])
def test_who_stops_running_images_again_and_again_waits_and_others_do_not(limited, whole_batch):
    api = limited(visitor_minute_stops_max=3)
    batch, (announced,) = api.batch()
    api.arrive(batch, announced)
    for _ in range(4):
        stop_running(api, whole_batch)
    uploaded = f"/batches/{batch}/jobs/{announced}/uploaded"
    for status, problem in (create(api), api.post(uploaded)):
        assert status == 429
        assert problem["detail"] == (
            "your address may stop 3 running images a minute, and it stopped more; go on in 20 s"
        )
    assert api.state(batch, announced) == "awaiting_upload"
    api.visit_from("198.51.100.2")
    assert create(api)[0] == 201
    api.visit_from("198.51.100.1")
    api.clock.pass_seconds(20)
    assert create(api)[0] == 201
    assert api.post(uploaded)[0] == 202
    stop_running(api)
    assert create(api)[0] == 429


def test_images_that_do_not_run_are_stopped_as_often_as_one_likes(limited):
    api = limited(visitor_minute_stops_max=1)
    for _ in range(3):
        batch, (job,) = api.queued()
        assert api.post(f"/batches/{batch}/jobs/{job}/cancel")[0] == 202
        assert api.post(f"/batches/{batch}/cancel")[0] == 202
        batch, (job,) = api.queued()
        api.end(batch, job)
        assert api.call("DELETE", f"/batches/{batch}")[0] == 202
    assert create(api)[0] == 201


def test_a_job_is_retried_by_its_visitor_a_few_times_and_by_an_operator_for_ever(limited):
    api = limited(retries_max=2)
    batch, (job,) = api.queued()
    at = f"/batches/{batch}/jobs/{job}/retry"
    for _ in range(2):
        api.end(batch, job, "failed", cause="broken")
        assert api.post(at)[0] == 202
        # A call that comes twice is one retry.
        assert api.post(at)[0] == 202
    api.end(batch, job, "failed", cause="broken")
    status, problem = api.post(at)
    assert status == 409
    assert problem["detail"] == "a.png: was retried 2 times; send it in a new batch"
    api.post(f"/batches/{batch}/retry")
    assert api.state(batch, job) == "failed"
    transitions.begin_again(api.services, api.row(batch, job), retries=0)
    assert (api.state(batch, job), api.row(batch, job).retries) == ("queued", 2)


def test_an_address_is_believed_only_with_the_origins_key(api):
    def visitor_with(**headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        raw = b'{"steps":[{"operation":"invert"}],"images":[{"name":"a.png","bytes":1}]}'
        sent = {"Content-Type": "application/json", **headers}
        made = api.http.post("/batches", headers=sent, body=raw).json_body
        return api.row(made["batch"], made["jobs"][0]["job"]).visitor

    key = api.services.origin_key()
    peer = visitor_of("127.0.0.1", key)
    told = {ADDRESS_HEADER: "198.51.100.9"}
    assert visitor_with(**told, **{KEY_HEADER: key}) == visitor_of("198.51.100.9", key)
    assert visitor_with(**told) == peer
    assert visitor_with(**told, **{KEY_HEADER: "guessed"}) == peer
    assert visitor_with(**{"X-Forwarded-For": "198.51.100.9"}) == peer

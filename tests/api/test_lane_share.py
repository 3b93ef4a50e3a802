"""The lane share: how many messages of one large batch may be on the broker at a time."""

from dataclasses import replace

import pytest
from chalicelib import batches
from chalicelib import services as services_module

from config.contract import resources

pytestmark = pytest.mark.slow

# One message for each counter row.
SHARE = 2
IMAGES = 9


@pytest.fixture
def narrow(api, monkeypatch):
    """The app with a lane share of two messages, for all images but a batch's first."""
    settings = replace(api.services.settings, lane_share_jobs=SHARE, republish_seconds=1)
    monkeypatch.setattr(services_module, "_made_once", lambda: api.services)
    monkeypatch.setattr(batches, "INTERACTIVE_JOBS_MAX", 1)
    monkeypatch.setattr(resources, "COUNTER_SHARDS", SHARE)
    api.table = services_module.job_table(api.table.access.client, settings)
    api.services = replace(api.services, settings=settings, table=api.table)
    return api


@pytest.fixture
def crowd(narrow):
    """A batch of nine images, all of them sent."""
    # Under this key each counter row counts several images.
    return narrow.queued(*(f"{number}.png" for number in range(IMAGES)), key="0" * 32)


def taken(api, queues):
    """Take the bulk lane's messages, as a worker does that then falls silent."""
    return [message.job for message in queues.take(resources.BULK)]


def shares(jobs):
    return {resources.counter_sk(job) for job in jobs}


def waiting(api, batch, jobs):
    return [job for job in jobs if api.row(batch, job).waiting]


def lines(api, batch):
    rows = api.table.rows_after(batch, resources.JOB_PREFIX, 100)
    return [row["sk"] for row in rows if row["sk"].startswith(resources.LINE_PREFIX)]


def test_a_batch_publishes_no_more_than_its_lane_share(narrow, queues, crowd):
    batch, jobs = crowd
    out = taken(narrow, queues)
    assert 1 < len(out) <= SHARE
    assert len(shares(out)) == len(out)
    assert sorted([*out, *waiting(narrow, batch, jobs), jobs[0]]) == sorted(jobs)
    # Its visitor sees a waiting image as queued, like the others.
    assert narrow.counts(batch) == {"queued": IMAGES}


def test_the_next_visitor_waits_behind_the_lane_share_and_not_behind_all(narrow, queues, crowd):
    _, jobs = narrow.queued("a.png", "b.png")
    waiting = taken(narrow, queues)
    assert waiting.index(jobs[1]) == len(waiting) - 1 <= SHARE


def test_every_message_that_is_taken_releases_the_next_job(narrow, queues, crowd):
    batch, jobs = crowd
    done = []
    while out := taken(narrow, queues):
        for job in out:
            narrow.end(batch, job)
            narrow.release(batch, job)
        done += out
        assert all(narrow.table.published(narrow.row(batch, job)) <= 1 for job in jobs)
    assert sorted([*done, jobs[0]]) == sorted(jobs)
    assert lines(narrow, batch) == []


def test_the_sweep_releases_what_no_worker_did(narrow, queues, crowd):
    batch, jobs = crowd
    done = []
    while out := taken(narrow, queues):
        for job in out:
            narrow.end(batch, job)
        done += out
        narrow.clock.pass_seconds(3600)
        narrow.sweep()
    assert sorted([*done, jobs[0]]) == sorted(jobs)


def test_the_sweep_counts_waiting_jobs_apart_from_those_with_a_message(narrow, queues, crowd):
    batch, jobs = crowd
    left = len(waiting(narrow, batch, jobs))
    narrow.clock.pass_seconds(31)
    assert narrow.sweep() == {"queued": IMAGES - left, "waiting": left}


def test_a_released_job_whose_message_is_lost_is_published_again(narrow, queues, crowd):
    batch, _ = crowd
    (job, *_) = taken(narrow, queues)
    narrow.end(batch, job)
    narrow.release(batch, job)
    (lost,) = taken(narrow, queues)
    queues.take(resources.JOBS)
    narrow.clock.pass_seconds(60)
    narrow.sweep()
    assert lost in taken(narrow, queues)


def test_a_waiting_job_is_cancelled_and_its_line_is_deleted(narrow, queues, crowd):
    batch, jobs = crowd
    out = taken(narrow, queues)
    for job in waiting(narrow, batch, jobs):
        assert narrow.post(f"/batches/{batch}/jobs/{job}/cancel")[1]["state"] == "cancelled"
    for job in out:
        narrow.end(batch, job)
        narrow.release(batch, job)
    assert taken(narrow, queues) == []
    assert lines(narrow, batch) == []


def test_a_job_that_is_handed_back_is_queued_beyond_the_share(narrow, queues, crowd):
    batch, _ = crowd
    (job, *_) = taken(narrow, queues)
    narrow.claim(batch, job)
    narrow.release(batch, job)
    narrow.move(batch, job, "queued")
    assert narrow.table.published(narrow.row(batch, job)) == 2


def test_nothing_is_released_in_a_batch_that_is_being_cancelled(narrow, queues, crowd, monkeypatch):
    batch, _ = crowd
    (job, *_) = taken(narrow, queues)
    narrow.end(batch, job)
    monkeypatch.setattr("chalicelib.commands.FIRST_SLICE_SECONDS", 0.0)
    narrow.post(f"/batches/{batch}/cancel")
    narrow.release(batch, job)
    assert taken(narrow, queues) == []

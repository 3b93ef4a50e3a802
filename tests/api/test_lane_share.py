"""The lane share: how many messages of one visitor may be in a lane of the broker at a time."""

from collections import Counter
from dataclasses import replace

import pytest
from chalicelib import batches
from chalicelib import services as services_module

from config.contract import lane_share, resources

pytestmark = pytest.mark.slow

# One message for each counter row.
SHARE = 2
IMAGES = 9


@pytest.fixture
def narrow(api, monkeypatch):
    """The app with a lane share of two messages, and a batch's images but the first in bulk."""
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


def lines(api):
    pk = resources.visitor_pk(api.visitor)
    answer = api.table.access.query(
        KeyConditionExpression="pk = :pk AND begins_with(sk, :line)",
        ExpressionAttributeValues={":pk": pk, ":line": resources.LINE_PREFIX},
    )
    return [row["sk"] for row in answer["Items"]]


def out(api, visitor):
    """Messages that a visitor is counted to have, by lane."""
    answer = api.table.access.query(
        KeyConditionExpression="pk = :pk AND begins_with(sk, :lane)",
        ExpressionAttributeValues={
            ":pk": resources.visitor_pk(visitor),
            ":lane": resources.LANE_PREFIX,
        },
    )
    found = Counter()
    for row in answer["Items"]:
        found[row["sk"].split("#")[1]] += int(row["out_now"])
    return +found


def test_a_batch_publishes_no_more_than_its_lane_share(narrow, queues, crowd):
    batch, jobs = crowd
    out = taken(narrow, queues)
    assert 1 < len(out) <= SHARE
    assert len(shares(out)) == len(out)
    assert sorted([*out, *waiting(narrow, batch, jobs), jobs[0]]) == sorted(jobs)
    # Its visitor sees a waiting image as queued, like the others.
    assert narrow.counts(batch) == {"queued": IMAGES}


def test_a_visitors_share_is_that_of_all_its_batches(narrow, queues, crowd):
    many = [narrow.queued("a.png", "b.png") for _ in range(5)]
    assert len(narrow_out := queues.take(resources.JOBS)) <= SHARE
    assert len(queues.take(resources.BULK)) <= SHARE
    assert narrow_out[0].batch == crowd[0]
    assert sum(narrow.row(batch, jobs[1]).waiting for batch, jobs in many) == len(many)


def test_a_cancelled_crowd_does_not_hold_its_visitors_next_image(
    narrow, queues, crowd, monkeypatch
):
    monkeypatch.setattr(lane_share, "LINES_PER_READ", 2)
    narrow.post(f"/batches/{crowd[0]}/cancel")
    narrow.sweep()
    taken(narrow, queues)
    batch, jobs = narrow.queued("first.png", *(f"{number}.png" for number in range(4)))
    while out := [job for job in taken(narrow, queues) if job in jobs]:
        for job in out:
            narrow.end(batch, job)
            narrow.release(batch, job)
    assert not waiting(narrow, batch, jobs)


def test_a_deleted_crowd_makes_room_for_its_visitors_next_image(narrow, queues, crowd):
    batch, jobs = narrow.queued("first.png", "second.png")
    assert waiting(narrow, batch, jobs)
    narrow.call("DELETE", f"/batches/{crowd[0]}")
    narrow.sweep()
    assert not waiting(narrow, batch, jobs)


def test_hostile_batches_do_not_come_before_a_third_visitors_image(narrow, queues):
    narrow.visit_from("198.51.100.1")
    for _ in range(4):
        narrow.queued("wide.png")
    narrow.visit_from("198.51.100.2")
    for _ in range(3):
        narrow.queued(*(f"{number}.png" for number in range(6)))
    narrow.visit_from("198.51.100.3")
    batch, (job,) = narrow.queued("mine.png")
    # Twenty-two images were sent before; at most a share of each of their visitors is ahead.
    ahead = [message.job for message in queues.take(resources.JOBS)].index(job)
    assert ahead <= 2 * SHARE
    assert not narrow.row(batch, job).waiting


def test_waiting_images_of_all_batches_are_released_in_the_order_they_came(narrow, queues):
    sent, done = [], []
    for _ in range(8):
        sent.append(narrow.queued("a.png"))
        narrow.clock.pass_seconds(1)
    while out := queues.take(resources.JOBS):
        for message in out:
            narrow.end(message.batch, message.job)
            narrow.release(message.batch, message.job)
        done += [(message.batch, [message.job]) for message in out]
    assert sorted(done) == sorted(sent)
    of_one_row = [each for each in sent if shares(each[1]) == shares(sent[0][1])]
    assert [each for each in done if each in of_one_row] == of_one_row
    assert lines(narrow) == []


@pytest.mark.parametrize("way", ["done", "cancelled", "deleted", "expired"])
def test_no_end_of_an_image_leaves_it_in_its_visitors_count(narrow, queues, crowd, way):
    batch, jobs = crowd
    assert sum(out(narrow, narrow.visitor).values()) > 1
    if way == "done":
        while taken := [*queues.take(resources.JOBS), *queues.take(resources.BULK)]:
            for message in taken:
                narrow.end(batch, message.job)
                narrow.release(batch, message.job)
    elif way == "cancelled":
        narrow.post(f"/batches/{batch}/cancel")
    elif way == "deleted":
        narrow.call("DELETE", f"/batches/{batch}")
    else:
        narrow.clock.now = narrow.row(batch, jobs[0]).kept_until
    # A command is carried out for a second, and the rest by the sweep.
    narrow.sweep()
    assert out(narrow, narrow.visitor) == {}


def test_the_next_visitor_waits_behind_the_lane_share_and_not_behind_all(narrow, queues, crowd):
    narrow.visit_from("198.51.100.2")
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
    assert lines(narrow) == []


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
    assert lines(narrow) == []


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

import pytest
from chalicelib import objects, sweep

from config.contract import resources
from config.contract.job import Message
from config.contract.node import Node
from config.contract.table_access import Lost


def test_a_job_whose_publish_was_lost_is_published_again(api, queues, dead_broker):
    batch, (job,) = api.queued()
    dead_broker()
    api.clock.pass_seconds(31)
    assert api.sweep() == {"published_again": 1}
    row = api.row(batch, job)
    assert (row.state, row.publish, row.published_at) == ("queued", 2, api.clock())
    assert queues.take() == [Message(batch, job, 2)]


def test_a_job_that_was_queued_just_now_is_left_alone(api, queues, dead_broker):
    api.queued()
    dead_broker()
    api.clock.pass_seconds(29)
    assert api.sweep() == {}
    assert queues.take() == []


def test_a_message_that_waits_in_the_queue_is_not_doubled(api, queues):
    batch, (job,) = api.queued()
    for _ in range(5):
        api.clock.pass_seconds(600)
        api.sweep()
    assert queues.take() == [Message(batch, job, 1)]


def test_a_job_whose_message_is_nowhere_is_published_again(api, queues):
    batch, (job,) = api.queued()
    queues.take()
    api.clock.pass_seconds(31)
    assert api.sweep() == {"published_again": 1}
    assert queues.take() == [Message(batch, job, 2)]
    assert api.counts(batch) == {"queued": 1}


def test_a_job_whose_message_is_lost_is_found_also_while_the_queue_is_never_empty(api, queues):
    batch, (lost, taken, waits) = api.queued("a.png", "b.png", "c.png")
    queues.take()
    queues.put(api.row(batch, waits).message, resources.JOBS)
    # The sweep before a later message was claimed cannot know.
    api.clock.pass_seconds(61)
    assert api.sweep() == {"queued": 3}
    api.claim(batch, taken)
    served = {"interactive": api.row(batch, taken).ticket}
    api.table.put_node(Node("node", 1, api.clock(), served))
    api.clock.pass_seconds(61)
    api.sweep()
    assert api.row(batch, lost).publish == 2
    assert api.row(batch, waits).publish == 1


def test_a_queued_job_is_looked_at_more_and_more_rarely(api):
    batch, (job,) = api.queued()
    waits = []
    for _ in range(4):
        row = api.row(batch, job)
        waits.append(row.due - api.clock())
        api.clock.now = row.due
        assert api.sweep() == {"queued": 1}
    # A row of the same millisecond counts as one later.
    assert waits == pytest.approx([30_000, 30_000, 60_000, 120_000], abs=5)


def test_after_an_outage_a_job_does_not_wait_as_long_again(api, queues, dead_broker):
    batch, (job,) = api.queued()
    for _ in range(5):
        api.clock.pass_seconds(300)
        assert api.sweep() == {"queued": 1}
    dead_broker()
    api.clock.pass_seconds(31)
    assert api.sweep() == {"published_again": 1}
    assert queues.take() == [Message(batch, job, 2)]


def test_a_running_job_whose_worker_fell_silent_is_queued_again(api, queues):
    batch, (job,) = api.queued()
    queues.take()
    api.claim(batch, job)
    api.clock.pass_seconds(61)
    assert api.sweep() == {"published_again": 1}
    row = api.row(batch, job)
    assert (row.state, row.publish, row.attempt, row.lapses) == ("queued", 2, 1, 1)
    assert queues.take() == [Message(batch, job, 2)]
    assert api.counts(batch) == {"queued": 1}


def test_a_running_job_whose_heart_beats_is_left_alone(api):
    batch, (job,) = api.queued()
    api.claim(batch, job)
    for _ in range(5):
        api.clock.pass_seconds(50)
        api.write(batch, job, due=api.clock() + 60_000)
        assert api.sweep() == {}
    assert api.state(batch, job) == "running"


def test_a_heartbeat_at_the_last_moment_defeats_the_sweep(api, monkeypatch):
    batch, (job,) = api.queued()
    api.claim(batch, job)
    api.clock.pass_seconds(61)
    recover = sweep.recover

    def beat_first(running, row):
        api.write(batch, job, due=api.clock() + 60_000)
        return recover(running, row)

    monkeypatch.setattr(sweep, "recover", beat_first)
    assert api.sweep() == {"lost": 1}
    assert api.state(batch, job) == "running"


def test_an_image_that_no_worker_survives_is_given_up(api):
    batch, (job,) = api.queued()
    api.claim(batch, job)
    api.write(batch, job, lapses=sweep.LAPSES_MAX)
    api.clock.pass_seconds(61)
    assert api.sweep() == {"given_up": 1}
    row = api.row(batch, job)
    assert (row.state, row.cause) == ("failed", "broken")
    assert row.reason == "the worker stopped 21 times while this image was in work"


@pytest.mark.parametrize("is_claimed", [False, True])
def test_a_job_whose_message_was_given_up_fails_and_the_letter_stays(api, queues, is_claimed):
    batch, (job,) = api.queued()
    if is_claimed:
        api.claim(batch, job)
    letter = Message(batch, job, 1)
    queues.put(letter)
    api.sweep()
    row = api.row(batch, job)
    assert (row.state, row.cause) == ("failed", "broken")
    assert row.reason == "the worker stopped 21 times while this image was in work"
    assert api.counts(batch) == {"failed": 1}
    assert queues.take(resources.DEAD_LETTERS) == [letter]


def test_a_letter_of_an_older_publish_fails_nothing(api, queues):
    batch, (job,) = api.queued()
    api.end(batch, job, "failed", reason="x", cause="broken")
    queues.put(Message(batch, job, 1))
    api.post(f"/batches/{batch}/jobs/{job}/retry")
    api.sweep()
    assert api.state(batch, job) == "queued"


def test_a_letter_whose_job_is_gone_fails_nothing(api, queues):
    queues.put(Message("0" * 32, "0" * 16, 1))
    assert api.sweep() == {}


def test_an_upload_of_which_nobody_told_is_completed(api, queues):
    batch, (job,) = api.batch()
    api.arrive(batch, job)
    api.clock.pass_seconds(121)
    assert api.sweep() == {"received": 1}
    assert api.state(batch, job) == "queued"
    assert queues.take() == [Message(batch, job, 1)]


def test_an_upload_of_which_nobody_told_is_checked_too(api):
    batch, (job,) = api.batch()
    api.arrive(batch, job, b"GIF90a" + bytes(94))
    api.clock.pass_seconds(121)
    assert api.sweep() == {"rejected": 1}
    assert api.row(batch, job).reason.startswith("a.png: not an image this app reads")


def test_a_job_whose_upload_never_came_expires(api):
    batch, (job,) = api.batch()
    api.clock.pass_seconds(24 * 3600 - 1)
    assert api.sweep() == {"awaited": 1}
    api.clock.pass_seconds(1)
    assert api.sweep() == {"expired": 1}
    assert api.counts(batch) == {"expired": 1}
    assert api.get(f"/batches/{batch}/jobs/{job}")[0] == 410


def test_a_renewed_form_renews_the_wait(api):
    batch, (job,) = api.batch()
    api.clock.pass_seconds(23 * 3600)
    api.post(f"/batches/{batch}/jobs/{job}/upload")
    api.clock.pass_seconds(2 * 3600)
    assert api.sweep() == {"awaited": 1}


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled", "queued"])
def test_after_its_time_a_job_expires_with_its_upload_and_results(api, state):
    batch, (job,) = api.queued()
    if state == "cancelled":
        api.post(f"/batches/{batch}/jobs/{job}/cancel")
    elif state != "queued":
        api.end(batch, job, state, results="[]")
    api.clock.pass_seconds(7 * 24 * 3600 - 1)
    api.sweep()
    assert len(api.uploads()) == 1
    api.clock.pass_seconds(3600)
    api.sweep()
    row = api.row(batch, job)
    assert (row.state, row.result_key, row.results, row.due) == ("expired", "", "", 0)
    assert api.uploads() == api.results() == []
    assert api.table.summary(batch)[1]["expired"] == 1
    assert api.sweep() == {}


def test_a_sweep_without_a_broker_does_the_rest(api, dead_broker):
    batch, (waiting, silent, _) = api.batch("a", "b", "c")
    for job in (waiting, silent):
        api.arrive(batch, job)
        api.post(f"/batches/{batch}/jobs/{job}/uploaded")
    api.claim(batch, silent)
    api.clock.pass_seconds(24 * 3600)
    done = api.sweep()
    assert done == {"queued": 1, "published_again": 1, "expired": 1}
    assert api.counts(batch) == {"queued": 2, "expired": 1}
    dead_broker()
    api.clock.pass_seconds(1800)
    assert api.sweep() == {"published_again": 2}


def test_a_sweep_sees_to_more_rows_than_one_page(api, monkeypatch):
    monkeypatch.setattr(sweep, "ROWS_PER_READ", 3)
    batch, _ = api.batch(*(f"{i}" for i in range(40)))
    api.clock.pass_seconds(24 * 3600)
    assert api.sweep() == {"expired": 40}
    assert api.counts(batch) == {"expired": 40}


def test_one_row_that_fails_does_not_keep_the_sweep_from_the_others(api, monkeypatch):
    batch, (first, second) = api.batch("a", "b")
    inspect = objects.inspect

    def fail_on_the_first(services, row):
        if row.job == first:
            raise ConnectionError("no store")
        return inspect(services, row)

    monkeypatch.setattr(objects, "inspect", fail_on_the_first)
    api.arrive(batch, second)
    api.clock.pass_seconds(121)
    assert api.sweep() == {"broken": 1, "received": 1}
    assert api.sweep() == {}


def test_a_sweep_ends_when_its_time_is_over(api):
    api.batch(*"abcdef")
    api.clock.pass_seconds(24 * 3600)
    assert sweep.run(api.services, 0.0) == {}


def test_a_row_that_another_sweep_has_moved_is_left(api, monkeypatch):
    batch, (job,) = api.queued()
    api.claim(batch, job)
    api.clock.pass_seconds(61)
    row = api.row(batch, job)
    this = sweep.Sweep(api.services, float("inf"))
    assert sweep.recover(this, row) == "published_again"
    with pytest.raises(Lost):
        sweep.recover(this, row)
    assert api.row(batch, job).publish == 2

import pytest
from chalicelib import commands

from config.contract import resources
from config.contract.job import Message
from config.contract.writes import batch_is_open


def states(api, batch, jobs):
    return [api.state(batch, job) for job in jobs]


def test_cancelling_a_batch_cancels_all_that_is_not_finished(api):
    batch, jobs = api.queued("a", "b", "c", "d")
    api.claim(batch, jobs[1])
    api.end(batch, jobs[2])
    status, answer = api.post(f"/batches/{batch}/cancel")
    assert (status, answer) == (202, {"batch": batch, "order": ""})
    assert states(api, batch, jobs) == ["cancelled", "cancelled", "succeeded", "cancelled"]
    assert api.counts(batch) == {"cancelled": 3, "succeeded": 1}


def test_retrying_a_batch_retries_what_failed(api, queues):
    batch, jobs = api.queued("a", "b", "c")
    api.end(batch, jobs[0], "failed", reason="x", cause="broken")
    api.end(batch, jobs[1])
    api.post(f"/batches/{batch}/jobs/{jobs[2]}/cancel")
    queues.take()
    assert api.post(f"/batches/{batch}/retry") == (202, {"batch": batch, "order": ""})
    assert states(api, batch, jobs) == ["queued", "succeeded", "cancelled"]
    assert queues.take() == [Message(batch, jobs[0], 2)]


def test_retrying_a_batch_leaves_jobs_that_never_had_a_file(api):
    batch, (job,) = api.batch()
    api.arrive(batch, job, b"")
    api.post(f"/batches/{batch}/jobs/{job}/uploaded")
    api.post(f"/batches/{batch}/retry")
    assert api.state(batch, job) == "failed"


def test_a_deleted_batch_is_gone_with_all_that_it_had(api):
    batch, jobs = api.queued("a", "b", "c")
    api.end(batch, jobs[0])
    api.claim(batch, jobs[1])
    other, (kept,) = api.queued("kept")
    status, answer = api.call("DELETE", f"/batches/{batch}")
    assert (status, answer) == (202, {"batch": batch, "order": "delete"})
    assert api.get(f"/batches/{batch}")[0] == 410
    assert api.get(f"/batches/{batch}/jobs/{jobs[0]}")[0] == 410
    assert [api.row(batch, job) for job in jobs] == [None, None, None]
    assert api.results() == []
    assert api.uploads() == [resources.upload_key(other, kept)]
    assert api.call("DELETE", f"/batches/{batch}")[0] == 202


def test_a_result_that_comes_after_the_deletion_is_deleted_too(api):
    batch, (job,) = api.queued()
    api.claim(batch, job)
    api.call("DELETE", f"/batches/{batch}")
    api.store_result(batch, job)
    api.clock.pass_seconds(30)
    api.sweep()
    assert len(api.results()) == 2
    api.clock.pass_seconds(31)
    assert api.sweep() == {"commands": 1}
    assert api.results() == []
    assert api.get(f"/batches/{batch}")[0] == 410


def test_an_upload_by_a_form_signed_before_the_deletion_is_deleted_when_forms_have_ended(api):
    batch, (job,) = api.batch("a.png")
    api.call("DELETE", f"/batches/{batch}")
    api.clock.pass_seconds(100)
    assert api.sweep() == {"commands": 1}
    api.arrive(batch, job)
    api.clock.pass_seconds(api.services.settings.upload_form_seconds)
    assert api.sweep() == {"commands": 1}
    bucket = api.services.settings.uploads_bucket
    assert api.s3.list_objects_v2(Bucket=bucket, Prefix=f"uploads/{batch}/")["KeyCount"] == 0
    assert api.sweep() == {}


def test_nothing_begins_in_a_batch_that_is_being_cancelled(api, monkeypatch):
    monkeypatch.setattr(commands, "carry_out", lambda *_: None)
    batch, (first, _) = api.batch("a", "b")
    api.arrive(batch, first)
    status, answer = api.post(f"/batches/{batch}/cancel")
    assert (status, answer["order"]) == (202, "cancel")
    more = {"images": [{"name": "c", "bytes": 1}]}
    for path, body in (
        (f"/batches/{batch}/jobs/{first}/uploaded", None),
        (f"/batches/{batch}/jobs", more),
        (f"/batches/{batch}/retry", None),
    ):
        status, problem = api.post(path, body)
        assert status == 409, path
        assert "being cancelled" in problem["detail"]
    with pytest.raises(Exception, match="ConditionalCheckFailed"):
        api.table.access.client.transact_write_items(
            TransactItems=[{"ConditionCheck": batch_is_open(api.table.name, batch)}]
        )


def test_a_command_that_outlasts_its_request_is_carried_out_by_the_sweep(api, monkeypatch):
    monkeypatch.setattr(commands, "FIRST_SLICE_SECONDS", 0.0)
    monkeypatch.setattr(commands, "ROWS_PER_READ", 3)
    batch, _ = api.batch(*"abcdefgh")
    _, answer = api.post(f"/batches/{batch}/cancel")
    assert answer["order"] == "cancel"
    assert api.counts(batch) == {"awaiting_upload": 8}
    assert api.sweep() == {"commands": 1}
    assert api.counts(batch) == {"cancelled": 8}
    assert api.get(f"/batches/{batch}")[1]["order"] == ""


def test_a_command_goes_on_where_it_was_interrupted(api, monkeypatch):
    batch, jobs = api.batch(*"abcd")
    api.table.update_batch(batch, {"command": "cancel", "commanded": 7, "due": 7}, ("",))
    stop, calls = commands.transitions.stop, []

    def crash_at_the_third(services, row):
        calls.append(row.job)
        if len(calls) == 3:
            raise ConnectionError("cut off")
        return stop(services, row)

    monkeypatch.setattr(commands.transitions, "stop", crash_at_the_third)
    with pytest.raises(ConnectionError):
        commands.carry_out(api.services, batch, float("inf"))
    assert api.table.batch(batch).command_after == resources.job_sk(sorted(jobs)[1])
    commands.carry_out(api.services, batch, float("inf"))
    assert calls == sorted(jobs)[:3] + sorted(jobs)[2:]
    assert api.counts(batch) == {"cancelled": 4}


def test_a_deletion_takes_the_place_of_a_cancellation(api, monkeypatch):
    monkeypatch.setattr(commands, "FIRST_SLICE_SECONDS", 0.0)
    batch, _ = api.batch(*"abc")
    api.post(f"/batches/{batch}/cancel")
    api.call("DELETE", f"/batches/{batch}")
    api.sweep()
    assert api.get(f"/batches/{batch}")[0] == 410
    assert api.table.rows_after(batch, "", 10) == []


def test_commands_for_a_batch_that_is_not_there_are_not_found(api):
    assert api.post("/batches/" + "0" * 32 + "/cancel")[0] == 404
    assert api.call("DELETE", "/batches/" + "0" * 32)[0] == 404

"""The images of a job in a store, which may fail when they are deleted."""

import json
from types import SimpleNamespace

import pytest

from cluster_worker import Broken, Rejected
from cluster_worker.engine.hosts.moved import MovedJob
from cluster_worker.engine.steps import checked_steps
from cluster_worker.objects.spools import ObjectSpool
from cluster_worker.objects.store import Store, open_store
from cluster_worker.pixels.header import header_of
from cluster_worker.pixels.shared_memory import Pixels
from cluster_worker.plan.chain import plan
from cluster_worker.plan.checkpoints import Checkpoint
from cluster_worker.plan.request import PlanRequest


@pytest.fixture
def moved(tmp_path):
    """Return a job in a folder, with an object of each pass of its first attempt."""
    names = ("gaussian", "threshold_otsu", "label")
    steps = checked_steps([{"operation": each} for each in names])
    planned = plan(PlanRequest(header_of((600, 600), "uint8"), steps))
    task = SimpleNamespace(job=1, request=None, result=Pixels("", (600, 600), "int32"), tables=())
    task.kept = task.inputs = ()
    job = MovedJob(
        SimpleNamespace(plan=planned, task=task, stored=""), f"file://{tmp_path}", tmp_path
    )
    job.sources = [None]
    for each in job.task(1).scratch:
        open_store(job.store).write(f"{each.prefix}/0-0", b"pixels")
    return job


def test_the_next_attempt_reads_what_the_one_before_has_finished(moved, tmp_path):
    first = moved.task(1)
    moved.keep(Checkpoint(passes=1, buffer=0))
    moved.drop()
    left = [each for each in tmp_path.rglob("*") if each.is_file()]
    assert [str(each.relative_to(tmp_path)) for each in left] == [f"{first.scratch[0].prefix}/0-0"]
    second = moved.task(2)
    assert second.begin == Checkpoint(passes=1, buffer=0)
    assert second.scratch[0] == first.scratch[0]
    assert second.scratch[1].prefix == f"{moved.prefix}/attempt-2/pass-1"
    assert second.result.prefix == f"{moved.prefix}/attempt-2/result-0"
    # What the second attempt has finished lies under its own prefix.
    moved.keep(Checkpoint(passes=2, buffer=1))
    moved.drop()
    assert moved.task(3).scratch[1] == second.scratch[1]
    assert not list(tmp_path.rglob("0-0"))


def test_nothing_is_left_in_the_store_however_a_job_ends(moved, tmp_path):
    with pytest.raises(ValueError, match="the job's own"), moved:
        raise ValueError("the job's own")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [Broken("no answer"), Rejected("not allowed")])
def test_a_store_that_does_not_delete_hides_neither_success_nor_failure(
    moved, monkeypatch, capsys, error
):
    def refuse(*_):
        raise error

    monkeypatch.setattr(Store, "delete", refuse)
    with moved:
        moved.drop()
    with pytest.raises(ValueError, match="the job's own"), moved:
        raise ValueError("the job's own")
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {each["event"] for each in said} == {"objects not deleted"}
    *of_attempt, whole, again = (each["objects"] for each in said)
    assert f"{moved.store}/{moved.prefix}/attempt-1/pass-0" in of_attempt
    assert whole == again == f"{moved.store}/{moved.prefix}"
    assert said[-1]["error"] == str(error)


def test_a_result_that_stays_in_the_store_is_where_the_last_attempt_wrote_it(moved):
    here = ObjectSpool(moved.store, "unused", (600, 600), "int32", "tiff", "a.tif", "")
    moved.job.stored = moved.prefix = "job-1/2"
    moved.job.task.result = here
    first, second = moved.task(1), moved.task(2)
    assert first.result == here._replace(prefix="job-1/2/attempt-1/result-0")
    open_store(moved.store).write(f"{second.result.prefix}/tiles/0", b"tiles")
    with moved:
        moved.fetch(second)
    assert moved.job.written == (second.result,)
    assert open_store(moved.store).read(f"{second.result.prefix}/tiles/0") == b"tiles"

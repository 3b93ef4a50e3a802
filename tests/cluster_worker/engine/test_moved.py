"""The images of a job in a store, which may fail when they are deleted."""

import json

import pytest

from cluster_worker import Broken, Rejected
from cluster_worker.engine.hosts.moved import MovedJob
from cluster_worker.objects.store import Store, open_store


@pytest.fixture
def moved(tmp_path):
    """Return a job in a folder, with an object of its first attempt."""
    job = MovedJob(None, f"file://{tmp_path}", tmp_path)
    open_store(job.store).write(f"{job.attempt_prefix(1)}/pass-0/0-0", b"pixels")
    return job


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
        moved.drop(1)
    with pytest.raises(ValueError, match="the job's own"), moved:
        raise ValueError("the job's own")
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [each["event"] for each in said] == ["objects not deleted"] * 3
    assert said[0]["objects"] == f"{moved.store}/{moved.prefix}/attempt-1"
    assert said[1]["objects"] == f"{moved.store}/{moved.prefix}"
    assert said[1]["error"] == str(error)

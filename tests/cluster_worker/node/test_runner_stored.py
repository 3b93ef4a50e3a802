"""A large image that never lies on the worker's host: read by ranges, joined in the store."""

import io
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import tifffile
from skimage import data

from cluster_worker.engine.run_file import FileJob
from cluster_worker.errors import Broken
from cluster_worker.node.consumer import Verdict
from cluster_worker.node.runner import Runner
from cluster_worker.node.storage import Storage
from cluster_worker.operations import catalogue
from cluster_worker.plan.checkpoints import START
from config.contract import recipe, resources
from config.contract.results import from_text
from tests.cluster_worker.node.runner_jobs import JOB, put, row_of, stored

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

# Only ranks of a world tell how far they have come.
RANKS = 2
# Not a multiple of a tile, and some chunks on each side.
IMAGE = np.tile(data.camera(), (3, 3))[:1300, :1111]
STEPS = [
    {"operation": "gaussian", "sigma": 2.0},
    {"operation": "threshold_otsu", "id": "mask", "keep": True},
    {"operation": "label"},
]


@pytest.fixture(autouse=True)
def large(monkeypatch):
    """Treat small images as large ones."""
    for name in ("MEMORY_BYTES_MAX", "STORE_BYTES_MIN"):
        monkeypatch.setattr(f"cluster_worker.engine.file_plans.{name}", 1 << 16)
    monkeypatch.setattr("cluster_worker.node.fetching.RANGES_BYTES_MIN", 1)
    monkeypatch.setattr("cluster_worker.node.fetching.EARLY_BYTES_MAX", 0)


def check_results(runner, s3, row):
    """Check mask and labels, which must be as they are in memory, and that nothing else is left."""
    assert row.state == "succeeded", row.reason
    expected = runner.engine.run(IMAGE, STEPS)
    keys = {each.id: each.key for each in from_text(row.results)}
    labels, mask = (
        tifffile.imread(io.BytesIO(stored(runner, s3, keys[step]))) for step in ("3", "mask")
    )
    np.testing.assert_array_equal(labels, expected.image)
    np.testing.assert_array_equal(mask != 0, expected.images["mask"] != 0)
    assert in_scratch(runner, s3) == [] == open_uploads(runner, s3)


def in_scratch(runner, s3):
    found = s3.list_objects_v2(Bucket=runner.settings.uploads_bucket, Prefix="scratch/")
    return [each["Key"] for each in found.get("Contents", ())]


def open_uploads(runner, s3):
    return s3.list_multipart_uploads(Bucket=runner.settings.results_bucket).get("Uploads", [])


def test_neither_pixels_nor_files_of_a_large_image_lie_on_the_host(runner, s3, monkeypatch):
    whole = IMAGE.nbytes
    seen, write = [], FileJob.write

    def look(file, path, number=0):
        own = file.job.task
        notes = write(file, path, number)
        folders = Path(runner.settings.spool_dir), path.parent
        files = [each for folder in folders for each in folder.rglob("*") if each.is_file()]
        seen.append((type(own.source).__name__, sum(each.stat().st_blocks for each in files) * 512))
        return notes

    monkeypatch.setattr(FileJob, "write", look)
    monkeypatch.setattr(Storage, "download", None)
    message = put(runner, s3, IMAGE, recipe.check(STEPS, catalogue(), 20), "tiff")
    assert runner.run(message) is Verdict.DONE
    row = row_of(runner, message)
    check_results(runner, s3, row)
    assert [kind for kind, _ in seen] == ["ObjectImage", "ObjectImage"]
    assert max(nbytes for _, nbytes in seen) < whole / 2
    assert row.result_bytes == len(stored(runner, s3, row.result_key))
    assert row.original_view
    assert row.result_view


def test_an_upload_that_changed_is_refused_and_one_that_is_gone(runner, s3):
    steps = recipe.check(STEPS[:1], catalogue(), 20)
    for body, said in (
        (b"another", "scan.tif: the file changed after it was accepted; upload it again"),
        (None, "scan.tif: the upload is gone; upload it again"),
    ):
        message = put(runner, s3, IMAGE, steps, "tiff")
        place = {"Bucket": runner.settings.uploads_bucket}
        place["Key"] = resources.upload_key(message.batch, JOB)
        if body is None:
            s3.delete_object(**place)
        else:
            s3.put_object(**place, Body=body)
        assert runner.run(message) is Verdict.DONE
        row = row_of(runner, message)
        assert (row.state, row.reason) == ("failed", said)


def test_a_join_that_fails_leaves_no_part_and_the_next_attempt_clears_up(runner, s3, monkeypatch):
    steps = recipe.check(STEPS[:1], catalogue(), 20)
    message = put(runner, s3, IMAGE, steps, "tiff")
    monkeypatch.setattr("cluster_worker.node.runner.BROKEN_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        # As a worker that is killed: its last calls do not arrive.
        patch.setattr(Storage, "send_parts", missing)
        assert runner.run(message) is Verdict.HAND_BACK
    assert in_scratch(runner, s3) == [] == open_uploads(runner, s3)
    row = row_of(runner, message)
    assert (row.state, row.attempt) == ("queued", 1)
    uploads, results = runner.settings.uploads_bucket, runner.settings.results_bucket
    left = f"scratch/{resources.scratch_key(message.batch, JOB, 1)}/pass-0/0-0"
    s3.put_object(Bucket=uploads, Key=left, Body=b"left by a killed worker")
    s3.create_multipart_upload(
        Bucket=results, Key=resources.result_key(message.batch, JOB, 1, "tif")
    )
    assert runner.run(message) is Verdict.DONE
    row = row_of(runner, message)
    assert (row.state, row.attempt) == ("succeeded", 2)
    assert in_scratch(runner, s3) == [] == open_uploads(runner, s3)
    content = stored(runner, s3, row.result_key)
    blurred = runner.engine.run(IMAGE, STEPS[:1])
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(content)), blurred)


def missing(*_):
    raise Broken("S3 does not answer")


def test_a_rank_that_is_killed_costs_the_pass_under_way_alone(runner, s3, monkeypatch):
    begun, note = [], Runner.note

    def watch(self, job, beat, done, total):
        if not begun and job.task.begin != START:
            begun.append(job.task.begin)
            for pid in runner.engine.pids().values():
                os.kill(pid, signal.SIGKILL)
        note(self, job, beat, done, total)

    monkeypatch.setattr(Runner, "note", watch)
    message = put(runner, s3, IMAGE, recipe.check(STEPS, catalogue(), 20), "tiff")
    assert runner.run(message) is Verdict.DONE
    assert begun
    check_results(runner, s3, row_of(runner, message))

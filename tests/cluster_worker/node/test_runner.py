"""How a worker runs a job, and how each attempt ends: a real world, an S3 and a DynamoDB."""

import math
import shutil
import threading
import time
from collections import namedtuple
from dataclasses import replace

import numpy as np
import pytest
from skimage import data

from cluster_worker.errors import DecoderDied, DecoderKilled
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.node import killed, newer
from cluster_worker.node import runner as runner_module
from cluster_worker.node.consumer import Verdict
from cluster_worker.node.table import milliseconds
from config.contract import resources
from config.contract.job import VERSION_MAX
from tests.cluster_worker.node.runner_jobs import DEEP, JOB, SIXTEEN_BITS, put, row_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_a_job_is_charged_to_its_visitor_and_so_is_one_that_fails(runner, s3):
    runner.charges.write(runner.table, 1)
    runner.run(put(runner, s3, SIXTEEN_BITS, [{"operation": "invert"}]))
    assert runner.charges.pixels[""] == SIXTEEN_BITS.size
    assert runner.charges.cpu_ms[""] > 0
    runner.run(put(runner, s3, SIXTEEN_BITS, [{"operation": "rgb2hsv"}]))
    assert runner.charges.pixels[""] == 2 * SIXTEEN_BITS.size


def test_a_job_that_is_too_long_for_its_lane_is_done_in_the_other(runner, s3, monkeypatch):
    message = put(runner, s3, SIXTEEN_BITS, [{"operation": "invert"}])
    moved = []
    monkeypatch.setattr(runner, "on_moved", moved.append)
    runner.charges.write(runner.table, 1)
    with monkeypatch.context() as patch:
        patch.setattr("cluster_worker.node.runner.INTERACTIVE_SECONDS_MAX", 0.0)
        assert runner.run(message) is Verdict.DONE
        row = row_of(runner, message)
        assert (row.state, row.lane, row.publish, row.published_at) == ("queued", "bulk", 2, 0)
        assert [each.message for each in moved] == [row.message]
        assert runner.table.published(row) == 1
        # A copy of its old message is passed over; the new one is done, however long it takes.
        assert runner.run(message) is Verdict.DONE
        assert row_of(runner, message).state == "queued"
        assert runner.run(row.message) is Verdict.DONE
    assert row_of(runner, message).state == "succeeded"
    assert runner.table.published(row) == 0
    assert runner.charges.pixels[""] == SIXTEEN_BITS.size


# What a worker of an older version does not know: an operation, a parameter, a choice; a message.
NEWER = {
    "operation": ([{"operation": "invert_twice"}], 1, 'is called "invert_twice"'),
    "parameter": ([{"operation": "invert", "twice": True}], 1, "invert has no such parameter"),
    "choice": ([{"operation": "gaussian", "mode": "later"}], 1, "must be one of"),
    "version": ([{"operation": "invert"}], VERSION_MAX + 1, f"known is {VERSION_MAX}"),
}


@pytest.fixture(params=NEWER.values(), ids=NEWER.keys())
def newer_job(request, runner, s3):
    """Store a job that needs a newer worker; return its message and what is not known."""
    steps, version, unknown = request.param
    message = put(runner, s3, SIXTEEN_BITS, steps)
    return replace(message, version=version), unknown


def test_a_job_that_a_newer_worker_must_do_is_put_off(runner, newer_job, monkeypatch):
    message, _ = newer_job
    put_off = []
    monkeypatch.setattr(runner, "on_put_off", lambda *given: put_off.append(given))
    assert runner.run(message) is Verdict.DONE
    row = row_of(runner, message)
    assert (row.state, row.publish, row.published_at, row.too_new) == ("queued", 2, 0, 1)
    assert (row.attempt, row.faults, row.lapses, row.reason) == (0, 0, 0, "")
    assert put_off == [(row, newer.WAIT_SECONDS)]
    # The sweep publishes it if this worker cannot.
    assert row.due > milliseconds() + 1000 * newer.WAIT_SECONDS
    # A copy of the old message is passed over.
    assert runner.run(message) is Verdict.DONE
    assert row_of(runner, message) == row


def test_a_job_that_no_worker_knows_fails_in_the_end(runner, newer_job, monkeypatch):
    message, unknown = newer_job
    monkeypatch.setattr(newer, "TIMES_MAX", 2)
    for publish in (1, 2):
        assert runner.run(replace(message, publish=publish)) is Verdict.DONE
    assert runner.run(replace(message, publish=3)) is Verdict.DEAD
    row = row_of(runner, message)
    assert (row.state, row.cause) == ("failed", "broken")
    assert row.reason.startswith("scan.tif: the workers of this app are too old for it (")
    assert unknown in row.reason


def test_a_job_that_a_newer_worker_has_stays_with_it(runner, newer_job, monkeypatch):
    message, _ = newer_job
    monkeypatch.setattr(newer, "WAIT_SECONDS", 0.0)
    claimed = runner.table.claim(row_of(runner, message), "newer", milliseconds())
    assert runner.run(message) is Verdict.HAND_BACK
    assert row_of(runner, message) == claimed


def test_an_upload_that_is_gone_fails_its_job(runner, s3):
    message = put(runner, s3, SIXTEEN_BITS, [{"operation": "invert"}])
    s3.delete_object(
        Bucket=runner.settings.uploads_bucket, Key=resources.upload_key(message.batch, JOB)
    )
    assert runner.run(message) is Verdict.DONE
    row = row_of(runner, message)
    assert (row.state, row.cause) == ("failed", "rejected")
    assert row.reason == "scan.tif: the upload is gone; upload it again"


def test_a_job_that_is_not_claimed_leaves_nothing_of_its_upload(runner, s3, monkeypatch):
    message = put(runner, s3, SIXTEEN_BITS, [{"operation": "invert"}])
    monkeypatch.setattr("cluster_worker.node.runner.CLAIMS_MAX", 1)
    monkeypatch.setattr("cluster_worker.node.runner.BROKEN_SECONDS", 0.0)
    monkeypatch.setattr(runner.table, "claim", lambda *_: None)
    before = set(runner.engine.segments.folder.iterdir())
    assert runner.run(message) is Verdict.HAND_BACK
    assert set(runner.engine.segments.folder.iterdir()) == before
    assert row_of(runner, message).state == "queued"


def test_a_job_is_handed_back_where_no_folder_can_be_made(runner, s3, monkeypatch, tmp_path):
    message = put(runner, s3, SIXTEEN_BITS, [{"operation": "invert"}])
    monkeypatch.setattr("cluster_worker.node.runner.BROKEN_SECONDS", 0.0)
    monkeypatch.setattr(runner.engine.segments, "folder", tmp_path / "gone")
    assert runner.run(message) is Verdict.HAND_BACK
    assert row_of(runner, message).state == "queued"


def test_a_job_for_which_there_is_no_room_is_handed_back_and_done_later(runner, s3, monkeypatch):
    monkeypatch.setattr("cluster_worker.node.runner.BROKEN_SECONDS", 0.0)
    monkeypatch.setattr("cluster_worker.engine.file_plans.MEMORY_BYTES_MAX", 0)
    message = put(runner, s3, DEEP, [{"operation": "invert"}])
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda path: usage(1 << 30, 1 << 30, 1 << 10))
        assert runner.run(message) is Verdict.HAND_BACK
        assert row_of(runner, message).state == "queued"
    assert runner.run(message) is Verdict.DONE
    row = row_of(runner, message)
    assert (row.state, row.faults) == ("succeeded", 0)


def test_a_job_that_waits_for_memory_hears_of_its_cancel(runner, s3, monkeypatch):
    monkeypatch.setattr(runner, "settings", replace(runner.settings, progress_seconds=0.1))
    monkeypatch.setattr(runner.engine.segments, "limit", 3 * SIXTEEN_BITS.nbytes)
    message = put(runner, s3, SIXTEEN_BITS, [{"operation": "invert"}])
    others = runner.engine.segments.allocate([2 * SIXTEEN_BITS.nbytes])

    def cancel():
        runner.table.cancel(row_of(runner, message), milliseconds)

    threading.Timer(0.5, cancel).start()
    try:
        assert runner.run(message) is Verdict.DONE
    finally:
        runner.engine.segments.release(others)
    assert row_of(runner, message).state == "cancelled"


def test_a_job_that_waits_for_memory_is_handed_back_when_the_node_ends(runner, s3, monkeypatch):
    monkeypatch.setattr(runner.engine.segments, "limit", 3 * SIXTEEN_BITS.nbytes)
    message = put(runner, s3, SIXTEEN_BITS, [{"operation": "invert"}])
    others = runner.engine.segments.allocate([2 * SIXTEEN_BITS.nbytes])
    runner.drain(time.monotonic() + 0.5)
    try:
        assert runner.run(message) is Verdict.HAND_BACK
    finally:
        runner.ends = math.inf
        runner.engine.segments.release(others)
    assert row_of(runner, message).state == "queued"


def die_of(error):
    def die(*_):
        raise error

    return die


def test_a_job_whose_decoders_hang_is_tried_again_and_never_rejected(runner, s3, monkeypatch):
    hangs = DecoderDied("scan.tif: the decoder hangs: it has not worked for 1200 s")
    message = put(runner, s3, SIXTEEN_BITS, [{"operation": "invert"}])
    monkeypatch.setattr(Decoder, "read_pixels", die_of(hangs))
    assert runner.run(message) is Verdict.FAULT
    assert row_of(runner, message).state == "queued"
    assert runner.run(message) is Verdict.DEAD
    row = row_of(runner, message)
    assert (row.state, row.cause) == ("failed", "broken")


def test_decoders_that_are_killed_from_outside_cost_a_job_nothing(runner, s3, monkeypatch):
    error = DecoderKilled("scan.tif: the decoder was killed 5 times (signal 9)")
    monkeypatch.setattr(runner_module, "BROKEN_SECONDS", 0.0)
    monkeypatch.setattr(runner, "killed", killed.KilledAttempts())
    message = put(runner, s3, SIXTEEN_BITS, [{"operation": "invert"}])
    with monkeypatch.context() as patch:
        patch.setattr(Decoder, "read_pixels", die_of(error))
        for _ in range(killed.ATTEMPTS_MAX):
            assert runner.run(message) is Verdict.HAND_BACK
            row = row_of(runner, message)
            assert (row.state, row.faults) == ("queued", 0)
    assert runner.run(message) is Verdict.DONE
    assert row_of(runner, message).state == "succeeded"


def test_a_file_on_which_every_decoder_is_killed_ends_in_a_fault(runner, s3, monkeypatch):
    error = DecoderKilled("scan.tif: the decoder was killed 5 times (signal 9)")
    monkeypatch.setattr(runner_module, "BROKEN_SECONDS", 0.0)
    monkeypatch.setattr(runner, "killed", killed.KilledAttempts())
    monkeypatch.setattr(killed, "ATTEMPTS_MAX", 1)
    message = put(runner, s3, SIXTEEN_BITS, [{"operation": "invert"}])
    monkeypatch.setattr(Decoder, "read_pixels", die_of(error))
    verdicts = [runner.run(message) for _ in range(3)]
    assert verdicts == [Verdict.HAND_BACK, Verdict.FAULT, Verdict.DEAD]
    row = row_of(runner, message)
    assert (row.state, row.cause) == ("failed", "broken")


def test_a_drain_hands_back_what_its_time_is_too_short_for(runner, s3):
    long = [{"operation": "denoise_nl_means", "patch_distance": 7, "fast_mode": False}]
    message = put(runner, s3, np.tile(data.camera(), (8, 8)), long, "png", "bulk")
    runner.drain(time.monotonic() + 20)
    try:
        assert runner.run(message) is Verdict.HAND_BACK
        # A job that fits into the time left is still done.
        quick = put(runner, s3, data.camera(), [{"operation": "invert"}], "png")
        assert runner.run(quick) is Verdict.DONE
    finally:
        runner.ends = math.inf
    assert row_of(runner, message).state == "queued"

"""A job on a worker, and the pictures drawn after it: a real world, moto's S3 and DynamoDB."""

import io
import math
import secrets
import shutil
import threading
import time
from collections import namedtuple
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import boto3
import numpy as np
import pytest
import tifffile
from moto.server import ThreadedMotoServer
from skimage import data

from cluster_worker.engine.engine import Engine
from cluster_worker.engine.run_stack import StackFile
from cluster_worker.errors import Cancelled, DecoderDied, Rejected
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.imagefiles.decoder_pool import Decoders
from cluster_worker.node import views
from cluster_worker.node.consumer import Verdict
from cluster_worker.node.fetching import EARLY_BYTES_MAX, Fetch
from cluster_worker.node.runner import Runner
from cluster_worker.node.storage import Storage
from cluster_worker.node.table import job_table, milliseconds
from cluster_worker.node.views import JobChecker
from cluster_worker.operations import catalogue
from cluster_worker.timings import Timings
from config.contract import recipe, resources
from config.contract.job import RECIPE_VERSION, Batch, InputFile, Job, Message, changed_at
from config.contract.results import from_text
from config.contract.settings import WorkerSettings
from tests.cluster_worker.imagefiles.test_tiles import close_to, levels_of
from tests.cluster_worker.imagefiles.test_values import values_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

REGION = "eu-central-1"
JOB = "c" * 16
KEPT = 1_800_000_900_000
# moto keeps buckets and tables as long as the process lives, so each test file uses its own names.
UPLOADS, RESULTS, TABLE = "runner-uploads", "runner-results", "runner-jobs"

DEEP = np.tile(data.camera(), (1, 9))[:300]
SIXTEEN_BITS = data.camera()[:200, :300].astype(np.uint16) * 16


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        yield WorkerSettings(
            uploads_bucket=UPLOADS,
            results_bucket=RESULTS,
            broker_url="amqp://unused",
            table=TABLE,
            s3_endpoint=url,
            dynamodb_endpoint=url,
            aws_region=REGION,
            spool_dir=str(tmp_path_factory.mktemp("spool")),
        )
    server.stop()


@pytest.fixture(scope="module")
def s3(settings):
    client = boto3.client("s3", endpoint_url=settings.s3_endpoint, region_name=REGION)
    for bucket in (UPLOADS, RESULTS):
        client.create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
    yield client
    client.close()


@pytest.fixture(scope="module")
def runner(settings, s3):
    resource = boto3.resource(
        "dynamodb", endpoint_url=settings.dynamodb_endpoint, region_name=REGION
    )
    resource.meta.client.create_table(TableName=TABLE, **resources.TABLE_SCHEMA)
    resource.meta.client.close()
    with (
        Engine(1) as engine,
        Decoders(1, engine.decoder_source.address) as decoders,
    ):
        yield Runner(settings, engine, decoders, job_table(settings), Storage(settings), "worker")


def put(runner, s3, image, steps, format="same", lane="interactive", inputs=()):
    """Store a TIFF and a queued job for it; return the message of the job."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, tile=(256, 256))
    # Each job has a batch of its own, since a worker reads a batch only once.
    batch_id = secrets.token_hex(16)
    key = resources.upload_key(batch_id, JOB)
    etag = s3.put_object(Bucket=UPLOADS, Key=key, Body=buffer.getvalue())["ETag"]
    batch = Batch(batch_id, tuple(steps), format, 0, KEPT, inputs=inputs)
    size = len(buffer.getvalue())
    kind = "image/tiff"
    job = Job(batch_id, JOB, "scan.tif", size, kind, "queued", 0, KEPT, changed_at(0, JOB), etag)
    job = replace(job, publish=1, lane=lane)
    for item in (batch.to_item(), job.to_item()):
        runner.table.access.client.put_item(TableName=TABLE, Item=item)
    return Message(batch_id, JOB, 1)


def row_of(runner, message):
    return runner.table.job(message.batch, message.job)


def stored(s3, key):
    return s3.get_object(Bucket=RESULTS, Key=key)["Body"].read()


def test_the_page_gets_the_values_of_a_tiff_of_sixteen_bits(runner, s3):
    message = put(runner, s3, SIXTEEN_BITS, [{"operation": "invert"}])
    assert runner.run(message) is Verdict.DONE
    row = row_of(runner, message)
    assert (row.state, row.dtype, row.result_dtype) == ("succeeded", "uint16", "uint16")
    assert row.views_until == 0
    for key, image in ((row.original_view, SIXTEEN_BITS), (row.result_view, 65535 - SIXTEEN_BITS)):
        assert key.endswith("-view.values")
        np.testing.assert_array_equal(values_of(stored(s3, key))[1], image)


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


def test_a_job_that_a_newer_worker_must_do_is_handed_back_as_it_is(runner, s3, monkeypatch):
    monkeypatch.setattr("cluster_worker.node.runner.UNKNOWN_SECONDS", 0.0)
    message = put(runner, s3, SIXTEEN_BITS, [{"operation": "invert"}])
    before = row_of(runner, message)
    assert runner.run(replace(message, version=RECIPE_VERSION + 1)) is Verdict.HAND_BACK
    assert row_of(runner, message) == before


MEASURED = [
    {"operation": "gaussian", "sigma": 2.0},
    {"operation": "threshold_otsu", "id": "mask", "keep": True},
    {"operation": "label"},
    {
        "operation": "regionprops_table",
        "properties": ["label", "area", "intensity_mean"],
        "intensity": "original",
        "id": "cells",
    },
    {"operation": "image_statistics", "image": "original"},
]


def test_tables_too_large_for_a_node_are_refused_before_it_reads_them(runner, s3, monkeypatch):
    monkeypatch.setattr("cluster_worker.node.results.TABLES_BYTES_MAX", 1000)
    message = put(runner, s3, SIXTEEN_BITS, recipe.check(MEASURED, catalogue(), 20))
    assert runner.run(message) is Verdict.DONE
    row = row_of(runner, message)
    assert (row.state, row.results) == ("failed", "")
    assert "MiB of numbers; at most 0 MiB are kept for one image; measure fewer" in row.reason


def test_a_stack_ends_at_the_plane_whose_table_is_one_too_many(runner, s3, monkeypatch):
    monkeypatch.setattr("cluster_worker.node.results.TABLES_BYTES_MAX", 200)
    seen, add = [], StackFile.add
    monkeypatch.setattr(StackFile, "add", lambda *given: (seen.append(given[2]), add(*given)))
    steps = recipe.check([{"operation": "image_statistics"}], catalogue(), 20)
    message = put(runner, s3, np.stack([SIXTEEN_BITS] * 20), steps)
    assert runner.run(message) is Verdict.DONE
    assert "MiB of numbers; at most 0 MiB are kept" in row_of(runner, message).reason
    # A row has six numbers of 8 bytes.
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("memory", [256 << 20, 1 << 16], ids=["held", "streamed"])
def test_a_recipe_stores_its_last_image_the_kept_ones_and_its_tables(
    runner, s3, monkeypatch, memory
):
    monkeypatch.setattr("cluster_worker.engine.file_plans.MEMORY_BYTES_MAX", memory)
    steps = recipe.check(MEASURED, catalogue(), 20)
    message = put(runner, s3, SIXTEEN_BITS, steps)
    assert runner.run(message) is Verdict.DONE
    row = row_of(runner, message)
    assert row.state == "succeeded", row.reason
    mask, labels, cells, statistics = results = from_text(row.results)
    names = [(each.id, each.operation, each.kind, each.name) for each in results]
    assert names == [
        ("mask", "threshold_otsu", "image", "scan_mask.tif"),
        ("3", "label", "image", "scan.tif"),
        ("cells", "regionprops_table", "table", "scan_cells.csv"),
        ("5", "image_statistics", "table", "scan_image_statistics.csv"),
    ]
    assert labels.key == row.result_key
    kinds = [each.image_kind for each in results]
    assert kinds == ["mask", "labels", "", ""]
    with Engine(1, warm=False) as engine:
        found = engine.run(SIXTEEN_BITS, MEASURED)
    for result, image in ((labels, found.image), (mask, found.images["mask"])):
        np.testing.assert_array_equal(tifffile.imread(io.BytesIO(stored(s3, result.key))), image)
    for result, name in ((cells, "cells"), (statistics, "image_statistics")):
        content = stored(s3, result.key)
        assert len(content) == result.bytes
        read = np.genfromtxt(io.BytesIO(content), delimiter=",", names=True, deletechars="")
        for column, _ in result.columns:
            np.testing.assert_array_equal(read[column], found.tables[name][column])
    assert cells.rows == len(found.tables["cells"]["label"])
    assert cells.columns == (("label", ""), ("area", "px²"), ("intensity_mean", "value"))
    prefix = resources.results_prefix(message.batch, JOB)
    keys = {each["Key"] for each in s3.list_objects_v2(Bucket=RESULTS, Prefix=prefix)["Contents"]}
    assert {each.key for each in results} <= keys
    assert list(Path(runner.settings.spool_dir).iterdir()) == []


def test_the_planes_of_a_stack_are_done_one_by_one(runner, s3):
    stack = np.stack([np.roll(SIXTEEN_BITS, 9 * k, axis=0) for k in range(5)])
    steps = recipe.check(MEASURED, catalogue(), 20)
    message = put(runner, s3, stack, steps)
    assert runner.run(message) is Verdict.DONE
    row = row_of(runner, message)
    assert row.state == "succeeded", row.reason
    assert (row.tiles_done, row.tiles_total) == (5, 5)
    mask, labels, cells, statistics = from_text(row.results)
    assert cells.columns[:2] == (("plane", ""), ("label", ""))
    assert statistics.rows == 5
    with Engine(1, warm=False) as engine:
        found = [engine.run(plane, MEASURED) for plane in stack]
    for result, images in (
        (labels, [each.image for each in found]),
        (mask, [each.images["mask"] for each in found]),
    ):
        with tifffile.TiffFile(io.BytesIO(stored(s3, result.key))) as file:
            np.testing.assert_array_equal(np.stack([each.asarray() for each in file.pages]), images)
    read = np.genfromtxt(io.BytesIO(stored(s3, cells.key)), delimiter=",", names=True)
    counts = [len(each.tables["cells"]["label"]) for each in found]
    np.testing.assert_array_equal(np.bincount(read["plane"].astype(int))[1:], counts)
    # The pictures for the page are those of the first plane.
    np.testing.assert_array_equal(values_of(stored(s3, row.original_view))[1], stack[0])
    assert list(Path(runner.settings.spool_dir).iterdir()) == []


def test_the_planes_of_a_stack_may_not_take_longer_than_an_image(runner, s3, monkeypatch):
    monkeypatch.setattr(runner, "settings", replace(runner.settings, job_seconds_max=1e-6))
    message = put(runner, s3, np.stack([SIXTEEN_BITS] * 5), [{"operation": "invert"}])
    assert runner.run(message) is Verdict.DONE
    assert "1 of its 5 planes took 0 s of processor time; at most" in row_of(runner, message).reason


def test_more_pixels_than_an_image_may_have_are_refused_in_a_stack(runner, s3, monkeypatch):
    for each in runner.decoders.all:
        monkeypatch.setattr(each, "pixels_max", 2 * SIXTEEN_BITS.size)
    message = put(runner, s3, np.stack([SIXTEEN_BITS] * 5), [{"operation": "invert"}])
    assert runner.run(message) is Verdict.DONE
    assert "has 5 planes of 0.3 megapixels together; at most 0.12" in row_of(runner, message).reason


@pytest.fixture
def flat(runner, s3):
    """Store an upload for another job, and return a function that makes an input of it."""

    def make(image):
        message = put(runner, s3, image, [])
        row = row_of(runner, message)
        return InputFile("input:flat", row.batch, row.job, row.etag, row.name, row.bytes)

    return make


FLAT_FIELD = [{"operation": "flat_field", "flat": "input:flat"}]


@pytest.mark.parametrize("memory", [256 << 20, 1 << 16], ids=["held", "streamed"])
def test_steps_read_the_upload_of_an_earlier_job(runner, s3, flat, monkeypatch, memory):
    monkeypatch.setattr("cluster_worker.engine.file_plans.MEMORY_BYTES_MAX", memory)
    empty = np.flip(SIXTEEN_BITS, axis=0) // 2 + 9000
    message = put(runner, s3, SIXTEEN_BITS, FLAT_FIELD, inputs=(flat(empty),))
    assert runner.run(message) is Verdict.DONE
    row = row_of(runner, message)
    assert (row.state, row.reason) == ("succeeded", "")
    with Engine(1, warm=False) as engine:
        wanted = engine.run(SIXTEEN_BITS, FLAT_FIELD, inputs={"flat": empty})
    found = tifffile.imread(io.BytesIO(stored(s3, row.result_key)))
    np.testing.assert_array_equal(found, wanted)


def test_the_other_images_of_a_job_are_charged_too(runner, s3, flat):
    empty = flat(SIXTEEN_BITS // 2 + 9000)
    for image, images in ((SIXTEEN_BITS, 2), (np.stack([SIXTEEN_BITS] * 3), 6)):
        runner.charges.write(runner.table, 1)
        runner.run(put(runner, s3, image, FLAT_FIELD, inputs=(empty,)))
        assert runner.charges.pixels[""] == images * SIXTEEN_BITS.size


def test_an_input_that_is_gone_or_has_another_size_fails_the_job(runner, s3, flat):
    small = flat(SIXTEEN_BITS[:99])
    message = put(runner, s3, SIXTEEN_BITS, FLAT_FIELD, inputs=(small,))
    assert runner.run(message) is Verdict.DONE
    row = row_of(runner, message)
    assert (row.state, row.cause) == ("failed", "rejected")
    assert row.reason.startswith(
        "scan.tif: flat_field.flat: is 99 × 300 pixels, and the image there is 200 × 300; "
    )
    s3.delete_object(Bucket=UPLOADS, Key=resources.upload_key(small.batch, small.job))
    message = put(runner, s3, SIXTEEN_BITS, FLAT_FIELD, inputs=(small,))
    assert runner.run(message) is Verdict.DONE
    assert row_of(runner, message).reason == (
        "scan.tif: input:flat: the upload is gone; upload it again"
    )


def test_a_lost_attempt_leaves_results_that_no_row_names_and_a_deletion_finds(
    runner, s3, monkeypatch
):
    message = put(runner, s3, SIXTEEN_BITS, recipe.check(MEASURED, catalogue(), 20))
    with monkeypatch.context() as patch:
        patch.setattr(runner.table, "succeed", lambda *_, **__: False)
        assert runner.run(message) is Verdict.DONE
    assert row_of(runner, message).results == ""
    assert runner.run(message) is Verdict.DONE
    row = row_of(runner, message)
    assert (row.state, row.attempt) == ("succeeded", 2)
    prefix = resources.results_prefix(message.batch, JOB)
    named = {each.key for each in from_text(row.results)}
    assert all(key.startswith(f"{prefix}2/") for key in named)
    keys = {each["Key"] for each in s3.list_objects_v2(Bucket=RESULTS, Prefix=prefix)["Contents"]}
    assert sum(key.endswith("/results/cells.csv") for key in keys) == 2
    assert named <= keys


def test_an_upload_that_is_gone_fails_its_job(runner, s3):
    message = put(runner, s3, SIXTEEN_BITS, [{"operation": "invert"}])
    s3.delete_object(Bucket=UPLOADS, Key=resources.upload_key(message.batch, JOB))
    assert runner.run(message) is Verdict.DONE
    row = row_of(runner, message)
    assert (row.state, row.cause) == ("failed", "rejected")
    assert row.reason == "scan.tif: the upload is gone; upload it again"


@pytest.fixture
def accepted(s3):
    """Return a function that stores an upload of a size in bytes and returns its job."""

    def make(size):
        row = Job("d" * 32, JOB, "a", size, "", "queued", 0, KEPT)
        key = resources.upload_key(row.batch, row.job)
        return replace(row, etag=s3.put_object(Bucket=UPLOADS, Key=key, Body=bytes(size))["ETag"])

    return make


@pytest.mark.parametrize("size", [1, EARLY_BYTES_MAX + 1], ids=["small", "large"])
def test_a_small_upload_is_fetched_before_it_is_needed(runner, accepted, tmp_path, size):
    row, path, timings = accepted(size), tmp_path / "source", Timings()
    upload = Fetch(runner.storage, path)
    # The first row is out of date, as when a row is read again before it is claimed.
    upload.begin(replace(row, etag='"other"'))
    upload.begin(row)
    if size <= EARLY_BYTES_MAX:
        assert upload.early.result()[0] == bytes(size)
    else:
        assert upload.early is None
    upload.finish(row, timings)
    assert path.read_bytes() == bytes(size)
    assert min(timings.spent["s3"]) > 0


def test_what_was_not_fetched_early_is_fetched_again(runner, accepted, tmp_path):
    row, path = accepted(5), tmp_path / "source"
    busy = Fetch(runner.storage, path)
    busy.early = Future()  # never begins: it waits behind others
    failed = Fetch(runner.storage, path)
    failed.begin(replace(row, etag='"other"'))
    for upload in (busy, failed):
        upload.finish(row, Timings())
        assert path.read_bytes() == bytes(5)
        path.unlink()


def test_the_upload_of_a_job_that_is_not_claimed_is_not_waited_for(runner, accepted, monkeypatch):
    row, slow = accepted(5), threading.Event()
    monkeypatch.setattr(runner.storage, "fetch", lambda *_: slow.wait())
    upload = Fetch(runner.storage, Path("never"))
    upload.begin(row)
    under_way = upload.early
    upload.cancel()
    assert not under_way.done() or under_way.cancelled()
    slow.set()


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


def test_a_job_whose_decoders_are_killed_is_tried_again_and_never_rejected(runner, s3, monkeypatch):
    def die(*_):
        raise DecoderDied("scan.tif: the decoder was killed 5 times (signal 9)")

    message = put(runner, s3, SIXTEEN_BITS, [{"operation": "invert"}])
    monkeypatch.setattr(Decoder, "read_pixels", die)
    assert runner.run(message) is Verdict.FAULT
    assert row_of(runner, message).state == "queued"
    assert runner.run(message) is Verdict.DEAD
    row = row_of(runner, message)
    assert (row.state, row.cause) == ("failed", "broken")


def test_a_result_that_browsers_show_needs_no_picture_of_its_own(runner, s3):
    message = put(runner, s3, data.camera()[:99], [{"operation": "invert"}], "png")
    runner.run(message)
    row = row_of(runner, message)
    assert row.original_view.endswith("/original-view.png")
    assert row.result_view == ""


@pytest.mark.parametrize("memory", [256 << 20, 1 << 19], ids=["held", "streamed"])
def test_a_large_image_gets_tiles_of_original_and_result(runner, s3, monkeypatch, tmp_path, memory):
    monkeypatch.setattr("cluster_worker.engine.file_plans.MEMORY_BYTES_MAX", memory)
    message = put(runner, s3, DEEP, [{"operation": "invert"}])
    runner.run(message)
    row = row_of(runner, message)
    assert row.state == "succeeded"
    for key, image in ((row.original_view, DEEP), (row.result_view, 255 - DEEP)):
        assert key.endswith(".tiles")
        (tmp_path / "tiles").write_bytes(stored(s3, key))
        levels = levels_of(tmp_path / "tiles")
        assert [len(each) for each in levels] == [300, 150, 75, 38, 19]
        assert close_to(levels[0], image)
    assert list(Path(runner.settings.spool_dir).iterdir()) == []


def refuse(shape, folder, name):
    raise Rejected(f"{name}: its picture does not fit")


def test_a_job_is_done_though_its_pictures_cannot_be_made(runner, s3, monkeypatch):
    message = put(runner, s3, DEEP, [{"operation": "invert"}])
    monkeypatch.setattr(views, "check_room", refuse)
    assert runner.run(message) is Verdict.DONE
    row = row_of(runner, message)
    assert row.state == "succeeded"
    assert (row.original_view, row.result_view, row.views_until) == ("", "", 0)
    assert stored(s3, row.result_key)


def test_a_node_that_has_to_end_makes_no_more_pictures(runner, s3):
    message = put(runner, s3, DEEP, [{"operation": "invert"}])
    runner.draining.set()
    try:
        assert runner.run(message) is Verdict.DONE
    finally:
        runner.draining.clear()
    row = row_of(runner, message)
    assert (row.state, row.original_view) == ("succeeded", "")


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


def test_pictures_of_a_job_that_was_deleted_are_not_wanted(runner, s3):
    message = put(runner, s3, SIXTEEN_BITS, [{"operation": "invert"}])
    runner.run(message)
    row = row_of(runner, message)
    checker = JobChecker(runner.table, row, threading.Event())
    checker.check_now()
    runner.table.access.client.put_item(
        TableName=TABLE, Item=replace(row, state="expired").to_item()
    )
    with pytest.raises(Cancelled):
        checker.check_now()
    assert not runner.table.add_views(row, 1, original_view="k")

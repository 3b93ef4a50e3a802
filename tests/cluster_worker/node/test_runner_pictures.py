"""The pictures that a worker draws for the page, after the job."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from cluster_worker.errors import Cancelled, Rejected
from cluster_worker.node import views
from cluster_worker.node.consumer import Verdict
from cluster_worker.node.views import JobChecker
from tests.cluster_worker.imagefiles.test_tiles import close_to, levels_of
from tests.cluster_worker.imagefiles.test_values import values_of
from tests.cluster_worker.node.runner_jobs import DEEP, SIXTEEN_BITS, put, row_of, stored

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_the_page_gets_the_values_of_a_tiff_of_sixteen_bits(runner, s3):
    message = put(runner, s3, SIXTEEN_BITS, [{"operation": "invert"}])
    assert runner.run(message) is Verdict.DONE
    row = row_of(runner, message)
    assert (row.state, row.dtype, row.result_dtype) == ("succeeded", "uint16", "uint16")
    assert row.views_until == 0
    for key, image in ((row.original_view, SIXTEEN_BITS), (row.result_view, 65535 - SIXTEEN_BITS)):
        assert key.endswith("-view.values")
        np.testing.assert_array_equal(values_of(stored(runner, s3, key))[1], image)


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
        (tmp_path / "tiles").write_bytes(stored(runner, s3, key))
        levels = levels_of(tmp_path / "tiles")
        assert [len(each) for each in levels] == [300, 150, 75, 38, 19]
        assert close_to(levels[0], image)
    assert list(Path(runner.settings.spool_dir).iterdir()) == []


def test_a_result_with_more_pixels_than_are_read_at_once_gets_tiles(runner, s3, monkeypatch):
    monkeypatch.setattr("cluster_worker.engine.file_plans.MEMORY_BYTES_MAX", 1 << 19)
    (decoder,) = runner.decoders.all
    few = DEEP.size - 1

    def begin(*_):
        monkeypatch.setattr(decoder, "pixels_max", few)

    # It is called before each picture.
    monkeypatch.setattr(views, "check_room", begin)
    message = put(runner, s3, DEEP, [{"operation": "invert"}])
    runner.run(message)
    row = row_of(runner, message)
    assert (row.state, decoder.pixels_max) == ("succeeded", few)
    assert row.original_view.endswith(".tiles")
    assert row.result_view.endswith(".tiles")


def refuse(shape, folder, name):
    raise Rejected(f"{name}: its picture does not fit")


def test_a_job_is_done_though_its_pictures_cannot_be_made(runner, s3, monkeypatch):
    message = put(runner, s3, DEEP, [{"operation": "invert"}])
    monkeypatch.setattr(views, "check_room", refuse)
    assert runner.run(message) is Verdict.DONE
    row = row_of(runner, message)
    assert row.state == "succeeded"
    assert (row.original_view, row.result_view, row.views_until) == ("", "", 0)
    assert stored(runner, s3, row.result_key)


def test_a_node_that_has_to_end_makes_no_more_pictures(runner, s3):
    message = put(runner, s3, DEEP, [{"operation": "invert"}])
    runner.draining.set()
    try:
        assert runner.run(message) is Verdict.DONE
    finally:
        runner.draining.clear()
    row = row_of(runner, message)
    assert (row.state, row.original_view) == ("succeeded", "")


def test_pictures_of_a_job_that_was_deleted_are_not_wanted(runner, s3):
    message = put(runner, s3, SIXTEEN_BITS, [{"operation": "invert"}])
    runner.run(message)
    row = row_of(runner, message)
    checker = JobChecker(runner.table, row, threading.Event())
    checker.check_now()
    runner.table.access.client.put_item(
        TableName=runner.settings.table, Item=replace(row, state="expired").to_item()
    )
    with pytest.raises(Cancelled):
        checker.check_now()
    assert not runner.table.add_views(row, 1, original_view="k")

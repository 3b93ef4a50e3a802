"""What a worker stores of a recipe: kept images, tables, stacks and other images."""

import io
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cluster_worker.engine.engine import Engine
from cluster_worker.engine.run_stack import StackFile
from cluster_worker.node.consumer import Verdict
from cluster_worker.operations import catalogue
from config.contract import recipe, resources
from config.contract.job import InputFile
from config.contract.results import from_text
from tests.cluster_worker.imagefiles.test_values import values_of
from tests.cluster_worker.node.runner_jobs import JOB, SIXTEEN_BITS, put, row_of, stored

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

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


def keys_below(runner, s3, prefix):
    found = s3.list_objects_v2(Bucket=runner.settings.results_bucket, Prefix=prefix)
    return {each["Key"] for each in found["Contents"]}


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
    # A row has seven numbers of 8 bytes.
    assert seen == [0, 1, 2, 3]


@pytest.mark.parametrize("memory", [256 << 20, 0], ids=["held", "streamed"])
def test_a_result_is_written_as_its_batch_says(runner, s3, monkeypatch, memory):
    monkeypatch.setattr("cluster_worker.engine.file_plans.MEMORY_BYTES_MAX", memory)
    steps = recipe.check([{"operation": "flip"}], catalogue(), 20)
    write = {"layout": "cog", "compression": "zstd"}
    message = put(runner, s3, SIXTEEN_BITS, steps, "tiff", write=write)
    assert runner.run(message) is Verdict.DONE
    row = row_of(runner, message)
    assert row.state == "succeeded", row.reason
    with tifffile.TiffFile(io.BytesIO(stored(runner, s3, row.result_key))) as file:
        page = file.pages.first
        assert (page.compression.name, page.is_tiled, page.offset) == ("ZSTD", True, 8)
        assert len(file.pages) == 1 + (max(SIXTEEN_BITS.shape) > 256)
        np.testing.assert_array_equal(page.asarray(), SIXTEEN_BITS[:, ::-1])


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
    with Engine(1, beside=runner.engine) as engine:
        found = engine.run(SIXTEEN_BITS, MEASURED)
    for result, image in ((labels, found.image), (mask, found.images["mask"])):
        written = tifffile.imread(io.BytesIO(stored(runner, s3, result.key)))
        np.testing.assert_array_equal(written, image)
    for result, name in ((cells, "cells"), (statistics, "image_statistics")):
        content = stored(runner, s3, result.key)
        assert len(content) == result.bytes
        read = np.genfromtxt(io.BytesIO(content), delimiter=",", names=True, deletechars="")
        for column, _ in result.columns:
            np.testing.assert_array_equal(read[column], found.tables[name][column])
    assert cells.rows == len(found.tables["cells"]["label"])
    assert cells.columns == (("label", ""), ("area", "px²"), ("intensity_mean", "value"))
    prefix = resources.results_prefix(message.batch, JOB)
    keys = keys_below(runner, s3, prefix)
    assert {each.key for each in results} <= keys
    assert list(Path(runner.settings.spool_dir).iterdir()) == []


@pytest.mark.parametrize("shape", [(60, 80), (2, 60, 80)], ids=["image", "stack"])
def test_a_table_tells_the_size_of_the_pixels_that_it_measures(runner, s3, shape):
    image = np.resize(SIXTEEN_BITS, shape)
    # Half as many pixels as the file has are measured.
    size = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5}
    tags = {"ome": True, "metadata": {"axes": "ZYX"[-image.ndim :], **size}}
    half = {"operation": "rescale", "scale": 0.5}
    steps = recipe.check([half, {"operation": "image_statistics"}], catalogue(), 20)
    message = put(runner, s3, image, steps, **tags)
    assert runner.run(message) is Verdict.DONE
    *_, table = from_text(row_of(runner, message).results)
    assert table.pixel_size == pytest.approx((1e-6, 0.5e-6))
    message = put(runner, s3, image, steps)
    assert runner.run(message) is Verdict.DONE
    *_, table = from_text(row_of(runner, message).results)
    assert table.pixel_size is None


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
    with Engine(1, beside=runner.engine) as engine:
        found = [engine.run(plane, MEASURED) for plane in stack]
    for result, images in (
        (labels, [each.image for each in found]),
        (mask, [each.images["mask"] for each in found]),
    ):
        with tifffile.TiffFile(io.BytesIO(stored(runner, s3, result.key))) as file:
            np.testing.assert_array_equal(np.stack([each.asarray() for each in file.pages]), images)
    read = np.genfromtxt(io.BytesIO(stored(runner, s3, cells.key)), delimiter=",", names=True)
    counts = [len(each.tables["cells"]["label"]) for each in found]
    np.testing.assert_array_equal(np.bincount(read["plane"].astype(int))[1:], counts)
    # The pictures for the page are those of the first plane.
    np.testing.assert_array_equal(values_of(stored(runner, s3, row.original_view))[1], stack[0])
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
    with Engine(1, beside=runner.engine) as engine:
        wanted = engine.run(SIXTEEN_BITS, FLAT_FIELD, inputs={"flat": empty})
    found = tifffile.imread(io.BytesIO(stored(runner, s3, row.result_key)))
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("planes", [1, 5])
def test_the_pixels_of_other_images_count_to_the_visitor(runner, s3, flat, planes):
    image = SIXTEEN_BITS if planes == 1 else np.stack([SIXTEEN_BITS] * planes)
    message = put(runner, s3, image, FLAT_FIELD, inputs=(flat(SIXTEEN_BITS),))
    before = Counter(runner.charges.pixels)
    assert runner.run(message) is Verdict.DONE
    row = row_of(runner, message)
    assert (row.state, row.reason) == ("succeeded", "")
    used = runner.charges.pixels - before
    # Each plane, and for each of them the other image.
    wanted = 2 * planes * SIXTEEN_BITS.size
    assert used == {row.visitor: wanted, resources.ALL_VISITORS: wanted}


def test_an_input_that_is_gone_or_has_another_size_fails_the_job(runner, s3, flat):
    small = flat(SIXTEEN_BITS[:99])
    message = put(runner, s3, SIXTEEN_BITS, FLAT_FIELD, inputs=(small,))
    assert runner.run(message) is Verdict.DONE
    row = row_of(runner, message)
    assert (row.state, row.cause) == ("failed", "rejected")
    assert row.reason.startswith(
        "scan.tif: flat_field.flat: is 99 × 300 pixels, and the image there is 200 × 300; "
    )
    s3.delete_object(
        Bucket=runner.settings.uploads_bucket, Key=resources.upload_key(small.batch, small.job)
    )
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
    keys = keys_below(runner, s3, prefix)
    assert sum(key.endswith("/results/cells.csv") for key in keys) == 2
    assert named <= keys

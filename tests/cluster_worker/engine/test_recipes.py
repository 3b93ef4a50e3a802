"""Recipes on ranks: masks, second images, kept images and several sources, in memory."""

from pathlib import Path

import numpy as np
import pytest
from skimage import data, filters, measure, util

from cluster_worker import Engine, Rejected
from cluster_worker.engine.results import Results
from tests.infra.processes import eventually

CAMERA = data.camera()[:300, :401].copy()
FLAT = (np.hypot(*np.indices(CAMERA.shape)) / 4 + 90).astype(np.uint16)
STEPS = [
    {"operation": "flat_field", "flat": "input:flat", "id": "even", "keep": True},
    {"operation": "gaussian", "sigma": 2.0},
    {"operation": "threshold_otsu", "id": "mask", "keep": True},
    {"operation": "sobel", "image": "even", "mask": "mask"},
]


@pytest.fixture(scope="module", params=[1, 2, 3])
def engine(request, warm_engine):
    with Engine(ranks=request.param, core=(64, 90), beside=warm_engine) as made:
        yield made


@pytest.mark.timeout(200)
def test_a_recipe_gives_the_same_on_any_number_of_ranks(engine):
    seen = []
    found = engine.run(CAMERA, STEPS, inputs={"flat": FLAT}, progress=lambda *n: seen.append(n))
    assert isinstance(found, Results)
    even = CAMERA / np.float32(255) / (FLAT / np.float32(65535)) * (FLAT.mean() / 65535)
    assert abs(found.images["even"] - even.clip(0, 1) * 255).max() < 0.501
    smooth = filters.gaussian(even, 2.0)
    mask = found.images["mask"]
    assert ((mask == 255) != (smooth > filters.threshold_otsu(smooth))).mean() < 1e-3
    expected = filters.sobel(even, mask=mask > 0)
    assert abs(found.image - expected.clip(0, 1) * 255).max() < 0.501
    assert seen[-1][0] == seen[-1][1]
    assert not found.tables


def test_a_recipe_of_one_image_gives_an_array(engine):
    steps = [{"operation": "subtract", "other": "input:dark"}]
    found = engine.run(CAMERA, steps, "native", inputs={"dark": CAMERA // 3})
    np.testing.assert_array_equal(found, CAMERA - CAMERA // 3)
    # The memory of a job is released: a plain chain runs as before.
    plain = engine.run(CAMERA, [{"operation": "invert"}])
    np.testing.assert_array_equal(plain, util.invert(CAMERA))


def test_a_held_image_may_be_the_first_of_two(engine):
    with engine.hold(CAMERA) as held:
        steps = [{"operation": "maximum", "other": "input:flat"}]
        other = np.ascontiguousarray(CAMERA[::-1])
        with engine.run(held, steps, inputs={"flat": other}) as found:
            np.testing.assert_array_equal(found.array, np.maximum(CAMERA, other))
        kept = [{"operation": "gaussian", "id": "smooth", "keep": True}]
        with pytest.raises(Rejected, match=r"^steps: keep images or give tables"):
            engine.run(held, kept)


MEASURED = ("label", "area", "bbox", "centroid", "intensity_mean", "eccentricity", "perimeter")
COUNT = [
    {"operation": "gaussian", "sigma": 2.0},
    {"operation": "threshold_otsu"},
    {"operation": "label"},
    {"operation": "regionprops_table", "properties": MEASURED, "intensity": "original"},
]


@pytest.mark.timeout(400)
def test_a_table_has_the_numbers_of_scikit_image_on_any_number_of_ranks(engine, tmp_path):
    found = engine.run(CAMERA, COUNT)
    smooth = filters.gaussian(util.img_as_float32(CAMERA), 2.0)
    labels = measure.label(smooth > filters.threshold_otsu(smooth))
    np.testing.assert_array_equal(found.image, labels)
    table = found.tables["regionprops_table"]
    expected = measure.regionprops_table(labels, CAMERA, properties=MEASURED)
    assert list(table) == list(expected)
    for name, column in expected.items():
        np.testing.assert_allclose(table[name], column, rtol=1e-9, atol=1e-9)
    assert not list(engine.segments.folder.glob("table-*"))
    table.to_csv(tmp_path / "cells.csv")
    first, *rows = (tmp_path / "cells.csv").read_text().splitlines()
    assert first.split(",") == list(expected)
    assert len(rows) == labels.max()
    written = np.array([[float(each) for each in row.split(",")] for row in rows])
    np.testing.assert_array_equal(written, np.column_stack(list(table.values())))


def test_a_table_counts_as_shared_memory_until_its_job_is_closed(engine):
    segments = engine.segments
    before = segments.taken
    with engine.prepare(CAMERA.shape, "uint8", COUNT) as job:
        job.source[...] = CAMERA
        images = segments.taken
        job.start()
        job.wait()
        size = sum(Path(each).stat().st_size for each in job.task.tables)
        assert size > 0
        # It is counted right after `wait` returns.
        eventually(lambda: segments.taken == images + size)
    eventually(lambda: segments.taken == before)


def test_a_table_of_an_image_without_regions_has_no_rows(engine):
    found = engine.run(np.zeros((90, 80), bool), COUNT[3:])
    assert all(each.size == 0 for each in found.tables["regionprops_table"].values())
    np.testing.assert_array_equal(found.image, np.zeros((90, 80)))


def test_a_property_that_needs_intensities_is_refused_without_them(engine):
    steps = [COUNT[3] | {"intensity": None}]
    with pytest.raises(Rejected, match=r"^regionprops_table: properties: 'intensity_mean' needs"):
        engine.run(CAMERA > 90, steps)


def test_what_an_operation_refuses_is_raised_from_all_ranks(engine):
    steps = [{"operation": "sobel", "mask": "input:levels"}]
    with pytest.raises(Rejected, match=r"^sobel.mask: takes a mask, got a picture of"):
        engine.run(CAMERA, steps, inputs={"levels": CAMERA})
    with pytest.raises(Rejected, match=r"^inputs.unread: no step reads input:unread"):
        engine.run(CAMERA, [{"operation": "sobel"}], inputs={"unread": CAMERA})

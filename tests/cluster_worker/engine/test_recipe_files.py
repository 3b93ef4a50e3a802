"""Recipes from file to file: several sources, kept images and tables, in memory and by windows."""

import csv

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data, measure

from cluster_worker import Engine, Rejected

CAMERA = np.tile(data.camera()[:400, :500], (2, 2))
FLAT = (np.hypot(*np.indices(CAMERA.shape)) / 8 + 90).astype(np.uint8)
STEPS = [
    {"operation": "flat_field", "flat": "input:flat", "id": "even", "keep": True},
    {"operation": "gaussian", "sigma": 3.0},
    {"operation": "threshold_otsu", "id": "mask", "keep": True},
    {"operation": "label"},
    {
        "operation": "regionprops_table",
        "id": "cells",
        "properties": ["label", "area", "bbox", "intensity_mean"],
        "intensity": "original",
    },
]


@pytest.fixture(scope="module")
def engine(warm_engine):
    with Engine(ranks=2, beside=warm_engine) as made:
        yield made


@pytest.fixture
def files(tmp_path):
    tifffile.imwrite(tmp_path / "in.tif", CAMERA, tile=(256, 256), compression="zlib")
    tifffile.imwrite(tmp_path / "flat.tif", FLAT, tile=(256, 256))
    Image.fromarray(FLAT).save(tmp_path / "flat.png")
    return tmp_path


@pytest.fixture
def streamed(monkeypatch):
    monkeypatch.setattr("cluster_worker.engine.file_plans.MEMORY_BYTES_MAX", 0)


def run(engine, folder, flat="flat.tif", steps=STEPS, target="out.tif"):
    inputs = {"flat": folder / flat}
    return engine.run_file(folder / "in.tif", folder / target, steps, inputs=inputs)


def results_in(folder):
    return {each.name for each in folder.iterdir()} - {"in.tif", "flat.tif", "flat.png"}


def assert_results(engine, folder):
    assert results_in(folder) == {"out.tif", "out_even.tif", "out_mask.tif", "out_cells.csv"}
    found = engine.run(CAMERA, STEPS, inputs={"flat": FLAT})
    np.testing.assert_array_equal(tifffile.imread(folder / "out.tif"), found.image)
    for name, expected in found.images.items():
        np.testing.assert_array_equal(tifffile.imread(folder / f"out_{name}.tif"), expected)
    with (folder / "out_cells.csv").open() as file:
        rows = list(csv.DictReader(file))
    expected = measure.regionprops_table(found.image, CAMERA, STEPS[-1]["properties"])
    for name, column in expected.items():
        values = [float(row[name]) for row in rows]
        np.testing.assert_allclose(values, column, rtol=1e-12)


@pytest.mark.timeout(300)
def test_kept_images_and_tables_are_written_beside_the_target(engine, files):
    assert run(engine, files) == ()
    assert_results(engine, files)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("flat", ["flat.tif", "flat.png"])
def test_several_files_are_read_by_windows_side_by_side(engine, files, streamed, flat):
    run(engine, files, flat)
    assert_results(engine, files)


def test_after_an_error_no_result_is_there(engine, files):
    steps = [*STEPS[:3], {"operation": "sobel", "mask": "original"}]
    with pytest.raises(Rejected, match=r"^sobel.mask: takes a mask"):
        run(engine, files, steps=steps)
    with pytest.raises(Rejected, match=r"missing.tif: no such file$"):
        run(engine, files, "missing.tif")
    assert results_in(files) == set()


def test_a_kept_image_that_the_format_cannot_hold_becomes_a_note_or_an_error(engine, files):
    steps = [{"operation": "add", "other": "input:flat", "id": "sum", "keep": True}]
    steps += [{"operation": "threshold", "level": 0.4}]
    assert run(engine, files, steps=steps, target="out.jpg") == (
        "written as JPEG, which blurs a mask; choose PNG",
    )
    assert results_in(files) == {"out.jpg", "out_sum.jpg"}


def test_areas_come_in_micrometres_from_the_file(engine, tmp_path):
    size = {"PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5}
    metadata = size | {"PhysicalSizeYUnit": "µm", "axes": "YX"}
    tifffile.imwrite(tmp_path / "in.ome.tif", CAMERA[:200, :300], metadata=metadata)
    table = {"operation": "regionprops_table", "properties": ["num_pixels", "area"]}
    steps = [{"operation": "threshold_otsu"}, STEPS[3], table | {"unit": "micrometre"}]
    engine.run_file(tmp_path / "in.ome.tif", tmp_path / "out.tif", steps)
    with (tmp_path / "out_regionprops_table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert all(float(each["area_um2"]) == int(each["num_pixels"]) / 4 for each in rows)


def test_a_kept_image_does_not_take_the_place_of_a_source(engine, files):
    steps = [{"operation": "add", "other": "input:flat", "id": "sum", "keep": True}]
    steps.append({"operation": "invert"})
    source = files / "out_sum.tif"
    (files / "in.tif").rename(source)
    before = source.read_bytes()
    with pytest.raises(Rejected, match=r"out_sum\.tif: is read, and would be replaced by the"):
        engine.run_file(source, files / "out.tif", steps, inputs={"flat": files / "flat.tif"})
    assert source.read_bytes() == before

"""Large files that are not read by windows are decoded to disk, row by row (memory simulated)."""

import numpy as np
import pytest
from PIL import Image
from skimage import data

from cluster_worker import Engine
from cluster_worker.engine.file_to_file import open_file
from cluster_worker.imagefiles.codecs import mapped
from tests.cluster_worker.imagefiles.image_files import read

PHOTOGRAPH = np.tile(data.astronaut(), (2, 2, 1))[:777, :901]
STEPS = [{"operation": "gaussian", "sigma": 2}, {"operation": "invert"}]


@pytest.fixture(scope="module")
def engine(warm_engine):
    with Engine(ranks=2, beside=warm_engine) as engine:
        yield engine


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_a_jpeg_and_a_png_beyond_memory_give_the_pixels_of_an_array(
    engine, monkeypatch, tmp_path, ending
):
    monkeypatch.setattr("cluster_worker.engine.file_plans.MEMORY_BYTES_MAX", 0)
    path, target = tmp_path / f"in.{ending}", tmp_path / "out.tif"
    Image.fromarray(PHOTOGRAPH).save(path)
    with open_file(engine, path, target, STEPS) as file:
        assert file.is_streamed
        assert file.unrolled is not None
        assert not file.reads_file
    engine.run_file(path, target, STEPS)
    pixels = np.asarray(Image.open(path))
    np.testing.assert_array_equal(read(target)[1], engine.run(pixels, STEPS))
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted((path.name, target.name))


def test_a_turned_photograph_is_decoded_in_memory(engine, monkeypatch, tmp_path):
    monkeypatch.setattr("cluster_worker.engine.file_plans.MEMORY_BYTES_MAX", 0)
    path, exif = tmp_path / "in.jpg", Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PHOTOGRAPH).save(path, exif=exif)
    with open_file(engine, path, tmp_path / "out.tif", STEPS) as file:
        assert not file.is_streamed


def test_a_large_file_is_mapped_and_decoded_as_one_that_is_read(monkeypatch, tmp_path):
    path = tmp_path / "in.jpg"
    Image.fromarray(PHOTOGRAPH).save(path)
    expected = read(path)[1]
    monkeypatch.setattr(mapped, "READ_BYTES_MAX", 0)
    np.testing.assert_array_equal(read(path)[1], expected)

"""Statistics over a whole stack, as scikit-image gives them for the array of three axes."""

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import exposure, filters

from cluster_worker import cli
from cluster_worker.engine.engine import Engine
from cluster_worker.errors import Rejected
from cluster_worker.pixels.stack import Choice

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def engine(warm_engine):
    with Engine(ranks=2, beside=warm_engine) as started:
        yield started


@pytest.fixture
def volume(tmp_path):
    random = np.random.default_rng(8)
    planes = [random.normal(60 + 25 * z, 12, (40, 50)) for z in range(4)]
    image = np.clip(planes, 0, 255).astype(np.uint8)
    path = tmp_path / "in.ome.tif"
    tifffile.imwrite(path, image, ome=True, metadata={"axes": "ZYX", "PhysicalSizeX": 0.5})
    return path, image


def done(engine, path, steps, **options):
    target = path.with_name("out.ome.tif")
    notes = engine.run_file(path, target, steps, **options)
    with tifffile.TiffFile(target) as file:
        return file.asarray(), file.series[0].axes, notes


THRESHOLDS = ["otsu", "mean", "yen", "isodata", "triangle", "minimum"]


@pytest.mark.parametrize("name", THRESHOLDS)
def test_a_threshold_is_that_of_the_array_of_three_axes(engine, volume, name):
    path, image = volume
    steps = [{"operation": f"threshold_{name}"}]
    found, axes, _ = done(engine, path, steps, across="stack")
    np.testing.assert_array_equal(found > 0, image > getattr(filters, f"threshold_{name}")(image))
    assert axes == "ZYX"
    each, _, _ = done(engine, path, steps)
    assert (found != each).any()


def test_contrast_is_that_of_the_array_of_three_axes(engine, volume):
    path, image = volume
    found, _, _ = done(engine, path, [{"operation": "equalize_hist"}], across="stack")
    right = exposure.equalize_hist(image) * 255
    assert abs(found - right).max() <= 0.51
    steps = [{"operation": "rescale_intensity"}, {"operation": "invert"}]
    found, _, _ = done(engine, path, steps, across="stack")
    right = 255 - exposure.rescale_intensity(image).astype(float)
    assert abs(found - right).max() <= 1


def test_the_chosen_planes_are_the_stack(engine, volume):
    path, image = volume
    steps = [{"operation": "threshold_mean"}]
    found, _, _ = done(engine, path, steps, across="stack", choice=Choice(z="2..3"))
    np.testing.assert_array_equal(found > 0, image[1:3] > image[1:3].mean())


def test_a_table_is_of_the_whole_stack(engine, volume):
    path, image = volume
    done(engine, path, [{"operation": "image_statistics", "id": "t"}], across="stack")
    rows = path.with_name("out.ome_t.csv").read_text().splitlines()
    assert len(rows) == 2
    assert float(rows[1].split(",")[1]) == image.size


def test_what_looks_at_neighbours_is_refused(engine, volume):
    path, _ = volume
    steps = [{"operation": "invert"}, {"operation": "gaussian"}]
    said = r"steps\[1\]: gaussian looks at more than single pixels"
    with pytest.raises(Rejected, match=said):
        done(engine, path, steps, across="stack")


def test_planes_of_different_sizes_are_refused(engine, tmp_path):
    path = tmp_path / "in.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(np.zeros((20, 30), np.uint8))
        file.write(np.zeros((20, 31), np.uint8))
    with pytest.raises(Rejected, match="plane 2 of 2 is of another size or type than the first"):
        engine.run_file(path, tmp_path / "o.tif", [{"operation": "threshold_otsu"}], across="stack")


def test_the_shell_has_the_switch(volume):
    path, image = volume
    target = path.with_name("o.tif")
    words = ["run", str(path), str(target), "threshold_otsu", "--across", "stack", "--ranks", "1"]
    assert cli.main(words) == 0
    right = image > filters.threshold_otsu(image)
    np.testing.assert_array_equal(tifffile.imread(target) > 0, right)


def test_a_large_animation_is_one_image_in_memory(engine, monkeypatch, tmp_path):
    path, target = tmp_path / "in.png", tmp_path / "out.tif"
    frames = [np.full((90, 80), 40 * number + 20, np.uint8) for number in range(3)]
    first, *others = map(Image.fromarray, frames)
    first.save(path, save_all=True, append_images=others)
    monkeypatch.setattr("cluster_worker.engine.file_plans.MEMORY_BYTES_MAX", 0)
    engine.run_file(path, target, [{"operation": "threshold_mean"}], across="stack")
    found = tifffile.imread(target) > 0
    assert found.reshape(3, -1).mean(axis=1).tolist() == [0, 0, 1]


def test_second_images_are_refused_in_a_sentence(engine, volume):
    path, _ = volume
    steps = [{"operation": "equalize_hist", "mask": "input:m"}]
    with pytest.raises(Rejected, match="second images are not possible with --across stack, got m"):
        done(engine, path, steps, across="stack", inputs={"m": path})

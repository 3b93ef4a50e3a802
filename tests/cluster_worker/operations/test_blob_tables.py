"""Blobs: scikit-image's, in its order, whatever the tiles."""

from functools import reduce

import numpy as np
import pytest
from scipy import ndimage
from skimage.feature import blob_dog, blob_log

from cluster_worker.operations import blob_tables
from cluster_worker.pixels.tiling import Place, tiles

SHAPE = (70, 90)
CORES = (SHAPE, (24, 45), (64, 64), (9, 90))


def table(measure, halo, image, core, sizes, others):
    """Find the blobs of an image in tiles."""
    found = []
    for tile in tiles(SHAPE, core):
        window = tile.grown(halo).clipped(SHAPE)
        block = image[window.slices]
        threshold = others.get("threshold")
        found.append(measure(block, Place(window, tile, SHAPE), **sizes, threshold=threshold))
    return blob_tables.finish(reduce(blob_tables.combine, found), SHAPE, **others)


def spots(kind):
    rng = np.random.default_rng(0)
    image = np.zeros(SHAPE)
    image[rng.integers(0, 70, 40), rng.integers(0, 90, 40)] = rng.uniform(1, 3, 40)
    image = ndimage.gaussian_filter(image, 1.5) * 12 + ndimage.gaussian_filter(image, 4) * 30
    image = image / image.max()
    return (image * 255).astype(kind) if kind == "uint8" else image.astype(kind)


OTHERS = (
    {"threshold": 0.05},
    {"threshold": 0.02, "overlap": 0.9, "exclude_border": 6},
    {"threshold": None, "threshold_rel": 0.2, "overlap": 0.1},
)


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize("others", OTHERS)
@pytest.mark.parametrize("log_scale", [False, True])
def test_blobs_of_laplacians_equal_scikit_image(kind, others, log_scale):
    image = spots(kind)
    sizes = {"min_sigma": 1, "max_sigma": 8, "num_sigma": 5, "log_scale": log_scale}
    expected = blob_log(image, **sizes, **others)
    assert len(expected) > 3
    for core in CORES:
        halo = blob_tables.log_halo(8)
        found = table(blob_tables.measure_log, halo, image, core, sizes, others)
        np.testing.assert_array_equal(np.column_stack(list(found.values())), expected)


@pytest.mark.parametrize("kind", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("others", OTHERS)
def test_blobs_of_differences_equal_scikit_image(kind, others):
    image = spots(kind)
    sizes = {"min_sigma": 1, "max_sigma": 7, "sigma_ratio": 1.5}
    expected = blob_dog(image, **sizes, **others)
    assert len(expected) > 3
    for core in CORES:
        halo = blob_tables.dog_halo(**sizes)
        found = table(blob_tables.measure_dog, halo, image, core, sizes, others)
        np.testing.assert_array_equal(np.column_stack(list(found.values())), expected)


def test_a_black_image_has_no_blobs():
    image, sizes = np.zeros(SHAPE), {"max_sigma": 5, "num_sigma": 3}
    for core in CORES:
        found = table(blob_tables.measure_log, 21, image, core, sizes, {"threshold": None})
        assert {each.size for each in found.values()} == {0}
        assert len(blob_log(image, **sizes, threshold=None)) == 0

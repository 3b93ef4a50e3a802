"""Basins whose markers rise in their order in the image."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import segmentation

from cluster_worker.kernels import basins
from tests.cluster_worker.operations.reference.segmentation import flooded_by_position


def drawn(seed, levels, shape=(40, 57)):
    random = np.random.default_rng(seed)
    relief = random.integers(0, levels, shape) - levels / 2
    markers = (random.random(shape) < 0.1) * random.integers(1, 9, shape)
    return relief, markers, random.random(shape) < 0.8


@pytest.mark.parametrize("connectivity", [1, 2])
@pytest.mark.parametrize("levels", [1, 2, 5, 40, 100_000])
def test_markers_of_the_same_level_rise_in_reading_order(levels, connectivity):
    for shape in ((1, 1), (1, 30), (3, 2), (40, 57)):
        relief, markers, mask = drawn(levels, levels, shape)
        for within in (None, mask):
            for dtype in (np.int32, np.int64, np.uint32):
                given = markers.astype(dtype)
                found = basins.watershed_by_position(relief, given, connectivity, within)
                expected = flooded_by_position(relief, given, connectivity, within)
                assert found.dtype == dtype
                np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("connectivity", [1, 2])
def test_without_equal_levels_basins_are_those_of_scikit_image(connectivity):
    _, markers, mask = drawn(3, 9)
    relief = np.random.default_rng(4).permutation(markers.size).reshape(markers.shape) / 7
    found = basins.watershed_by_position(relief, markers, connectivity, mask)
    expected = segmentation.watershed(relief, markers, connectivity, mask=mask)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("levels", [1, 3, 30])
def test_a_connected_region_of_the_mask_alone_has_the_same_basins(levels):
    relief, markers, mask = drawn(levels + 5, levels)
    whole = basins.watershed_by_position(relief, markers, 1, mask)
    regions, number = ndimage.label(mask)
    for region in range(1, number + 1):
        alone = basins.watershed_by_position(relief, markers, 1, regions == region)
        np.testing.assert_array_equal(alone[regions == region], whole[regions == region])


def test_both_zeros_are_one_level():
    relief = np.array([[0, -0.0, 1, -0.0, 0, 2, -1, 2]])
    markers = np.array([[0, 1, 0, 0, 2, 0, 3, 0]])
    np.testing.assert_array_equal(
        basins.watershed_by_position(relief, markers, 1), flooded_by_position(relief, markers, 1)
    )

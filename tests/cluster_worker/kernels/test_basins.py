"""Basins equal scikit-image's, even where many pixels have the same level."""

import numpy as np
import pytest
from skimage import segmentation

from cluster_worker.kernels import basins


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("connectivity", [1, 2])
@pytest.mark.parametrize("levels", [1, 2, 5, 40, 100_000])
def test_markers_of_the_same_level_rise_in_scikit_images_order(levels, connectivity, dtype):
    random = np.random.default_rng(levels)
    for rows, columns in ((1, 1), (1, 30), (3, 2), (40, 57)):
        relief = (random.integers(0, levels, (rows, columns)) - levels // 2).astype(dtype)
        drawn = (random.random(relief.shape) < 0.1) * random.integers(1, 9, relief.shape)
        mask = random.random(relief.shape) < 0.8
        mask[0, 0] = True
        for markers in (None, 7, drawn):
            for within in (None, mask):
                found = basins.watershed(relief, markers, connectivity, within)
                expected = segmentation.watershed(relief, markers, connectivity, mask=within)
                assert found.dtype == expected.dtype
                np.testing.assert_array_equal(found, expected)


def test_both_zeros_are_one_level():
    relief = np.array([[0, -0.0, 1, -0.0, 0, 2, -1, 2]], np.float32)
    markers = np.array([[0, 1, 0, 0, 2, 0, 3, 0]])
    np.testing.assert_array_equal(
        basins.watershed(relief, markers, 1), segmentation.watershed(relief, markers)
    )


def test_a_relief_with_nan_is_divided_as_scikit_image_does():
    relief = np.array([[0, np.nan, 1, 3, np.nan, 2, 0]], np.float32)
    np.testing.assert_array_equal(basins.watershed(relief, None, 1), segmentation.watershed(relief))

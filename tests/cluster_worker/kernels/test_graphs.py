"""Superpixels by differences equal scikit-image's, also for colours and many equal differences."""

import numpy as np
import pytest
from skimage import segmentation

from cluster_worker.kernels import graphs
from tests.cluster_worker.operations.reference.shared import axis


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1, 3), (2, 2), (40, 57), (57, 40, 3)])
@pytest.mark.parametrize("levels", [1, 3, 200])
def test_regions_are_joined_in_scikit_images_order(levels, shape, dtype):
    image = (np.random.default_rng(levels).integers(0, levels + 1, shape) / levels).astype(dtype)
    for scale in (0.01, 1, 100):
        for sigma in (0, 0.8):
            for min_size in (1, 20, 5000):
                found = graphs.felzenszwalb(image, scale, sigma, min_size)
                expected = segmentation.felzenszwalb(
                    image, scale, sigma, min_size, channel_axis=axis(image)
                )
                assert found.dtype == expected.dtype
                np.testing.assert_array_equal(found, expected)

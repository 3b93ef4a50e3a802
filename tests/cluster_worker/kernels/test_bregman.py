"""Bregman's method equals scikit-image's to the last bit, for any number of rows and columns."""

import numpy as np
import pytest
from skimage import restoration

from cluster_worker.kernels import bregman
from tests.cluster_worker.operations.reference.shared import axis


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("isotropic", [True, False])
@pytest.mark.parametrize("shape", [(2, 2), (2, 70), (16, 3), (17, 31, 3), (33, 2, 3), (60, 50, 3)])
def test_rows_side_by_side_give_the_bits_of_one_after_the_other(shape, isotropic, dtype):
    image = np.random.default_rng(1).random(shape).astype(dtype)
    for weight in (0.37, 5.0, 50.0):
        for eps in (1e-3, 0.1):
            expected = restoration.denoise_tv_bregman(
                image, weight, 20, eps, isotropic, channel_axis=axis(image)
            )
            found = bregman.denoised(image, weight, 20, eps, isotropic=isotropic)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected.reshape(shape))

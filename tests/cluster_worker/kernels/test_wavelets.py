"""The loop for the shortest wavelet equals scikit-image's floats to the last bit."""

import numpy as np
import pytest
from skimage import restoration

from cluster_worker.kernels import wavelets

SHAPES = [(1, 1), (1, 91), (64, 64), (57, 31)]


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_threshold_gives_what_scikit_image_does(shape, dtype):
    image = np.random.default_rng(0).random(shape).astype(dtype)
    for sigma in (None, 0.1, 0.0):
        for mode in ("soft", "hard"):
            for levels in (None, 1, 7):
                for method in ("BayesShrink", "VisuShrink"):
                    found = wavelets.denoised(image, sigma, mode, levels, method)
                    expected = restoration.denoise_wavelet(
                        image, sigma, "db1", mode, levels, method=method
                    )
                    assert found.dtype == expected.dtype
                    np.testing.assert_array_equal(found, expected)

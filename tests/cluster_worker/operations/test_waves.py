"""Butterworth filters equal scikit-image's to the last bit; gabor reads only its image."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import filters

from cluster_worker.kernels.waves import butterworth
from cluster_worker.operations import frequencies

# The last is larger than the block that is weighed at a time.
SHAPES = ((1, 1), (1, 7), (7, 1), (64, 31), (10, 201), (530, 517))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("cutoff", "high_pass", "order", "squared", "npad"),
    [(0.005, True, 2.0, True, 0), (0.3, False, 0.5, False, 3), (0.001, True, 6.0, False, 16)],
)
def test_butterworth_is_scikit_images(shape, dtype, cutoff, high_pass, order, squared, npad):
    plane = np.random.default_rng(8).uniform(-0.5, 0.5, shape).astype(dtype)
    expected = filters.butterworth(
        plane, cutoff, high_pass, order, squared_butterworth=squared, npad=npad
    )
    found = butterworth(plane, cutoff, high_pass, order, squared, npad)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("rows", [2, 3])
def test_a_gabor_filter_reads_nothing_beyond_a_tiny_image(rows):
    # scipy's own reflection reads other memory if a kernel reaches more than twice as far.
    image = np.random.default_rng(5).random((rows, 65))
    wide = np.pad(image, [(60, 60), (60, 60)], "symmetric")
    for far in (12, 24):
        kernel = np.ones((2 * far + 1, 2 * far + 1))
        found = frequencies.convolved(image, kernel, "reflect", 0.0)
        expected = ndimage.convolve(wide, kernel)[60:-60, 60:-60]
        np.testing.assert_allclose(found, expected, rtol=1e-12)

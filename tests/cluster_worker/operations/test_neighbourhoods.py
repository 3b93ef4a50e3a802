"""Loops over neighbourhoods, and stars drawn in cells, equal scikit-image to the last bit."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import data, feature, filters, restoration

from cluster_worker.kernels import corners, rolling
from cluster_worker.kernels.correlation import convolved
from cluster_worker.operations.support.stars import stars
from cluster_worker.pixels.tiling import Place, Span, all_of

GRAY = (data.camera()[:90, :300] / 255).astype(np.float32)
COLOUR = (data.astronaut()[:290, :330] / 255).astype(np.float32)


def spoilt():
    """Return floats, one of them NaN and one infinite."""
    image = GRAY.copy()
    image[50, 60], image[80, 200] = np.nan, np.inf
    return image


@pytest.mark.parametrize("mode", ["reflect", "nearest", "mirror", "constant"])
@pytest.mark.parametrize("theta", [0.0, 0.7])
@pytest.mark.parametrize("image", [GRAY, spoilt(), GRAY[:1], GRAY[:, :3]])
def test_a_convolution_is_scipys(image, theta, mode):
    kernel = filters.gabor_kernel(0.2, theta, sigma_x=2.0, sigma_y=4.0, dtype=np.complex64).real
    expected = ndimage.convolve(image, kernel, mode=mode, cval=0.4)
    whole = all_of(image.shape)
    found = convolved(image, kernel, mode, 0.4, Place(whole, whole, image.shape))
    np.testing.assert_array_equal(found, expected)


def test_a_convolution_leaves_out_what_weighs_nothing():
    image = np.full((9, 9), np.inf, np.float32)
    image[4] = 1
    kernel = np.zeros((5, 5))
    kernel[2, 1], kernel[0, 0] = 0.5, 1e-17
    whole = all_of(image.shape)
    found = convolved(image, kernel, "reflect", 0.0, Place(whole, whole, image.shape))
    np.testing.assert_array_equal(found, ndimage.convolve(image, kernel))
    assert (found[4] == 0.5).all()


def test_the_core_of_a_block_is_convolved_as_in_the_whole():
    kernel = np.random.default_rng(0).random((7, 3))
    core = Span(20, 50, 33, 290)
    window = core.grown(3)
    found = convolved(GRAY[window.slices], kernel, "reflect", 0.0, Place(window, core, GRAY.shape))
    np.testing.assert_array_equal(found, ndimage.convolve(GRAY, kernel)[core.slices])


@pytest.mark.parametrize("image", [COLOUR, COLOUR[..., 0], COLOUR.astype(np.float64)])
@pytest.mark.parametrize(
    ("orientations", "side"), [(9, 8), (1, 4), (8, 5), (9, 10), (9, 64), (36, 33)]
)
def test_stars_are_scikit_images(image, orientations, side):
    axis = 2 if image.ndim == 3 else None
    cell = (side, side)
    expected = feature.hog(image, orientations, cell, (1, 1), visualize=True, channel_axis=axis)[1]
    found = stars(image, orientations, side, all_of(image.shape))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("window_size", [1, 2, 5])
@pytest.mark.parametrize("image", [GRAY, spoilt(), GRAY[:3], GRAY[:, :21]])
def test_moravecs_corners_are_scikit_images(image, window_size):
    expected = feature.corner_moravec(image, window_size)
    whole = all_of(image.shape)
    place = Place(whole, whole, image.shape)
    found = corners.moravec(np.ascontiguousarray(image), window_size, place=place, out=None)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("shape", [(1, 1), (400, 1), (400, 3), (1, 500), (2, 90), (30, 31)])
def test_a_ball_larger_than_an_image_is_cut_to_the_points_that_can_lie_in_it(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    whole = Place(all_of(shape), all_of(shape), shape)
    found = rolling.rolled(image, 60, place=whole, out=None)
    np.testing.assert_array_equal(found, restoration.rolling_ball(image, radius=60))
    points, _ = rolling.ball(60, "uint8", *shape)
    assert len(points) <= (2 * shape[0] - 1) * (2 * shape[1] - 1) + 1

"""Kernels that average similar pixels or patches: when they are used, and that they are exact."""

import numpy as np
import pytest
from skimage import data, restoration, util

from cluster_worker.kernels import exact
from cluster_worker.kernels.patches import bounds_of, counts_exactly, non_local_means
from cluster_worker.operations import OPERATIONS
from cluster_worker.operations.denoising import (
    DEVIATION,
    bilateral_by_rows,
    denoise_bilateral,
    measured_of,
)
from cluster_worker.operations.support.statistics import exact_sum, exact_sum_of
from cluster_worker.pixels.tiling import Place, all_of

GRAY = np.ascontiguousarray(data.camera()[60:150, 180:300])
COLOUR = np.ascontiguousarray(data.astronaut()[60:120, 180:250])
BILATERAL = {"win_size": None, "sigma_spatial": 1.0, "bins": 10_000, "mode": "edge", "cval": 0.0}


def whole(image):
    return Place(all_of(image.shape), all_of(image.shape), image.shape[:2])


def patches_averaged(image, h, patch_distance=6):
    return non_local_means(
        image, 5, patch_distance, h, True, 0.0, dtype="float32", place=whole(image), out=None
    )


def test_the_defaults_compare_bytes_as_whole_numbers():
    assert all(counts_exactly(bounds_of(2, channels, 0.1, 0.0), 2, channels) for channels in (1, 3))


def test_a_largest_distance_that_is_a_whole_number_is_left_to_doubles():
    # The largest distance is 5 · (0.2 · 5 · 255)², which patches of whole numbers can reach.
    assert not counts_exactly(bounds_of(2, 1, 0.2, 0.0), 2, 1)


@pytest.mark.parametrize("image", [GRAY, COLOUR], ids=["gray", "colour"])
@pytest.mark.parametrize(("h", "patch_distance"), [(0.1, 6), (0.2, 6), (0.1, 11)])
def test_patches_of_bytes_average_to_scikit_images_result(image, h, patch_distance):
    axis = 2 if image.ndim == 3 else None
    single = util.img_as_float32(image)
    expected = restoration.denoise_nl_means(single, 5, patch_distance, h, channel_axis=axis)
    found = patches_averaged(image, h, patch_distance)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_what_is_no_number_spoils_no_more_than_what_its_patches_reach():
    image = util.img_as_float32(GRAY)
    image[40, 50] = np.nan
    found = patches_averaged(image, 0.1)
    expected = patches_averaged(util.img_as_float32(GRAY), 0.1)
    near = np.zeros(image.shape, bool)
    near[40 - 8 : 40 + 9, 50 - 8 : 50 + 9] = True
    np.testing.assert_array_equal(found[~near], expected[~near])
    assert np.isnan(found[40, 50])


@pytest.mark.parametrize("sigma_color", [None, 0.1])
@pytest.mark.parametrize("image", [GRAY, COLOUR], ids=["gray", "colour"])
def test_the_bilateral_loop_gives_the_functions_bits(image, sigma_color):
    single = util.img_as_float32(image)
    measured = []
    for each in DEVIATION:
        measured.append(each.of(single, *measured))
    expected = denoise_bilateral(
        single, **BILATERAL, sigma_color=sigma_color, statistics=tuple(measured)
    )
    for given, statistics in ((single, tuple(measured)), (image, (np.bincount(image.ravel()),))):
        found = bilateral_by_rows(
            given,
            **BILATERAL,
            sigma_color=sigma_color,
            statistics=statistics,
            dtype="float32",
            place=whole(image),
            out=None,
        )
        np.testing.assert_array_equal(found, expected)


def test_a_histogram_gives_what_is_measured_of_all_pixels():
    single = util.img_as_float32(COLOUR)
    measured = []
    for each in DEVIATION:
        measured.append(each.of(single, *measured))
    counted = np.bincount(COLOUR.ravel(), minlength=256)
    assert measured_of(counted.tobytes(), "uint8") == tuple(measured)


def test_floats_that_come_many_times_sum_exactly():
    values, times = np.array([1e-300, -0.1, 0.0, 3e200]), np.array([3, 2, 5, 1])
    assert exact_sum_of(values, times) == exact_sum(np.repeat(values, times))


@pytest.mark.parametrize(
    "values",
    [
        [[5e-324, -35e-324, 0.0], [-0.0, 1e308, -1e308]],
        [[2.3e-308, 1.0], [-1e-16, 1e300]],
        np.random.default_rng(0).normal(size=(40, 36)).astype(np.float32)[:, ::3],
        np.empty((0, 3)),
    ],
    ids=["smallest and largest", "far apart", "single, one of three", "none"],
)
def test_a_loop_sums_exactly(values):
    assert exact.exact_sum(np.asarray(values)) == exact_sum(np.asarray(values))


@pytest.mark.parametrize("name", ["denoise_bilateral", "denoise_nl_means"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_pictures_are_averaged_by_loops(name, dtype):
    operation = OPERATIONS[name]
    defaults = {key: each["default"] for key, each in operation.parameters.items()}
    assert operation.kernel(defaults, dtype, "input")

"""Kernels of local thresholds are exact, both where single precision decides and where not."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import data, filters

from cluster_worker.kernels import local
from cluster_worker.kernels.separable import gaussian, kernel_of
from cluster_worker.operations import OPERATIONS
from cluster_worker.operations.local_thresholds import threshold_niblack, threshold_sauvola
from cluster_worker.pixels.tiling import Place, Span, all_of

PHOTOGRAPH = np.ascontiguousarray(data.camera()[100:230, 150:460])
# Many pixels equal the mean of their surroundings, except for the last bits of sums.
FLAT = np.where(np.arange(310) // 70 % 2 == 0, 200, PHOTOGRAPH).astype(np.uint8)
DEEP = FLAT.astype(np.uint16) * 257


def whole(image):
    return Place(all_of(image.shape), all_of(image.shape), image.shape)


@pytest.mark.parametrize("image", [PHOTOGRAPH, FLAT, DEEP], ids=["photograph", "flat", "16 bits"])
@pytest.mark.parametrize("mode", ["reflect", "mirror", "nearest", "constant"])
@pytest.mark.parametrize(("block_size", "offset"), [(3, 0.0), (35, 0.0), (35, 0.02), (101, 0.0)])
def test_a_gaussian_decides_as_scipys_doubles_do(image, mode, block_size, offset):
    white = float(np.iinfo(image.dtype).max)
    level = filters.threshold_local(
        image, block_size, offset=offset * white, mode=mode, cval=0.7 * white
    )
    sigma = (block_size - 1) / 6.0
    found = local.above_gaussian(image, sigma, offset, mode, 0.7, place=whole(image), out=None)
    np.testing.assert_array_equal(found, image > level)


@pytest.mark.parametrize("sigma", [1 / 3, 5.7, 33.0])
def test_the_doubt_is_more_than_single_precision_errs(sigma):
    image = PHOTOGRAPH.astype(np.float32)
    single = gaussian(
        image, sigma, "reflect", 0.0, 4.0, dtype="float32", place=whole(image), out=None
    )
    exact = ndimage.gaussian_filter(image.astype(np.float64), sigma)
    assert abs(single - exact).max() < local.error_bound(kernel_of(sigma, 4.0)) * 255


@pytest.mark.parametrize("image", [PHOTOGRAPH, FLAT, DEEP], ids=["photograph", "flat", "16 bits"])
@pytest.mark.parametrize("size", [3, 15, 129])
def test_whole_numbers_decide_as_the_functions_doubles_do(image, size):
    place = whole(image)
    for k in (-0.3, 0.2):
        found = local.above_niblack(image, size, k, place=place, out=None)
        np.testing.assert_array_equal(found, threshold_niblack(image, size, k))
        for r in (None, 0.2):
            found = local.above_sauvola(image, size, k, r, place=place, out=None)
            np.testing.assert_array_equal(found, threshold_sauvola(image, size, k, r))


def test_a_core_is_decided_alone_into_the_array_that_is_given():
    core = Span(30, 90, 100, 290)
    place = Place(all_of(FLAT.shape), core, FLAT.shape)
    room = np.zeros((60, 400), bool)
    out = room[:, 7:197]
    for kernel, more in (
        (local.above_gaussian, (3.0, 0.0, "reflect", 0.0)),
        (local.above_mean, (19, 0.01, "reflect", 0.0)),
        (local.above_niblack, (15, 0.2)),
    ):
        expected = kernel(FLAT, *more, place=whole(FLAT), out=None)[core.slices]
        np.testing.assert_array_equal(kernel(FLAT, *more, place=place, out=out), expected)
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    ("name", "parameters", "served"),
    [
        ("threshold_local", {}, True),
        ("threshold_local", {"method": "mean"}, True),
        ("threshold_local", {"method": "mean", "mode": "constant", "cval": 0.3}, False),
        ("threshold_local", {"method": "median"}, False),
        ("threshold_niblack", {}, True),
        ("threshold_sauvola", {}, True),
    ],
)
def test_which_local_thresholds_have_kernels(name, parameters, served):
    operation = OPERATIONS[name]
    given = {key: each["default"] for key, each in operation.parameters.items()} | parameters
    for depth in ("input", "native"):
        assert (operation.kernel(given, "uint8", depth) is not None) == served

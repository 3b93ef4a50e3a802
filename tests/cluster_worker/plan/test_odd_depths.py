"""Numbers with sign, of 32 and 64 bits and in half precision are computed as scikit-image does."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import exposure, filters, morphology

from cluster_worker.engine.steps import checked_steps
from cluster_worker.errors import Rejected
from cluster_worker.pixels.depths import to_depth
from cluster_worker.pixels.header import ImageHeader
from cluster_worker.plan.chain import plan
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.run import run_alone

INTEGERS = ("int8", "int16", "int32", "uint32", "int64", "uint64")
RANDOM = np.random.default_rng(3)


def heights(dtype):
    """A landscape, partly below zero where the type has a sign."""
    surface = ndimage.gaussian_filter(RANDOM.normal(size=(50, 60)), 4)
    share = (surface - surface.min()) / np.ptp(surface)
    if dtype == "float16":
        return (share * 4 - 2).astype(dtype)
    limits = np.iinfo(dtype)
    low, high = max(limits.min, -4000), min(limits.max, 9000)
    return (low + share * (high - low)).astype(dtype)


def run(image, *steps, depth="input", **fields):
    header = ImageHeader(image.shape, str(image.dtype), kind="intensity", **fields)
    return run_alone(plan(PlanRequest(header, checked_steps(steps), depth)), image)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_filters_of_whole_numbers_give_what_scikit_image_gives(dtype):
    image = heights(dtype)
    found = run(image, {"operation": "gaussian", "sigma": 2.0})
    assert found.dtype == dtype
    right = filters.gaussian(image.astype(float), 2.0)
    # Before rounding, floats of 32 bits differ by a millionth of the range.
    off = abs(found.astype(float) - right).max()
    assert off <= 0.5 + (2e-6 * 65_535 if image.itemsize == 2 else 1e-3)
    native = run(image, {"operation": "gaussian", "sigma": 2.0}, depth="native")
    np.testing.assert_array_equal(native, filters.gaussian(image, 2.0))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_medians_and_morphology_keep_the_type(dtype):
    image = heights(dtype)
    found = run(image, {"operation": "erosion", "footprint": "square", "radius": 1})
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, morphology.erosion(image, np.ones((3, 3))))


@pytest.mark.parametrize("dtype", ["int16", "int32", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("method", ["otsu", "li", "yen", "isodata", "triangle"])
def test_thresholds_count_every_level(dtype, method):
    image = heights(dtype)
    mask = run(image, {"operation": f"threshold_{method}"}, depth="native")
    np.testing.assert_array_equal(mask, image > getattr(filters, f"threshold_{method}")(image))


def test_levels_beyond_counting_are_refused_with_both_ends():
    image = heights("int32") * 1000
    with pytest.raises(Rejected, match=r"threshold_otsu: counts at most 65536 levels, .* holds -4"):
        run(image, {"operation": "threshold_otsu"})


@pytest.mark.parametrize("dtype", [*INTEGERS, "float16"])
def test_equalising_fills_the_range_of_the_type(dtype):
    image = heights(dtype)
    found = run(image, {"operation": "equalize_hist"})
    assert found.dtype == dtype
    if dtype != "float16":
        share = exposure.equalize_hist(image)
        np.testing.assert_allclose(found / np.iinfo(dtype).max, share, atol=1e-2)


@pytest.mark.parametrize("dtype", [*INTEGERS, "float16"])
def test_steps_that_move_pixels_change_no_value(dtype):
    image = heights(dtype)
    found = run(image, {"operation": "flip"}, {"operation": "crop", "top": 3})
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, image[3:, ::-1])


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint32"])
def test_floats_and_back_loses_no_whole_number(dtype):
    limits = np.iinfo(dtype)
    values = np.linspace(max(limits.min, -limits.max), limits.max, 9999).astype(dtype)
    floats = to_depth(values, "float64" if values.itemsize == 4 else "float32")
    np.testing.assert_array_equal(to_depth(floats, dtype), values)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_the_greatest_number_of_64_bits_does_not_wrap_around(dtype):
    assert to_depth(np.ones(1), dtype)[0] == np.iinfo(dtype).max

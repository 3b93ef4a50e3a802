"""Pixels without data count for nothing, and come back as they were."""

from functools import partial

import numpy as np
import pytest
from scipy import ndimage
from skimage import filters

from cluster_worker.engine.steps import checked_steps
from cluster_worker.operations.declare.stages import context_of, takes_keyword
from cluster_worker.pixels.header import ImageHeader
from cluster_worker.plan.chain import plan
from cluster_worker.plan.nodata import NoRule
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.run import run_alone
from cluster_worker.plan.valid_blocks import unmasked

RANDOM = np.random.default_rng(5)
GAUSSIAN = {"operation": "gaussian", "sigma": 2.0}
CASES = [
    ("int16", -9999),
    ("uint8", 0),
    ("uint16", 65535),
    ("float32", -9999.0),
    ("float32", np.nan),
]


def weighted_count(weight, image, *, mask=None, more=0):
    """Count the pixels of a mask by a weight, which comes before the image."""
    return weight * np.count_nonzero(np.ones(image.shape) if mask is None else mask) + more


def test_a_function_bound_by_position_counts_the_pixels_with_data():
    image = np.array([[1, 0, 3], [0, 5, 6]], np.uint8)
    within = np.array([[True, True, False], [False, True, True]])
    for bound in (partial(weighted_count, 10), partial(weighted_count, 10, more=0)):
        counted = unmasked(bound, np.uint8(0), together=False)
        assert counted(image) == 40
        assert counted(image, mask=within) == 30
        assert context_of(counted) == context_of(bound)
        assert takes_keyword(counted, "mask")


def heights(dtype, nodata):
    """A landscape with holes, and where its data is."""
    values = RANDOM.integers(40, 200, (60, 72)).astype(dtype)
    holes = ndimage.gaussian_filter(RANDOM.normal(size=values.shape), 3) > 0.12
    values[holes] = nodata
    return values, ~holes


def run(image, nodata, *steps, core=None):
    kind = "picture" if image.dtype == np.uint8 else "intensity"
    header = ImageHeader(image.shape, str(image.dtype), kind=kind, nodata=nodata)
    return run_alone(plan(PlanRequest(header, checked_steps(steps), core=core)), image)


def is_hole(image, nodata):
    return np.isnan(image) if np.isnan(nodata) else image == nodata


@pytest.mark.parametrize(("dtype", "nodata"), CASES)
def test_a_filter_averages_the_pixels_with_data(dtype, nodata):
    image, there = heights(dtype, nodata)
    found = run(image, nodata, GAUSSIAN)
    assert found.dtype == dtype
    np.testing.assert_array_equal(is_hole(found, nodata), ~there)
    values = np.where(there, image, 0).astype(float)
    right = filters.gaussian(values, 2.0) / filters.gaussian(there.astype(float), 2.0)
    rounding = 0.51 + (0.13 if dtype == "uint16" else 0) if np.dtype(dtype).kind in "iu" else 2e-3
    assert abs(found.astype(float) - right)[there].max() <= rounding


@pytest.mark.parametrize(("dtype", "nodata"), CASES)
def test_tiles_of_an_image_with_holes_equal_the_whole(dtype, nodata):
    image, _ = heights(dtype, nodata)
    steps = GAUSSIAN, {"operation": "rescale", "scale": 0.5}
    np.testing.assert_array_equal(
        run(image, nodata, *steps), run(image, nodata, *steps, core=(16, 16))
    )


def test_statistics_leave_out_pixels_without_data():
    image, there = heights("uint8", 0)
    mask = run(image, 0.0, {"operation": "threshold_mean"})
    np.testing.assert_array_equal(mask > 0, there & (image > image[there].mean()))


@pytest.mark.parametrize(("name", "of"), [("erosion", np.fmin), ("dilation", np.fmax)])
def test_morphology_takes_the_pixels_with_data(name, of):
    image, there = heights("int16", -9999)
    found = run(image, -9999.0, {"operation": name, "footprint": "square", "radius": 1})
    padded = np.pad(np.where(there, image, np.nan), 1, constant_values=np.nan)
    views = [padded[i : i + 60, j : j + 72] for i in range(3) for j in range(3)]
    right = of.reduce(views)
    np.testing.assert_array_equal(found[there], right[there])
    assert (found[~there] == -9999).all()


def test_what_moves_pixels_keeps_those_without_data():
    image, _ = heights("uint8", 0)
    found = run(image, 0.0, {"operation": "rot90"}, {"operation": "crop", "top": 5})
    np.testing.assert_array_equal(found, np.rot90(image)[5:])


def test_a_pixel_of_less_than_half_data_has_none():
    image = np.full((40, 40), 100, np.uint8)
    image[:, :19] = 0
    found = run(image, 0.0, {"operation": "resize_local_mean", "rows": 10, "columns": 10})
    assert (found[:, :4] == 0).all()
    np.testing.assert_array_equal(found[:, 5:], 100)


def test_data_that_happens_to_become_the_value_is_moved_beside_it():
    image = np.full((30, 30), 255, np.uint8)
    image[0, 0] = 0
    found = run(image, 0.0, {"operation": "invert"})
    assert found[0, 0] == 0
    assert (found.ravel()[1:] == 1).all()


def test_an_operation_without_a_rule_says_what_to_do():
    image, _ = heights("uint8", 0)
    said = 'gabor: has no rule for pixels without data; set nodata to "spread"'
    with pytest.raises(NoRule, match=said):
        run(image, 0.0, {"operation": "gabor"})


RESAMPLED = [
    {"operation": "rotate", "angle": 30},
    {"operation": "rotate", "angle": 30, "order": 3, "mode": "edge"},
    {"operation": "affine", "order": 3},
    {"operation": "rescale", "scale": 0.5, "order": 3},
    {"operation": "swirl", "order": 3},
    {"operation": "pyramid_reduce", "order": 3},
]


@pytest.mark.parametrize("step", RESAMPLED)
def test_what_clips_to_the_range_of_the_image_takes_that_of_its_data(step):
    image = np.full((24, 28), 100, np.int16)
    image[5, 5] = image[15:20, 9] = -99
    found = run(image, -99.0, step)
    levels = found[found != -99]
    assert levels.max() == 100
    assert levels.min() >= 0
    np.testing.assert_array_equal(found, run(image, -99.0, step, core=(8, 8)))


def test_the_nearest_pixel_of_a_blurred_image_is_a_mean_of_data():
    image = np.full((24, 24), 100, np.int16)
    image[6, 6] = -99
    found = run(image, -99.0, {"operation": "rescale", "scale": 0.5, "order": 0})
    assert set(np.unique(found)) <= {-99, 100}


def test_a_mask_that_is_scaled_by_its_nearest_pixels_stays_a_mask():
    steps = checked_steps([{"operation": "rescale", "scale": 0.5, "order": 0}])
    assert (
        plan(PlanRequest(ImageHeader((20, 20), "bool", kind="mask"), steps)).result_kind == "mask"
    )


def test_half_floats_have_pixels_without_data():
    image = np.full((20, 20), 0.5, np.float16)
    image[8, 8] = -9999
    found = run(image, -9999.0, GAUSSIAN)
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, image)


def test_a_pixel_of_a_picture_is_missing_only_in_all_channels():
    image = np.zeros((20, 20, 3), np.uint8)
    image[:, :10, 0], image[:, 10:, 2] = 255, 255
    image[3, 3] = 0
    found = run(image, 0.0, GAUSSIAN)
    assert (found[10, 9:11, 0] > 50).all()
    assert (found[10, 9:11, 2] > 50).all()
    assert (found[..., 1] == 0).all()
    assert (found == 0).all(axis=2).sum() == 1

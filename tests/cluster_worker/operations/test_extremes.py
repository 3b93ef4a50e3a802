"""Erosions and dilations by small neighbourhoods, for any size, type and border of an image."""

import json

import numpy as np
import pytest
from skimage import morphology

from cluster_worker.kernels.footprints import footprint_of
from cluster_worker.kernels.loops import doubles, extremes, medians, separable
from cluster_worker.operations.morphology import fast
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.chain import plan
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.run import run_alone

SHAPES = [(131, 203), (70, 67, 3), (9, 200), (4, 64), (5, 7), (1, 91), (91, 1), (3, 2)]
NEIGHBOURHOODS = [("square", 1), ("square", 2), ("square", 3), ("diamond", 2), ("disk", 3)]


def noise(shape, dtype):
    found = np.random.default_rng(3).integers(0, 256, shape)
    return found > 127 if dtype == "bool" else found.astype(dtype)


def planes_of(image):
    return np.moveaxis(np.atleast_3d(image), 2, 0)


def test_every_small_neighbourhood_has_rows_without_gaps_around_its_middle():
    for mask in fast.SMALL:
        assert mask.shape[0] == mask.shape[1]
        for row in mask:
            reach, middle = row.sum() // 2, len(mask) // 2
            assert row[middle - reach : middle + reach + 1].all()
            assert row.sum() == 2 * reach + 1


@pytest.mark.parametrize("mode", ["reflect", "ignore", "nearest", "mirror", "wrap", "constant"])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16"])
@pytest.mark.parametrize(("footprint", "radius"), NEIGHBOURHOODS)
@pytest.mark.parametrize("name", ["erosion", "dilation"])
def test_extremes_of_small_neighbourhoods_are_scikit_images(name, footprint, radius, dtype, mode):
    assert fast.is_small(footprint, radius, None)
    step = {"operation": name, "footprint": footprint, "radius": radius, "mode": mode}
    steps = json.dumps([{**step, "half_width": None, "cval": 0.3}])
    mask = footprint_of(footprint, radius)
    # For masks, 0.3 of white is black.
    level = 0 if dtype == "bool" else 0.3 * np.iinfo(dtype).max
    for shape in SHAPES:
        image = noise(shape, dtype)
        if image.ndim == 3 and dtype == "bool":
            continue
        filtered = getattr(morphology, name)
        expected = [filtered(each, mask, mode=mode, cval=level) for each in planes_of(image)]
        for core in (None, (23, 150)):
            found = run_alone(
                plan(PlanRequest(header_of(image.shape, dtype), steps, "native", core)), image
            )
            np.testing.assert_array_equal(planes_of(found), expected)


def test_loops_that_functions_make_have_names_of_their_own():
    made = [extremes.least, extremes.greatest, medians.squares_of, doubles.weigh_down]
    made += [doubles.weigh_across, separable.weigh_gray, separable.weigh_colours]
    assert len({(each.__module__, each.py_func.__qualname__) for each in made}) == len(made)

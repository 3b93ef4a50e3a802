"""Rank filters by kernels equal scikit-image's, for any neighbourhood and bit depth."""

from itertools import product

import numpy as np
import pytest

from cluster_worker.operations import OPERATIONS
from cluster_worker.plan.blocks import run_stage, whole_place

RANKS = [
    name
    for name, each in OPERATIONS.items()
    if name.startswith("rank_") and "half_width" in each.parameters
]
RANDOM = np.random.default_rng(0)
IMAGES = {
    "few levels": RANDOM.integers(0, 5, (31, 37), np.uint8),
    "colours": RANDOM.integers(0, 256, (23, 29, 3), np.uint8),
    "12 bits": RANDOM.integers(0, 1 << 12, (21, 34), np.uint16),
    "nearly black 16 bits": RANDOM.integers(0, 2, (17, 40), np.uint16),
    "one pixel": np.full((1, 1), 7, np.uint8),
}
SHAPES = [
    {"footprint": "star", "radius": 4},
    {"footprint": "rectangle", "radius": 1, "half_width": 6},
    {"footprint": "ellipse", "radius": 5, "half_width": 2},
    {"footprint": "square", "radius": 50},
]


def defaults(operation):
    return {name: each["default"] for name, each in operation.parameters.items()}


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
@pytest.mark.parametrize("name", RANKS)
def test_a_kernel_gives_the_levels_of_scikit_image(name, image):
    operation = OPERATIONS[name]
    kernels = [each for each in operation.kernels if image.dtype.name in each.takes]
    for shape, kernel in product(SHAPES, kernels):
        [stage] = operation.stages(defaults(operation) | shape, kernel)
        place = whole_place(image)
        found, expected = (run_stage(each, image, place) for each in (stage, stage.model))
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("between", [(0, 1000), (3, 0), (0, 0), (65_535, 65_535)])
def test_similar_levels_may_be_none_or_all(between):
    operation = OPERATIONS["rank_mean_bilateral"]
    given = defaults(operation) | dict(zip(("s0", "s1"), between, strict=True))
    [stage] = operation.stages(given, operation.kernels[0])
    for image in IMAGES.values():
        place = whole_place(image)
        found, expected = (run_stage(each, image, place) for each in (stage, stage.model))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("p0", "p1"), [(1.0, 1.0), (0.0, 0.0)])
def test_percentiles_that_leave_no_pixel_are_left_to_scikit_image(p0, p1):
    operation = OPERATIONS["rank_autolevel_percentile"]
    given = defaults(operation) | {"p0": p0, "p1": p1}
    assert operation.kernel(given, "uint8", "input") is None

"""What moves pixels clips to the range of the image as scikit-image does, whatever that is."""

from itertools import product

import numpy as np
import pytest

from config.contract import recipe
from tests.cluster_worker.operations import reference
from tests.cluster_worker.operations.test_catalogue import (
    CATALOGUE,
    FLOAT_TOLERANCE,
    assert_seamless,
    named,
    outcome,
)

RANDOM = np.random.default_rng(4)
SHAPE = (23, 29)
# Far beyond black and white, and all on one side of any constant.
BRIGHT = {
    "float32": (RANDOM.random(SHAPE) * 4000 + 500).astype(np.float32),
    "float64": RANDOM.random((*SHAPE, 3)) * -70 - 3,
    "flat": np.full(SHAPE, 0.37),
}
STEPS = {
    "rotate": {"angle": 33.0, "resize": True},
    "affine": {},
    "swirl": {"radius": 30.0, "rotation": 0.5},
    "warp_polar": {"radius": 25.0},
    "resize": {"rows": 31, "columns": 17},
    "rescale": {"scale": 1.3, "anti_aliasing": False},
    "resize_longest_side": {"longest_side": 11},
    "pyramid_reduce": {},
    "pyramid_expand": {},
}


def steps_of(name, **more):
    given = {"operation": name, "mode": "constant", **STEPS[name], **more}
    return recipe.check([given], CATALOGUE, 1)


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("name", STEPS)
def test_floats_of_any_range_are_clipped_to_their_own(name, order):
    for (each, image), cval, depth in product(BRIGHT.items(), (0.0, 0.7), ("input", "native")):
        steps = steps_of(name, order=order, cval=cval)
        with named(each, cval, depth):
            found = outcome(image, steps, None, depth)
            expected, _ = reference.run(image, steps, depth)
            most = FLOAT_TOLERANCE * max(1, abs(image).max())
            np.testing.assert_allclose(found, expected, rtol=0, atol=most)
            assert_seamless(image, steps, (9, 11), depth)


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("name", STEPS)
def test_a_hole_changes_no_pixel_far_from_it(name, order):
    image = BRIGHT["float32"].copy()
    steps = steps_of(name, order=order, cval=0.7)
    whole = outcome(image, steps)
    image[2, 3] = np.nan
    found = outcome(image, steps)
    assert_seamless(image, steps, (9, 11), "input")
    changed = found != whole
    assert changed.mean() < (0.5 if order < 2 else 1)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int8", "int16"])
@pytest.mark.parametrize("name", ["affine", "swirl", "warp_polar"])
def test_whole_numbers_that_the_result_does_not_meet_bound_the_constant(name, dtype):
    image = (RANDOM.integers(0, 2, SHAPE) * 40 + 77).astype(dtype)
    far = {"translation": -5000.0} if name == "affine" else {"center_row": -5000.0}
    far |= {"strength": 0.0, "rotation": 2.0} if name == "swirl" else {}
    for values, cval in product((image, image - image.max()), (0.0, 0.2, 0.96)):
        if np.dtype(dtype).kind == "u" and values is not image:
            continue
        steps = steps_of(name, order=0, cval=cval, **far)
        with named(values.min(), cval):
            found = outcome(values, steps, None, "native")
            expected, _ = reference.run(values, steps, "native")
            np.testing.assert_array_equal(found, expected)
            assert_seamless(values, steps, (9, 11), "native")

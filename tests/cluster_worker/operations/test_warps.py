"""Warps where a rounding decides: halfway between two pixels, and on axes of few pixels."""

import numpy as np
import pytest

from config.contract import recipe
from tests.cluster_worker.operations import reference
from tests.cluster_worker.operations.test_catalogue import (
    CATALOGUE,
    CORES,
    assert_seamless,
    named,
    outcome,
)

SHAPES = ((6, 4), (7, 6, 3), (12, 2), (3, 13), (1, 5))
MODES = ("constant", "edge", "symmetric", "reflect", "wrap")
# Half turns, quarter turns and whole shifts bring pixels to places halfway between two others.
TIES = (
    {"operation": "rotate", "angle": -90.0},
    {"operation": "rotate", "angle": 45.0, "resize": True},
    {"operation": "rotate", "angle": 180.0, "center_row": 2.5, "center_column": 0.5},
    {"operation": "affine", "scale": 2.0, "shear": 0.0, "translation": 18.5},
    {"operation": "warp_polar"},
    {"operation": "swirl", "radius": 15.0},
    {"operation": "rescale", "scale": 1.5, "anti_aliasing": False},
)


@pytest.mark.parametrize("step", TIES, ids=lambda step: step["operation"])
@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_small_images_are_sampled_as_by_scikit_image(step, order):
    for shape in SHAPES:
        image = np.random.default_rng(order).random(shape)
        for mode in MODES:
            # Within the image's range: beyond it, noise of 1e-17 decides how splines are clipped.
            steps = [step | {"order": order, "mode": mode, "cval": 0.5}]
            with named(shape, mode):
                found = outcome(image, steps, None, "native")
                expected, _ = reference.run(image, recipe.check(steps, CATALOGUE, 20), "native")
                np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
                assert_seamless(image, steps, CORES["tiny"], "native")

"""Every shape and size of a neighbourhood gives the pixels of scikit-image."""

from itertools import product
from typing import get_args

import numpy as np
import pytest
from skimage import morphology

from cluster_worker.kernels.footprints import Footprint, footprint_of, footprint_reach
from cluster_worker.operations import OPERATIONS
from tests.cluster_worker.operations.test_catalogue import (
    assert_equal_to_scikit_image,
    assert_same,
    default,
    named,
    outcome,
)

SHAPES = get_args(Footprint)
SIZES = list(product(range(1, 11), (None, 1, 5)))
IMAGE = np.random.default_rng(2).integers(0, 256, (30, 83), np.uint8)
# Rows that a loop handles at once, so that neighbourhoods reach beyond the border on all sides.
SMALL = IMAGE[:5, :9].copy()


def steps_of(name, shape, radius, half_width):
    [step] = default(name)
    step |= {"footprint": shape, "radius": radius}
    return [step | {"half_width": half_width} if "half_width" in step else step]


@pytest.mark.parametrize("name", [n for n, o in OPERATIONS.items() if "footprint" in o.parameters])
def test_every_footprint_gives_the_pixels_of_scikit_image(name):
    for shape, (radius, half_width), image in product(SHAPES, SIZES, (IMAGE, SMALL)):
        if half_width and shape not in ("rectangle", "ellipse"):
            continue
        with named(shape, radius, half_width, image.shape):
            steps = steps_of(name, shape, radius, half_width)
            found = {"input": outcome(image, steps)}
            assert_equal_to_scikit_image(found, image, steps)


def theirs(shape, radius, half_width):
    across = radius if half_width is None else half_width
    slanted = round((2 * radius + 1) / (2 + 2**0.5))
    rectangle = morphology.footprint_rectangle
    return {
        "disk": lambda: morphology.disk(radius),
        "square": lambda: rectangle((2 * radius + 1, 2 * radius + 1)),
        "diamond": lambda: morphology.diamond(radius),
        "rectangle": lambda: rectangle((2 * radius + 1, 2 * across + 1)),
        "ellipse": lambda: morphology.ellipse(across, radius),
        "octagon": lambda: morphology.octagon(2 * radius + 1 - 2 * slanted, slanted),
        "star": lambda: morphology.star(radius),
    }[shape]()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_neighbourhood_is_the_mask_of_scikit_image(shape):
    for radius, half_width in product(range(1, 51), (None, 1, 13, 50)):
        mask, expected = footprint_of(shape, radius, half_width), theirs(shape, radius, half_width)
        assert mask.dtype == expected.dtype == np.uint8
        np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_reach_of_a_neighbourhood_holds_its_mask(shape):
    for radius, half_width in SIZES:
        rows, columns = np.nonzero(footprint_of(shape, radius, half_width))
        mask = footprint_of(shape, radius, half_width)
        middle = mask.shape[0] // 2, mask.shape[1] // 2
        furthest = max(abs(rows - middle[0]).max(), abs(columns - middle[1]).max())
        assert footprint_reach(shape, radius, half_width) >= furthest


@pytest.mark.parametrize("dtype", ["uint8", "float64", "int16"])
@pytest.mark.parametrize("name", ["erosion", "dilation", "white_tophat", "median", "closing"])
def test_a_border_that_is_reflected_many_times_takes_no_pixel_from_outside(name, dtype):
    for shape in ((2, 3), (1, 9), (2, 30), (30, 2)):
        image = (np.random.default_rng(0).random(shape) * 100 + 20).astype(dtype)
        for radius in (4, 8, 9, 12):
            with named(shape, radius):
                [step] = steps_of(name, "disk", radius, None)
                steps = [step | {"mode": "reflect"}]
                whole = outcome(image.copy(), steps, None, "native")
                assert whole.min() >= (0 if name == "white_tophat" else image.min())
                assert_equal_to_scikit_image({"native": whole}, image, steps)
                assert_same(whole, image, steps, (2, 2), "native")

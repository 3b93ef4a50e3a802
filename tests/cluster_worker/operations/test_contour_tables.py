"""Contours: scikit-image's lines, in its order, whatever the tiles."""

from functools import reduce

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import find_contours

from cluster_worker.operations import contour_tables
from cluster_worker.pixels.tiling import Place, tiles

SHAPE = (70, 90)
CORES = (SHAPE, (24, 45), (64, 64), (1, 90), (69, 89))


def lines(image, core, mask=None, positive_orientation="low", **parameters):
    """Find the contours of an image in tiles."""
    found = []
    for tile in tiles(SHAPE, core):
        window = tile.grown(contour_tables.HALO).clipped(SHAPE)
        block, part = (None if each is None else each[window.slices] for each in (image, mask))
        place = Place(window, tile, SHAPE)
        found.append(contour_tables.measure(block, place, mask=part, **parameters))
    joined = reduce(contour_tables.combine, found)
    table = contour_tables.finish(joined, positive_orientation=positive_orientation)
    points = np.column_stack([table["row"], table["column"]])
    return np.split(points, np.flatnonzero(np.diff(table["contour"])) + 1) if len(points) else []


def smooth():
    return ndimage.gaussian_filter(np.random.default_rng(0).random(SHAPE), 2)


def with_nan():
    image = smooth()
    image[20:23, 30:50] = np.nan
    return image


def checks():
    image = np.zeros(SHAPE)
    image[10:50, 30:75] = np.indices((40, 45)).sum(0) % 2
    return image


IMAGES = {
    "smooth": (smooth, 0.5),
    "checks": (checks, 0.5),
    "levels": (lambda: (smooth() * 20).astype(np.uint8), 10),
    "noise": (lambda: np.random.default_rng(1).integers(0, 4, SHAPE).astype(np.float32), 1.7),
    "NaN": (with_nan, 0.48),
    "flat": (lambda: np.ones(SHAPE), 0.5),
}


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("connected", ["low", "high"])
@pytest.mark.parametrize("masked", [False, True])
def test_contours_equal_scikit_image_to_the_last_bit(name, connected, masked):
    make, level = IMAGES[name]
    image = make()
    mask = np.hypot(*(np.indices(SHAPE) - 35)) < 30 if masked else None
    parameters = {"level": level, "fully_connected": connected, "positive_orientation": connected}
    expected = find_contours(image, mask=mask, **parameters)
    for core in CORES:
        found = lines(image, core, mask, **parameters)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)

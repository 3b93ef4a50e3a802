"""Openings and closings by the size of regions equal scikit-image's, for any limit."""

import numpy as np
import pytest
from skimage import morphology

from cluster_worker.kernels import trees

BY_SIZE = {
    "area_opening": (trees.opened, False),
    "area_closing": (trees.closed, False),
    "diameter_opening": (trees.opened, True),
    "diameter_closing": (trees.closed, True),
}


def some_image(dtype, levels):
    drawn = np.random.default_rng(levels).integers(0, levels, (23, 31))
    return (drawn / (levels - 1)).astype(dtype) if dtype == "float32" else drawn.astype(dtype)


# The last limit is larger than the image.
@pytest.mark.parametrize("limit", [1, 2, 9, 40, 1000])
@pytest.mark.parametrize("connectivity", [1, 2])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("name", BY_SIZE)
def test_regions_stay_that_are_large(name, dtype, connectivity, limit):
    function, by_extent = BY_SIZE[name]
    for levels in (2, 5, 250):
        image = some_image(dtype, levels)
        expected = getattr(morphology, name)(image, limit, connectivity)
        found = function(image, limit, connectivity, by_extent=by_extent)
        np.testing.assert_array_equal(found, expected)

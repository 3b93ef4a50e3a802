"""Openings and closings by the size of regions equal scikit-image's, for any limit."""

import numpy as np
import pytest
from skimage import morphology

from cluster_worker.kernels import trees
from tests.cluster_worker.operations.test_catalogue import default, outcome

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


@pytest.mark.parametrize("name", BY_SIZE)
def test_thin_images_are_refused_in_which_scikit_image_reads_other_memory(name):
    steps = default(name)
    for shape in ((3, 2), (40, 2), (2, 40), (1, 1)):
        for dtype in ("uint8", "int16", "float32"):
            refused = outcome(np.ones(shape, dtype), steps, None, "native")
            assert refused.startswith(f"{name}: needs an image of at least 3 rows and 3 columns")
    assert not isinstance(outcome(np.ones((3, 3), np.uint8), steps, None, "native"), str)

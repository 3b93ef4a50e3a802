"""Local binary patterns equal scikit-image's for every number of points."""

import numpy as np
import pytest
from skimage import data, feature

from cluster_worker.operations.descriptors import local_binary_pattern
from cluster_worker.pixels.tiling import Place, Span

IMAGE = data.camera()[100:160, 200:275]


@pytest.mark.parametrize("method", ["default", "ror", "uniform", "nri_uniform", "var"])
@pytest.mark.parametrize("points", range(2, 25))
def test_a_tile_has_the_patterns_of_the_whole(points, method):
    radius = 0.5 + points / 8
    expected = feature.local_binary_pattern(IMAGE, points, radius, method)
    window, core = Span(9, 53, 6, 71), Span(13, 49, 10, 67)
    place = Place(window, core, IMAGE.shape)
    tile = IMAGE[window.slices]
    found = local_binary_pattern(tile, points, radius, method, place=place)
    assert found.dtype == expected.dtype
    in_columns = local_binary_pattern(np.asfortranarray(tile), points, radius, method, place=place)
    np.testing.assert_array_equal(in_columns, found)
    # Where all points are equal, scikit-image's variance is NaN.
    expected = np.nan_to_num(expected[core.slices])
    np.testing.assert_array_equal(found[place.inner], expected)

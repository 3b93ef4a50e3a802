"""Local binary patterns of every number of points, beside scikit-image."""

import numpy as np
import pytest
from skimage import data, feature

from cluster_worker.operations.feature import local_binary_pattern
from cluster_worker.tiling import Place, Span

IMAGE = data.camera()[100:160, 200:275]


@pytest.mark.parametrize("method", ["default", "ror", "uniform", "nri_uniform", "var"])
@pytest.mark.parametrize("points", range(2, 25))
def test_a_tile_has_the_patterns_of_the_whole(points, method):
    expected = feature.local_binary_pattern(IMAGE, points, 2.5, method)
    window, core = Span(10, 52, 7, 70), Span(13, 49, 10, 67)
    place = Place(window, core, IMAGE.shape)
    found = local_binary_pattern(IMAGE[window.slices], points, 2.5, method, place=place)
    assert found.dtype == expected.dtype
    # Where all points are equal, scikit-image's variance is NaN.
    expected = np.nan_to_num(expected[core.slices])
    np.testing.assert_array_equal(found[place.inner], expected)

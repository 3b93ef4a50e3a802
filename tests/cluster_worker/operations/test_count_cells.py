"""The canonical chain from a raw picture to a table of cells, as users of scikit-image write it."""

import json

import numpy as np
import pytest
from scipy import ndimage
from skimage import feature, filters, measure, segmentation, util

from cluster_worker.kernels import basins
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.recipe import plan_recipe
from cluster_worker.plan.request import RecipeRequest
from cluster_worker.plan.run_recipe import run_recipe_alone
from config.contract import recipe
from tests.cluster_worker.operations.nuclei import nuclei
from tests.cluster_worker.operations.test_catalogue import CATALOGUE

PROPERTIES = ("label", "area", "bbox", "centroid", "eccentricity", "intensity_mean", "solidity")
PICTURE = nuclei(512)


def count_cells(ties, properties=PROPERTIES):
    """Return the steps that count cells and measure properties of them."""
    return [
        {"operation": "gaussian", "sigma": 1.5},
        {"operation": "threshold_otsu"},
        {"operation": "binary_fill_holes", "id": "mask"},
        {"operation": "distance_transform_edt", "id": "distance"},
        {"operation": "peak_mask", "min_distance": 5, "threshold_abs": 0, "exclude_border": 0},
        {"operation": "label", "id": "markers"},
        {
            "operation": "watershed",
            "image": "distance",
            "on": "inverted",
            "marker_image": "markers",
            "mask": "mask",
            "ties": ties,
        },
        {"operation": "regionprops_table", "properties": properties, "intensity": "original"},
    ]


def by_hand(picture, ties="heap", properties=PROPERTIES):
    """Return labels and table as scikit-image gives them."""
    smooth = filters.gaussian(util.img_as_float32(picture), 1.5)
    mask = ndimage.binary_fill_holes(smooth > filters.threshold_otsu(smooth))
    distance = ndimage.distance_transform_edt(mask)
    peaks = feature.peak_local_max(distance, min_distance=5, exclude_border=False)
    marked = np.zeros(mask.shape, bool)
    marked[tuple(peaks.T)] = True
    markers = measure.label(marked)
    if ties == "heap":
        labels = segmentation.watershed(-distance, markers, mask=mask)
    else:
        labels = basins.watershed_by_position(-distance, markers, 1, mask)
    return labels, measure.regionprops_table(labels, picture, properties=properties)


def run(picture, ties, core=None):
    steps = json.dumps(recipe.check(count_cells(ties), CATALOGUE, 20))
    header = header_of(picture.shape, str(picture.dtype))
    planned = plan_recipe(RecipeRequest(header, steps, core=core))
    (labels,), tables = run_recipe_alone(planned, picture, {})
    return labels, tables["regionprops_table"]


def assert_tables_equal(table, expected):
    assert list(table) == list(expected)
    for name, column in expected.items():
        if column.dtype.kind == "i":
            np.testing.assert_array_equal(table[name], column)
        else:
            scale = abs(column).mean()
            np.testing.assert_allclose(table[name], column, rtol=1e-9, atol=1e-9 * scale)


@pytest.mark.parametrize("ties", ["heap", "position"])
def test_cells_are_those_of_scikit_image_in_every_tiling(ties):
    expected, columns = by_hand(PICTURE, ties)
    assert columns["label"].size > 350
    for core in (None, (130, 171)):
        labels, table = run(PICTURE, ties, core)
        np.testing.assert_array_equal(labels, expected)
        assert_tables_equal(table, columns)

"""Objects by region: those too near to others, and their hulls; scikit-image's in any tiling."""

import json

import numpy as np
import pytest
from skimage import morphology

from cluster_worker.operations.declare import Place, Span
from cluster_worker.operations.object_distances import Finding
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.recipe import plan_recipe
from cluster_worker.plan.request import RecipeRequest
from cluster_worker.plan.run_recipe import run_recipe_alone
from config.contract import recipe
from tests.cluster_worker.operations.test_catalogue import CATALOGUE
from tests.cluster_worker.operations.test_region_tables import CASES

CORES = (None, (34, 65), (17, 43))
# scikit-image takes seconds for the hull of each of many objects.
FEW = ("one over all", "spiral", "comb", "corners", "holes")
LABELS = (*FEW, "noise", "blobs")


def run(image, operation, core, **parameters):
    steps = recipe.check([{"operation": operation, **parameters}], CATALOGUE, 20, ())
    header = header_of(image.shape, str(image.dtype))
    planned = plan_recipe(RecipeRequest(header, json.dumps(steps), (), "native", core))
    return run_recipe_alone(planned, image, {}).images[0]


@pytest.mark.parametrize("distance", [0, 1, 1.5, 9, 60])
@pytest.mark.parametrize("chessboard", [True, False])
def test_both_ways_find_the_same_pairs(monkeypatch, distance, chessboard):
    labels = np.random.default_rng(1).integers(0, 40, (23, 31)) * (CASES["noise"]()[:23, :31] > 0)
    place = Place(Span(3, 26, 5, 36), Span(3, 20, 9, 30), (40, 50))
    found = []
    for shifted in (True, False):
        monkeypatch.setattr(Finding, "is_shifted_sooner", lambda *_, shifted=shifted: shifted)
        found.append(Finding(distance, chessboard)(labels, place=place)["pairs"])
    assert found[0].size or distance == 0
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("case", LABELS)
@pytest.mark.parametrize(("distance", "chessboard"), [(2, False), (10, True), (37.5, False)])
def test_objects_that_are_too_near_are_those_of_scikit_image(case, distance, chessboard):
    labels = np.maximum(CASES[case](), 0).astype(np.uint16)
    p_norm = np.inf if chessboard else 2
    expected = morphology.remove_objects_by_distance(labels, distance, p_norm=p_norm)
    given = {"min_distance": distance, "chessboard": chessboard}
    for core in CORES:
        found = run(labels, "remove_objects_by_distance", core, **given)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("case", FEW)
@pytest.mark.parametrize("connectivity", [1, 2])
def test_hulls_of_objects_are_those_of_scikit_image(case, connectivity):
    labels = np.maximum(CASES[case](), 0).astype(np.uint16)
    expected = morphology.convex_hull_object(labels, connectivity=connectivity)
    for core in CORES:
        found = run(labels, "convex_hull_object", core, connectivity=connectivity)
        np.testing.assert_array_equal(found, expected)

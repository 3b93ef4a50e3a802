"""Tables as steps of a recipe: the numbers of scikit-image, the same for every tiling."""

import json

import numpy as np
import pytest
from skimage import data, feature, measure

from cluster_worker.operations import OPERATIONS
from cluster_worker.pixels.header import header_of
from cluster_worker.plan.recipe import plan_recipe
from cluster_worker.plan.request import RecipeRequest
from cluster_worker.plan.run_recipe import run_recipe_alone
from config.contract import recipe
from tests.cluster_worker.operations.test_catalogue import CATALOGUE

COINS = data.coins()[20:140, 30:190].copy()
LABELS = measure.label(COINS > 110).astype(np.uint32)
CELLS = measure.label(COINS > 140).astype(np.uint32)
MASK = np.hypot(*np.indices(COINS.shape)) < 120


def table(image, step, depth="input", core=None, **inputs):
    steps = recipe.check([step | {n: f"input:{n}" for n in inputs}], CATALOGUE, 1, inputs)
    headers = tuple((n, header_of(each.shape, str(each.dtype))) for n, each in inputs.items())
    header = header_of(image.shape, str(image.dtype))
    request = RecipeRequest(header, json.dumps(steps), headers, depth, core)
    images, tables = run_recipe_alone(plan_recipe(request), image, inputs)
    # The image flows on as it was.
    np.testing.assert_array_equal(images[0], image)
    return tables[step["operation"]]


def peaks(image):
    points = feature.peak_local_max(image, min_distance=4, threshold_rel=0.6)
    return {"row": points[:, 0], "column": points[:, 1], "value": image[tuple(points.T)]}


def blobs(found):
    return dict(zip(("row", "column", "sigma"), found.T, strict=True))


def overlaps():
    counts = measure.regionprops_table(CELLS, LABELS, properties=("label", "area"))
    pairs = np.unique(np.column_stack([CELLS[CELLS > 0], LABELS[CELLS > 0]]), axis=0)
    return {"label": pairs[:, 0], "other": pairs[:, 1], "pixels": counts["area"]}


def statistics(image, mask):
    found = image[mask].astype(np.float64)
    return {
        "channel": [0],
        "pixels": [found.size],
        "min": [found.min()],
        "max": [found.max()],
        "mean": [found.mean()],
        "std": [found.std()],
    }


SIZES = {"min_sigma": 3.0, "max_sigma": 12.0, "threshold": 0.1}
PEAKS = {"operation": "peak_local_max", "min_distance": 4, "threshold_rel": 0.6}
CASES = {
    "peak_local_max": (COINS, PEAKS, {}, lambda: peaks(COINS)),
    "blob_log": (COINS, SIZES, {}, lambda: blobs(feature.blob_log(COINS, **SIZES))),
    "blob_dog": (COINS, SIZES, {}, lambda: blobs(feature.blob_dog(COINS, **SIZES))),
    "label_overlap": (CELLS, {}, {"other": LABELS}, overlaps),
    "image_statistics": (COINS, {}, {"mask": MASK}, lambda: statistics(COINS, MASK)),
}


def test_every_table_is_tested():
    tables = {name for name, each in OPERATIONS.items() if each.gives == "table"}
    assert tables == {*CASES, "regionprops_table"}


@pytest.mark.parametrize("name", CASES)
def test_a_table_has_the_numbers_of_scikit_image_for_every_tiling(name):
    image, more, inputs, expected = CASES[name]
    step = {"operation": name, **more}
    whole = table(image, step, **inputs)
    for column, values in expected().items():
        np.testing.assert_allclose(whole[column], values, rtol=1e-6, err_msg=column)
    for core in ((23, 37), (120, 11)):
        tiled = table(image, step, "native", core, **inputs)
        for column, values in whole.items():
            np.testing.assert_array_equal(tiled[column], values)

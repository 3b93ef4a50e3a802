"""Cells of a fixed grid make results seamless whose rounding depends on where a block begins."""

import json

import numpy as np
import pytest
from skimage import data

from cluster_worker.operations import catalogue
from cluster_worker.operations.support.cells import CELL, cells
from cluster_worker.pixels.header import header_of
from cluster_worker.pixels.tiling import Place, Span
from cluster_worker.plan.chain import plan
from cluster_worker.plan.request import PlanRequest
from cluster_worker.plan.run import run_alone
from config.contract import recipe
from tests.cluster_worker.operations import reference

CATALOGUE = catalogue()
# Wider and higher than a cell; the last row and column of cells are narrow.
IMAGE = np.ascontiguousarray(data.camera()[100:390, :521])
STEPS = {
    "nl_means": {"operation": "denoise_nl_means", "patch_size": 5, "patch_distance": 4},
    "hessian": {"operation": "hessian_matrix_det", "sigma": 4.0},
}


def run(steps, core=None):
    request = PlanRequest(
        header_of(IMAGE.shape, str(IMAGE.dtype)), json.dumps(steps), "native", core
    )
    return run_alone(plan(request), IMAGE)


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
def test_more_than_one_cell_gives_scikit_images_result_in_any_tiling(steps):
    checked = recipe.check([steps], CATALOGUE, 20)
    whole = run(checked)
    expected, _ = reference.run(IMAGE, checked, "native")
    np.testing.assert_allclose(whole, expected, rtol=0, atol=1e-6)
    for core in ((100, 173), (31, 600), (290, 64)):
        np.testing.assert_array_equal(run(checked, core), whole)


def test_an_integral_image_alone_would_not_be_seamless():
    """Show that the claim above would fail without cells."""
    integral = IMAGE.astype(np.float64) / 255
    left = integral[:, 300:].cumsum(axis=1)[:, 20:] - integral[:, 300:].cumsum(axis=1)[:, :-20]
    whole = integral.cumsum(axis=1)[:, 320:] - integral.cumsum(axis=1)[:, 300:-20]
    assert (left != whole).any()


def test_a_cores_cells_cover_it_and_begin_at_multiples_of_their_side():
    core = Span(CELL - 1, 2 * CELL + 1, 3, CELL)
    shape = (2 * CELL + 7, CELL + 1)
    found = list(cells(Place(core.grown(CELL).clipped(shape), core, shape)))
    assert found == [Span(top, min(top + CELL, shape[0]), 0, CELL) for top in (0, CELL, 2 * CELL)]
